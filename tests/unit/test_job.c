/* The job and its pool: what a job takes from a record, and that it forgets all of it when it is given back.
 */
#include "common/clock.h"
#include "worker/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct job_pool *pool;

static int open_pool(void **state)
{
    (void)state;
    pool = job_pool_new(2);
    return pool ? 0 : -1;
}

static int free_pool(void **state)
{
    (void)state;
    job_pool_free(pool);
    return 0;
}

/* ---- records: a producer without a broker, whose purged messages come back as they were ---- */

static rd_kafka_t *producer;

struct receiver {
    struct job *job;
    bool came, set;
    size_t headers_left;
};

static void on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *context)
{
    (void)handle, (void)context;
    struct receiver *receiver = message->_private;
    rd_kafka_message_t *owned = (rd_kafka_message_t *)(uintptr_t)message;
    rd_kafka_headers_t *headers;
    receiver->came = true;
    receiver->set = job_set_record(receiver->job, owned);
    receiver->headers_left = rd_kafka_message_headers(owned, &headers) ? 0 : rd_kafka_header_cnt(headers);
}

static int open_producer(void **state)
{
    (void)state;
    char error[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set(conf, "message.max.bytes", "10000000", error, sizeof error);
    rd_kafka_conf_set(conf, "log_level", "4", error, sizeof error); /* it has no broker, and says so */
    producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    return producer ? 0 : -1;
}

static int close_producer(void **state)
{
    (void)state;
    rd_kafka_destroy(producer);
    return 0;
}

static void receive(struct job *job, const void *key, size_t key_size, const void *value, size_t value_size,
    rd_kafka_headers_t *headers)
{
    assert_non_null(job);
    struct receiver receiver = {.job = job};
    const rd_kafka_vu_t fields[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = "certifications"},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)key, key_size}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)value, value_size}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = &receiver},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    rd_kafka_error_t *error = rd_kafka_produceva(producer, fields, sizeof fields / sizeof *fields);
    assert_null(error);
    assert_int_equal(rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE), 0);
    for (int64_t until = clock_ns() + 10 * CLOCK_S; !receiver.came && clock_ns() < until;)
        rd_kafka_poll(producer, 100);
    assert_true(receiver.came && receiver.set);
    assert_int_equal(receiver.headers_left, 0);
}

static void record_is(
    const struct job *job, const void *key, size_t key_size, const void *value, size_t value_size)
{
    size_t size;
    assert_int_equal(job->has_key, key != NULL);
    assert_int_equal(job->has_value, value != NULL);
    const char *bytes = job_key(job, &size);
    assert_int_equal(size, key_size);
    assert_non_null(bytes);
    assert_memory_equal(bytes, key ? key : "", key_size);
    bytes = job_value(job, &size);
    assert_int_equal(size, value_size);
    assert_non_null(bytes);
    assert_memory_equal(bytes, value ? value : "", value_size);
}

static void job_holds_the_record_byte_for_byte(void **state)
{
    (void)state;
    static const struct {
        const void *key;
        size_t key_size;
        const void *value;
        size_t value_size;
    } records[] = {
        {"imp_1", 5, "{\"imp_uid\":\"imp_1\"}", 19},
        {"k\0e\xff", 4, "\0v\n", 3},
        {NULL, 0, "value", 5},
        {"", 0, "value", 5},
        {"key", 3, NULL, 0},
        {"key", 3, "", 0},
        {NULL, 0, NULL, 0},
        {"", 0, "", 0},
    };
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct job *job = job_pool_take(pool);
        receive(job, records[i].key, records[i].key_size, records[i].value, records[i].value_size, NULL);
        record_is(job, records[i].key, records[i].key_size, records[i].value, records[i].value_size);
        assert_null(job->headers);
        job_pool_give(pool, job);
    }
}

static void job_takes_the_headers(void **state)
{
    (void)state;
    struct job *job = job_pool_take(pool);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(2);
    rd_kafka_header_add(headers, "traceparent", -1, "t", 1);
    rd_kafka_header_add(headers, "traceparent", -1, NULL, 0);
    receive(job, "k", 1, "v", 1, headers);
    assert_int_equal(rd_kafka_header_cnt(job->headers), 2);
    const char *name;
    const void *value;
    size_t size;
    assert_int_equal(rd_kafka_header_get_all(job->headers, 0, &name, &value, &size), 0);
    assert_string_equal(name, "traceparent");
    assert_string_equal(value, "t");
    job_pool_give(pool, job);
    assert_null(job->headers);
}

