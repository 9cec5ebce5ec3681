#ifndef IMPCERT_SIMULATION_API_H
#define IMPCERT_SIMULATION_API_H

#include "common/buf.h"
#include "truth.h"
#include "worker/classify.h"

#include <stdbool.h>
#include <stdint.h>

/* The Iamport API behind the calls: tokens, and what it answers to which question (tests/simulator is the one
 * that talks HTTP). Thread: main. */
struct world;

enum fate {
    FATE_ANSWERED,
    FATE_ERROR,
    FATE_CUT, /* no connection, or cut off */
    FATE_TIMEOUT,
    FATE_HTML,
    FATE_THROTTLED,
    FATE_REFUSED_KEY
};

struct api {
    struct world *world;
    int serial;       /* of the token, which is its text */
    int64_t token_ns; /* its end */
};

struct api *api_new(struct world *world);
void api_free(struct api *api);

/* What becomes of a call that starts now. subject: NULL for a call for a token. */
enum fate api_fate(struct api *api, const struct certified *subject);
/* The answer, made now; its body lies in body, its failure is a fixed text. */
void api_answer_token(struct api *api, enum fate fate, struct buf *body, struct answer *answer);
void api_answer(struct api *api, enum fate fate, struct certified *subject, const char *token,
    struct buf *body, struct answer *answer);

#endif
