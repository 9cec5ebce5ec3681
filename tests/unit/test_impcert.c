/* The library by its public header: what it refuses, that each event comes to exactly one end, and what
 * waiting, flushing and closing promise. Without a broker, or on librdkafka's mock of one. */
#include "producer/include/impcert.h"

#include "common/clock.h"
#include "producer/impcert_handle.h"
#include "tests/unit/broker.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOWHERE "127.0.0.1:1" /* nothing listens on port 1 */
#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static char path[] = "/tmp/impcert-library.XXXXXX";

/* ---- handles ---- */

static struct impcert *open_with(const struct impcert_options *options)
{
    struct impcert_error error = {.text = ""};
    struct impcert *impcert = impcert_open(options, &error);
    if (!impcert)
        fail_msg("%s", error.text);
    return impcert;
}

static struct impcert *open_on(const char *brokers)
{
    struct impcert_options options = IMPCERT_OPTIONS_INIT;
    options.brokers = brokers;
    return open_with(&options);
}

static struct impcert *open_on_broker(struct broker *broker)
{
    broker_open(broker);
    return open_on(broker_address(broker));
}

/* ---- ends ---- */

/* What the delivery calls of a test said. */
struct ends {
    _Atomic unsigned calls;
    _Atomic unsigned by_status[IMPCERT_NO_MEMORY + 1];
};

static void on_end(void *context, enum impcert_status status, const char *text)
{
    struct ends *ends = context;
    assert_non_null(text);
    atomic_fetch_add(&ends->by_status[status], 1);
    atomic_fetch_add(&ends->calls, 1);
}

static enum impcert_status publish(struct impcert *impcert, struct ends *ends)
{
    const struct impcert_event event = IMPCERT_EVENT("imp_1");
    return impcert_publish(impcert, &event, on_end, ends, NULL);
}

static void publish_many(struct impcert *impcert, unsigned count, struct ends *ends)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(publish(impcert, ends), IMPCERT_OK);
}

static void wait_for_calls(struct ends *ends, unsigned count)
{
    int64_t until_ns = clock_ns() + DEADLINE_MS * CLOCK_MS;
    while (atomic_load(&ends->calls) < count) {
        if (clock_ns() > until_ns)
            fail_msg("%u of %u events came to an end", atomic_load(&ends->calls), count);
        usleep(1000);
    }
}

static void must_say(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no \"%s\" in:\n%s", part, text);
}

/* ---- opening ---- */

static void open_must_say(const struct impcert_options *options, const char *part)
{
    struct impcert_error error = {.text = ""};
    assert_null(impcert_open(options, &error));
    assert_int_equal(error.status, IMPCERT_INVALID);
    must_say(error.text, part);
    assert_null(impcert_open(options, NULL));
}

static void open_says_all_that_is_wrong_a_line_each(void **state)
{
    (void)state;
    struct impcert_error error;
    struct impcert_options options = IMPCERT_OPTIONS_INIT;
    options.brokers = "kafka:0";
    options.topic = "a/b";
    options.kafka_config = "/nowhere";
    options.queue_events = UINT32_MAX;
    options.timeout_ms = UINT32_MAX;
    assert_null(impcert_open(&options, &error));
    assert_int_equal(error.status, IMPCERT_INVALID);
    must_say(error.text, "queue_events: 4294967295, expected at most 2147483647\n");
    must_say(error.text, "\ntimeout_ms: 4294967295");
    must_say(error.text, "\nIMPCERT_KAFKA_BROKERS: \"kafka:0\" is no host:port");
    must_say(error.text, "\nIMPCERT_KAFKA_CONFIG: \"/nowhere\" can't be read");
    must_say(error.text, "\nIMPCERT_TOPIC: \"a/b\"");
    assert_true(error.text[strlen(error.text) - 1] != '\n');
}

static void open_needs_brokers(void **state)
{
    (void)state;
    struct impcert_options options = IMPCERT_OPTIONS_INIT;
    open_must_say(&options, "IMPCERT_KAFKA_BROKERS: not set, expected");
    setenv("IMPCERT_KAFKA_BROKERS", NOWHERE, 1);
    open_must_say(&options, "IMPCERT_KAFKA_BROKERS: not set, expected");
}