static void job_pool_gives_back_the_memory_of_a_big_record(void **state)
{
    (void)state;
    enum { BIG = 1 << 20 };
    struct job *job = job_pool_take(pool);
    char *value = malloc(BIG);
    memset(value, 'v', BIG);
    receive(job, "k", 1, value, BIG, NULL);
    record_is(job, "k", 1, value, BIG);
    free(value);
    job_pool_give(pool, job);
    assert_in_range(job->record.capacity, 0, 4096);
    assert_ptr_equal(job_pool_take(pool), job);
    receive(job, "k", 1, "small", 5, NULL);
    record_is(job, "k", 1, "small", 5);
    job_pool_give(pool, job);
}

static void job_pool_keeps_the_memory_of_a_small_record(void **state)
{
    (void)state;
    struct job *job = job_pool_take(pool);
    receive(job, "imp_1", 5, "{}", 2, NULL);
    const char *memory = job->record.data;
    job_pool_give(pool, job);
    assert_ptr_equal(job_pool_take(pool), job);
    assert_ptr_equal(job->record.data, memory);
    receive(job, "imp_2", 5, "[]", 2, NULL);
    assert_ptr_equal(job->record.data, memory);
    record_is(job, "imp_2", 5, "[]", 2);
    job_pool_give(pool, job);
}

/* ---- the pool ---- */

static void is_empty(const struct job *job)
{
    assert_non_null(job);
    assert_null(job->partition);
    assert_null(job->headers);
    assert_int_equal(job->offset, 0);
    assert_int_equal(job->record.size, 0);
    assert_int_equal(job->key_size, 0);
    assert_false(job->has_key || job->has_value);
    assert_int_equal(job->imp_uid[0], '\0');
    assert_true(TAILQ_EMPTY(&job->twins));
    assert_int_equal(job->attempts, 0);
    assert_int_equal(job->unspent, 0);
    assert_int_equal(job->deliveries_failed, 0);
    assert_false(job->token_renewed);
    assert_int_equal(job->first_failed_ms, 0);
    assert_int_equal(job->verdict.reason, REASON_NONE);
    assert_int_equal(job->verdict.error[0], '\0');
    assert_int_equal(job->certification.fields, 0);
    assert_int_equal(job->certification.text.size, 0);
}

static void job_pool_gives_each_job_to_one_taker(void **state)
{
    (void)state;
    struct job *jobs[10];
    for (int i = 0; i < 10; i++) {
        jobs[i] = job_pool_take(pool);
        is_empty(jobs[i]);
        jobs[i]->offset = i;
    }
    for (int i = 0; i < 10; i++)
        assert_int_equal(jobs[i]->offset, i);
    for (int i = 0; i < 10; i++)
        job_pool_give(pool, jobs[i]);
    assert_ptr_not_equal(job_pool_take(pool), job_pool_take(pool));
}

static void job_pool_makes_jobs_beyond_its_size_and_frees_them(void **state)
{
    (void)state;
    struct job *own[] = {job_pool_take(pool), job_pool_take(pool)};
    for (int round = 0; round < 3; round++) {
        struct job *extra[5];
        for (int i = 0; i < 5; i++) {
            extra[i] = job_pool_take(pool);
            is_empty(extra[i]);
            receive(extra[i], "k", 1, "v", 1, rd_kafka_headers_new(1));
        }
        for (int i = 0; i < 5; i++)
            job_pool_give(pool, extra[(i * 3) % 5]);
    }
    job_pool_give(pool, own[0]);
    assert_ptr_equal(job_pool_take(pool), own[0]);
}

static void job_pool_of_no_jobs_makes_all_of_them(void **state)
{
    (void)state;
    struct job_pool *none = job_pool_new(0);
    assert_non_null(none);
    struct job *job = job_pool_take(none);
    is_empty(job);
    job_pool_give(none, job);
    is_empty(job_pool_take(none));
    job_pool_free(none);
}

static void job_pool_free_frees_jobs_wherever_they_are(void **state)
{
    (void)state;
    struct job_pool *own = job_pool_new(3);
    assert_non_null(own);
    struct job_list list = TAILQ_HEAD_INITIALIZER(list);
    for (int i = 0; i < 7; i++) {
        struct job *job = job_pool_take(own);
        receive(job, "k", 1, "v", 1, rd_kafka_headers_new(1));
        assert_true(certification_keep_text(&job->certification, CERTIFICATION_NAME,
            &(struct reader_text){.data = "name", .size = strlen("name")}));
        job_move(job, NULL, &list, JOB_READY);
    }
    job_pool_free(own);
    job_pool_free(NULL);
}

