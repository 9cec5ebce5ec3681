// Fault rules; see faults.h. Runs on the main thread. A rule owns the JSON it was read from, and borrows its
// texts.
#include "faults.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "hash.h"
#include "http.h"
#include "settings.h"
#include "tally.h"

#define HOUR_MS (3600 * (int64_t)1000)

struct rule {
    json_t *spec; // owned
    struct fault fault;
    enum outcome_path path;
    const char *match; // prefix of imp_uid, borrowed from spec; NULL: any
    double percent;    // share of the imp_uids, or of the token requests
    uint64_t times;    // at most this often for one imp_uid; 0: no limit
    uint64_t total;    // at most this often in all; 0: no limit
    char retry_after[REPLY_FIELD];
    uint64_t hits;
    uint64_t seen;       // calls that were judged by percent without an imp_uid
    struct tally by_uid; // hits by imp_uid, when times is set
};

struct problem {
    char *text; // borrowed
    size_t size;
};

__attribute__((format(printf, 2, 3))) static bool refuse(struct problem problem, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem.text, problem.size, format, arguments);
    va_end(arguments);
    return false;
}

static bool read_kind(struct rule *rule, const json_t *value, struct problem problem)
{
    const char *name = json_string_value(value);
    rule->fault.outcome.kind = name == NULL ? OUTCOME_PLAIN : outcome_find(name);
    if (rule->fault.outcome.kind == OUTCOME_PLAIN)
        return refuse(problem,
            "\"kind\" \"%.40s\" is not known; expected status, hang, reset, malformed, latency or "
            "another of those in the README",
            name == NULL ? "" : name);
    // Only one kind has nothing to do with certifications.
    if (rule->path == 0)
        rule->path = outcome_paths(rule->fault.outcome.kind) & OUTCOME_CERTIFICATION ? OUTCOME_CERTIFICATION
                                                                                     : OUTCOME_TOKEN;
    return true;
}

static bool read_path(struct rule *rule, const json_t *value, struct problem problem)
{
    const char *name = json_is_string(value) ? json_string_value(value) : "";
    if (strcmp(name, "certification") != 0 && strcmp(name, "token") != 0)
        return refuse(problem, "\"path\" is \"%.40s\"; expected \"certification\" or \"token\"", name);
    rule->path = name[0] == 't' ? OUTCOME_TOKEN : OUTCOME_CERTIFICATION;
    return true;
}

static bool read_percent(struct rule *rule, const json_t *value, struct problem problem)
{
    rule->percent = json_number_value(value);
    if (!json_is_number(value) || rule->percent < 0 || rule->percent > 100)
        return refuse(problem, "\"percent\" is out of range; expected a number from 0 to 100");
    return true;
}

static bool read_match(struct rule *rule, const json_t *value, struct problem problem)
{
    rule->match = json_string_value(value);
    return rule->match != NULL ||
           refuse(problem, "\"match\" is not a string; expected the start of an imp_uid");
}

static bool read_count(uint64_t *count, const char *name, const json_t *value, struct problem problem)
{
    if (!json_is_integer(value) || json_integer_value(value) < 1)
        return refuse(problem, "\"%s\" is not a count; expected a whole number from 1 up", name);
    *count = (uint64_t)json_integer_value(value);
    return true;
}

static bool read_times(struct rule *rule, const json_t *value, struct problem problem)
{
    return read_count(&rule->times, "times", value, problem);
}

static bool read_total(struct rule *rule, const json_t *value, struct problem problem)
{
    return read_count(&rule->total, "total", value, problem);
}

static bool read_status(struct rule *rule, const json_t *value, struct problem problem)
{
    json_int_t status = json_integer_value(value);
    if (status < 200 || status > 599)
        return refuse(problem, "\"status\" is out of range; expected a whole number from 200 to 599");
    rule->fault.outcome.status = (int)status;
    return true;
}

static bool read_body(struct rule *rule, const json_t *value, struct problem problem)
{
    rule->fault.outcome.body = json_string_value(value);
    return rule->fault.outcome.body != NULL ||
           refuse(problem, "\"body\" is not a string; expected the body's text");
}

