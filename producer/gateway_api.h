#ifndef IMPCERT_PRODUCER_GATEWAY_API_H
#define IMPCERT_PRODUCER_GATEWAY_API_H

#include "common/event.h"
#include "common/health.h"
#include "common/settings.h"
#include "producer/gateway_answer.h"
#include "producer/gateway_metrics.h"
#include "producer/gateway_tokens.h"
#include "producer/include/impcert.h"

#include <stdatomic.h>

/* What the gateway answers: which paths and methods there are, who may, what a good event is. Knows no
 * sockets. Thread: loop. */
enum { API_BODY_MOST = 16 * 1024 };

/* Everything is borrowed for its life. */
struct api {
    const struct settings *settings;
    struct impcert *impcert;
    struct tokens *tokens;
    struct health *health;
    struct gateway_metrics *metrics;
    const _Atomic bool *available; /* whether Kafka answers, as far as is known */
    bool draining;                 /* not ready any more */
};

/* The head of a request; NULL: no such header. Borrowed from the connection. */
struct api_head {
    const char *method, *path;
    const char *content_type, *authorization, *origin, *requested_method, *traceparent, *tracestate;
};

/* Checks all but the body. True where the body is wanted as an event; false where the answer is given
 * already, and a body does not matter. The answer has its CORS headers in any case. */
bool api_begin(const struct api *api, const struct api_head *head, const struct gateway_gauges *gauges,
    struct answer *answer);

/* Publishes what the body holds. True: delivery will be called, with context; imp_uid is the event's. False:
 * the answer says why not. body is changed. */
bool api_publish(const struct api *api, const struct api_head *head, struct buf *body,
    char imp_uid[static EVENT_IMP_UID_SIZE], impcert_delivery delivery, void *context, struct answer *answer);

/* The answer to an event that has come to its end. */
void api_finish(const char *imp_uid, enum impcert_status end, struct answer *answer);
void api_too_large(struct answer *answer);
/* It can't be told where the body ends. */
void api_unclear_length(struct answer *answer);

#endif
