/* Metrics as Prometheus reads them. Any thread. */
#include "common/exposition.h"

#include "common/clock.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MS CLOCK_MS
#define SECONDS CLOCK_S

const struct exposition_scale exposition_durations = {
    .unit = SECONDS,
    .bounds = 15,
    .bound = {1 * MS, 2 * MS, 5 * MS, 10 * MS, 20 * MS, 50 * MS, 100 * MS, 200 * MS, 500 * MS, 1 * SECONDS,
        2 * SECONDS, 5 * SECONDS, 10 * SECONDS, 30 * SECONDS, 60 * SECONDS},
};

const struct exposition_scale exposition_delays = {
    .unit = SECONDS,
    .bounds = 15,
    .bound = {10 * MS, 20 * MS, 50 * MS, 100 * MS, 200 * MS, 500 * MS, 1 * SECONDS, 2 * SECONDS, 5 * SECONDS,
        15 * SECONDS, 60 * SECONDS, 300 * SECONDS, 900 * SECONDS, 3600 * SECONDS, 7200 * SECONDS},
};

const struct exposition_scale exposition_sizes = {
    .unit = 1,
    .bounds = 10,
    .bound = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000},
};

const struct exposition_scale exposition_tries = {
    .unit = 1,
    .bounds = 8,
    .bound = {1, 2, 3, 4, 6, 8, 12, 20},
};

size_t exposition_bucket(const struct exposition_scale *scale, int64_t value)
{
    size_t bucket = 0;
    while (bucket < scale->bounds && value > scale->bound[bucket])
        bucket++;
    return bucket;
}

bool exposition_head(struct buf *page, const char *name, const char *help, const char *type)
{
    return buf_format(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

bool exposition_value(struct buf *page, const char *name, const char *help, const char *type, uint64_t value)
{
    return exposition_head(page, name, help, type) && buf_format(page, "%s %" PRIu64 "\n", name, value);
}

bool exposition_histogram(struct buf *page, const char *name, const char *labels,
    const struct exposition_scale *scale, const struct exposition_histogram *histogram)
{
    uint64_t running = 0;
    double unit = (double)scale->unit;
    const char *comma = *labels ? "," : "";
    for (size_t bucket = 0; bucket <= scale->bounds; bucket++) {
        char bound[24] = "+Inf";
        running += histogram->buckets[bucket];
        if (bucket < scale->bounds)
            snprintf(bound, sizeof bound, "%g", (double)scale->bound[bucket] / unit);
        if (!buf_format(page, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, labels, comma, bound, running))
            return false;
    }
    const char *open = *labels ? "{" : "", *close = *labels ? "}" : "";
    return buf_format(page, "%s_sum%s%s%s %.*f\n%s_count%s%s%s %" PRIu64 "\n", name, open, labels, close,
        scale->unit > 1 ? 9 : 0, (double)histogram->sum / unit, name, open, labels, close, running);
}

/* Field 2 of /proc/self/statm: resident pages (proc(5)). */
static uint64_t exposition_resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    uint64_t pages = 0;
    if (file) {
        if (fscanf(file, "%*u %" SCNu64, &pages) != 1)
            pages = 0;
        fclose(file);
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double exposition_cpu_seconds(void)
{
    struct timespec used = {.tv_sec = 0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* One of the entries is the listing itself. */
static uint64_t exposition_open_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    uint64_t count = 0;
    if (!directory)
        return 0;
    const struct dirent *entry;
    while ((entry = readdir(directory)))
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count ? count - 1 : 0;
}

static uint64_t exposition_max_fds(void)
{
    struct rlimit limit = {.rlim_cur = 0};
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

/* Field 22 of /proc/self/stat, in ticks since the machine was started, behind a name that may hold anything
 * (proc(5)). */
static double exposition_started_at(void)
{
    char text[1024] = "";
    unsigned long long ticks = 0;
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file)
        return 0;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *behind_name = strrchr(text, ')');
    struct timespec up, wall;
    if (!behind_name ||
        sscanf(behind_name,
            ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
            &ticks) != 1 ||
        clock_gettime(CLOCK_BOOTTIME, &up) != 0 || clock_gettime(CLOCK_REALTIME, &wall) != 0)
        return 0;
    double booted_at = (double)(wall.tv_sec - up.tv_sec) + (double)(wall.tv_nsec - up.tv_nsec) / 1e9;
    return booted_at + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

bool exposition_process(struct buf *page)
{
    static const char cpu[] = "process_cpu_seconds_total", started[] = "process_start_time_seconds";
    return exposition_value(page, "process_resident_memory_bytes", "Resident memory.", "gauge",
               exposition_resident_bytes()) &&
           exposition_head(page, cpu, "Processor time, user and system.", "counter") &&
           buf_format(page, "%s %.3f\n", cpu, exposition_cpu_seconds()) &&
           exposition_value(
               page, "process_open_fds", "Open file descriptors.", "gauge", exposition_open_fds()) &&
           exposition_value(page, "process_max_fds", "The limit of open file descriptors.", "gauge",
               exposition_max_fds()) &&
           exposition_head(
               page, started, "When the process was started, in seconds of Unix time.", "gauge") &&
           buf_format(page, "%s %.2f\n", started, exposition_started_at()) &&
           exposition_head(page, "impcert_build_info", "Always 1; the label tells the version.", "gauge") &&
           buf_format(page, "impcert_build_info{version=\"" IMPCERT_VERSION "\"} 1\n");
}
