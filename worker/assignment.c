/* The partitions of one worker. Loop thread. */
#include "worker/assignment.h"

#include <stdlib.h>
#include <string.h>

void assignment_init(struct assignment *assignment)
{
    TAILQ_INIT(&assignment->partitions);
    assignment->held = 0;
}

static void assignment_free(struct assignment *assignment, struct partition *partition)
{
    TAILQ_REMOVE(&assignment->partitions, partition, link);
    offsets_cleanup(&partition->offsets);
    free(partition->topic);
    free(partition);
}

void assignment_cleanup(struct assignment *assignment)
{
    while (!TAILQ_EMPTY(&assignment->partitions))
        assignment_free(assignment, TAILQ_FIRST(&assignment->partitions));
    assignment->held = 0;
}

static struct partition *assignment_add_one(struct assignment *assignment, const char *topic, int32_t id)
{
    struct partition *partition = calloc(1, sizeof *partition);
    if (!partition || !(partition->topic = strdup(topic))) {
        free(partition);
        return NULL;
    }
    partition->id = id;
    partition->state = PARTITION_ASSIGNED;
    partition->committed = -1;
    offsets_init(&partition->offsets);
    TAILQ_INSERT_TAIL(&assignment->partitions, partition, link);
    assignment->held++;
    return partition;
}

bool assignment_add(struct assignment *assignment, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++)
        if (!assignment_add_one(assignment, list->elems[i].topic, list->elems[i].partition))
            return false;
    return true;
}

struct partition *assignment_find(const struct assignment *assignment, const char *topic, int32_t id)
{
    struct partition *partition;
    TAILQ_FOREACH (partition, &assignment->partitions, link) {
        if (partition->id == id && partition->state != PARTITION_GONE && strcmp(partition->topic, topic) == 0)
            return partition;
    }
    return NULL;
}

static void partition_gone(struct assignment *assignment, struct partition *partition)
{
    partition->state = PARTITION_GONE;
    assignment->held--;
    if (!partition->offsets.in_flight)
        assignment_free(assignment, partition);
}

struct partition *assignment_restart(struct assignment *assignment, struct partition *partition)
{
    struct partition *fresh = assignment_add_one(assignment, partition->topic, partition->id);
    if (fresh)
        partition_gone(assignment, partition);
    return fresh;
}

void assignment_set(
    struct assignment *assignment, const rd_kafka_topic_partition_list_t *list, enum partition_state state)
{
    for (int i = 0; i < list->cnt; i++) {
        struct partition *partition =
            assignment_find(assignment, list->elems[i].topic, list->elems[i].partition);
        if (!partition)
            continue;
        if (state == PARTITION_GONE)
            partition_gone(assignment, partition);
        else
            partition->state = state;
    }
}

bool assignment_revoked_busy(const struct assignment *assignment)
{
    const struct partition *partition;
    TAILQ_FOREACH (partition, &assignment->partitions, link) {
        if (partition->state == PARTITION_REVOKED && partition->offsets.in_flight)
            return true;
    }
    return false;
}

void assignment_end(struct assignment *assignment, struct partition *partition, int64_t offset, bool done)
{
    if (done)
        offsets_done(&partition->offsets, offset);
    else
        partition->offsets.in_flight--;
    if (partition->state == PARTITION_GONE && !partition->offsets.in_flight)
        assignment_free(assignment, partition);
}

rd_kafka_topic_partition_list_t *assignment_list(const struct assignment *assignment)
{
    if (!assignment->held)
        return NULL;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)assignment->held);
    const struct partition *partition;
    TAILQ_FOREACH (partition, &assignment->partitions, link) {
        if (partition->state != PARTITION_GONE)
            rd_kafka_topic_partition_list_add(list, partition->topic, partition->id);
    }
    return list;
}

static bool partition_has_moved(const struct partition *partition)
{
    return partition->state != PARTITION_GONE && partition->offsets.base >= 0 &&
           partition->offsets.base != partition->committed;
}

bool assignment_has_moved(const struct assignment *assignment)
{
    const struct partition *partition;
    TAILQ_FOREACH (partition, &assignment->partitions, link) {
        if (partition_has_moved(partition))
            return true;
    }
    return false;
}

rd_kafka_topic_partition_list_t *assignment_to_commit(struct assignment *assignment)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    struct partition *partition;
    TAILQ_FOREACH (partition, &assignment->partitions, link) {
        if (!partition_has_moved(partition))
            continue;
        if (!list)
            list = rd_kafka_topic_partition_list_new((int)assignment->held);
        rd_kafka_topic_partition_list_add(list, partition->topic, partition->id)->offset =
            partition->offsets.base;
        partition->committed = partition->offsets.base;
    }
    return list;
}

rd_kafka_resp_err_t assignment_commit_answered(
    struct assignment *assignment, const rd_kafka_topic_partition_list_t *list, rd_kafka_resp_err_t result)
{
    rd_kafka_resp_err_t last = result;
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *sent = &list->elems[i];
        if (!result && !sent->err)
            continue;
        struct partition *partition = assignment_find(assignment, sent->topic, sent->partition);
        if (partition)
            partition->committed = -1;
        last = sent->err ? sent->err : result;
    }
    return last;
}
