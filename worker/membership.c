/* Whether a consumer is joining its group anew, from the requests that it sends. The interceptors run on
 * librdkafka's threads and only set a flag. */
#include "worker/membership.h"

/* Kafka protocol, "Api Keys". */
enum { API_JOIN_GROUP = 11, API_SYNC_GROUP = 14 };

static rd_kafka_resp_err_t membership_on_request(rd_kafka_t *client, int fd, const char *broker,
    int32_t broker_id, int16_t api, int16_t version, int32_t correlation, size_t size, void *context)
{
    (void)client, (void)fd, (void)broker, (void)broker_id, (void)version, (void)correlation, (void)size;
    struct membership *membership = context;
    if (api == API_JOIN_GROUP)
        atomic_store(&membership->joining, true);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Joining is over with the answer to SyncGroup, or when a request came to nothing; another attempt sets it
 * again. */
static rd_kafka_resp_err_t membership_on_response(rd_kafka_t *client, int fd, const char *broker,
    int32_t broker_id, int16_t api, int16_t version, int32_t correlation, size_t size, int64_t round_trip_us,
    rd_kafka_resp_err_t result, void *context)
{
    (void)client, (void)fd, (void)broker, (void)broker_id, (void)version, (void)correlation, (void)size;
    (void)round_trip_us;
    struct membership *membership = context;
    if (api == API_SYNC_GROUP || (api == API_JOIN_GROUP && result != RD_KAFKA_RESP_ERR_NO_ERROR))
        atomic_store(&membership->joining, false);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t membership_on_new(
    rd_kafka_t *client, const rd_kafka_conf_t *conf, void *context, char *reason, size_t size)
{
    (void)conf, (void)reason, (void)size;
    rd_kafka_resp_err_t result =
        rd_kafka_interceptor_add_on_request_sent(client, "impcert", membership_on_request, context);
    return result ? result
                  : rd_kafka_interceptor_add_on_response_received(
                        client, "impcert", membership_on_response, context);
}

bool membership_watch(struct membership *membership, rd_kafka_conf_t *conf, struct error *error)
{
    atomic_init(&membership->joining, false);
    rd_kafka_resp_err_t result =
        rd_kafka_conf_interceptor_add_on_new(conf, "impcert", membership_on_new, membership);
    return result == RD_KAFKA_RESP_ERR_NO_ERROR ||
           error_set(error, "watching requests: %s", rd_kafka_err2str(result));
}

bool membership_joining(const struct membership *membership)
{
    return atomic_load(&membership->joining);
}
