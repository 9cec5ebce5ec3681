#ifndef IMPCERT_H
#define IMPCERT_H

/* libimpcert: events that ask impcert-worker to verify a certification, onto its Kafka topic.
 *
 *     struct impcert_options options = IMPCERT_OPTIONS_INIT;
 *     struct impcert_error error;
 *     options.brokers = "kafka-1:9092,kafka-2:9092";
 *     struct impcert *impcert = impcert_open(&options, &error);
 *     struct impcert_event event = IMPCERT_EVENT("imp_448280090638");
 *     if (impcert_publish_wait(impcert, &event, 10000, &error) != IMPCERT_OK)
 *         fprintf(stderr, "%s\n", error.text);
 *     impcert_close(impcert, 10000);
 *
 * An event counts as published when all in-sync replicas have it (acks=all, idempotent producer); each that
 * was taken comes to exactly one end, IMPCERT_OK or an error. To publish one again is harmless: its imp_uid
 * is the document's _id.
 *
 * Each handle has threads of its own and no state is shared between handles. Nothing is printed, no signal is
 * handled and the process is never ended. A handle does not survive fork(2): open it in the child.
 * All functions may be called from any thread, those that take a handle until impcert_close is called. */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define IMPCERT_API __attribute__((visibility("default")))
#else
#define IMPCERT_API
#endif

#define IMPCERT_IMP_UID_MOST 64         /* characters of an imp_uid, each of [A-Za-z0-9_-] */
#define IMPCERT_HEADERS_MOST 64         /* headers of an event */
#define IMPCERT_VALUE_MOST 65536        /* bytes of an event's value */
#define IMPCERT_HEADER_BYTES_MOST 65536 /* bytes of an event's headers, names and values together */

enum impcert_status {
    IMPCERT_OK = 0,
    IMPCERT_INVALID = 1,     /* an argument is wrong: the text names it. Trying again is of no use. */
    IMPCERT_QUEUE_FULL = 2,  /* too many events are on their way: not taken, try again in a while */
    IMPCERT_UNAVAILABLE = 3, /* no broker acknowledged in time: publish again. It may be on the topic. */
    IMPCERT_REFUSED = 4,     /* the broker won't have it: no such topic, not allowed, too large */
    IMPCERT_TIMEOUT = 5,     /* the wait is over, the event is still on its way */
    IMPCERT_CLOSED = 6,      /* the handle was closed before. It may be on the topic. */
    IMPCERT_FAILED = 7,      /* the producer can't go on: close the handle and open another */
    IMPCERT_NO_MEMORY = 8
};

/* In words, for people; borrowed for ever. */
IMPCERT_API const char *impcert_status_text(enum impcert_status status);

struct impcert_error {
    enum impcert_status status;
    char text[512]; /* what is wrong and what was expected; holds no secret */
};

/* Start from IMPCERT_OPTIONS_INIT. All pointers are borrowed for the call of impcert_open. */
struct impcert_options {
    size_t size;              /* of this structure: set by IMPCERT_OPTIONS_INIT */
    const char *brokers;      /* IMPCERT_KAFKA_BROKERS: "host:port,..." */
    const char *topic;        /* IMPCERT_TOPIC; NULL: "certifications" */
    const char *kafka_config; /* IMPCERT_KAFKA_CONFIG: path of a file of librdkafka properties (TLS, SASL) */
    int environment;          /* what is NULL above is read from the environment variable named beside it */
    const char *program;      /* what the broker's logs call this client; NULL: "libimpcert" */
    /* 0: what kafka_config says, or the default. */
    uint32_t queue_events; /* most events on their way at once; 100,000 */
    uint32_t queue_kib; /* most memory for them, values and headers with what it takes to keep them; 64 MiB */
    uint32_t timeout_ms; /* when an event that nobody acknowledges fails; 30 s */
    /* What happens to the connections, in librdkafka's words and with syslog's levels (3: error ... 7:
     * debug). On a thread of the library. NULL: nobody hears. */
    void (*log)(void *log_context, int level, const char *text);
    void *log_context;
};

