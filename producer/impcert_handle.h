#ifndef IMPCERT_PRODUCER_IMPCERT_HANDLE_H
#define IMPCERT_PRODUCER_IMPCERT_HANDLE_H

#include "common/error.h"
#include "common/event.h"
#include "producer/include/impcert.h"

#include <librdkafka/rdkafka.h>

/* What the rooms of the library share. */

/* Fills error, where there is one, and returns the status. Thread: any. */
enum impcert_status impcert_error_set(struct impcert_error *error, enum impcert_status status,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What an end or an error of librdkafka means to callers; of a purge, that the handle is closed. Thread: any.
 */
enum impcert_status impcert_status_of(rd_kafka_resp_err_t error);

/* Copies a structure of a caller built against another impcert.h: own, with the defaults in it, has size
 * bytes, of which the first release had least. False, with the reason, where the caller's is no such
 * structure or says something that this library does not know. what: its name. Thread: any. */
bool impcert_copy(void *own, size_t size, const void *given, size_t given_size, size_t least,
    const char *what, struct impcert_error *error);
/* The same for options; NULL: all from the environment. */
bool impcert_options_copy(
    const struct impcert_options *given, struct impcert_options *options, struct impcert_error *error);

/* The configuration that the options make, with the topic's name, which the caller frees. NULL with the
 * reason. Thread: any. */
rd_kafka_conf_t *impcert_options_conf(
    const struct impcert_options *options, char **topic, struct impcert_error *error);
/* Most memory for events, in bytes. */
size_t impcert_options_bytes(const rd_kafka_conf_t *conf);

/* An event as a record. Key and value are borrowed from the event, or stand in here. */
struct impcert_record {
    char imp_uid[EVENT_IMP_UID_SIZE]; /* the key */
    char formatted[EVENT_TEXT_SIZE];
    const char *value;
    size_t value_size;
    rd_kafka_headers_t *headers; /* owned; NULL: none */
    size_t bytes;                /* of memory that it takes until its end, by and large */
};

/* IMPCERT_OK, IMPCERT_INVALID or IMPCERT_NO_MEMORY, and then there is nothing to free. Thread: any. */
enum impcert_status impcert_record_make(
    struct impcert_record *record, const struct impcert_event *event, struct impcert_error *error);

#endif
