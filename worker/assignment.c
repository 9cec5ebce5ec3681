/* The partitions of one worker. Loop thread. */
#include "worker/assignment.h"

#include "common/clock.h"
#include "worker/completions.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What all metadata of one commit may come to: the broker writes a commit as one batch, which may have 1 MiB
 * by default (offsets topic, max.message.bytes). */
enum { ASSIGNMENT_METADATA_SUM = 512 * 1024 };

void assignment_init(struct assignment *assignment)
{
    TAILQ_INIT(&assignment->partitions);
    assignment->held = 0;
    assignment->metadata_max = COMPLETIONS_TEXT_MAX;
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
    partition->oldest_ns = CLOCK_NEVER;
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

bool assignment_restore(struct partition *partition, const rd_kafka_topic_partition_t *committed)
{
    assert(partition->offsets.base < 0);
    if (committed->err || !offsets_restore(&partition->offsets, committed->offset))
        return true;
    partition->committed = committed->offset;
    return completions_decode(committed->metadata, committed->metadata_size, &partition->offsets);
}

struct partition *assignment_restart(struct assignment *assignment, struct partition *partition)
{
    struct partition *fresh = assignment_add_one(assignment, partition->topic, partition->id);
    if (fresh) {
        fresh->tier = partition->tier;
        fresh->started = partition->started;
        fresh->paused = partition->paused;
        partition_gone(assignment, partition);
    }
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
    const struct offsets *offsets = &partition->offsets;
    return partition->state != PARTITION_GONE && offsets->base >= 0 &&
           (offsets->base != partition->committed || offsets->done != partition->committed_done);
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

/* Without memory the position goes alone, which is as right. */
static void partition_describe(
    const struct partition *partition, rd_kafka_topic_partition_t *sent, size_t metadata_max)
{
    char text[COMPLETIONS_TEXT_MAX + 1];
    size_t length = completions_encode(&partition->offsets, text, metadata_max + 1);
    sent->offset = partition->offsets.base;
    sent->metadata = length ? malloc(length) : NULL;
    if (!sent->metadata)
        return;
    memcpy(sent->metadata, text, length);
    sent->metadata_size = length;
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
        size_t share = ASSIGNMENT_METADATA_SUM / assignment->held;
        partition_describe(partition,
            rd_kafka_topic_partition_list_add(list, partition->topic, partition->id),
            share < assignment->metadata_max ? share : assignment->metadata_max);
        partition->committed = partition->offsets.base;
        partition->committed_done = partition->offsets.done;
    }
    return list;
}

static bool assignment_is_too_large(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE ||
           error == RD_KAFKA_RESP_ERR_INVALID_COMMIT_OFFSET_SIZE;
}

rd_kafka_resp_err_t assignment_commit_answered(
    struct assignment *assignment, const rd_kafka_topic_partition_list_t *list, rd_kafka_resp_err_t result)
{
    rd_kafka_resp_err_t last = result;
    bool too_large = false;
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *sent = &list->elems[i];
        rd_kafka_resp_err_t error = sent->err ? sent->err : result;
        if (!error)
            continue;
        struct partition *partition = assignment_find(assignment, sent->topic, sent->partition);
        if (partition)
            partition->committed = -1;
        too_large = too_large || assignment_is_too_large(error);
        last = error;
    }
    /* A broker may be set to take less. Without its metadata a commit goes through in the end. */
    if (too_large)
        assignment->metadata_max /= 2;
    return last;
}
