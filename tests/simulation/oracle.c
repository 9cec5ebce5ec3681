/* The promises. Main thread; owns nothing but counts. */
#include "oracle.h"

#include "client.h"
#include "common/clock.h"
#include "worker/breaker.h"
#include "worker/completions.h"
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BIT(reason) (1U << (reason))

/* Reasons for good: no retry topic has such a record. */
enum {
    FINAL_REASONS = BIT(REASON_INVALID_EVENT) | BIT(REASON_NO_UNIQUE_KEY) | BIT(REASON_REFUSED) |
                    BIT(REASON_STORE_REJECTED)
};

static struct event *oracle_event(const struct world *world, const struct record *record)
{
    return &world->truth->events[record->event];
}

static const struct certified *oracle_subject(const struct world *world, const struct event *event)
{
    return event->subject == SIZE_MAX ? NULL : &world->truth->certified[event->subject];
}

bool oracle_finished(const struct world *world, const struct shard *shard, int64_t offset)
{
    const struct event *event = oracle_event(world, &shard->records[offset]);
    const struct certified *subject = oracle_subject(world, event);
    return (subject && subject->stored) || event->reached >> (shard->topic + 1);
}

static void oracle_check_finished(
    struct world *world, const struct shard *shard, int64_t from, int64_t to, const char *said)
{
    for (int64_t o = from; o < to && !world->violation[0]; o++)
        if (!oracle_finished(world, shard, o))
            world_violate(world,
                "topic %d partition %" PRId32 " is %s up to %" PRId64 ", but offset %" PRId64
                " is not finished",
                shard->topic, shard->id, said, to, o);
}

/* What the metadata says of offsets behind the position. */
static void oracle_check_metadata(
    struct world *world, const struct shard *shard, const rd_kafka_topic_partition_t *part)
{
    struct offsets said;
    offsets_init(&said);
    if (!offsets_restore(&said, part->offset) ||
        !completions_decode(part->metadata, part->metadata_size, &said))
        world_violate(world, "the metadata of a commit can't be read");
    else if (said.end > (int64_t)shard->count)
        world_violate(world, "the metadata of a commit tells of offsets that are not there");
    bool finished;
    int64_t to;
    for (int64_t from = said.base; from < said.end && !world->violation[0]; from = to) {
        to = offsets_run_end(&said, from, &finished);
        if (finished)
            oracle_check_finished(world, shard, from, to, "told to be finished");
    }
    offsets_cleanup(&said);
}

void oracle_on_commit(struct world *world, const struct shard *shard, const rd_kafka_topic_partition_t *part)
{
    int64_t offset = part->offset;
    if (offset < shard->committed || offset > (int64_t)shard->count)
        world_violate(world,
            "the committed offset of topic %d partition %" PRId32 " goes from %" PRId64 " to %" PRId64
            " (end: %zu)",
            shard->topic, shard->id, shard->committed, offset, shard->count);
    oracle_check_finished(world, shard, shard->committed < 0 ? 0 : shard->committed, offset, "committed");
    if (part->metadata_size && !world->violation[0])
        oracle_check_metadata(world, shard, part);
}

void oracle_on_ended(struct world *world, struct shard *shard, int64_t offset, uint64_t serial)
{
    struct record *record = &shard->records[offset];
    if (serial && record->ended_in) {
        world->worked_again++;
        if (world->plan.orderly)
            world_violate(world,
                "topic %d partition %" PRId32 " offset %" PRId64
                " is worked again, though nothing went wrong",
                shard->topic, shard->id, offset);
    }
    if (serial)
        record->ended_in = serial;
}

/* ---- documents ---- */

