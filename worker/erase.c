/* impcert-worker --erase. Main thread. Kafka is asked before anything is erased, so that what is away is told
 * first; the document goes before the mark of the dead letter, so that a failure leaves a task to repeat. */
#include "worker/erase.h"

#include "common/clock.h"
#include "common/interrupt.h"
#include "common/kafka.h"
#include "common/letter.h"
#include "common/scan.h"
#include "worker/mongo.h"
#include "worker/waiting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What a worker has under way takes about so long until its offset is committed. */
#define ERASE_PATIENCE (10 * CLOCK_S)
#define ERASE_NAP (200 * CLOCK_MS)
#define FLUSH_MS 40000
enum { EXIT_USAGE = 2 };

struct erase {
    const struct settings *settings;
    const char *imp_uid;
    const char *dlq;
    struct tiers tiers;
    mongoc_client_pool_t *clients;
    struct waiting waiting;
    int64_t documents; /* erased */
    int letters;       /* marked */
    int unacknowledged;
};

static const struct kafka_property erase_defaults[] = {
    {"linger.ms", "0"}, {"message.timeout.ms", "30000"}, {NULL, NULL}};
static const struct kafka_property erase_fixed[] = {
    {"acks", "all"}, {"enable.idempotence", "false"}, {NULL, NULL}};

void erase_check(const struct settings *settings, struct faults *faults)
{
    size_t before = faults->count;
    scan_check(settings, faults);
    /* Both read one property file, and what is wrong with it is told once. */
    if (faults->count == before)
        kafka_conf_check(settings, erase_defaults, erase_fixed, faults);
    mongo_check(settings, faults);
}

/* ---- events on their way ---- */

static bool erase_wait(struct erase *erase, struct error *error)
{
    int64_t until_ns = clock_ns() + ERASE_PATIENCE;
    for (;;) {
        struct error why;
        if (!waiting_find(erase->settings, &erase->tiers, erase->imp_uid, &erase->waiting, &why))
            return error_set(
                error, "nothing is erased: %.480s", why.text[0] ? why.text : "it was interrupted");
        if (!erase->waiting.topic || clock_ns() >= until_ns)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = ERASE_NAP}, NULL);
    }
}

/* ---- the document ---- */

/* Who it is: the same bytes for one person, encrypted or not. For the caller to destroy; of type EOD where
 * the document is not there. */
static bool erase_read_person(
    mongoc_collection_t *collection, const bson_t *selector, bson_value_t *person, bson_error_t *why)
{
    bson_t *options = BCON_NEW("projection", "{", "unique_key", BCON_INT32(1), "}");
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, selector, options, NULL);
    const bson_t *document;
    bson_iter_t iter;
    person->value_type = BSON_TYPE_EOD;
    if (mongoc_cursor_next(cursor, &document) && bson_iter_init_find(&iter, document, "unique_key"))
        bson_value_copy(bson_iter_value(&iter), person);
    bool answered = !mongoc_cursor_error(cursor, why);
    mongoc_cursor_destroy(cursor);
    bson_destroy(options);
    return answered;
}

static bool erase_delete(
    struct erase *erase, mongoc_collection_t *collection, const bson_t *selector, bson_error_t *why)
{
    bson_t *options = BCON_NEW("writeConcern", "{", "w", BCON_UTF8("majority"), "}");
    bson_t reply;
    bson_iter_t iter;
    bool deleted = mongoc_collection_delete_one(collection, selector, options, &reply, why);
    if (deleted && bson_iter_init_find(&iter, &reply, "deletedCount"))
        erase->documents = bson_iter_as_int64(&iter);
    bson_destroy(&reply);
    bson_destroy(options);
    return deleted;
}

/* Only a hint: the certification that was asked for is erased without it. */
static void erase_tell_others(mongoc_collection_t *collection, const bson_value_t *person)
{
    if (person->value_type != BSON_TYPE_UTF8 && person->value_type != BSON_TYPE_BINARY)
        return;
    bson_t filter = BSON_INITIALIZER;
    bson_append_value(&filter, "unique_key", -1, person);
    bson_t *options =
        BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}", "sort", "{", "_id", BCON_INT32(1), "}");
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, &filter, options, NULL);
    const bson_t *document;
    bson_iter_t iter;
    while (mongoc_cursor_next(cursor, &document))
        if (bson_iter_init_find(&iter, document, "_id") && BSON_ITER_HOLDS_UTF8(&iter))
            printf("the same person has: %s\n", bson_iter_utf8(&iter, NULL));
    mongoc_cursor_destroy(cursor);
    bson_destroy(options);
    bson_destroy(&filter);
}

static bool erase_document(struct erase *erase, struct error *error)
{
    const char *database = settings_text(erase->settings, SETTING_MONGODB_DATABASE);
    const char *name = settings_text(erase->settings, SETTING_MONGODB_COLLECTION);
    bson_error_t why = {0};
    bson_value_t person = {.value_type = BSON_TYPE_EOD};
    bson_t selector = BSON_INITIALIZER;
    BSON_APPEND_UTF8(&selector, "_id", erase->imp_uid);
    mongoc_client_t *client = mongoc_client_pool_pop(erase->clients);
    mongoc_collection_t *collection = mongoc_client_get_collection(client, database, name);
    bool erased = erase_read_person(collection, &selector, &person, &why) &&
                  erase_delete(erase, collection, &selector, &why);
    if (erased) {
        printf("%s: %" PRId64 " document%s erased\n", erase->imp_uid, erase->documents,
            erase->documents == 1 ? "" : "s");
        erase_tell_others(collection, &person);
    }
    bson_value_destroy(&person);
    bson_destroy(&selector);
    mongoc_collection_destroy(collection);
    mongoc_client_pool_push(erase->clients, client);
    return erased ||
           error_set(error, "the document in %s.%s could not be erased: %.300s", database, name, why.message);
}