static void open_reads_the_environment_only_where_it_may(void **state)
{
    (void)state;
    struct impcert_options options = IMPCERT_OPTIONS_INIT;
    setenv("IMPCERT_KAFKA_BROKERS", NOWHERE, 1);
    setenv("IMPCERT_TOPIC", "not/a/topic", 1);
    open_must_say(NULL, "IMPCERT_TOPIC: \"not/a/topic\"");
    options.environment = 1;
    open_must_say(&options, "IMPCERT_TOPIC: \"not/a/topic\"");
    options.topic = "given";
    assert_int_equal(impcert_close(open_with(&options), 0), IMPCERT_OK);
    unsetenv("IMPCERT_TOPIC");
    assert_int_equal(impcert_close(open_with(NULL), 0), IMPCERT_OK);
}

static void open_takes_structures_of_other_releases_but_guesses_nothing(void **state)
{
    (void)state;
    struct {
        struct impcert_options options;
        void *of_a_later_release;
    } larger = {.options = IMPCERT_OPTIONS_INIT};
    larger.options.brokers = NOWHERE;
    larger.options.size = 0;
    open_must_say(&larger.options, "struct impcert_options: size is 0");
    larger.options.size = SIZE_MAX;
    open_must_say(&larger.options, "struct impcert_options: size is");
    larger.options.size = sizeof larger;
    assert_int_equal(impcert_close(open_with(&larger.options), 0), IMPCERT_OK);
    larger.of_a_later_release = &larger;
    open_must_say(&larger.options, "a member is set that version " IMPCERT_VERSION);
}

static void write_properties(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void open_names_the_property_that_is_wrong(void **state)
{
    (void)state;
    struct impcert_options options = IMPCERT_OPTIONS_INIT;
    options.brokers = NOWHERE;
    options.kafka_config = path;
    write_properties("linger.ms=5\nacks=0\n");
    open_must_say(&options, ":2: Kafka property acks is fixed");
    write_properties("sasl.pasword=hidden\n");
    open_must_say(&options, ":1: no such Kafka property: \"sasl.pasword\"");
    write_properties("linger.ms=100\n");
    options.timeout_ms = 50;
    open_must_say(&options, "linger.ms");
}

/* ---- what is not taken ---- */

static void publish_must_say(struct impcert *impcert, const struct impcert_event *event, const char *part)
{
    struct impcert_error error = {.text = ""};
    struct ends ends = {.calls = 0};
    assert_int_equal(impcert_publish(impcert, event, on_end, &ends, &error), IMPCERT_INVALID);
    assert_int_equal(error.status, IMPCERT_INVALID);
    must_say(error.text, part);
    assert_null(strstr(error.text, "hidden"));
    assert_int_equal(impcert_publish_wait(impcert, event, -1, NULL), IMPCERT_INVALID);
    assert_int_equal(impcert_in_flight(impcert), 0);
    assert_int_equal(ends.calls, 0);
}

static void publish_refuses_what_is_no_event(void **state)
{
    (void)state;
    static const struct {
        const char *imp_uid, *value, *why;
    } cases[] = {
        {NULL, NULL, "imp_uid is missing"},
        {"", NULL, "imp_uid is empty"},
        {"hidden uid", NULL, "at byte 7"},
        {"imp_uid_of_more_than_sixty_four_characters_0123456789012345678901", NULL, "65 bytes long"},
        {"imp_1", "", "value is empty"},
        {"imp_1", "hidden", "not valid JSON"},
        {"imp_1", "[\"hidden\"]", "value is an array"},
        {"imp_1", "{\"hidden\": 1}", "imp_uid is missing"},
        {"imp_1", "{\"imp_uid\": 1}", "imp_uid is a number"},
        {"imp_1", "{\"imp_uid\": \"imp_hidden\"}", "the value has another imp_uid"},
        {"imp_1", "{\"imp_uid\": \"imp_1\", \"name\": \"\xff\"}", "not valid UTF-8"},
    };
    struct impcert *impcert = open_on(NOWHERE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct impcert_event event = IMPCERT_EVENT(cases[i].imp_uid);
        event.value = cases[i].value;
        event.value_size = cases[i].value ? strlen(cases[i].value) : 0;
        publish_must_say(impcert, &event, cases[i].why);
    }
    static char large[IMPCERT_VALUE_MOST + 1];
    struct impcert_event event = IMPCERT_EVENT("imp_1");
    event.value = large;
    event.value_size = sizeof large;
    publish_must_say(impcert, &event, "the value has 65537 bytes, expected at most 65536");
    event.value = NULL;
    event.size = sizeof event - 1;
    publish_must_say(impcert, &event, "struct impcert_event: size is");
    assert_int_equal(impcert_close(impcert, 0), IMPCERT_OK);
}

static void publish_refuses_headers_that_it_can_not_send(void **state)
{
    (void)state;
    static char large[IMPCERT_HEADER_BYTES_MOST];
    static const struct {
        struct impcert_header header;
        const char *why;
    } cases[] = {
        {{NULL, "x", 1}, "a header has no name"},
        {{"", "x", 1}, "a header has no name"},
        {{"impcert.reason", "x", 1}, "begins with impcert."},
        {{"a", NULL, 1}, "value is NULL"},
        {{"a", large, sizeof large}, "more than 65536 bytes"},
        {{"a", large, SIZE_MAX}, "more than 65536 bytes"},
        {{"TraceParent", TRACE, 55}, "traceparent is given twice"},
    };
    struct impcert *impcert = open_on(NOWHERE);
    struct impcert_event event = IMPCERT_EVENT("imp_1");
    event.traceparent = TRACE;
    event.header_count = 1;
    publish_must_say(impcert, &event, "headers is NULL, but header_count is 1");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        event.headers = &cases[i].header;
        publish_must_say(impcert, &event, cases[i].why);
    }
    event.header_count = IMPCERT_HEADERS_MOST + 1;
    publish_must_say(impcert, &event, "65 headers, expected at most 64");
    event.header_count = 0;
    event.traceparent = "00-hidden";
    publish_must_say(impcert, &event, "traceparent is not valid");
    assert_int_equal(impcert_close(impcert, 0), IMPCERT_OK);
}

