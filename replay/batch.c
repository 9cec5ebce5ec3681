/* Batches of dead letters and their transactions. Main thread. */
#include "replay/batch.h"

#include <stdlib.h>
#include <string.h>

#define TRIES 5

static bool batch_copy_value(struct batch_item *item, const rd_kafka_message_t *record)
{
    item->value_size = record->len;
    item->value = malloc(record->len ? record->len : 1);
    if (item->value && record->len)
        memcpy(item->value, record->payload, record->len);
    return item->value;
}

static void batch_item_clear(struct batch_item *item)
{
    free(item->value);
    if (item->headers)
        rd_kafka_headers_destroy(item->headers);
    if (item->mark)
        rd_kafka_headers_destroy(item->mark);
}

bool batch_add(struct batch *batch, struct dead *dead, const rd_kafka_message_t *record,
    rd_kafka_headers_t *headers, rd_kafka_headers_t *mark)
{
    struct batch_item *item = &batch->items[batch->count];
    *item = (struct batch_item){.dead = dead, .headers = headers, .mark = mark};
    if (!mark || !batch_copy_value(item, record)) {
        batch_item_clear(item);
        return false;
    }
    batch->count++;
    batch->bytes += item->value_size;
    return true;
}

bool batch_full(const struct batch *batch, size_t items_most)
{
    return batch->count >= items_most || batch->bytes >= BATCH_BYTES_MOST;
}

void batch_clear(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        batch_item_clear(&batch->items[i]);
    batch->count = batch->bytes = 0;
}

static enum send_result batch_send_item(const struct batch_item *item, struct send *send, struct error *error)
{
    const struct dead *dead = item->dead;
    enum send_result result = SEND_OK;
    if (item->headers)
        result = send_event(send, dead->key, dead->key_size, item->value, item->value_size,
            rd_kafka_headers_copy(item->headers), error);
    if (result != SEND_OK)
        return result;
    return send_mark(
        send, dead->partition, dead->key, dead->key_size, rd_kafka_headers_copy(item->mark), error);
}

static enum send_result batch_try(
    const struct batch *batch, size_t from, size_t to, struct send *send, struct error *error)
{
    enum send_result result = send_begin(send, error);
    for (size_t i = from; i < to && result == SEND_OK; i++)
        result = batch_send_item(&batch->items[i], send, error);
    return result == SEND_OK ? send_commit(send, error) : result;
}

enum send_result batch_send(
    const struct batch *batch, size_t from, size_t to, struct send *send, struct error *error)
{
    enum send_result result = SEND_ABORTED;
    for (int i = 0; i < TRIES && result == SEND_ABORTED; i++)
        result = batch_try(batch, from, to, send, error);
    if (result == SEND_OK)
        error->text[0] = '\0'; /* of a try before */
    return result;
}
