// The control endpoint; see control.h. Runs on the main thread; owns nothing. Small answers are made with
// jansson, those that may hold a million entries are written straight into the body.
#include "control.h"

#include <stdio.h>
#include <stdlib.h>

#include "json_text.h"

enum { MAX_RECORDS = 100000, ERROR_SIZE = 512 };

struct call {
    struct api *api;
    struct server *server;
    const struct http_request *request;
    struct span rest; // path behind the route's
    struct reply *reply;
};

static void refuse(struct reply *reply, int status, const char *message)
{
    buf_clear(&reply->body);
    reply->status = status;
    buf_add_text(&reply->body, "{\"error\":");
    json_text_add(&reply->body, message, strlen(message), JSON_STYLE_RAW);
    buf_add(&reply->body, "}", 1);
}

// Takes the reference.
static void answer_json(struct reply *reply, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    json_decref(value);
    if (text == NULL) {
        refuse(reply, 500, "no memory");
        return;
    }
    buf_add_text(&reply->body, text);
    free(text);
}

// A new reference; NULL: the body is not JSON, and the reply says so.
static json_t *read_body(struct call *call)
{
    json_error_t error;
    struct span body = call->request->body;
    json_t *value = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, &error);
    if (value == NULL) {
        char text[ERROR_SIZE];
        snprintf(text, sizeof text, "the body is not JSON: %s", error.text);
        refuse(call->reply, 400, text);
    }
    return value;
}

static void get_counters(struct call *call)
{
    const struct counters *counters = &call->api->counters;
    const struct server_gauges *gauges = server_gauges(call->server);
    json_t *statuses = json_object();
    for (int status = 0; status < COUNTERS_STATUSES; status++) {
        char name[16];
        snprintf(name, sizeof name, "%d", status);
        if (counters->by_status[status] > 0)
            json_object_set_new(statuses, name, json_integer((json_int_t)counters->by_status[status]));
    }
    answer_json(call->reply,
        json_pack("{sI sI sI sI sI sI sI sI sI sI sI sI so}", "certification_calls",
            (json_int_t)counters->certification_calls, "imp_uids", (json_int_t)tally_names(&counters->calls),
            "token_requests", (json_int_t)counters->token_requests, "tokens_issued",
            (json_int_t)counters->tokens_issued, "tokens_extended", (json_int_t)counters->tokens_extended,
            "unauthorized", (json_int_t)counters->unauthorized, "unanswered",
            (json_int_t)counters->unanswered, "in_flight", (json_int_t)gauges->in_flight, "max_in_flight",
            (json_int_t)gauges->max_in_flight, "connections", (json_int_t)gauges->connections,
            "max_connections", (json_int_t)gauges->max_connections, "connections_accepted",
            (json_int_t)gauges->accepted, "by_status", statuses));
}

static void get_calls(struct call *call)
{
    if (!call->api->counters.keep_calls)
        refuse(call->reply, 409, "calls are not kept: started with --no-calls");
    else
        tally_write(&call->api->counters.calls, &call->reply->body);
}

static void get_calls_of(struct call *call)
{
    char text[API_IMP_UID];
    struct span imp_uid;
    if (!call->api->counters.keep_calls)
        refuse(call->reply, 409, "calls are not kept: started with --no-calls");
    else if (!api_read_imp_uid(call->rest, text, &imp_uid))
        refuse(call->reply, 404, "this cannot be an imp_uid");
    else
        buf_add_int(&call->reply->body, tally_get(&call->api->counters.calls, imp_uid.data, imp_uid.len));
}

static void get_record(struct call *call)
{
    char text[API_IMP_UID];
    struct span imp_uid;
    if (!api_read_imp_uid(call->rest, text, &imp_uid) || !api_write_record(&call->reply->body, imp_uid))
        refuse(call->reply, 404, "there is no such certification");
}

static bool write_records(const json_t *imp_uids, struct buf *out)
{
    const char *separator = "{";
    for (size_t i = 0; i < json_array_size(imp_uids); i++) {
        const json_t *item = json_array_get(imp_uids, i);
        struct span imp_uid = {json_string_value(item), json_string_length(item)};
        if (imp_uid.len == 0 || imp_uid.len > API_IMP_UID)
            return false;
        buf_add_text(out, separator);
        json_text_add(out, imp_uid.data, imp_uid.len, JSON_STYLE_RAW);
        buf_add(out, ":", 1);
        if (!json_text_is_clean(imp_uid.data, imp_uid.len) || !api_write_record(out, imp_uid))
            buf_add_text(out, "null");
        separator = ",";
    }
    buf_add_text(out, json_array_size(imp_uids) == 0 ? "{}" : "}");
    return true;
}

