/* Twins: an imp_uid in flight is led by one job, whichever ends or is given up. */
#include "worker/inflight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { JOBS = 2000 };

static struct job_pool *pool;

static int open_pool(void **state)
{
    (void)state;
    pool = job_pool_new(8);
    return pool ? 0 : -1;
}

static int free_pool(void **state)
{
    (void)state;
    job_pool_free(pool);
    return 0;
}

static struct job *job_of(const char *imp_uid)
{
    struct job *job = job_pool_take(pool);
    assert_non_null(job);
    assert_true(strlen(imp_uid) < sizeof job->imp_uid);
    memcpy(job->imp_uid, imp_uid, strlen(imp_uid) + 1);
    return job;
}

static void twins_are(struct job *leader, struct job *const *wanted, size_t count)
{
    struct job *twin;
    size_t i = 0;
    TAILQ_FOREACH (twin, &leader->twins, link) {
        assert_true(i < count);
        assert_ptr_equal(twin, wanted[i++]);
        assert_int_equal(twin->state, JOB_TWIN);
    }
    assert_int_equal(i, count);
}

static void inflight_first_job_leads_and_later_ones_wait(void **state)
{
    (void)state;
    struct inflight inflight = {NULL};
    struct job *jobs[] = {job_of("imp_1"), job_of("imp_1"), job_of("imp_1")};
    assert_true(inflight_join(&inflight, jobs[0]));
    assert_false(inflight_join(&inflight, jobs[1]));
    assert_false(inflight_join(&inflight, jobs[2]));
    twins_are(jobs[0], jobs + 1, 2);
    inflight_leave(&inflight, jobs[0]);
}

static void inflight_tells_imp_uids_apart(void **state)
{
    (void)state;
    static const char *const imp_uids[] = {"a", "A", "a-", "aa", "imp_1", "imp_10", "imp_100",
        "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff0123",
        "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff0124"};
    enum { COUNT = sizeof imp_uids / sizeof *imp_uids };
    struct inflight inflight = {NULL};
    struct job *jobs[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        jobs[i] = job_of(imp_uids[i]);
        assert_true(inflight_join(&inflight, jobs[i]));
    }
    for (size_t i = 0; i < COUNT; i++) {
        struct job *twin = job_of(imp_uids[i]);
        assert_false(inflight_join(&inflight, twin));
        twins_are(jobs[i], &twin, 1);
        inflight_leave(&inflight, jobs[i]);
    }
}

static void inflight_leader_that_ended_is_forgotten(void **state)
{
    (void)state;
    struct inflight inflight = {NULL};
    struct job *first = job_of("imp_1"), *twin = job_of("imp_1"), *later = job_of("imp_1");
    assert_true(inflight_join(&inflight, first));
    assert_false(inflight_join(&inflight, twin));
    inflight_leave(&inflight, first);
    twins_are(first, &twin, 1);
    assert_true(inflight_join(&inflight, later));
    twins_are(later, NULL, 0);
    inflight_leave(&inflight, later);
    assert_null(inflight.leaders);
}

static void inflight_first_twin_succeeds_with_the_others_behind_it(void **state)
{
    (void)state;
    struct inflight inflight = {NULL};
    struct job *jobs[5];
    for (size_t i = 0; i < 5; i++) {
        jobs[i] = job_of("imp_1");
        assert_int_equal(inflight_join(&inflight, jobs[i]), i == 0);
        if (i == 3) {
            assert_ptr_equal(inflight_succeed(&inflight, jobs[0]), jobs[1]);
            assert_int_equal(jobs[1]->state, JOB_READY);
            twins_are(jobs[0], NULL, 0);
            twins_are(jobs[1], jobs + 2, 2);
        }
    }
    twins_are(jobs[1], jobs + 2, 3);
    inflight_leave(&inflight, jobs[1]);
}

static void inflight_succession_goes_on_until_nobody_is_left(void **state)
{
    (void)state;
    struct inflight inflight = {NULL};
    struct job *jobs[4];
    for (size_t i = 0; i < 4; i++) {
        jobs[i] = job_of("imp_1");
        assert_int_equal(inflight_join(&inflight, jobs[i]), i == 0);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_ptr_equal(inflight_succeed(&inflight, jobs[i]), jobs[i + 1]);
        twins_are(jobs[i + 1], jobs + i + 2, 2 - i);
    }
    assert_null(inflight_succeed(&inflight, jobs[3]));
    assert_null(inflight.leaders);
    assert_true(inflight_join(&inflight, jobs[0]));
    inflight_leave(&inflight, jobs[0]);
}

static void inflight_heir_is_on_no_list(void **state)
{
    (void)state;
    struct inflight inflight = {NULL};
    struct job_list ready = TAILQ_HEAD_INITIALIZER(ready);
    struct job *leader = job_of("imp_1"), *twin = job_of("imp_1");
    assert_true(inflight_join(&inflight, leader));
    assert_false(inflight_join(&inflight, twin));
    struct job *heir = inflight_succeed(&inflight, leader);
    job_move(heir, NULL, &ready, JOB_READY);
    job_pool_give(pool, leader);
    assert_ptr_equal(TAILQ_FIRST(&ready), twin);
    assert_ptr_equal(TAILQ_LAST(&ready, job_list), twin);
    inflight_leave(&inflight, heir);
}

static void inflight_finds_each_of_many(void **state)
{
    (void)state;
    struct inflight inflight = {NULL};
    static struct job *leaders[JOBS];
    char imp_uid[EVENT_IMP_UID_SIZE];
    for (int i = 0; i < JOBS; i++) {
        snprintf(imp_uid, sizeof imp_uid, "imp_%012d", i);
        leaders[i] = job_of(imp_uid);
        assert_true(inflight_join(&inflight, leaders[i]));
    }
    for (int i = JOBS - 1; i >= 0; i--) {
        struct job *twin = job_of(leaders[i]->imp_uid);
        assert_false(inflight_join(&inflight, twin));
        assert_ptr_equal(TAILQ_FIRST(&leaders[i]->twins), twin);
    }
    for (int i = 0; i < JOBS; i++)
        inflight_leave(&inflight, leaders[i]);
    assert_null(inflight.leaders);
}

#define INFLIGHT_TEST(test) cmocka_unit_test_setup_teardown(test, open_pool, free_pool)

int main(void)
{
    const struct CMUnitTest tests[] = {
        INFLIGHT_TEST(inflight_first_job_leads_and_later_ones_wait),
        INFLIGHT_TEST(inflight_tells_imp_uids_apart),
        INFLIGHT_TEST(inflight_leader_that_ended_is_forgotten),
        INFLIGHT_TEST(inflight_first_twin_succeeds_with_the_others_behind_it),
        INFLIGHT_TEST(inflight_succession_goes_on_until_nobody_is_left),
        INFLIGHT_TEST(inflight_heir_is_on_no_list),
        INFLIGHT_TEST(inflight_finds_each_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
