/* Cores that the process may use. Reads /proc and the control group files once, when asked; any thread. */
#include "common/cores.h"

#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned rounded_up(int64_t quota_us, int64_t period_us)
{
    if (quota_us <= 0 || period_us <= 0)
        return 0;
    int64_t cores = quota_us / period_us + (quota_us % period_us != 0);
    return cores > INT_MAX ? 0 : (unsigned)cores;
}

static bool read_line(const char *path, char *out, int size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool ok = fgets(out, size, file) != NULL;
    fclose(file);
    return ok;
}

/* Version 2: "200000 100000", or "max 100000". */
static unsigned unified_quota(const char *directory)
{
    char path[PATH_MAX], line[64];
    int64_t quota_us, period_us;
    if (snprintf(path, sizeof path, "%s/cpu.max", directory) >= (int)sizeof path)
        return 0;
    if (!read_line(path, line, sizeof line) ||
        sscanf(line, "%" SCNd64 " %" SCNd64, &quota_us, &period_us) != 2)
        return 0;
    return rounded_up(quota_us, period_us);
}

/* Version 1: two files; a quota of -1 is none. */
static unsigned legacy_quota(const char *directory)
{
    char path[PATH_MAX], quota[64], period[64];
    if (snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", directory) >= (int)sizeof path)
        return 0;
    if (!read_line(path, quota, sizeof quota))
        return 0;
    if (snprintf(path, sizeof path, "%s/cpu.cfs_period_us", directory) >= (int)sizeof path)
        return 0;
    if (!read_line(path, period, sizeof period))
        return 0;
    return rounded_up(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

static unsigned tighter(unsigned a, unsigned b)
{
    if (!a || !b)
        return a + b;
    return a < b ? a : b;
}

/* A group is bound by its own quota and by those of all groups above it. In a container its path may name
 * groups that are not mounted there: those have no files, and the root itself tells. */
static unsigned quota_upwards(
    const char *root, const char *group, unsigned (*quota_of)(const char *directory))
{
    char directory[PATH_MAX];
    if (snprintf(directory, sizeof directory, "%s%s", root, group) >= (int)sizeof directory)
        return 0;
    unsigned least = 0;
    size_t root_length = strlen(root);
    for (;;) {
        least = tighter(least, quota_of(directory));
        char *slash = strrchr(directory + root_length, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

static bool lists_cpu(char *controllers)
{
    char *rest = controllers, *name;
    while ((name = strsep(&rest, ",")))
        if (strcmp(name, "cpu") == 0)
            return true;
    return false;
}

/* One line of /proc/self/cgroup: "0::/path" (version 2) or "4:cpu,cpuacct:/path" (version 1). */
static unsigned quota_of_line(const char *root, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return 0;
    *group++ = '\0';
    controllers++;
    if (!*controllers)
        return quota_upwards(root, group, unified_quota);
    char mount[PATH_MAX];
    if (snprintf(mount, sizeof mount, "%s/%s", root, controllers) >= (int)sizeof mount ||
        !lists_cpu(controllers))
        return 0;
    return quota_upwards(mount, group, legacy_quota);
}

unsigned cores_quota(const char *root, const char *proc_cgroup)
{
    FILE *file = fopen(proc_cgroup, "re");
    if (!file)
        return 0;
    unsigned least = 0;
    char line[PATH_MAX];
    while (fgets(line, sizeof line, file))
        least = tighter(least, quota_of_line(root, line));
    fclose(file);
    return least;
}

static unsigned affinity(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more cores than a cpu_set_t holds */
    return online > 0 ? (unsigned)online : 1;
}

unsigned cores_usable(void)
{
    unsigned cores = tighter(affinity(), cores_quota("/sys/fs/cgroup", "/proc/self/cgroup"));
    return cores ? cores : 1;
}
