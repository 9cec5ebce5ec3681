/* What the gateway answers to which request: paths, methods, the order of its checks, problems as JSON, and
 * what becomes of a body where no broker answers. */
#include "common/log.h"
#include "producer/gateway_api.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOKEN "a-token-0123456789"
#define ORIGIN "https://shop.example"
#define PAGE_LIMIT (1024 * 1024)

static const struct program program = {.id = PROGRAM_GATEWAY, .name = "impcert-gateway"};
static const struct gateway_gauges gauges = {.connections = 3, .in_flight = 2};

/* An api on a producer that reaches no broker, and the last answer. */
struct fixture {
    struct api api;
    struct settings *settings;
    _Atomic bool available;
    _Atomic unsigned ended;
    struct answer answer;
    json_t *json; /* of the answer */
};

static void open_api(struct fixture *fixture)
{
    struct faults faults;
    struct error error;
    struct impcert_error why = {.text = ""};
    struct impcert_options options = IMPCERT_OPTIONS_INIT;
    faults_init(&faults);
    fixture->settings = settings_open(&program, NULL, true, &faults);
    assert_int_equal(faults.count, 0);
    assert_non_null(fixture->settings);
    faults_cleanup(&faults);
    options.brokers = settings_text(fixture->settings, SETTING_KAFKA_BROKERS);
    options.queue_events = 2;
    atomic_store(&fixture->available, true);
    fixture->api = (struct api){.settings = fixture->settings,
        .impcert = impcert_open(&options, &why),
        .tokens = tokens_open(fixture->settings, &error),
        .health = health_new(),
        .metrics = gateway_metrics_new(),
        .available = &fixture->available};
    if (!fixture->api.impcert)
        fail_msg("%s", why.text);
    assert_non_null(fixture->api.tokens);
    assert_non_null(fixture->api.health);
    assert_non_null(fixture->api.metrics);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_JSON);
    clearenv();
    setenv("IMPCERT_KAFKA_BROKERS", "127.0.0.1:1", 1);
    *state = fixture;
    if (!fixture)
        return -1;
    answer_init(&fixture->answer);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    impcert_close(fixture->api.impcert, 0);
    tokens_close(fixture->api.tokens);
    health_free(fixture->api.health);
    gateway_metrics_free(fixture->api.metrics);
    settings_free(fixture->settings);
    json_decref(fixture->json);
    answer_cleanup(&fixture->answer);
    free(fixture);
    return 0;
}

static void fresh_answer(struct fixture *fixture)
{
    json_decref(fixture->json);
    fixture->json = NULL;
    answer_cleanup(&fixture->answer);
    answer_init(&fixture->answer);
}

static const char *answer_member(struct fixture *fixture, const char *name)
{
    if (!fixture->json)
        fixture->json = json_loads(fixture->answer.body.data, 0, NULL);
    assert_non_null(fixture->json);
    return json_string_value(json_object_get(fixture->json, name));
}

/* A problem of RFC 9457 with these members. field NULL: it names none. */
static void problem_is(struct fixture *fixture, unsigned status, const char *title, const char *field)
{
    assert_int_equal(fixture->answer.status, status);
    assert_string_equal(fixture->answer.content_type, "application/problem+json");
    assert_string_equal(answer_member(fixture, "type"), "about:blank");
    assert_string_equal(answer_member(fixture, "title"), title);
    assert_non_null(answer_member(fixture, "detail"));
    assert_int_equal(json_integer_value(json_object_get(fixture->json, "status")), status);
    const char *found = answer_member(fixture, "field");
    if (field)
        assert_string_equal(found, field);
    else
        assert_null(found);
}

static struct api_head post(const char *content_type)
{
    return (struct api_head){.method = "POST", .path = "/certifications", .content_type = content_type};
}

static bool begin(struct fixture *fixture, const struct api_head *head)
{
    fresh_answer(fixture);
    return api_begin(&fixture->api, head, &gauges, &fixture->answer);
}

static void end(void *context, enum impcert_status status, const char *text)
{
    (void)status;
    (void)text;
    struct fixture *fixture = context;
    atomic_fetch_add(&fixture->ended, 1);
}

static bool publish(struct fixture *fixture, const struct api_head *head, const char *text)
{
    char imp_uid[EVENT_IMP_UID_SIZE];
    struct buf body;
    buf_init(&body, API_BODY_MOST);
    assert_true(buf_append(&body, text, strlen(text)));
    fresh_answer(fixture);
    bool published = api_publish(&fixture->api, head, &body, imp_uid, end, fixture, &fixture->answer);
    buf_cleanup(&body);
    return published;
}

static void gateway_api_wants_the_body_of_an_event(void **state)
{
    struct fixture *fixture = *state;
    open_api(fixture);
    const struct api_head json = post("application/json"), form = post("application/x-www-form-urlencoded");
    assert_true(begin(fixture, &json));
    assert_true(begin(fixture, &form));
    assert_null(fixture->answer.body.data);
}

