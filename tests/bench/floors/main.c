/* impcert-floor PART TARGET NAME COUNT AT_ONCE: does one part, and prints its cost as a line of JSON. */
#include "tests/bench/floors/floor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static const struct {
    const char *name;
    bool (*run)(const char *target, const char *name, size_t count, size_t at_once);
} parts[] = {
    {"get-curl", floor_get_curl},
    {"get-epoll", floor_get_epoll},
    {"insert", floor_insert},
    {"consume", floor_consume},
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_seconds(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

static int usage(void)
{
    fputs("usage: impcert-floor get-curl|get-epoll URL TOKEN COUNT AT_ONCE\n"
          "       impcert-floor insert MONGODB_URI DATABASE COUNT AT_ONCE\n"
          "       impcert-floor consume BROKERS TOPIC COUNT AT_ONCE\n",
        stderr);
    return 2;
}

int main(int count, char **arguments)
{
    if (count != 6)
        return usage();
    size_t events = strtoul(arguments[4], NULL, 10), at_once = strtoul(arguments[5], NULL, 10);
    if (!events || !at_once)
        return usage();
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strcmp(parts[i].name, arguments[1]) != 0)
            continue;
        double begun = seconds();
        if (!parts[i].run(arguments[2], arguments[3], events, at_once))
            return 1;
        struct rusage used;
        getrusage(RUSAGE_SELF, &used);
        printf("{\"events\": %zu, \"seconds\": %.3f, \"cpu_seconds\": %.3f, \"peak_kib\": %ld}\n", events,
            seconds() - begun, cpu_seconds(&used), used.ru_maxrss);
        return 0;
    }
    return usage();
}