static void post_records(struct call *call)
{
    json_t *imp_uids = read_body(call);
    if (imp_uids == NULL)
        return;
    if (!json_is_array(imp_uids) || json_array_size(imp_uids) > MAX_RECORDS ||
        !write_records(imp_uids, &call->reply->body))
        refuse(call->reply, 400, "expected an array of at most 100000 imp_uids");
    json_decref(imp_uids);
}

static void get_faults(struct call *call)
{
    answer_json(call->reply, faults_json(&call->api->faults));
}

static void put_faults(struct call *call)
{
    char error[ERROR_SIZE];
    json_t *rules = read_body(call);
    if (rules == NULL)
        return;
    if (faults_replace(&call->api->faults, rules, error, sizeof error))
        get_faults(call);
    else
        refuse(call->reply, 400, error);
    json_decref(rules);
}

static void get_settings(struct call *call)
{
    json_t *values = json_object();
    for (size_t row = 0; settings_rows(row) != NULL; row++) {
        char text[SETTINGS_TEXT];
        settings_get(&call->api->settings, row, text, sizeof text);
        json_object_set_new(values, settings_rows(row)->name, json_string(text));
    }
    answer_json(call->reply, values);
}

// All or nothing: settings changes only when every member is right.
static bool change_settings(struct settings *settings, json_t *values, char *error, size_t size)
{
    struct settings changed = *settings;
    const char *name;
    json_t *value;
    if (!json_is_object(values)) {
        snprintf(error, size, "expected an object of settings");
        return false;
    }
    json_object_foreach (values, name, value) {
        char reason[ERROR_SIZE / 2] = "is not a string; expected text such as \"100ms\"";
        const char *text = json_string_value(value);
        if (text == NULL || !settings_set(&changed, name, strlen(name), text, reason, sizeof reason)) {
            snprintf(error, size, "%.60s: %s", name, reason);
            return false;
        }
    }
    *settings = changed;
    return true;
}

static void put_settings(struct call *call)
{
    char error[ERROR_SIZE];
    json_t *values = read_body(call);
    if (values == NULL)
        return;
    if (change_settings(&call->api->settings, values, error, sizeof error))
        get_settings(call);
    else
        refuse(call->reply, 400, error);
    json_decref(values);
}

static void post_expire_token(struct call *call)
{
    token_expire(&call->api->token);
    buf_add_text(&call->reply->body, "{}");
}

static void post_reset(struct call *call)
{
    counters_reset(&call->api->counters);
    tally_cleanup(&call->api->attempts);
    server_reset_gauges(call->server);
    buf_add_text(&call->reply->body, "{}");
}

struct route {
    const char *method;
    const char *path; // behind CONTROL_PREFIX; a "/" at the end takes one more segment
    void (*answer)(struct call *call);
};

static const struct route routes[] = {
    {"GET", "counters", get_counters},
    {"GET", "calls", get_calls},
    {"GET", "calls/", get_calls_of},
    {"GET", "certifications/", get_record},
    {"POST", "certifications", post_records},
    {"GET", "faults", get_faults},
    {"PUT", "faults", put_faults},
    {"GET", "settings", get_settings},
    {"PUT", "settings", put_settings},
    {"POST", "expire-token", post_expire_token},
    {"POST", "reset", post_reset},
};

static bool fits(const struct route *route, struct span path)
{
    size_t len = strlen(route->path);
    if (route->path[len - 1] == '/')
        return http_starts(path, route->path) && path.len > len;
    return http_equal(path, route->path);
}

void control_answer(
    struct api *api, struct server *server, const struct http_request *request, struct reply *reply)
{
    const size_t prefix = sizeof CONTROL_PREFIX - 1;
    struct span path = {request->path.data + prefix, request->path.len - prefix};
    bool known = false;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        size_t len = strlen(routes[i].path);
        if (!fits(&routes[i], path))
            continue;
        known = true;
        if (!http_equal(request->method, routes[i].method))
            continue;
        struct call call = {api, server, request, {path.data + len, path.len - len}, reply};
        routes[i].answer(&call);
        return;
    }
    refuse(reply, known ? 405 : 404, known ? "this path takes another method" : "there is no such path");
}