void oracle_on_document(struct world *world, const char *imp_uid, const struct certification *written)
{
    struct certified *subject = truth_find(world->truth, imp_uid, strlen(imp_uid));
    char unique_key[96];
    if (!subject || !truth_storable(subject, world->now_ns)) {
        world_violate(world, "%s is stored, but not certified", imp_uid);
        return;
    }
    truth_unique_key(subject, unique_key);
    const char *key = certification_text(written, CERTIFICATION_UNIQUE_KEY);
    if (!key || strcmp(key, unique_key) != 0 || written->certified_at_s != truth_certified_at_s(subject) ||
        certification_text(written, CERTIFICATION_UNIQUE_IN_SITE) || written->fields != CERTIFICATION_ALWAYS)
        world_violate(world, "the document of %s is not as the API told", imp_uid);
    subject->stored = true;
    world_note(world, "stored", subject - world->truth->certified, 0, 0);
}

/* ---- records of retry topics and of the DLQ ---- */

struct told {
    struct letter_history history;
    enum reason reason;
    int64_t failed_ms;
};

static void oracle_text(const struct record *record, const char *name, char *out, size_t size)
{
    const void *value;
    size_t length;
    out[0] = '\0';
    if (record->headers && !rd_kafka_header_get_last(record->headers, name, &value, &length) &&
        length < size) {
        memcpy(out, value, length);
        out[length] = '\0';
    }
}

static bool oracle_read(const struct record *record, struct told *told)
{
    char reason[32], failed[32];
    letter_read(record->headers, &told->history);
    oracle_text(record, "impcert.reason", reason, sizeof reason);
    oracle_text(record, "impcert.failed_at", failed, sizeof failed);
    for (told->reason = REASON_INVALID_EVENT; told->reason < REASON_COUNT; told->reason++)
        if (strcmp(reason_name(told->reason), reason) == 0)
            break;
    return told->reason < REASON_COUNT && clock_parse_rfc3339(failed, strlen(failed), &told->failed_ms);
}

/* By the origin that it tells; NULL where there is no such event. */
static struct event *oracle_origin(const struct world *world, const char *origin)
{
    for (size_t i = 0; i < world->truth->published; i++) {
        struct event *event = &world->truth->events[i];
        char text[LETTER_ORIGIN_SIZE];
        letter_origin(world->broker->names[0], event->partition, event->offset, text);
        if (strcmp(text, origin) == 0)
            return event;
    }
    return NULL;
}

/* Whatever the API may have answered in this run. */
static unsigned oracle_reasons(const struct world *world, const struct event *event)
{
    const struct certified *subject = oracle_subject(world, event);
    const struct plan *plan = &world->plan;
    if (!subject)
        return BIT(REASON_INVALID_EVENT);
    unsigned reasons = kind_reasons(subject->kind);
    if (plan->call_fails || plan->api_away.until_ns)
        reasons |= BIT(REASON_UNAVAILABLE) | BIT(REASON_BAD_RESPONSE);
    if (plan->token_revoked || plan->token_s < 90)
        reasons |= BIT(REASON_UNAVAILABLE);
    return reasons;
}

static const char *oracle_unfaithful(
    const struct record *record, const struct event *event, const char *origin)
{
    char traced[EVENT_IMP_UID_SIZE];
    const char *key = event->subject == SIZE_MAX ? origin : event->key;
    size_t size = event->value_size == SIZE_MAX ? 0 : event->value_size;
    if (record->key_size != strlen(key) || memcmp(record->key, key, record->key_size) != 0)
        return "another key";
    if (!record->has_value || record->value_size != size || memcmp(record->value, event->value, size) != 0)
        return "another value";
    oracle_text(record, "traceparent", traced, sizeof traced);
    return strcmp(traced, event->traced ? event->key : "") != 0 ? "other headers of its own" : NULL;
}