static void gateway_api_pages_are_there(void **state)
{
    struct fixture *fixture = *state;
    open_api(fixture);
    static const char *const methods[] = {"GET", "HEAD"};
    static const char *const paths[] = {"/healthz", "/readyz", "/metrics"};
    for (size_t i = 0; i < 6; i++) {
        const struct api_head head = {.method = methods[i / 3], .path = paths[i % 3]};
        assert_false(begin(fixture, &head));
        assert_int_equal(fixture->answer.status, 200);
        assert_true(fixture->answer.body.size > 0);
    }
    assert_non_null(strstr(fixture->answer.body.data, "\nimpcert_gateway_connections 3\n"));
    assert_non_null(strstr(fixture->answer.body.data, "\nimpcert_gateway_in_flight 2\n"));
}

static void gateway_api_other_paths_are_not(void **state)
{
    struct fixture *fixture = *state;
    open_api(fixture);
    static const char *const paths[] = {"", "/", "*", "/certifications/", "/Certifications", "/metricsx"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const struct api_head head = {.method = "POST", .path = paths[i]};
        assert_false(begin(fixture, &head));
        problem_is(fixture, 404, "Not Found", "path");
    }
}

static void gateway_api_tells_the_methods_of_a_path(void **state)
{
    struct fixture *fixture = *state;
    open_api(fixture);
    static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "post", "NONE"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const struct api_head head = {.method = methods[i], .path = "/certifications"};
        assert_false(begin(fixture, &head));
        problem_is(fixture, 405, "Method Not Allowed", "method");
        assert_string_equal(fixture->answer.allow, "POST, OPTIONS");
    }
    const struct api_head head = {.method = "POST", .path = "/readyz"};
    assert_false(begin(fixture, &head));
    problem_is(fixture, 405, "Method Not Allowed", "method");
    assert_string_equal(fixture->answer.allow, "GET, HEAD");
}

static void gateway_api_asks_for_a_token_before_it_looks_at_the_type(void **state)
{
    struct fixture *fixture = *state;
    setenv("IMPCERT_BEARER_TOKENS", TOKEN, 1);
    open_api(fixture);
    struct api_head head = post("text/plain");
    assert_false(begin(fixture, &head));
    problem_is(fixture, 401, "Unauthorized", "Authorization");
    head.authorization = "Bearer another-0123456789";
    assert_false(begin(fixture, &head));
    problem_is(fixture, 401, "Unauthorized", "Authorization");
    assert_null(strstr(fixture->answer.body.data, "another"));
    head.authorization = "Bearer " TOKEN;
    assert_false(begin(fixture, &head));
    problem_is(fixture, 415, "Unsupported Media Type", "Content-Type");
    head.content_type = "application/json";
    assert_true(begin(fixture, &head));
    const struct api_head page = {.method = "GET", .path = "/metrics"};
    assert_false(begin(fixture, &page));
    assert_int_equal(fixture->answer.status, 200);
}

static void gateway_api_answers_preflights_by_the_list(void **state)
{
    struct fixture *fixture = *state;
    setenv("IMPCERT_CORS_ORIGINS", ORIGIN, 1);
    setenv("IMPCERT_BEARER_TOKENS", TOKEN, 1);
    open_api(fixture);
    struct api_head head = {.method = "OPTIONS", .path = "/certifications"};
    assert_false(begin(fixture, &head));
    assert_int_equal(fixture->answer.status, 204);
    assert_false(fixture->answer.preflight);
    head.origin = ORIGIN;
    head.requested_method = "POST";
    assert_false(begin(fixture, &head));
    assert_int_equal(fixture->answer.status, 204);
    assert_true(fixture->answer.preflight);
    assert_string_equal(fixture->answer.cors_allow, ORIGIN);
    assert_true(fixture->answer.cors_vary);
    head.origin = "https://other.example";
    assert_false(begin(fixture, &head));
    problem_is(fixture, 403, "Forbidden", "Origin");
    assert_null(fixture->answer.cors_allow);
    assert_true(fixture->answer.cors_vary);
}

static void gateway_api_lets_listed_pages_read_refusals_too(void **state)
{
    struct fixture *fixture = *state;
    setenv("IMPCERT_CORS_ORIGINS", ORIGIN, 1);
    open_api(fixture);
    struct api_head head = post("text/plain");
    head.origin = ORIGIN;
    assert_false(begin(fixture, &head));
    problem_is(fixture, 415, "Unsupported Media Type", "Content-Type");
    assert_string_equal(fixture->answer.cors_allow, ORIGIN);
}

