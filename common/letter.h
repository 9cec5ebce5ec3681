#ifndef IMPCERT_COMMON_LETTER_H
#define IMPCERT_COMMON_LETTER_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

/* Why an event failed, and the headers that say so on a retry or DLQ record. The record keeps the event's own
 * key, value and headers; ours all begin with "impcert." and stand once each. Pure. Thread: any. */
enum reason {
    REASON_NONE,
    REASON_INVALID_EVENT,  /* bad JSON, bad or missing imp_uid */
    REASON_NOT_CERTIFIED,  /* the person has not finished */
    REASON_NO_UNIQUE_KEY,  /* certified, but nothing tells who */
    REASON_NOT_FOUND,      /* 404 */
    REASON_REFUSED,        /* another 4xx, or a code other than 0 */
    REASON_BAD_RESPONSE,   /* not the JSON that was expected, or another imp_uid */
    REASON_UNAVAILABLE,    /* timeout, connection, TLS, 5xx, a fresh token refused */
    REASON_RATE_LIMITED,   /* 429 */
    REASON_STORE_REJECTED, /* MongoDB refused this document */
    REASON_COUNT
};

/* "not_found"; borrowed for ever. */
const char *reason_name(enum reason reason);

#define LETTER_ORIGIN_SIZE 288 /* topic (249), partition, offset, slashes, NUL */

struct letter {
    enum reason reason;
    const char *error;       /* in words, without personal data */
    long http_status;        /* 0: no answer came, and no header is written */
    int attempts;            /* tries so far, over all hops */
    int64_t first_failed_ms; /* wall time */
    int64_t failed_ms;       /* wall time */
    int64_t not_before_ms;   /* wall time of its next try; 0: none will come, and no header is written */
    const char *topic;       /* the main topic */
    char origin[LETTER_ORIGIN_SIZE]; /* where the event was consumed first: "topic/partition/offset" */
};

/* "topic/partition/offset" */
void letter_origin(const char *topic, int32_t partition, int64_t offset, char out[static LETTER_ORIGIN_SIZE]);

/* The headers of a record to forward: the event's own (NULL: none) without any of ours, then the letter's.
 * Those of a replay ("impcert.replay...") count as the event's own. The caller owns the result; NULL when out
 * of memory. */
rd_kafka_headers_t *letter_headers(const struct letter *letter, const rd_kafka_headers_t *own);

/* The headers of the mark, a record with a null value, by which a dead letter is given up. The caller owns
 * the result; NULL when out of memory. */
rd_kafka_headers_t *letter_discarded_headers(const char *why, int64_t now_ms);

/* What a record of a retry topic tells of the event's way so far. A header that is missing or not as we write
 * it counts as nothing: 0, or an empty text. */
struct letter_history {
    int attempts;
    int64_t first_failed_ms;
    int64_t not_before_ms;
    char origin[LETTER_ORIGIN_SIZE];
};

void letter_read(const rd_kafka_headers_t *headers, struct letter_history *history);

/* What a dead letter tells, for those who look at it. A header that is missing or not as we write it counts
 * as nothing: REASON_NONE, 0, or an empty text. */
struct letter_failure {
    enum reason reason;
    char error[512];
    long http_status;
    int attempts;
    int64_t first_failed_ms;
    int64_t failed_ms;
    char origin[LETTER_ORIGIN_SIZE];
    int replay_count; /* how often its event was replayed before it failed */
};

/* headers: NULL where the record has none. */
void letter_read_failure(const rd_kafka_headers_t *headers, struct letter_failure *failure);
/* REASON_NONE where the name is none. */
enum reason reason_by_name(const char *name);

#endif
