/* Metrics as Prometheus reads them. Any thread. */
#include "common/exposition.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* Upper bounds in milliseconds. */
static const int64_t exposition_bounds_ms[EXPOSITION_BUCKETS - 1] = {
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000};

size_t exposition_bucket(int64_t duration_ns)
{
    size_t bucket = 0;
    while (bucket < EXPOSITION_BUCKETS - 1 && duration_ns > exposition_bounds_ms[bucket] * CLOCK_MS)
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

bool exposition_histogram(
    struct buf *page, const char *name, const char *help, const struct exposition_histogram *histogram)
{
    uint64_t running = 0;
    if (!exposition_head(page, name, help, "histogram"))
        return false;
    for (size_t bucket = 0; bucket < EXPOSITION_BUCKETS; bucket++) {
        char bound[24] = "+Inf";
        running += histogram->buckets[bucket];
        if (bucket < EXPOSITION_BUCKETS - 1)
            snprintf(bound, sizeof bound, "%g", (double)exposition_bounds_ms[bucket] / 1000);
        if (!buf_format(page, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name, bound, running))
            return false;
    }
    return buf_format(
        page, "%s_sum %.9f\n%s_count %" PRIu64 "\n", name, (double)histogram->sum_ns / 1e9, name, running);
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

bool exposition_process(struct buf *page)
{
    return exposition_value(page, "process_resident_memory_bytes", "Resident memory.", "gauge",
               exposition_resident_bytes()) &&
           exposition_head(page, "impcert_build_info", "Always 1; the label tells the version.", "gauge") &&
           buf_format(page, "impcert_build_info{version=\"" IMPCERT_VERSION "\"} 1\n");
}
