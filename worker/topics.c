/* Creates the topics that are missing, on one thread of its own that ends as soon as all are there. Owns the
 * thread and an admin client, which only that thread uses once it runs. The main topic is never created: how
 * many partitions and replicas it needs, only its owner knows. */
#include "worker/topics.h"

#include "common/backoff.h"
#include "common/chan.h"
#include "common/clock.h"
#include "common/kafka.h"
#include "common/kafka_trouble.h"
#include "common/log.h"
#include "worker/topics_plan.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPICS_BACKOFF_BASE CLOCK_S
#define TOPICS_BACKOFF_MAX (30 * CLOCK_S)

enum {
    /* A request for metadata can't be interrupted: the first is short, and only a broker that is up but too
     * slow for it gets longer ones. */
    PATIENCE_MS = 500,
    PATIENCE_MAX_MS = 4000,
    POLL_MS = 100,
    ANSWER_MS = 10000, /* for a request that can be interrupted */
    CREATE_MS = 5000,  /* of that, for the new partitions to have leaders */
    TEXT_MAX = 65536,
};

enum topics_state {
    TOPICS_THERE,
    TOPICS_UNKNOWN, /* Kafka is away or has no time: asked again soon */
    TOPICS_MISSING, /* somebody has to do something: asked again with growing delays */
};

struct topics {
    /* set once */
    const char *main_topic; /* borrowed from settings */
    const char *brokers;    /* borrowed from settings */
    char **names;
    size_t count;
    struct health_part *health;
    struct chan *stop;    /* closed at the end; nothing is ever inside */
    _Atomic bool checked; /* the first look is over */
    pthread_t thread;
    bool started;

    /* the thread's */
    rd_kafka_t *client;
    rd_kafka_queue_t *answers;
    struct backoff backoff;
    int patience_ms;
    struct error fault;      /* the client's last word on its connections */
    struct topics_plan plan; /* of the last look */
    struct buf create;       /* commands that create them, as last logged */
};

static bool topics_stopped(const struct topics *topics)
{
    return chan_wait_closed(topics->stop, 0);
}

static void topics_on_error(rd_kafka_t *client, int code, const char *reason, void *context)
{
    (void)client;
    struct topics *topics = context;
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || !topics->fault.text[0])
        kafka_trouble(reason, topics->fault.text, sizeof topics->fault.text);
}

/* Whether asking again soon may help, without anybody doing anything. */
static bool topics_may_pass(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED:
        return true;
    default:
        return false;
    }
}

/* A client that still connects has no fault to tell, and "not known yet" stays true. */
static void topics_tell_away(struct topics *topics, rd_kafka_resp_err_t code)
{
    rd_kafka_poll(topics->client, 0);
    if (topics->fault.text[0])
        health_fail(topics->health, "%s", topics->fault.text);
    else if (code != RD_KAFKA_RESP_ERR__TRANSPORT)
        health_fail(topics->health, "the topics could not be listed: %s", rd_kafka_err2str(code));
    if (code == RD_KAFKA_RESP_ERR__TIMED_OUT && topics->patience_ms < PATIENCE_MAX_MS)
        topics->patience_ms *= 2;
}

/* Asked for all topics, a broker creates none, whatever its settings and the property file say. */
static enum topics_state topics_look(struct topics *topics)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t result = rd_kafka_metadata(topics->client, 1, NULL, &metadata, topics->patience_ms);
    if (result != RD_KAFKA_RESP_ERR_NO_ERROR) {
        topics_tell_away(topics, result);
        return TOPICS_UNKNOWN;
    }
    topics->fault.text[0] = '\0';
    bool main_there = topics_plan_look(
        &topics->plan, metadata, topics->main_topic, (const char *const *)topics->names, topics->count);
    rd_kafka_metadata_destroy(metadata);
    if (!main_there)
        health_fail(
            topics->health, "the topic %s does not exist, or may not be seen: create it", topics->main_topic);
    return main_there && !topics->plan.count ? TOPICS_THERE : TOPICS_MISSING;
}

/* The answer to the one request under way; NULL when stopped meanwhile. */
static rd_kafka_event_t *topics_await(struct topics *topics)
{
    rd_kafka_event_t *event = NULL;
    while (!event && !topics_stopped(topics))
        event = rd_kafka_queue_poll(topics->answers, POLL_MS);
    return event;
}

static rd_kafka_AdminOptions_t *topics_options(struct topics *topics, rd_kafka_admin_op_t operation)
{
    char unused[1];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(topics->client, operation);
    rd_kafka_AdminOptions_set_request_timeout(options, ANSWER_MS, unused, sizeof unused);
    if (operation == RD_KAFKA_ADMIN_OP_CREATETOPICS)
        rd_kafka_AdminOptions_set_operation_timeout(options, CREATE_MS, unused, sizeof unused);
    return options;
}

