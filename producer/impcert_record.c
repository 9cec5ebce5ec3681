/* From an event of a caller to the parts of a record: what comes in is checked here, once. Any thread. */
#include "common/traceparent.h"
#include "producer/impcert_handle.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define RESERVED_PREFIX "impcert."
#define TRACEPARENT "traceparent"

/* What librdkafka and we have besides the bytes, for an event and for each header. */
#define EVENT_BYTES 320
#define HEADER_BYTES 80

static enum impcert_status impcert_record_out_of_memory(struct impcert_error *error)
{
    return impcert_error_set(error, IMPCERT_NO_MEMORY, "out of memory");
}

static enum impcert_status impcert_record_identity(
    struct impcert_record *record, const char *imp_uid, struct impcert_error *error)
{
    struct error why;
    if (!imp_uid)
        return impcert_error_set(error, IMPCERT_INVALID, "imp_uid is missing");
    size_t length = strnlen(imp_uid, EVENT_IMP_UID_SIZE);
    if (!event_imp_uid_check(imp_uid, length, &why))
        return impcert_error_set(error, IMPCERT_INVALID, "%s", why.text);
    memcpy(record->imp_uid, imp_uid, length);
    record->imp_uid[length] = '\0';
    return IMPCERT_OK;
}

static enum impcert_status impcert_record_value(
    struct impcert_record *record, const struct impcert_event *event, struct impcert_error *error)
{
    struct error why;
    char inside[EVENT_IMP_UID_SIZE];
    if (!event->value) {
        record->value = record->formatted;
        record->value_size = event_format(record->imp_uid, record->formatted);
        return IMPCERT_OK;
    }
    if (event->value_size > IMPCERT_VALUE_MOST)
        return impcert_error_set(error, IMPCERT_INVALID, "the value has %zu bytes, expected at most %d",
            event->value_size, IMPCERT_VALUE_MOST);
    if (!event_parse(event->value, event->value_size, inside, &why))
        return impcert_error_set(error, IMPCERT_INVALID, "%s", why.text);
    if (strcmp(inside, record->imp_uid) != 0)
        return impcert_error_set(
            error, IMPCERT_INVALID, "the value has another imp_uid, expected the event's");
    record->value = event->value;
    record->value_size = event->value_size;
    return IMPCERT_OK;
}

static enum impcert_status impcert_record_header_check(
    const struct impcert_header *header, size_t *bytes, struct impcert_error *error)
{
    if (!header->name || !*header->name)
        return impcert_error_set(error, IMPCERT_INVALID, "a header has no name");
    if (!header->value && header->value_size)
        return impcert_error_set(error, IMPCERT_INVALID, "a header's value is NULL, but its size is not 0");
    if (strncmp(header->name, RESERVED_PREFIX, sizeof RESERVED_PREFIX - 1) == 0)
        return impcert_error_set(error, IMPCERT_INVALID,
            "a header's name begins with " RESERVED_PREFIX ", expected another: these are impcert's own");
    size_t name = strnlen(header->name, IMPCERT_HEADER_BYTES_MOST + 1);
    if (header->value_size > IMPCERT_HEADER_BYTES_MOST || name > IMPCERT_HEADER_BYTES_MOST ||
        (*bytes += name + header->value_size) > IMPCERT_HEADER_BYTES_MOST)
        return impcert_error_set(
            error, IMPCERT_INVALID, "the headers have more than %d bytes", IMPCERT_HEADER_BYTES_MOST);
    return IMPCERT_OK;
}

static enum impcert_status impcert_record_traceparent_check(
    const struct impcert_event *event, size_t *bytes, struct impcert_error *error)
{
    if (!event->traceparent)
        return IMPCERT_OK;
    size_t length = strnlen(event->traceparent, TRACEPARENT_MOST + 1);
    if (!traceparent_valid(event->traceparent, length))
        return impcert_error_set(error, IMPCERT_INVALID,
            "traceparent is not valid, expected version-traceid-parentid-flags in lower-case hex");
    for (size_t i = 0; i < event->header_count; i++)
        if (strcasecmp(event->headers[i].name, TRACEPARENT) == 0)
            return impcert_error_set(error, IMPCERT_INVALID,
                "traceparent is given twice, also by a header; expected one of the two");
    *bytes += length + sizeof TRACEPARENT + HEADER_BYTES;
    return IMPCERT_OK;
}

static enum impcert_status impcert_record_headers_check(
    struct impcert_record *record, const struct impcert_event *event, struct impcert_error *error)
{
    size_t bytes = 0;
    if (event->header_count > IMPCERT_HEADERS_MOST)
        return impcert_error_set(error, IMPCERT_INVALID, "there are %zu headers, expected at most %d",
            event->header_count, IMPCERT_HEADERS_MOST);
    if (event->header_count && !event->headers)
        return impcert_error_set(
            error, IMPCERT_INVALID, "headers is NULL, but header_count is %zu", event->header_count);
    for (size_t i = 0; i < event->header_count; i++) {
        enum impcert_status status = impcert_record_header_check(&event->headers[i], &bytes, error);
        if (status != IMPCERT_OK)
            return status;
    }
    record->bytes = EVENT_BYTES + strlen(record->imp_uid) + record->value_size + bytes +
                    event->header_count * HEADER_BYTES;
    return impcert_record_traceparent_check(event, &record->bytes, error);
}

static bool impcert_record_header_add(
    rd_kafka_headers_t *headers, const char *name, const void *value, size_t size)
{
    return rd_kafka_header_add(headers, name, -1, value, (ssize_t)size) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static enum impcert_status impcert_record_headers(
    struct impcert_record *record, const struct impcert_event *event, struct impcert_error *error)
{
    if (!event->header_count && !event->traceparent)
        return IMPCERT_OK;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(event->header_count + 1);
    bool added = !event->traceparent || impcert_record_header_add(headers, TRACEPARENT, event->traceparent,
                                            strlen(event->traceparent));
    for (size_t i = 0; added && i < event->header_count; i++) {
        const struct impcert_header *header = &event->headers[i];
        added = impcert_record_header_add(headers, header->name, header->value, header->value_size);
    }
    if (!added) {
        rd_kafka_headers_destroy(headers);
        return impcert_record_out_of_memory(error);
    }
    record->headers = headers;
    return IMPCERT_OK;
}

enum impcert_status impcert_record_make(
    struct impcert_record *record, const struct impcert_event *given, struct impcert_error *error)
{
    const size_t least = offsetof(struct impcert_event, header_count) + sizeof given->header_count;
    struct impcert_event event = IMPCERT_EVENT(NULL);
    record->headers = NULL;
    if (!impcert_copy(&event, sizeof event, given, given->size, least, "struct impcert_event", error))
        return IMPCERT_INVALID;
    enum impcert_status status = impcert_record_identity(record, event.imp_uid, error);
    if (status == IMPCERT_OK)
        status = impcert_record_value(record, &event, error);
    if (status == IMPCERT_OK)
        status = impcert_record_headers_check(record, &event, error);
    if (status == IMPCERT_OK)
        status = impcert_record_headers(record, &event, error);
    return status;
}
