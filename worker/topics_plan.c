/* What is missing among the topics that must exist, and how to make it: like the main topic, with room for
 * larger records. Pure: metadata comes as an argument. Owns the array of missing names, not the names. */
#include "worker/topics_plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A retry record or dead letter is its event and headers, of which impcert's take some KiB at most. */
#define TOPICS_PLAN_HEADERS_BYTES 65536

bool topics_plan_init(struct topics_plan *plan, size_t room)
{
    *plan = (struct topics_plan){.missing = calloc(room + 1, sizeof *plan->missing)};
    return plan->missing;
}

void topics_plan_cleanup(struct topics_plan *plan)
{
    free(plan->missing);
    *plan = (struct topics_plan){.count = 0};
}

/* A topic that was deleted may be listed with that as its error. */
static const struct rd_kafka_metadata_topic *topics_plan_find(
    const struct rd_kafka_metadata *metadata, const char *name)
{
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, name) == 0)
            return metadata->topics[i].err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? NULL
                                                                                      : &metadata->topics[i];
    return NULL;
}

static int topics_plan_replicas(const struct rd_kafka_metadata_topic *topic)
{
    for (int i = 0; i < topic->partition_cnt; i++)
        if (topic->partitions[i].id == 0)
            return topic->partitions[i].replica_cnt;
    return 0;
}

static bool topics_plan_has(const struct topics_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->count; i++)
        if (strcmp(plan->missing[i], name) == 0)
            return true;
    return false;
}

bool topics_plan_look(struct topics_plan *plan, const struct rd_kafka_metadata *metadata,
    const char *main_topic, const char *const *names, size_t count)
{
    plan->count = 0;
    plan->message_bytes = 0;
    const struct rd_kafka_metadata_topic *topic = topics_plan_find(metadata, main_topic);
    plan->partitions = topic ? topic->partition_cnt : 0;
    plan->replicas = topic ? topics_plan_replicas(topic) : 0;
    if (!plan->partitions || !plan->replicas)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!topics_plan_find(metadata, names[i]) && !topics_plan_has(plan, names[i]))
            plan->missing[plan->count++] = names[i];
    return true;
}

void topics_plan_limit(struct topics_plan *plan, const char *main_limit)
{
    char *end;
    int64_t limit = strtoll(main_limit, &end, 10);
    if (limit <= 0 || *end)
        return;
    plan->message_bytes =
        limit < INT32_MAX - TOPICS_PLAN_HEADERS_BYTES ? limit + TOPICS_PLAN_HEADERS_BYTES : INT32_MAX;
}

void topics_plan_created(struct topics_plan *plan, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < plan->count; i++)
        if (strcmp(plan->missing[i], name) != 0)
            plan->missing[kept++] = plan->missing[i];
    plan->count = kept;
}

bool topics_plan_names(const struct topics_plan *plan, struct buf *buf)
{
    for (size_t i = 0; i < plan->count; i++)
        if (!buf_format(buf, "%s%s", i ? ", " : "", plan->missing[i]))
            return false;
    return true;
}

/* A list that has spaces between its entries would fall apart in a shell. */
static bool topics_plan_brokers(const char *brokers, struct buf *buf)
{
    while (*(brokers += strspn(brokers, " \t"))) {
        size_t length = strcspn(brokers, " \t");
        if (!buf_append(buf, brokers, length))
            return false;
        brokers += length;
    }
    return true;
}

static bool topics_plan_command(
    const struct topics_plan *plan, const char *brokers, const char *name, struct buf *buf)
{
    if (!buf_format(buf, "kafka-topics.sh --bootstrap-server ") || !topics_plan_brokers(brokers, buf) ||
        !buf_format(buf, " --create --topic %s --partitions %d --replication-factor %d", name,
            plan->partitions, plan->replicas))
        return false;
    return !plan->message_bytes ||
           buf_format(buf, " --config max.message.bytes=%" PRId64, plan->message_bytes);
}

bool topics_plan_commands(const struct topics_plan *plan, const char *brokers, struct buf *buf)
{
    for (size_t i = 0; i < plan->count; i++)
        if ((i && !buf_format(buf, "; ")) || !topics_plan_command(plan, brokers, plan->missing[i], buf))
            return false;
    return true;
}