/* ---- the dead letter ---- */

/* By partition, whether the newest record of the key is a dead letter. There is one partition, unless their
 * number has grown. */
struct letters {
    const char *imp_uid;
    bool *live;
};

static bool letters_visit(void *context, const rd_kafka_message_t *record, struct error *error)
{
    (void)error;
    const struct letters *letters = context;
    if (record->key && record->key_len == strlen(letters->imp_uid) &&
        memcmp(record->key, letters->imp_uid, record->key_len) == 0)
        letters->live[record->partition] = record->payload;
    return true;
}

static void erase_on_delivery(rd_kafka_t *client, const rd_kafka_message_t *report, void *context)
{
    (void)client;
    struct erase *erase = context;
    if (kafka_acknowledged(report)) {
        erase->unacknowledged--;
        erase->letters++;
    }
}

static rd_kafka_t *erase_open_producer(struct erase *erase, struct error *error)
{
    rd_kafka_conf_t *conf = kafka_conf_new(erase->settings, erase_defaults, erase_fixed, error);
    if (!conf)
        return NULL;
    rd_kafka_conf_set_opaque(conf, erase);
    rd_kafka_conf_set_dr_msg_cb(conf, erase_on_delivery);
    return kafka_open(RD_KAFKA_PRODUCER, conf, error);
}

static void erase_mark(struct erase *erase, rd_kafka_t *producer, int32_t partition)
{
    rd_kafka_headers_t *headers = letter_discarded_headers("erased", clock_wall_ms());
    rd_kafka_vu_t record[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = erase->dlq},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_KEY,
            .u.mem = {.ptr = (void *)(uintptr_t)erase->imp_uid, .size = strlen(erase->imp_uid)}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
    };
    erase->unacknowledged++;
    rd_kafka_error_t *why =
        headers ? rd_kafka_produceva(producer, record, sizeof record / sizeof *record) : NULL;
    if (!why)
        return;
    rd_kafka_error_destroy(why);
    rd_kafka_headers_destroy(headers);
}

static bool erase_mark_all(struct erase *erase, const bool *live, int32_t partitions, struct error *error)
{
    rd_kafka_t *producer = NULL;
    for (int32_t i = 0; i < partitions; i++) {
        if (!live[i])
            continue;
        producer = producer ? producer : erase_open_producer(erase, error);
        if (!producer)
            return false;
        erase_mark(erase, producer, i);
    }
    if (!producer)
        return true;
    rd_kafka_flush(producer, FLUSH_MS);
    rd_kafka_destroy(producer);
    return !erase->unacknowledged || error_set(error, "the mark on %s was not acknowledged", erase->dlq);
}

static bool erase_letter(struct erase *erase, struct error *error)
{
    bool absent = false;
    struct scan *scan = scan_open(erase->settings, erase->dlq, &absent, error);
    if (!scan)
        return absent;
    struct letters letters = {.imp_uid = erase->imp_uid};
    letters.live = calloc((size_t)scan_partitions(scan), sizeof *letters.live);
    bool marked = letters.live ? scan_read(scan, NULL, letters_visit, &letters, error)
                               : error_set(error, "out of memory");
    if (!marked && !error->text[0])
        error_set(error, "interrupted before the dead letter queue was read: repeat it");
    marked = marked && erase_mark_all(erase, letters.live, scan_partitions(scan), error);
    free(letters.live);
    scan_close(scan);
    return marked;
}

/* ---- all of it ---- */

static void erase_tell_letters(const struct erase *erase)
{
    if (erase->letters)
        printf("%s: its dead letter is marked: it will not be replayed, and goes with the compaction or "
               "retention of %s\n",
            erase->imp_uid, erase->dlq);
    else
        printf("%s: no dead letter\n", erase->imp_uid);
    if (!erase->documents && !erase->letters)
        printf("%s: there was nothing to erase\n", erase->imp_uid);
}

static bool erase_tell_waiting(const struct erase *erase, struct error *error)
{
    char when[CLOCK_RFC3339_SIZE + 8] = "";
    if (!erase->waiting.topic)
        return true;
    if (erase->waiting.not_before_ms) {
        memcpy(when, " until ", 7);
        clock_rfc3339(erase->waiting.not_before_ms, when + 7);
    }
    return error_set(error,
        "an event of %s waits on %s%s, and what comes of it will be stored again: repeat this when it is "
        "through",
        erase->imp_uid, erase->waiting.topic, when);
}

int erase_run(const struct settings *settings, const char *imp_uid)
{
    struct erase erase = {
        .settings = settings, .imp_uid = imp_uid, .dlq = settings_text(settings, SETTING_DLQ_TOPIC)};
    struct error error = {""};
    int exit_code = EXIT_FAILURE;
    tiers_init(&erase.tiers, settings);
    interrupt_install();
    erase.clients = mongo_open(settings, 1, &error);
    if (!erase.clients)
        exit_code = EXIT_USAGE;
    else if (erase_wait(&erase, &error) && erase_document(&erase, &error) && erase_letter(&erase, &error)) {
        erase_tell_letters(&erase);
        if (erase_tell_waiting(&erase, &error))
            exit_code = EXIT_SUCCESS;
    }
    if (fflush(stdout) != 0 && exit_code == EXIT_SUCCESS) {
        exit_code = EXIT_FAILURE;
        error_set(&error, "all is erased, but standard output: %s", strerror(errno));
    }
    if (exit_code != EXIT_SUCCESS)
        fprintf(stderr, "%s: %s\n", settings_program(settings), error.text);
    mongo_close(erase.clients);
    return exit_code;
}