static void record_must_have(
    const struct impcert_record *record, size_t index, const char *name, const void *value, size_t size)
{
    const char *found;
    const void *bytes;
    size_t length;
    assert_int_equal(rd_kafka_header_get_all(record->headers, index, &found, &bytes, &length), 0);
    assert_string_equal(found, name);
    assert_int_equal(length, size);
    if (value)
        assert_memory_equal(bytes, value, size);
    else
        assert_null(bytes);
}

static void record_has_key_value_and_headers_as_given(void **state)
{
    (void)state;
    struct impcert_record record;
    const struct impcert_header headers[] = {{"b", "\0\xff", 2}, {"a", NULL, 0}, {"b", "", 0}};
    struct impcert_event event = IMPCERT_EVENT("imp_1");
    assert_int_equal(impcert_record_make(&record, &event, NULL), IMPCERT_OK);
    assert_string_equal(record.imp_uid, "imp_1");
    assert_memory_equal(record.value, "{\"imp_uid\": \"imp_1\"}", record.value_size);
    assert_null(record.headers);
    event.value = "{\"imp_uid\":\"imp_1\",  \"n\": 12345678901234567890123}and more";
    event.value_size = strlen(event.value) - strlen("and more");
    event.traceparent = TRACE;
    event.headers = headers;
    event.header_count = 3;
    assert_int_equal(impcert_record_make(&record, &event, NULL), IMPCERT_OK);
    assert_ptr_equal(record.value, event.value);
    assert_int_equal(record.value_size, event.value_size);
    record_must_have(&record, 0, "traceparent", TRACE, strlen(TRACE));
    record_must_have(&record, 1, "b", "\0\xff", 2);
    record_must_have(&record, 2, "a", NULL, 0);
    record_must_have(&record, 3, "b", "", 0);
    rd_kafka_headers_destroy(record.headers);
}

/* ---- a full queue ---- */

static void publish_says_when_the_queue_is_full(void **state)
{
    (void)state;
    struct impcert_error error;
    struct ends ends = {.calls = 0};
    const struct impcert_event event = IMPCERT_EVENT("imp_1");
    struct impcert_options options = IMPCERT_OPTIONS_INIT;
    options.brokers = NOWHERE;
    options.queue_events = 10;
    struct impcert *impcert = open_with(&options);
    publish_many(impcert, 10, &ends);
    assert_int_equal(impcert_publish(impcert, &event, on_end, &ends, &error), IMPCERT_QUEUE_FULL);
    assert_int_equal(error.status, IMPCERT_QUEUE_FULL);
    must_say(error.text, "the queue is full");
    assert_int_equal(impcert_publish_wait(impcert, &event, -1, NULL), IMPCERT_QUEUE_FULL);
    assert_int_equal(impcert_in_flight(impcert), 10);
    assert_int_equal(impcert_close(impcert, 0), IMPCERT_CLOSED);
    assert_int_equal(ends.calls, 10);
}