static bool read_retry_after(struct rule *rule, const json_t *value, struct problem problem)
{
    const char *text = json_string_value(value);
    if (text == NULL && !json_is_integer(value))
        return refuse(problem, "\"retry_after\" has the wrong type; expected seconds or the header's text");
    if (text == NULL) {
        snprintf(rule->retry_after, sizeof rule->retry_after, "%lld", (long long)json_integer_value(value));
        return true;
    }
    if (strlen(text) >= sizeof rule->retry_after)
        return refuse(problem, "\"retry_after\" is too long; expected at most %d bytes", REPLY_FIELD - 1);
    for (const char *c = text; *c != '\0'; c++) {
        if (iscntrl((unsigned char)*c))
            return refuse(problem, "\"retry_after\" has a control character; expected one line of text");
    }
    snprintf(rule->retry_after, sizeof rule->retry_after, "%s", text);
    return true;
}

static bool read_duration(int64_t *ms, const char *name, const json_t *value, struct problem problem)
{
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    return settings_read_duration(text, 0, HOUR_MS, ms) ||
           refuse(problem,
               "\"%s\" is not a duration; expected text such as \"100ms\" or \"2s\", at most \"1h\"", name);
}

static bool read_latency(struct rule *rule, const json_t *value, struct problem problem)
{
    return read_duration(&rule->fault.latency_ms, "latency", value, problem);
}

static bool read_interval(struct rule *rule, const json_t *value, struct problem problem)
{
    return read_duration(&rule->fault.outcome.interval_ms, "interval", value, problem);
}

// Part of what faults_json gives, so that it can be put back as it is.
static bool read_hits(struct rule *rule, const json_t *value, struct problem problem)
{
    (void)rule;
    (void)value;
    (void)problem;
    return true;
}

static bool read_member(struct rule *rule, const char *name, const json_t *value, struct problem problem)
{
    static const struct {
        const char *name;
        bool (*read)(struct rule *rule, const json_t *value, struct problem problem);
    } members[] = {
        {"kind", read_kind},
        {"path", read_path},
        {"percent", read_percent},
        {"match", read_match},
        {"times", read_times},
        {"total", read_total},
        {"status", read_status},
        {"body", read_body},
        {"retry_after", read_retry_after},
        {"latency", read_latency},
        {"interval", read_interval},
        {"hits", read_hits},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (strcmp(members[i].name, name) == 0)
            return members[i].read(rule, value, problem);
    }
    return refuse(problem,
        "\"%.40s\" is not known; expected kind, path, percent, match, times, total, status, body, "
        "retry_after, latency or interval",
        name);
}

static bool check_whole(const struct rule *rule, struct problem problem)
{
    enum outcome_kind kind = rule->fault.outcome.kind;
    if (kind == OUTCOME_PLAIN)
        return refuse(problem, "\"kind\" is missing; expected one, such as \"status\"");
    if (!(outcome_paths(kind) & rule->path))
        return refuse(problem, "\"kind\" does not go with this \"path\"");
    if ((kind == OUTCOME_STATUS) != (rule->fault.outcome.status != 0))
        return refuse(problem, "\"status\" and \"kind\":\"status\" belong together");
    if (rule->fault.outcome.body != NULL && kind != OUTCOME_STATUS)
        return refuse(problem, "\"body\" needs \"kind\":\"status\"");
    if (kind == OUTCOME_LATENCY && rule->fault.latency_ms < 0)
        return refuse(problem, "\"latency\" is missing; expected text such as \"2s\"");
    if (rule->path == OUTCOME_TOKEN && (rule->match != NULL || rule->times != 0))
        return refuse(problem,
            "\"match\" and \"times\" need an imp_uid; expected \"total\" or \"percent\" with this "
            "\"path\"");
    return true;
}

static bool read_rule(struct rule *rule, json_t *spec, struct problem problem)
{
    const char *name;
    json_t *value;
    if (!json_is_object(spec))
        return refuse(
            problem, "is not a JSON object; expected one, such as {\"kind\":\"status\",\"status\":503}");
    json_object_foreach (spec, name, value) {
        if (!read_member(rule, name, value, problem))
            return false;
    }
    return check_whole(rule, problem);
}

