#ifndef IMPCERT_PRODUCER_GATEWAY_ANSWER_H
#define IMPCERT_PRODUCER_GATEWAY_ANSWER_H

#include "common/buf.h"

#include <stdbool.h>

/* What a request is answered with, before it is HTTP. Thread: loop. */
struct answer {
    unsigned status;
    const char *content_type; /* borrowed for ever; NULL: no body */
    struct buf body;
    int retry_after_s;      /* 0: none */
    const char *allow;      /* methods, with 405; borrowed for ever */
    const char *cors_allow; /* Access-Control-Allow-Origin; borrowed from the setting or the request */
    bool cors_vary;         /* the answer depends on Origin */
    bool preflight;         /* of CORS */
};

void answer_init(struct answer *answer);
void answer_cleanup(struct answer *answer);

/* 202 {"imp_uid": ..., "status": "queued"} */
void answer_queued(struct answer *answer, const char *imp_uid);
/* A problem as RFC 9457 has it. field: which part of the request is wrong; NULL: none. */
void answer_problem(struct answer *answer, unsigned status, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