static void gateway_api_names_what_is_wrong_with_a_body(void **state)
{
    struct fixture *fixture = *state;
    open_api(fixture);
    const struct api_head head = post("application/json");
    assert_false(publish(fixture, &head, "{\"imp_uid\": \"im p\"}"));
    problem_is(fixture, 400, "Bad Request", "imp_uid");
    assert_non_null(strstr(answer_member(fixture, "detail"), "at byte 3"));
    assert_false(publish(fixture, &head, "{\"phone\": \"01012345678\"}"));
    problem_is(fixture, 400, "Bad Request", "imp_uid");
    assert_string_equal(answer_member(fixture, "detail"), "imp_uid is missing");
    assert_int_equal(fixture->answer.retry_after_s, 0);
}

static void gateway_api_says_when_to_try_again_while_kafka_is_away(void **state)
{
    struct fixture *fixture = *state;
    open_api(fixture);
    atomic_store(&fixture->available, false);
    const struct api_head head = post("application/json");
    assert_false(publish(fixture, &head, "{\"imp_uid\": \"imp_1\"}"));
    problem_is(fixture, 503, "Service Unavailable", NULL);
    assert_true(fixture->answer.retry_after_s > 0);
    assert_false(publish(fixture, &head, "{}"));
    problem_is(fixture, 400, "Bad Request", "imp_uid");
}

static void gateway_api_takes_no_more_than_the_queue_holds(void **state)
{
    struct fixture *fixture = *state;
    open_api(fixture);
    struct api_head head = post("application/json");
    head.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    head.tracestate = "shop=1";
    assert_true(publish(fixture, &head, "{\"imp_uid\": \"imp_1\"}"));
    head.traceparent = "not one";
    assert_true(publish(fixture, &head, "{\"imp_uid\": \"imp_2\"}"));
    assert_false(publish(fixture, &head, "{\"imp_uid\": \"imp_3\"}"));
    problem_is(fixture, 503, "Service Unavailable", NULL);
    assert_true(fixture->answer.retry_after_s > 0);
    impcert_close(fixture->api.impcert, 0);
    fixture->api.impcert = NULL;
    assert_int_equal(atomic_load(&fixture->ended), 2);
}

static void gateway_api_answers_an_end(void **state)
{
    struct fixture *fixture = *state;
    api_finish("imp_1", IMPCERT_OK, &fixture->answer);
    assert_int_equal(fixture->answer.status, 202);
    assert_string_equal(fixture->answer.content_type, "application/json");
    assert_string_equal(fixture->answer.body.data, "{\"imp_uid\": \"imp_1\", \"status\": \"queued\"}\n");
    static const enum impcert_status others[] = {IMPCERT_UNAVAILABLE, IMPCERT_REFUSED, IMPCERT_CLOSED,
        IMPCERT_FAILED, IMPCERT_TIMEOUT, IMPCERT_INVALID};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        fresh_answer(fixture);
        api_finish("imp_1", others[i], &fixture->answer);
        problem_is(fixture, 503, "Service Unavailable", NULL);
        assert_true(fixture->answer.retry_after_s > 0);
    }
}

static void gateway_api_refuses_bodies_of_a_length_that_it_does_not_take(void **state)
{
    struct fixture *fixture = *state;
    api_too_large(&fixture->answer);
    problem_is(fixture, 413, "Content Too Large", "body");
    fresh_answer(fixture);
    api_unclear_length(&fixture->answer);
    problem_is(fixture, 400, "Bad Request", "Content-Length");
}

static void gateway_api_is_not_ready_while_draining(void **state)
{
    struct fixture *fixture = *state;
    open_api(fixture);
    const struct api_head head = {.method = "GET", .path = "/readyz"};
    fixture->api.draining = true;
    assert_false(begin(fixture, &head));
    assert_int_equal(fixture->answer.status, 503);
    assert_string_equal(
        fixture->answer.body.data, "{\"ready\": false, \"reasons\": {\"gateway\": \"draining\"}}\n");
}

#define API_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(gateway_api_wants_the_body_of_an_event),
        API_TEST(gateway_api_pages_are_there),
        API_TEST(gateway_api_other_paths_are_not),
        API_TEST(gateway_api_tells_the_methods_of_a_path),
        API_TEST(gateway_api_asks_for_a_token_before_it_looks_at_the_type),
        API_TEST(gateway_api_answers_preflights_by_the_list),
        API_TEST(gateway_api_lets_listed_pages_read_refusals_too),
        API_TEST(gateway_api_names_what_is_wrong_with_a_body),
        API_TEST(gateway_api_says_when_to_try_again_while_kafka_is_away),
        API_TEST(gateway_api_takes_no_more_than_the_queue_holds),
        API_TEST(gateway_api_answers_an_end),
        API_TEST(gateway_api_refuses_bodies_of_a_length_that_it_does_not_take),
        API_TEST(gateway_api_is_not_ready_while_draining),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