static void rule_cleanup(struct rule *rule)
{
    json_decref(rule->spec);
    tally_cleanup(&rule->by_uid);
}

bool faults_add(struct faults *faults, const json_t *spec, char *error, size_t error_size)
{
    struct problem problem = {error, error_size};
    struct rule rule = {.spec = json_deep_copy(spec), .percent = 100, .fault.latency_ms = -1};
    struct rule *rules = realloc(faults->rules, (faults->count + 1) * sizeof *rules);
    if (rules != NULL)
        faults->rules = rules;
    if (rules == NULL || rule.spec == NULL) {
        rule_cleanup(&rule);
        return refuse(problem, "no memory");
    }
    if (!read_rule(&rule, rule.spec, problem)) {
        rule_cleanup(&rule);
        return false;
    }
    json_object_del(rule.spec, "hits");
    rules[faults->count++] = rule;
    return true;
}

bool faults_add_text(struct faults *faults, const char *text, char *error, size_t error_size)
{
    json_error_t fault;
    json_t *spec = json_loads(text, JSON_REJECT_DUPLICATES, &fault);
    if (spec == NULL)
        return refuse((struct problem){error, error_size},
            "is not JSON (%s); expected an object, such as {\"kind\":\"status\",\"status\":503}", fault.text);
    bool added = faults_add(faults, spec, error, error_size);
    json_decref(spec);
    return added;
}

bool faults_replace(struct faults *faults, const json_t *specs, char *error, size_t error_size)
{
    struct faults fresh = {0};
    if (!json_is_array(specs))
        return refuse((struct problem){error, error_size}, "is not a JSON array; expected an array of rules");
    for (size_t i = 0; i < json_array_size(specs); i++) {
        if (!faults_add(&fresh, json_array_get(specs, i), error, error_size)) {
            faults_cleanup(&fresh);
            return false;
        }
    }
    faults_cleanup(faults);
    *faults = fresh;
    return true;
}

// Each rule draws with its own place as a salt, so that two rules of 10 % do not hit the same tenth.
static bool in_share(struct rule *rule, size_t place, struct span imp_uid)
{
    if (rule->percent >= 100)
        return true;
    uint64_t seed = rule->path == OUTCOME_TOKEN ? rule->seen++ : hash_name(imp_uid.data, imp_uid.len);
    return (double)(hash_draw(seed, 1000 + place) % 1000000) < rule->percent * 10000;
}

static bool applies(struct rule *rule, size_t place, enum outcome_path path, struct span imp_uid)
{
    if (rule->path != path || (rule->total != 0 && rule->hits >= rule->total))
        return false;
    if (rule->match != NULL && !http_starts(imp_uid, rule->match))
        return false;
    if (!in_share(rule, place, imp_uid))
        return false;
    if (rule->times == 0)
        return true;
    if (tally_get(&rule->by_uid, imp_uid.data, imp_uid.len) >= rule->times)
        return false;
    tally_add(&rule->by_uid, imp_uid.data, imp_uid.len);
    return true;
}

bool faults_match(struct faults *faults, enum outcome_path path, struct span imp_uid, struct fault *fault)
{
    for (size_t i = 0; i < faults->count; i++) {
        struct rule *rule = &faults->rules[i];
        if (!applies(rule, i, path, imp_uid))
            continue;
        rule->hits++;
        *fault = rule->fault;
        fault->outcome.retry_after = rule->retry_after[0] == '\0' ? NULL : rule->retry_after;
        return true;
    }
    return false;
}

json_t *faults_json(const struct faults *faults)
{
    json_t *rules = json_array();
    for (size_t i = 0; i < faults->count; i++) {
        json_t *rule = json_copy(faults->rules[i].spec);
        json_object_set_new(rule, "hits", json_integer((json_int_t)faults->rules[i].hits));
        json_array_append_new(rules, rule);
    }
    return rules;
}

void faults_cleanup(struct faults *faults)
{
    for (size_t i = 0; i < faults->count; i++)
        rule_cleanup(&faults->rules[i]);
    free(faults->rules);
    *faults = (struct faults){0};
}
