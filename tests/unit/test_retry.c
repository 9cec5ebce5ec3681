/* Waiting jobs: how many tries there are, how long a wait may be, and the order in which jobs come back. */
#include "common/clock.h"
#include "worker/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW (1000 * CLOCK_S)

enum { JOBS = 200 };

/* IMPCERT_ATTEMPTS=4, IMPCERT_BACKOFF=200ms, IMPCERT_BACKOFF_MAX=1s */
static struct settings *settings;
static struct retry *retry;
static struct job_pool *pool;

static int open_settings(void **state)
{
    (void)state;
    static const struct program program = {.id = PROGRAM_WORKER, .name = "impcert-test", .summary = ""};
    char *argv[] = {"impcert-test", NULL};
    int exit_code;
    clearenv();
    setenv("IMPCERT_KAFKA_BROKERS", "127.0.0.1:1", 1);
    setenv("IAMPORT_KEY", "key", 1);
    setenv("IAMPORT_SECRET", "secret", 1);
    setenv("MONGODB_URI", "mongodb://127.0.0.1:1", 1);
    setenv("IMPCERT_BACKOFF_MAX", "1s", 1);
    settings = settings_start(&program, 1, argv, &exit_code);
    return settings ? 0 : -1;
}

static int close_settings(void **state)
{
    (void)state;
    settings_free(settings);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    retry = retry_new(settings);
    pool = job_pool_new(JOBS);
    return retry && pool ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    retry_free(retry);
    job_pool_free(pool);
    return 0;
}

static struct job *add(int failures, int64_t now_ns)
{
    struct job *job = job_pool_take(pool);
    assert_true(retry_add(retry, job, failures, now_ns));
    return job;
}

static void retry_leaves_as_many_tries_as_are_set(void **state)
{
    (void)state;
    struct job *job = job_pool_take(pool);
    for (job->attempts = 0; job->attempts < 4; job->attempts++)
        assert_true(retry_left(retry, job));
    assert_false(retry_left(retry, job));
    job->attempts = 5;
    assert_false(retry_left(retry, job));
}

static void retry_empty_releases_nothing(void **state)
{
    (void)state;
    struct job_list ready = TAILQ_HEAD_INITIALIZER(ready);
    assert_int_equal(retry_count(retry), 0);
    assert_true(retry_due_ns(retry) == CLOCK_NEVER);
    assert_false(retry_release(retry, &ready, CLOCK_NEVER - 1));
    assert_true(TAILQ_EMPTY(&ready));
}

static void retry_waits_at_most_for_the_ceiling(void **state)
{
    (void)state;
    static const struct {
        int failures;
        int64_t ceiling_ms;
    } waits[] = {{1, 200}, {2, 400}, {3, 800}, {4, 1000}, {100, 1000}};
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        for (int j = 0; j < JOBS / 10; j++) {
            const struct job *job = add(waits[i].failures, NOW);
            assert_true(job->due_ns >= NOW && job->due_ns <= NOW + waits[i].ceiling_ms * CLOCK_MS);
            assert_int_equal(job->state, JOB_WAITING);
        }
    }
}

static void retry_spreads_jobs_that_failed_together(void **state)
{
    (void)state;
    int early = 0;
    for (int i = 0; i < JOBS; i++)
        early += add(1, NOW)->due_ns < NOW + 100 * CLOCK_MS;
    assert_in_range(early, JOBS / 5, JOBS * 4 / 5);
}

static void retry_releases_no_job_before_it_is_due(void **state)
{
    (void)state;
    struct job_list ready = TAILQ_HEAD_INITIALIZER(ready);
    struct job *job = job_pool_take(pool);
    job->due_ns = NOW + 30 * CLOCK_S;
    assert_true(retry_add_due(retry, job));
    assert_int_equal(retry_count(retry), 1);
    assert_int_equal(retry_due_ns(retry), job->due_ns);
    assert_false(retry_release(retry, &ready, NOW));
    assert_false(retry_release(retry, &ready, job->due_ns - 1));
    assert_true(TAILQ_EMPTY(&ready));
    assert_true(retry_release(retry, &ready, job->due_ns));
    assert_ptr_equal(TAILQ_FIRST(&ready), job);
    assert_int_equal(job->state, JOB_READY);
    assert_int_equal(retry_count(retry), 0);
    assert_false(retry_release(retry, &ready, CLOCK_NEVER - 1));
}

static void retry_releases_in_the_order_of_the_due_times(void **state)
{
    (void)state;
    struct job_list ready = TAILQ_HEAD_INITIALIZER(ready);
    struct job *before = job_pool_take(pool);
    job_move(before, NULL, &ready, JOB_READY);
    for (int i = 1; i < JOBS; i++)
        add(1 + i % 4, NOW + (i * 37) % 100 * 10 * CLOCK_MS);
    int64_t first = retry_due_ns(retry);
    while (retry_release(retry, &ready, NOW + 10 * CLOCK_S))
        ;
    assert_int_equal(retry_count(retry), 0);
    /* behind the job that was ready already, none is missing */
    assert_ptr_equal(TAILQ_FIRST(&ready), before);
    const struct job *job = TAILQ_NEXT(before, link), *next;
    assert_int_equal(job->due_ns, first);
    int count = 1;
    for (; (next = TAILQ_NEXT(job, link)); job = next, count++)
        assert_true(job->due_ns <= next->due_ns);
    assert_int_equal(count, JOBS - 1);
}

static void retry_takes_a_job_again(void **state)
{
    (void)state;
    struct job_list ready = TAILQ_HEAD_INITIALIZER(ready);
    struct job *job = job_pool_take(pool);
    int64_t now = NOW;
    for (job->attempts = 1; retry_left(retry, job); job->attempts++) {
        assert_true(retry_add(retry, job, job->attempts, now));
        assert_true(job->due_ns >= now);
        now = job->due_ns;
        assert_true(retry_release(retry, &ready, now));
        job_move(job, &ready, NULL, JOB_READY);
    }
    assert_int_equal(job->attempts, 4);
    assert_int_equal(retry_count(retry), 0);
}

static void retry_free_forgets_the_jobs_inside(void **state)
{
    (void)state;
    struct retry *own = retry_new(settings);
    assert_non_null(own);
    for (int i = 0; i < JOBS; i++)
        assert_true(retry_add(own, job_pool_take(pool), 1, NOW));
    assert_int_equal(retry_count(own), JOBS);
    retry_free(own);
    retry_free(NULL);
}

#define RETRY_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RETRY_TEST(retry_leaves_as_many_tries_as_are_set),
        RETRY_TEST(retry_empty_releases_nothing),
        RETRY_TEST(retry_waits_at_most_for_the_ceiling),
        RETRY_TEST(retry_spreads_jobs_that_failed_together),
        RETRY_TEST(retry_releases_no_job_before_it_is_due),
        RETRY_TEST(retry_releases_in_the_order_of_the_due_times),
        RETRY_TEST(retry_takes_a_job_again),
        RETRY_TEST(retry_free_forgets_the_jobs_inside),
    };
    return cmocka_run_group_tests(tests, open_settings, close_settings);
}