static void topics_take_limit(struct topics_plan *plan, const rd_kafka_ConfigResource_t *resource)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (value && strcmp(rd_kafka_ConfigEntry_name(entries[i]), "max.message.bytes") == 0)
            topics_plan_limit(plan, value);
    }
}

static rd_kafka_resp_err_t topics_take_configs(struct topics *topics, rd_kafka_event_t *event)
{
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return rd_kafka_event_error(event);
    size_t count;
    const rd_kafka_ConfigResource_t **resources =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t result = rd_kafka_ConfigResource_error(resources[i]);
        if (result != RD_KAFKA_RESP_ERR_NO_ERROR)
            return result;
        topics_take_limit(&topics->plan, resources[i]);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The reason comes first: what is cut from a long list of names stands in the log. */
static void topics_tell_missing(struct topics *topics, const char *why)
{
    struct buf names;
    buf_init(&names, TEXT_MAX);
    if (topics_plan_names(&topics->plan, &names))
        health_fail(topics->health, "topics are missing (%.160s): %s", why, names.data);
    buf_cleanup(&names);
}

/* Asks how large the main topic's records may be. Who may not ask creates without. Returns false, with the
 * reason told, when there was no answer. */
static bool topics_ask_limit(struct topics *topics)
{
    rd_kafka_AdminOptions_t *options = topics_options(topics, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topics->main_topic);
    rd_kafka_DescribeConfigs(topics->client, &resource, 1, options, topics->answers);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_event_t *event = topics_await(topics);
    if (!event)
        return false;
    rd_kafka_resp_err_t result = topics_take_configs(topics, event);
    rd_kafka_event_destroy(event);
    if (!topics_may_pass(result))
        return true;
    topics_tell_missing(topics, rd_kafka_err2str(result));
    return false;
}

static rd_kafka_NewTopic_t *topics_new_topic(const struct topics_plan *plan, const char *name)
{
    char unused[1], bytes[24];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(name, plan->partitions, plan->replicas, unused, sizeof unused);
    if (topic && plan->message_bytes) {
        snprintf(bytes, sizeof bytes, "%" PRId64, plan->message_bytes);
        rd_kafka_NewTopic_set_config(topic, "max.message.bytes", bytes);
    }
    return topic;
}

/* The request, without waiting; false when it could not be made. */
static bool topics_request(struct topics *topics)
{
    const struct topics_plan *plan = &topics->plan;
    rd_kafka_NewTopic_t **wanted = calloc(plan->count, sizeof *wanted);
    size_t count = 0;
    while (wanted && count < plan->count && (wanted[count] = topics_new_topic(plan, plan->missing[count])))
        count++;
    bool made = wanted && count == plan->count;
    if (made) {
        rd_kafka_AdminOptions_t *options = topics_options(topics, RD_KAFKA_ADMIN_OP_CREATETOPICS);
        rd_kafka_CreateTopics(topics->client, wanted, count, options, topics->answers);
        rd_kafka_AdminOptions_destroy(options);
    }
    if (wanted)
        rd_kafka_NewTopic_destroy_array(wanted, count);
    free(wanted);
    return made;
}

static void topics_log_created(const struct topics *topics, const char *name)
{
    log_info("topic created", LOG_TEXT("topic", name), LOG_NUMBER("partitions", topics->plan.partitions),
        LOG_NUMBER("replication_factor", topics->plan.replicas),
        LOG_NUMBER("max_message_bytes", topics->plan.message_bytes));
}

/* Takes what is there now out of the plan. Returns why something is not: rather a refusal than what may pass.
 */
static rd_kafka_resp_err_t topics_take_created(
    struct topics *topics, rd_kafka_event_t *event, struct error *why)
{
    rd_kafka_resp_err_t failure = rd_kafka_event_error(event);
    if (failure != RD_KAFKA_RESP_ERR_NO_ERROR) {
        error_set(why, "%s", rd_kafka_event_error_string(event));
        return failure;
    }
    size_t count;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t result = rd_kafka_topic_result_error(results[i]);
        const char *name = rd_kafka_topic_result_name(results[i]);
        if (result == RD_KAFKA_RESP_ERR_NO_ERROR)
            topics_log_created(topics, name);
        /* Another process may have been quicker. */
        if (result == RD_KAFKA_RESP_ERR_NO_ERROR || result == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            topics_plan_created(&topics->plan, name);
        } else if (failure == RD_KAFKA_RESP_ERR_NO_ERROR || topics_may_pass(failure)) {
            const char *text = rd_kafka_topic_result_error_string(results[i]);
            failure = result;
            error_set(why, "%s: %s", name, text ? text : rd_kafka_err2str(result));
        }
    }
    return failure;
}

/* Logged once, and again when something else is missing. */
static void topics_log_missing(struct topics *topics, const char *why)
{
    struct buf create;
    buf_init(&create, TEXT_MAX);
    if (topics_plan_commands(&topics->plan, topics->brokers, &create) &&
        (!topics->create.data || strcmp(topics->create.data, create.data) != 0)) {
        log_error("topics are missing", LOG_TEXT("reason", why), LOG_TEXT("create", create.data));
        buf_cleanup(&topics->create);
        topics->create = create;
    } else
        buf_cleanup(&create);
}