/* librdkafka counts values alone. */
static void memory_of_headers_counts_too(void **state)
{
    (void)state;
    enum { KIB = 1024, HEADER = 60 * 1024 };
    static const char value[HEADER];
    const struct impcert_header header = {"a", value, sizeof value};
    struct ends ends = {.calls = 0};
    struct impcert_event event = IMPCERT_EVENT("imp_1");
    struct impcert_options options = IMPCERT_OPTIONS_INIT;
    event.headers = &header;
    event.header_count = 1;
    options.brokers = NOWHERE;
    options.queue_kib = KIB;
    struct impcert *impcert = open_with(&options);
    unsigned taken = 0;
    while (taken < 100 && impcert_publish(impcert, &event, on_end, &ends, NULL) == IMPCERT_OK)
        taken++;
    assert_int_equal(taken, KIB * 1024 / (HEADER + 1024));
    assert_int_equal(impcert_publish(impcert, &event, on_end, &ends, NULL), IMPCERT_QUEUE_FULL);
    assert_int_equal(impcert_close(impcert, 0), IMPCERT_CLOSED);
    assert_int_equal(ends.calls, taken);
    options.queue_kib = HEADER / 1024;
    impcert = open_with(&options);
    publish_must_say(impcert, &event, "more than the queue has");
    assert_int_equal(impcert_close(impcert, 0), IMPCERT_OK);
}

static void room_comes_back_when_events_end(void **state)
{
    (void)state;
    struct broker broker;
    struct ends ends = {.calls = 0};
    broker_open(&broker);
    struct impcert_options options = IMPCERT_OPTIONS_INIT;
    options.brokers = broker_address(&broker);
    options.queue_events = 5;
    struct impcert *impcert = open_with(&options);
    for (unsigned taken = 0, full = 0; taken < 500 || !full;) {
        enum impcert_status status = publish(impcert, &ends);
        full += status == IMPCERT_QUEUE_FULL;
        taken += status == IMPCERT_OK;
        if (status == IMPCERT_QUEUE_FULL)
            assert_int_equal(impcert_flush(impcert, DEADLINE_MS, NULL), IMPCERT_OK);
    }
    assert_int_equal(impcert_close(impcert, DEADLINE_MS), IMPCERT_OK);
    assert_int_equal(ends.by_status[IMPCERT_OK], ends.calls);
    broker_close(&broker);
}

/* ---- ends ---- */

static void each_event_is_acknowledged_once(void **state)
{
    (void)state;
    struct broker broker;
    struct ends ends = {.calls = 0};
    struct impcert *impcert = open_on_broker(&broker);
    publish_many(impcert, 1000, &ends);
    const struct impcert_event event = IMPCERT_EVENT("imp_1");
    assert_int_equal(impcert_publish(impcert, &event, NULL, NULL, NULL), IMPCERT_OK);
    assert_int_equal(impcert_publish_wait(impcert, &event, DEADLINE_MS, NULL), IMPCERT_OK);
    assert_int_equal(impcert_publish_wait(impcert, &event, -1, NULL), IMPCERT_OK);
    assert_int_equal(impcert_flush(impcert, DEADLINE_MS, NULL), IMPCERT_OK);
    assert_int_equal(impcert_in_flight(impcert), 0);
    assert_int_equal(ends.by_status[IMPCERT_OK], 1000);
    assert_int_equal(impcert_close(impcert, DEADLINE_MS), IMPCERT_OK);
    assert_int_equal(ends.calls, 1000);
    broker_close(&broker);
}

static void an_event_that_nobody_acknowledges_ends_in_time(void **state)
{
    (void)state;
    struct ends ends = {.calls = 0};
    struct impcert_error error;
    const struct impcert_event event = IMPCERT_EVENT("imp_1");
    struct impcert_options options = IMPCERT_OPTIONS_INIT;
    options.brokers = NOWHERE;
    options.timeout_ms = 200;
    struct impcert *impcert = open_with(&options);
    publish_many(impcert, 3, &ends);
    assert_int_equal(impcert_publish_wait(impcert, &event, -1, &error), IMPCERT_UNAVAILABLE);
    assert_int_equal(error.status, IMPCERT_UNAVAILABLE);
    must_say(error.text, "timed out");
    assert_int_equal(impcert_flush(impcert, DEADLINE_MS, NULL), IMPCERT_OK);
    assert_int_equal(ends.by_status[IMPCERT_UNAVAILABLE], 3);
    assert_int_equal(impcert_close(impcert, DEADLINE_MS), IMPCERT_CLOSED);
    assert_int_equal(ends.calls, 3);
}

