/* Events on their way. Main thread; owns a client for the offsets of a group while it asks. */
#include "worker/waiting.h"

#include "common/event.h"
#include "common/kafka.h"
#include "common/letter.h"
#include "common/scan.h"

#include <stdlib.h>
#include <string.h>

enum { ANSWER_MS = 10000, GROUP_SIZE = 256 };

struct search {
    const char *imp_uid;
    const char *topic;
    struct waiting *waiting;
};

/* As a worker sees it: by the value, whatever the key is. */
static bool search_matches(const struct search *search, const rd_kafka_message_t *record)
{
    char imp_uid[EVENT_IMP_UID_SIZE];
    struct error unused;
    if (!record->payload || !memmem(record->payload, record->len, search->imp_uid, strlen(search->imp_uid)))
        return false;
    return event_parse(record->payload, record->len, imp_uid, &unused) &&
           strcmp(imp_uid, search->imp_uid) == 0;
}

static bool search_visit(void *context, const rd_kafka_message_t *record, struct error *error)
{
    (void)error;
    const struct search *search = context;
    struct letter_history history;
    rd_kafka_headers_t *headers = NULL;
    if (!search_matches(search, record))
        return true;
    rd_kafka_message_headers(record, &headers);
    letter_read(headers, &history);
    search->waiting->topic = search->topic;
    search->waiting->not_before_ms = history.not_before_ms;
    return true;
}

/* Where the group goes on in each partition. Without a commit it begins at the beginning, as an offset of 0
 * does, whatever the topic's first one is. */
static bool waiting_committed(const struct settings *settings, const char *topic, const char *suffix,
    int64_t *from, int32_t partitions, struct error *error)
{
    char group[GROUP_SIZE];
    snprintf(group, sizeof group, "%s%s", settings_text(settings, SETTING_GROUP), suffix);
    const struct kafka_property fixed[] = {
        {"group.id", group}, {"enable.auto.commit", "false"}, {NULL, NULL}};
    rd_kafka_conf_t *conf = kafka_conf_new(settings, NULL, fixed, error);
    rd_kafka_t *client = conf ? kafka_open(RD_KAFKA_CONSUMER, conf, error) : NULL;
    if (!client)
        return false;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int32_t i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, topic, i);
    rd_kafka_resp_err_t code = rd_kafka_committed(client, list, ANSWER_MS);
    for (int32_t i = 0; !code && i < partitions; i++) {
        code = list->elems[i].err;
        from[i] = list->elems[i].offset < 0 ? 0 : list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(client);
    return !code || error_set(error, "the offsets of the group %s: %s", group, rd_kafka_err2str(code));
}

static bool waiting_read(const struct settings *settings, struct scan *scan, const char *suffix,
    struct search *search, struct error *error)
{
    int32_t partitions = scan_partitions(scan);
    int64_t *from = calloc((size_t)partitions, sizeof *from);
    if (!from)
        return error_set(error, "out of memory");
    bool read = waiting_committed(settings, search->topic, suffix, from, partitions, error) &&
                scan_read(scan, from, search_visit, search, error);
    free(from);
    return read;
}

static bool waiting_look(
    const struct settings *settings, const char *suffix, struct search *search, struct error *error)
{
    bool absent = false;
    struct scan *scan = scan_open(settings, search->topic, &absent, error);
    if (!scan)
        return absent;
    bool read = waiting_read(settings, scan, suffix, search, error);
    scan_close(scan);
    return read;
}

bool waiting_find(const struct settings *settings, const struct tiers *tiers, const char *imp_uid,
    struct waiting *waiting, struct error *error)
{
    struct search search = {
        .imp_uid = imp_uid, .topic = settings_text(settings, SETTING_TOPIC), .waiting = waiting};
    *waiting = (struct waiting){.topic = NULL};
    if (!waiting_look(settings, "", &search, error))
        return false;
    for (size_t i = 0; i < tiers->count; i++) {
        search.topic = tiers->list[i].topic;
        if (!waiting_look(settings, ".retry", &search, error))
            return false;
    }
    return true;
}
