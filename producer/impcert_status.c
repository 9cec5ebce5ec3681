/* What became of an event or a call, in the library's words. Any thread. */
#include "producer/impcert_handle.h"
#include "producer/producer_conf.h"

#include <stdarg.h>
#include <stdio.h>

const char *impcert_version(void)
{
    return IMPCERT_VERSION;
}

const char *impcert_status_text(enum impcert_status status)
{
    static const char *const texts[] = {"ok", "invalid argument", "queue full",
        "no broker acknowledged in time", "refused by the broker", "still on its way", "closed",
        "the producer can't go on", "out of memory"};
    return (size_t)status < sizeof texts / sizeof *texts ? texts[status] : "unknown status";
}

enum impcert_status impcert_error_set(
    struct impcert_error *error, enum impcert_status status, const char *format, ...)
{
    if (!error)
        return status;
    error->status = status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return status;
}

enum impcert_status impcert_status_of(rd_kafka_resp_err_t error)
{
    switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return IMPCERT_OK;
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
        return IMPCERT_CLOSED;
    case RD_KAFKA_RESP_ERR__FATAL:
        return IMPCERT_FAILED;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return IMPCERT_QUEUE_FULL;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        return IMPCERT_REFUSED;
    default:
        return producer_conf_topic_missing(error) ? IMPCERT_REFUSED : IMPCERT_UNAVAILABLE;
    }
}