static enum topics_state topics_create(struct topics *topics)
{
    if (!topics_request(topics)) {
        topics_tell_missing(topics, "the request to create them could not be made");
        return TOPICS_MISSING;
    }
    rd_kafka_event_t *event = topics_await(topics);
    if (!event)
        return TOPICS_UNKNOWN;
    struct error why = {.text = ""};
    rd_kafka_resp_err_t failure = topics_take_created(topics, event, &why);
    rd_kafka_event_destroy(event);
    if (!topics->plan.count)
        return TOPICS_THERE;
    topics_tell_missing(topics, why.text);
    if (topics_may_pass(failure))
        return TOPICS_UNKNOWN;
    topics_log_missing(topics, why.text);
    return TOPICS_MISSING;
}

static enum topics_state topics_round(struct topics *topics)
{
    enum topics_state state = topics_look(topics);
    if (state != TOPICS_MISSING || !topics->plan.count)
        return state;
    log_debug("creating topics", LOG_NUMBER("count", (int64_t)topics->plan.count));
    return topics_ask_limit(topics) ? topics_create(topics) : TOPICS_UNKNOWN;
}

static void topics_disconnect(struct topics *topics)
{
    if (topics->answers)
        rd_kafka_queue_destroy(topics->answers);
    if (topics->client)
        rd_kafka_destroy(topics->client);
    topics->answers = NULL;
    topics->client = NULL;
}

static void *topics_thread(void *context)
{
    struct topics *topics = context;
    for (int failures = 0; !topics_stopped(topics);) {
        enum topics_state state = topics_round(topics);
        if (state != TOPICS_UNKNOWN)
            atomic_store(&topics->checked, true);
        if (state == TOPICS_THERE) {
            health_ok(topics->health);
            break;
        }
        failures = state == TOPICS_MISSING ? failures + 1 : 1;
        chan_wait_closed(topics->stop, clock_ns() + backoff_delay(&topics->backoff, failures));
    }
    topics_disconnect(topics);
    return NULL;
}

static bool topics_copy_names(struct topics *topics, const char *const *names, size_t count)
{
    topics->names = calloc(count + 1, sizeof *topics->names);
    if (!topics->names || !topics_plan_init(&topics->plan, count))
        return false;
    while (topics->count < count && (topics->names[topics->count] = strdup(names[topics->count])))
        topics->count++;
    return topics->count == count;
}

/* Nothing is produced, so acks and the like may be anything. */
static bool topics_connect(struct topics *topics, const struct settings *settings, struct error *error)
{
    rd_kafka_conf_t *conf = kafka_conf_new(settings, NULL, NULL, error);
    if (!conf)
        return false;
    rd_kafka_conf_set_opaque(conf, topics);
    rd_kafka_conf_set_error_cb(conf, topics_on_error);
    topics->client = kafka_open(RD_KAFKA_PRODUCER, conf, error);
    if (topics->client)
        topics->answers = rd_kafka_queue_new(topics->client);
    return topics->client;
}

static bool topics_start(struct topics *topics, struct error *error)
{
    topics->stop = chan_new(-1);
    if (!topics->stop)
        return error_set(error, "out of memory");
    topics->started = pthread_create(&topics->thread, NULL, topics_thread, topics) == 0;
    return topics->started || error_set(error, "the thread that creates topics could not be started");
}

struct topics *topics_open(const struct settings *settings, const char *const *names, size_t count,
    struct health_part *health, struct error *error)
{
    struct topics *topics = calloc(1, sizeof *topics);
    if (!topics) {
        error_set(error, "out of memory");
        return NULL;
    }
    topics->main_topic = settings_text(settings, SETTING_TOPIC);
    topics->brokers = settings_text(settings, SETTING_KAFKA_BROKERS);
    topics->health = health;
    topics->patience_ms = PATIENCE_MS;
    backoff_init(&topics->backoff, TOPICS_BACKOFF_BASE, TOPICS_BACKOFF_MAX);
    buf_init(&topics->create, TEXT_MAX);
    bool copied = topics_copy_names(topics, names, count) || error_set(error, "out of memory");
    if (copied && topics_connect(topics, settings, error) && topics_start(topics, error))
        return topics;
    topics_close(topics);
    return NULL;
}

bool topics_checked(const struct topics *topics)
{
    return atomic_load(&topics->checked);
}

void topics_close(struct topics *topics)
{
    if (!topics)
        return;
    if (topics->started) {
        chan_close(topics->stop);
        pthread_join(topics->thread, NULL);
    }
    topics_disconnect(topics);
    chan_free(topics->stop);
    topics_plan_cleanup(&topics->plan);
    buf_cleanup(&topics->create);
    for (size_t i = 0; i < topics->count; i++)
        free(topics->names[i]);
    free(topics->names);
    free(topics);
}