static void job_pool_gives_the_job_used_last(void **state)
{
    (void)state;
    struct job *first = job_pool_take(pool), *second = job_pool_take(pool);
    job_pool_give(pool, first);
    job_pool_give(pool, second);
    assert_ptr_equal(job_pool_take(pool), second);
    assert_ptr_equal(job_pool_take(pool), first);
}

static void fill(struct job *job)
{
    static char partition;
    receive(job, "key", 3, "value", 5, rd_kafka_headers_new(1));
    job->partition = (struct partition *)(void *)&partition;
    memcpy(job->imp_uid, "imp_1", 6);
    job->state = JOB_FORWARDING;
    job->attempts = job->unspent = job->deliveries_failed = 3;
    job->token_renewed = true;
    job->first_failed_ms = job->due_ns = job->begun_ns = job->asked_ns = 7;
    job->token_serial = 7;
    verdict_set(&job->verdict, OUTCOME_REJECTED, REASON_REFUSED, "HTTP 400");
    job->certification.fields = CERTIFICATION_ALWAYS | CERTIFICATION_BIT(CERTIFICATION_BIRTH);
    assert_true(certification_keep_text(&job->certification, CERTIFICATION_UNIQUE_KEY,
        &(struct reader_text){.data = "k", .size = strlen("k")}));
    job->certification.values[CERTIFICATION_BIRTH] =
        (struct certification_value){.type = CERTIFICATION_NUMBER, .number = -53600400};
    job->certification.certified_at_s = 1700000123;
}

static void job_given_back_forgets_its_event(void **state)
{
    (void)state;
    struct job *job = job_pool_take(pool);
    fill(job);
    job_pool_give(pool, job);
    assert_ptr_equal(job_pool_take(pool), job);
    is_empty(job);
    assert_int_equal(job->due_ns + job->begun_ns + job->asked_ns, 0);
    assert_int_equal(job->token_serial, 0);
}

static void job_given_back_forgets_the_person(void **state)
{
    (void)state;
    struct job *job = job_pool_take(pool);
    fill(job);
    job_pool_give(pool, job);
    for (enum certification_field field = 0; field < CERTIFICATION_FIELD_COUNT; field++) {
        assert_int_equal(job->certification.values[field].type, CERTIFICATION_NULL);
        assert_int_equal(job->certification.values[field].number, 0);
    }
    assert_int_equal(job->certification.certified_at_s, 0);
}

/* ---- lists ---- */

static void job_move_goes_to_the_end_and_names_the_place(void **state)
{
    (void)state;
    struct job_list one = TAILQ_HEAD_INITIALIZER(one), other = TAILQ_HEAD_INITIALIZER(other);
    struct job *first = job_pool_take(pool), *second = job_pool_take(pool);
    job_move(first, NULL, &one, JOB_READY);
    job_move(second, NULL, &one, JOB_READY);
    job_move(first, &one, &one, JOB_READY);
    assert_ptr_equal(TAILQ_FIRST(&one), second);
    job_move(second, &one, &other, JOB_VERIFYING);
    assert_ptr_equal(TAILQ_FIRST(&one), first);
    assert_ptr_equal(TAILQ_LAST(&one, job_list), first);
    assert_ptr_equal(TAILQ_FIRST(&other), second);
    assert_int_equal(second->state, JOB_VERIFYING);
    job_move(second, &other, NULL, JOB_ENDED);
    assert_true(TAILQ_EMPTY(&other));
    assert_int_equal(second->state, JOB_ENDED);
    job_move(first, NULL, NULL, JOB_WAITING);
    assert_int_equal(first->state, JOB_WAITING);
}

#define JOB_TEST(test) cmocka_unit_test_setup_teardown(test, open_pool, free_pool)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOB_TEST(job_holds_the_record_byte_for_byte),
        JOB_TEST(job_takes_the_headers),
        JOB_TEST(job_pool_gives_back_the_memory_of_a_big_record),
        JOB_TEST(job_pool_keeps_the_memory_of_a_small_record),
        JOB_TEST(job_pool_gives_each_job_to_one_taker),
        JOB_TEST(job_pool_makes_jobs_beyond_its_size_and_frees_them),
        cmocka_unit_test(job_pool_of_no_jobs_makes_all_of_them),
        cmocka_unit_test(job_pool_free_frees_jobs_wherever_they_are),
        JOB_TEST(job_pool_gives_the_job_used_last),
        JOB_TEST(job_given_back_forgets_its_event),
        JOB_TEST(job_given_back_forgets_the_person),
        JOB_TEST(job_move_goes_to_the_end_and_names_the_place),
    };
    return cmocka_run_group_tests(tests, open_producer, close_producer);
}