static void what_the_broker_refuses_is_told_apart(void **state)
{
    (void)state;
    struct broker broker;
    struct impcert_error error;
    const struct impcert_event event = IMPCERT_EVENT("imp_1");
    struct impcert *impcert = open_on_broker(&broker);
    /* Passing troubles are the library's own business. */
    rd_kafka_mock_push_request_errors(broker.cluster, PRODUCE, 2, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
    if (impcert_publish_wait(impcert, &event, DEADLINE_MS, &error) != IMPCERT_OK)
        fail_msg("%s", error.text);
    rd_kafka_mock_push_request_errors(
        broker.cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(impcert_publish_wait(impcert, &event, DEADLINE_MS, &error), IMPCERT_REFUSED);
    must_say(error.text, "Topic authorization failed");
    assert_int_equal(impcert_close(impcert, DEADLINE_MS), IMPCERT_CLOSED);
    broker_close(&broker);
}

/* A broker that knows nothing of a producer takes any of its batches for the first. When the first one is
 * refused, as by a leader that is not ready, and the second is taken, librdkafka reports both as
 * acknowledged. */
static void an_event_is_not_acknowledged_because_the_next_one_is(void **state)
{
    (void)state;
    struct broker broker;
    struct ends ends = {.calls = 0};
    const struct impcert_header header = {"a", "b", 1};
    broker_open(&broker);
    write_properties("batch.num.messages=1\n");
    struct impcert_options options = IMPCERT_OPTIONS_INIT;
    options.brokers = broker_address(&broker);
    options.kafka_config = path;
    struct impcert *impcert = open_with(&options);
    assert_int_equal(impcert_check(impcert, DEADLINE_MS, NULL), IMPCERT_OK);
    rd_kafka_mock_broker_set_rtt(broker.cluster, 1, 100);
    rd_kafka_mock_push_request_errors(broker.cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    for (int n = 0; n < 4; n++) {
        char value[64];
        struct impcert_event event = IMPCERT_EVENT("imp_1");
        event.value = value;
        event.value_size = (size_t)snprintf(value, sizeof value, "{\"imp_uid\": \"imp_1\", \"n\": %d}", n);
        event.headers = &header;
        event.header_count = 1;
        assert_int_equal(impcert_publish(impcert, &event, on_end, &ends, NULL), IMPCERT_OK);
    }
    assert_int_equal(impcert_close(impcert, DEADLINE_MS), IMPCERT_OK);
    assert_int_equal(ends.by_status[IMPCERT_OK], 4);
    rd_kafka_mock_broker_set_rtt(broker.cluster, 1, 0);
    assert_int_equal(broker_records(&broker), 0xf);
    broker_close(&broker);
}

static void after_a_fatal_error_everything_says_so(void **state)
{
    (void)state;
    struct broker broker;
    struct impcert_error error;
    struct ends ends = {.calls = 0};
    const struct impcert_event event = IMPCERT_EVENT("imp_1");
    struct impcert *impcert = open_on_broker(&broker);
    assert_int_equal(impcert_publish_wait(impcert, &event, DEADLINE_MS, NULL), IMPCERT_OK);
    rd_kafka_mock_broker_set_rtt(broker.cluster, 1, 300);
    rd_kafka_mock_push_request_errors(
        broker.cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    publish_many(impcert, 100, &ends);
    wait_for_calls(&ends, 1);
    assert_int_equal(impcert_publish(impcert, &event, NULL, NULL, &error), IMPCERT_FAILED);
    must_say(error.text, "fatal error");
    assert_int_equal(impcert_publish_wait(impcert, &event, -1, NULL), IMPCERT_FAILED);
    assert_int_equal(impcert_check(impcert, DEADLINE_MS, &error), IMPCERT_FAILED);
    assert_int_equal(impcert_flush(impcert, DEADLINE_MS, NULL), IMPCERT_OK);
    assert_int_equal(ends.calls, 100);
    assert_int_equal(ends.by_status[IMPCERT_FAILED], 100);
    assert_int_equal(impcert_close(impcert, DEADLINE_MS), IMPCERT_CLOSED);
    broker_close(&broker);
}

/* ---- waiting, flushing, closing ---- */

static void a_wait_that_is_over_leaves_its_event_on_its_way(void **state)
{
    (void)state;
    struct broker broker;
    struct impcert_error error;
    const struct impcert_event event = IMPCERT_EVENT("imp_1");
    struct impcert *impcert = open_on_broker(&broker);
    assert_int_equal(impcert_check(impcert, DEADLINE_MS, NULL), IMPCERT_OK);
    rd_kafka_mock_broker_set_rtt(broker.cluster, 1, 500);
    assert_int_equal(impcert_publish_wait(impcert, &event, 20, &error), IMPCERT_TIMEOUT);
    must_say(error.text, "not acknowledged after 20 ms, still on its way");
    assert_int_equal(impcert_publish_wait(impcert, &event, 0, &error), IMPCERT_TIMEOUT);
    assert_int_equal(impcert_in_flight(impcert), 2);
    assert_int_equal(impcert_flush(impcert, DEADLINE_MS, NULL), IMPCERT_OK);
    assert_int_equal(impcert_in_flight(impcert), 0);
    assert_int_equal(impcert_close(impcert, DEADLINE_MS), IMPCERT_OK);
    broker_close(&broker);
}

static void a_flush_ends_in_time(void **state)
{
    (void)state;
    struct impcert_error error;
    struct ends ends = {.calls = 0};
    struct impcert *impcert = open_on(NOWHERE);
    assert_int_equal(impcert_flush(impcert, -1, NULL), IMPCERT_OK);
    publish_many(impcert, 7, &ends);
    int64_t begin_ns = clock_ns();
    assert_int_equal(impcert_flush(impcert, 0, &error), IMPCERT_TIMEOUT);
    assert_int_equal(impcert_flush(impcert, 100, &error), IMPCERT_TIMEOUT);
    assert_true(clock_ns() - begin_ns >= 100 * CLOCK_MS);
    must_say(error.text, "7 events are still on their way");
    assert_int_equal(impcert_close(impcert, 0), IMPCERT_CLOSED);
    assert_int_equal(ends.by_status[IMPCERT_CLOSED], 7);
}

static void a_flush_does_not_wait_for_the_linger_time(void **state)
{
    (void)state;
    struct broker broker;
    struct ends ends = {.calls = 0};
    broker_open(&broker);
    write_properties("linger.ms=25000\n");
    struct impcert_options options = IMPCERT_OPTIONS_INIT;
    options.brokers = broker_address(&broker);
    options.kafka_config = path;
    struct impcert *impcert = open_with(&options);
    assert_int_equal(impcert_check(impcert, DEADLINE_MS, NULL), IMPCERT_OK);
    publish_many(impcert, 3, &ends);
    assert_int_equal(impcert_flush(impcert, 10000, NULL), IMPCERT_OK);
    assert_int_equal(ends.by_status[IMPCERT_OK], 3);
    assert_int_equal(impcert_close(impcert, 10000), IMPCERT_OK);
    broker_close(&broker);
}

/* A thread that keeps events on their way until it is stopped. */
struct busy {
    struct impcert *impcert;
    struct ends ends;
    unsigned taken;
    _Atomic bool stop;
    pthread_t thread;
};

static void *busy_run(void *context)
{
    struct busy *busy = context;
    while (!atomic_load(&busy->stop)) {
        if (busy->taken - atomic_load(&busy->ends.calls) < 1000 &&
            publish(busy->impcert, &busy->ends) == IMPCERT_OK)
            busy->taken++;
        else
            usleep(1000);
    }
    return NULL;
}

static void threads_publish_side_by_side(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    struct broker broker;
    struct busy busy[THREADS] = {{.taken = 0}};
    struct impcert *impcert = open_on_broker(&broker);
    for (int i = 0; i < THREADS; i++) {
        busy[i].impcert = impcert;
        assert_int_equal(pthread_create(&busy[i].thread, NULL, busy_run, &busy[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        wait_for_calls(&busy[i].ends, 2000);
        atomic_store(&busy[i].stop, true);
        pthread_join(busy[i].thread, NULL);
    }
    assert_int_equal(impcert_close(impcert, DEADLINE_MS), IMPCERT_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(busy[i].ends.by_status[IMPCERT_OK], busy[i].taken);
    broker_close(&broker);
}

static void closing_ends_every_event_exactly_once(void **state)
{
    (void)state;
    struct broker broker;
    struct ends queued = {.calls = 0}, sent = {.calls = 0};
    struct impcert *impcert = open_on(NOWHERE);
    publish_many(impcert, 500, &queued);
    assert_int_equal(impcert_close(impcert, 0), IMPCERT_CLOSED);
    assert_int_equal(queued.calls, 500);
    assert_int_equal(queued.by_status[IMPCERT_CLOSED], 500);
    impcert = open_on_broker(&broker);
    assert_int_equal(impcert_check(impcert, DEADLINE_MS, NULL), IMPCERT_OK);
    rd_kafka_mock_broker_set_rtt(broker.cluster, 1, 5000);
    publish_many(impcert, 500, &sent);
    impcert_flush(impcert, 200, NULL); /* so that some have left, and none is acknowledged */
    assert_int_equal(impcert_close(impcert, 50), IMPCERT_CLOSED);
    assert_int_equal(sent.calls, 500);
    assert_int_equal(sent.by_status[IMPCERT_CLOSED], 500);
    assert_int_equal(impcert_close(NULL, 0), IMPCERT_OK);
    broker_close(&broker);
}

/* Publishes the same again whatever the end was, as an eager caller might. */
struct eager {
    struct impcert *impcert;
    struct ends ends;
    unsigned taken;
    enum impcert_status last; /* of publishing again */
};

static void eager_on_end(void *context, enum impcert_status status, const char *text)
{
    struct eager *eager = context;
    const struct impcert_event event = IMPCERT_EVENT("imp_1");
    on_end(&eager->ends, status, text);
    eager->last = impcert_publish(eager->impcert, &event, eager_on_end, eager, NULL);
    eager->taken += eager->last == IMPCERT_OK;
}

/* With such a delivery some event is on its way all the time. */
static void a_flush_waits_for_what_was_taken_before_it_alone(void **state)
{
    (void)state;
    struct broker broker;
    struct ends ends = {.calls = 0};
    const struct impcert_event event = IMPCERT_EVENT("imp_1");
    struct eager eager = {.impcert = open_on_broker(&broker), .taken = 1};
    assert_int_equal(impcert_publish(eager.impcert, &event, eager_on_end, &eager, NULL), IMPCERT_OK);
    wait_for_calls(&eager.ends, 1);
    publish_many(eager.impcert, 10, &ends);
    assert_int_equal(impcert_flush(eager.impcert, DEADLINE_MS, NULL), IMPCERT_OK);
    assert_int_equal(ends.by_status[IMPCERT_OK], 10);
    impcert_close(eager.impcert, 0);
    assert_int_equal(eager.ends.calls, eager.taken);
    broker_close(&broker);
}

static void closing_ends_though_deliveries_publish_on(void **state)
{
    (void)state;
    struct broker broker;
    const struct impcert_event event = IMPCERT_EVENT("imp_1");
    struct eager eager = {.impcert = open_on_broker(&broker), .taken = 2};
    for (int i = 0; i < 2; i++)
        assert_int_equal(impcert_publish(eager.impcert, &event, eager_on_end, &eager, NULL), IMPCERT_OK);
    wait_for_calls(&eager.ends, 10);
    impcert_close(eager.impcert, 100); /* IMPCERT_OK, if what was left has just been acknowledged */
    assert_int_equal(eager.last, IMPCERT_CLOSED);
    assert_int_equal(eager.ends.calls, eager.taken);
    broker_close(&broker);
}

/* ---- readiness, and what is heard ---- */

/* A handle of its own: librdkafka 2.8 ends the process where one error of a topic that had partitions follows
 * on UNKNOWN_TOPIC_OR_PART (confluentinc/librdkafka issue 4907). */
static void check_must_be(rd_kafka_resp_err_t topic_error, enum impcert_status status, const char *part)
{
    struct broker broker;
    struct impcert_error error = {.text = ""};
    struct impcert *impcert = open_on_broker(&broker);
    assert_int_equal(impcert_check(impcert, DEADLINE_MS, &error), IMPCERT_OK);
    rd_kafka_mock_topic_set_error(broker.cluster, "certifications", topic_error);
    assert_int_equal(impcert_check(impcert, DEADLINE_MS, &error), status);
    must_say(error.text, part);
    assert_int_equal(impcert_close(impcert, DEADLINE_MS), IMPCERT_OK);
    broker_close(&broker);
}

static void a_check_tells_whether_the_topic_is_there(void **state)
{
    (void)state;
    struct impcert_error error;
    struct impcert *impcert = open_on(NOWHERE);
    assert_int_equal(impcert_check(impcert, 100, &error), IMPCERT_UNAVAILABLE);
    must_say(error.text, "no broker answers");
    assert_int_equal(impcert_close(impcert, 0), IMPCERT_OK);
    check_must_be(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, IMPCERT_REFUSED, "topic certifications: ");
    check_must_be(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, IMPCERT_REFUSED, "topic certifications: ");
    check_must_be(RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, IMPCERT_UNAVAILABLE, "");
}

struct heard {
    _Atomic unsigned failed_connections;
    _Atomic unsigned others;
};

static void on_log(void *context, int level, const char *text)
{
    struct heard *heard = context;
    assert_in_range(level, 0, 7);
    atomic_fetch_add(
        strstr(text, "Connect to ipv4#" NOWHERE " failed") ? &heard->failed_connections : &heard->others, 1);
}

/* Both streams of the process, into a file. */
static void hear_nothing_of(void (*run)(struct heard *heard), struct heard *heard)
{
    char said[256];
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    run(heard);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(said, "");
}

static void run_without_a_broker(struct heard *heard)
{
    const struct impcert_event event = IMPCERT_EVENT("imp_1");
    struct impcert_options options = IMPCERT_OPTIONS_INIT;
    write_properties("session.timeout.ms=10000\nreconnect.backoff.ms=1\n"); /* one is of consumers */
    options.brokers = NOWHERE;
    options.kafka_config = path;
    options.timeout_ms = 200;
    if (heard) {
        options.log = on_log;
        options.log_context = heard;
    }
    struct impcert *impcert = impcert_open(&options, NULL);
    assert_non_null(impcert);
    impcert_publish_wait(impcert, &event, -1, NULL);
    impcert_close(impcert, 0);
}

static void what_happens_is_told_to_the_log_alone(void **state)
{
    (void)state;
    struct heard heard = {.others = 0};
    hear_nothing_of(run_without_a_broker, NULL);
    hear_nothing_of(run_without_a_broker, &heard);
    assert_true(heard.failed_connections >= 1);
    assert_true(heard.others <= 1); /* all brokers are down */
}

static void statuses_have_words(void **state)
{
    (void)state;
    for (int status = IMPCERT_OK; status <= IMPCERT_NO_MEMORY; status++)
        assert_string_not_equal(impcert_status_text((enum impcert_status)status), "unknown status");
    assert_string_equal(impcert_status_text((enum impcert_status)99), "unknown status");
    assert_string_equal(impcert_status_text((enum impcert_status) - 1), "unknown status");
    assert_string_equal(impcert_version(), IMPCERT_VERSION);
}

static int clear_environment(void **state)
{
    (void)state;
    return clearenv();
}

static int make_file(void **state)
{
    (void)state;
    int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

#define LIBRARY_TEST(test) cmocka_unit_test_setup(test, clear_environment)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIBRARY_TEST(open_says_all_that_is_wrong_a_line_each),
        LIBRARY_TEST(open_needs_brokers),
        LIBRARY_TEST(open_reads_the_environment_only_where_it_may),
        LIBRARY_TEST(open_takes_structures_of_other_releases_but_guesses_nothing),
        LIBRARY_TEST(open_names_the_property_that_is_wrong),
        LIBRARY_TEST(publish_refuses_what_is_no_event),
        LIBRARY_TEST(publish_refuses_headers_that_it_can_not_send),
        LIBRARY_TEST(record_has_key_value_and_headers_as_given),
        LIBRARY_TEST(publish_says_when_the_queue_is_full),
        LIBRARY_TEST(memory_of_headers_counts_too),
        LIBRARY_TEST(room_comes_back_when_events_end),
        LIBRARY_TEST(each_event_is_acknowledged_once),
        LIBRARY_TEST(an_event_that_nobody_acknowledges_ends_in_time),
        LIBRARY_TEST(what_the_broker_refuses_is_told_apart),
        LIBRARY_TEST(an_event_is_not_acknowledged_because_the_next_one_is),
        LIBRARY_TEST(after_a_fatal_error_everything_says_so),
        LIBRARY_TEST(a_wait_that_is_over_leaves_its_event_on_its_way),
        LIBRARY_TEST(a_flush_ends_in_time),
        LIBRARY_TEST(a_flush_does_not_wait_for_the_linger_time),
        LIBRARY_TEST(a_flush_waits_for_what_was_taken_before_it_alone),
        LIBRARY_TEST(threads_publish_side_by_side),
        LIBRARY_TEST(closing_ends_every_event_exactly_once),
        LIBRARY_TEST(closing_ends_though_deliveries_publish_on),
        LIBRARY_TEST(a_check_tells_whether_the_topic_is_there),
        LIBRARY_TEST(what_happens_is_told_to_the_log_alone),
        LIBRARY_TEST(statuses_have_words),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
