#ifndef IMPCERT_COMMON_CLOCK_H
#define IMPCERT_COMMON_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The only source of time. Durations and deadlines are monotonic nanoseconds; wall time is for people and
 * documents alone. Thread: any. */
#define CLOCK_MS INT64_C(1000000)
#define CLOCK_S (1000 * CLOCK_MS)
#define CLOCK_NEVER INT64_MAX

#define CLOCK_RFC3339_SIZE 25 /* 2026-01-02T03:04:05.678Z and NUL */

int64_t clock_ns(void);
int64_t clock_earlier(int64_t a_ns, int64_t b_ns);
/* Of two times to wait as poll takes them, -1 being for ever. */
int clock_shorter_ms(int a_ms, int b_ms);
/* A condition variable whose waits end by the monotonic clock. */
void clock_cond_init(pthread_cond_t *condition);
/* Waits for it, with the mutex held as for pthread_cond_wait; until_ns: CLOCK_NEVER waits for ever. False at
 * the deadline. */
bool clock_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_ns);
/* Milliseconds since 1970, UTC. */
int64_t clock_wall_ms(void);
/* Milliseconds since 1970 as RFC 3339 in UTC. */
void clock_rfc3339(int64_t wall_ms, char out[static CLOCK_RFC3339_SIZE]);
/* Back from what clock_rfc3339 wrote (length bytes, not terminated); false for anything else. */
bool clock_parse_rfc3339(const char *text, size_t length, int64_t *wall_ms);

#endif