#define IMPCERT_OPTIONS_INIT                                                                                 \
    {                                                                                                        \
        sizeof(struct impcert_options), NULL, NULL, NULL, 0, NULL, 0, 0, 0, NULL, NULL                       \
    }

/* A record header that goes with the event all the way, to the dead letter queue if need be. */
struct impcert_header {
    const char *name;  /* not empty; names that begin with "impcert." are taken */
    const void *value; /* NULL: null, which is not the same as empty */
    size_t value_size; /* bytes */
};

/* Start from IMPCERT_EVENT. All pointers are borrowed for the call. */
struct impcert_event {
    size_t size;         /* of this structure: set by IMPCERT_EVENT */
    const char *imp_uid; /* becomes the record's key */
    const char *value;   /* JSON object with this imp_uid and members of yours; NULL: with imp_uid alone */
    size_t value_size;   /* bytes */
    const char *traceparent;              /* W3C trace context, becomes the first header; NULL: none */
    const struct impcert_header *headers; /* in the record's order; no traceparent beside the one above */
    size_t header_count;
};

#define IMPCERT_EVENT(imp_uid)                                                                               \
    {                                                                                                        \
        sizeof(struct impcert_event), (imp_uid), NULL, 0, NULL, NULL, 0                                      \
    }

struct impcert;

/* Returns at once, whether or not a broker is there. options NULL: all from the environment. NULL when the
 * options are wrong; error (may be NULL, as everywhere) then has a line for each that is. */
IMPCERT_API struct impcert *impcert_open(const struct impcert_options *options, struct impcert_error *error);

/* The end of an event that impcert_publish took: IMPCERT_OK, or why not, in words that are borrowed for the
 * call. Runs on the handle's own thread, which waits for it to return: until then no other event comes to its
 * end, and this one still counts as on its way. It may publish, but must neither wait nor flush nor close. */
typedef void (*impcert_delivery)(void *context, enum impcert_status status, const char *text);

/* Takes a copy of the event and returns at once. IMPCERT_OK: delivery (may be NULL) is called exactly once,
 * with context, at the latest when the handle is closed. Any other status: the event was not taken, and it is
 * not called. IMPCERT_QUEUE_FULL is where backpressure begins. */
IMPCERT_API enum impcert_status impcert_publish(struct impcert *impcert, const struct impcert_event *event,
    impcert_delivery delivery, void *context, struct impcert_error *error);

/* The same, waiting for its end at most wait_ms (negative: as long as it takes, which options.timeout_ms
 * bounds). */
IMPCERT_API enum impcert_status impcert_publish_wait(
    struct impcert *impcert, const struct impcert_event *event, int wait_ms, struct impcert_error *error);

/* Sends what is queued without further ado and waits for the end of all events taken so far, at most wait_ms
 * (negative: as long as it takes). IMPCERT_OK when each has come to one, whichever, and its delivery has
 * returned, else IMPCERT_TIMEOUT. */
IMPCERT_API enum impcert_status impcert_flush(
    struct impcert *impcert, int wait_ms, struct impcert_error *error);

/* Asks a broker whether the topic is there and may be seen: for readiness. Waits at most wait_ms. IMPCERT_OK,
 * IMPCERT_UNAVAILABLE, IMPCERT_REFUSED or IMPCERT_FAILED. */
IMPCERT_API enum impcert_status impcert_check(
    struct impcert *impcert, int wait_ms, struct impcert_error *error);

/* Events taken whose end is still open. */
IMPCERT_API size_t impcert_in_flight(struct impcert *impcert);

/* Flushes for at most wait_ms, ends what is left with IMPCERT_CLOSED, and frees the handle, after the last
 * call of any delivery. Deliveries may publish on until then; when wait_ms are over, such an event is not
 * taken: IMPCERT_CLOSED. Returns IMPCERT_OK when every event taken since impcert_open was acknowledged,
 * otherwise IMPCERT_CLOSED. NULL is fine. */
IMPCERT_API enum impcert_status impcert_close(struct impcert *impcert, int wait_ms);

/* "0.1.0", of the library that runs. */
IMPCERT_API const char *impcert_version(void);

#ifdef __cplusplus
}
#endif

#endif
