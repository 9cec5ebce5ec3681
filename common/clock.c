/* Monotonic and wall time. Any thread. */
#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * CLOCK_S + now.tv_nsec;
}

int64_t clock_earlier(int64_t a_ns, int64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

int clock_shorter_ms(int a_ms, int b_ms)
{
    return a_ms < 0 || (b_ms >= 0 && b_ms < a_ms) ? b_ms : a_ms;
}

void clock_cond_init(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

bool clock_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_ns)
{
    if (until_ns == CLOCK_NEVER)
        return pthread_cond_wait(condition, mutex) == 0;
    struct timespec until = {.tv_sec = until_ns / CLOCK_S, .tv_nsec = until_ns % CLOCK_S};
    return pthread_cond_timedwait(condition, mutex, &until) == 0;
}

int64_t clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / CLOCK_MS;
}

void clock_rfc3339(int64_t wall_ms, char out[static CLOCK_RFC3339_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t length = strftime(out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + length, CLOCK_RFC3339_SIZE - length, ".%03uZ", (unsigned)(wall_ms % 1000));
}

bool clock_parse_rfc3339(const char *text, size_t length, int64_t *wall_ms)
{
    char copy[CLOCK_RFC3339_SIZE], again[CLOCK_RFC3339_SIZE];
    if (length != CLOCK_RFC3339_SIZE - 1)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    struct tm utc = {0};
    const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &utc);
    unsigned ms;
    if (!rest || sscanf(rest, ".%3uZ", &ms) != 1)
        return false;
    *wall_ms = (int64_t)timegm(&utc) * 1000 + ms;
    /* What the parts above let pass, such as a 31st of February, does not come out as it went in. */
    clock_rfc3339(*wall_ms, again);
    return *wall_ms >= 0 && strcmp(copy, again) == 0;
}
