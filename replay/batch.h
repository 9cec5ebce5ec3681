#ifndef IMPCERT_REPLAY_BATCH_H
#define IMPCERT_REPLAY_BATCH_H

#include "common/error.h"
#include "replay/send.h"
#include "replay/table.h"

#include <stdbool.h>
#include <stddef.h>

/* Dead letters on their way in one transaction, with all that is needed to try it again. Thread: main. */
enum { BATCH_ITEMS_MOST = 500, BATCH_BYTES_MOST = 4 * 1024 * 1024 };

struct batch_item {
    struct dead *dead; /* borrowed from the table */
    void *value;       /* owned */
    size_t value_size;
    rd_kafka_headers_t *headers; /* owned; of the event */
    rd_kafka_headers_t *mark;    /* owned; of the mark */
};

struct batch {
    struct batch_item items[BATCH_ITEMS_MOST];
    size_t count;
    size_t bytes;
};

/* Copies the record's value and takes both headers, whatever happens; headers NULL: there is no event to
 * send. False when out of memory. */
bool batch_add(struct batch *batch, struct dead *dead, const rd_kafka_message_t *record,
    rd_kafka_headers_t *headers, rd_kafka_headers_t *mark);
bool batch_full(const struct batch *batch, size_t items_most);
/* Forgets all items. */
void batch_clear(struct batch *batch);

/* One transaction for the items of [from, to), tried again a few times where nothing of it came to be. error
 * is empty after SEND_OK. */
enum send_result batch_send(
    const struct batch *batch, size_t from, size_t to, struct send *send, struct error *error);

#endif