static const char *oracle_wrong_step(
    const struct world *world, const struct event *event, int topic, const struct told *told)
{
    bool dead = topic == world->broker->topics - 1, final = FINAL_REASONS & BIT(told->reason);
    int attempts = (int)settings_number(world->plan.settings, SETTING_ATTEMPTS);
    if (!(oracle_reasons(world, event) & BIT(told->reason)))
        return "a reason that can't be";
    if (final && !dead)
        return "a final reason on a retry topic";
    if (!final && topic > 1 && !(event->reached & BIT(topic - 1)))
        return "a retry topic left out";
    if (told->history.attempts > attempts * topic)
        return "too many attempts";
    /* Within its last second a record waits in process, where it ends with another of its imp_uid. */
    if (!final && topic > 1 && told->failed_ms < event->not_before_ms[topic - 1] - 1000)
        return "a try before its time";
    if (!dead && told->history.not_before_ms != told->failed_ms + world->plan.tiers.list[topic - 1].delay_ms)
        return "a wrong time for its next try";
    return NULL;
}

void oracle_on_forward(struct world *world, const struct shard *shard, struct record *record)
{
    struct told told;
    int topic = shard->topic;
    struct event *event = oracle_read(record, &told) ? oracle_origin(world, told.history.origin) : NULL;
    if (!event) {
        world_violate(world, "a record on topic %d without a reason or an origin", topic);
        return;
    }
    record->event = (size_t)(event - world->truth->events);
    const char *wrong = oracle_unfaithful(record, event, told.history.origin);
    wrong = wrong ? wrong : oracle_wrong_step(world, event, topic, &told);
    if (wrong)
        world_violate(world, "the record of %s on topic %d (%s, %d attempts) has %s", event->key, topic,
            reason_name(told.reason), told.history.attempts, wrong);
    if (!(event->reached & BIT(topic)) || told.history.not_before_ms < event->not_before_ms[topic])
        event->not_before_ms[topic] = told.history.not_before_ms;
    event->reached |= BIT(topic);
}

/* ---- calls ---- */

bool oracle_on_call(struct world *world, struct caller *caller)
{
    if (world->now_ns < caller->not_before_ns)
        world_violate(world, "a call %.3f s before Retry-After is over",
            (double)(caller->not_before_ns - world->now_ns) / 1e9);
    if (!caller->suspended)
        return false;
    if (caller->probes || world->now_ns < caller->probe_ns)
        world_violate(world, "a call that is no probe while the circuit is open");
    caller->probes++;
    return true;
}

static bool oracle_is_failure(const struct answer *answer)
{
    if (answer->transport != TRANSPORT_ANSWERED)
        return answer->transport != TRANSPORT_TOO_LARGE;
    return answer->http_status >= 500;
}

/* The least that a probe waits: see breaker_open. */
static void oracle_on_failure(struct caller *caller, bool probe, bool first, int64_t now_ns)
{
    if (probe)
        caller->probes--;
    caller->failures += first && !probe;
    if ((!caller->suspended && caller->failures >= BREAKER_FAILURES) || (caller->suspended && probe)) {
        caller->suspended = true;
        caller->probe_ns = now_ns + CLOCK_S / 2;
    }
}

void oracle_on_answer(
    struct world *world, struct caller *caller, const struct answer *answer, bool probe, bool first)
{
    int64_t not_before_ns = world->now_ns + answer->retry_after_s * CLOCK_S;
    if (answer->http_status == 429 && not_before_ns > caller->not_before_ns)
        caller->not_before_ns = not_before_ns;
    if (oracle_is_failure(answer)) {
        oracle_on_failure(caller, probe, first, world->now_ns);
        return;
    }
    caller->failures = 0;
    caller->suspended = false;
    caller->probes = 0;
}

/* ---- the end ---- */

void oracle_on_end(struct world *world)
{
    unsigned dlq = BIT(world->broker->topics - 1);
    for (size_t i = 0; i < world->truth->event_count; i++) {
        const struct event *event = &world->truth->events[i];
        const struct certified *subject = oracle_subject(world, event);
        if (!(event->reached & dlq) && !(subject && subject->stored))
            world_violate(world, "the event %s at offset %" PRId64 " is neither stored nor a dead letter",
                event->key, event->offset);
    }
}
