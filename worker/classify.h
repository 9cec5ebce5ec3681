#ifndef IMPCERT_WORKER_CLASSIFY_H
#define IMPCERT_WORKER_CLASSIFY_H

#include "common/letter.h"
#include "worker/certification.h"

#include <stddef.h>

/* The one place that decides what an answer of GET /certifications/{imp_uid} means, after the table of
 * outcomes in the README. Pure. Thread: loop. */

/* How the exchange itself went. */
enum transport {
    TRANSPORT_ANSWERED,  /* a whole HTTP answer came */
    TRANSPORT_TIMEOUT,   /* no whole answer in time */
    TRANSPORT_FAILED,    /* DNS, connection, TLS, or cut off in the middle */
    TRANSPORT_TOO_LARGE, /* the body was over the limit and cut off */
};

struct answer {
    enum transport transport;
    const char *failure;   /* in words, where transport is not ANSWERED */
    long http_status;      /* 0: none came */
    int64_t retry_after_s; /* from Retry-After; 0: none */
    uint64_t token_serial; /* of the token that the call was sent with; 0: none was, or it was not sent */
    const char *body;
    size_t body_size;
};

enum outcome {
    OUTCOME_VERIFIED,     /* certification is filled: store it */
    OUTCOME_RETRY,        /* passing trouble there: further tries make sense within seconds */
    OUTCOME_OUTAGE,       /* as RETRY, but the circuit is open: no try is spent (the verify room) */
    OUTCOME_LATER,        /* not finished yet: only a longer wait can help */
    OUTCOME_REJECTED,     /* for good */
    OUTCOME_THROTTLED,    /* 429: wait, without spending a try */
    OUTCOME_UNAUTHORIZED, /* 401: the token is not accepted */
};

struct verdict {
    enum outcome outcome;
    enum reason reason;
    long http_status;      /* 0: none came */
    int64_t retry_after_s; /* THROTTLED: least wait that was asked for; 0: none was */
    char error[160];       /* in words; never anything out of the body but numbers */
};

/* Fills in what is decided, with the reason in words; the rest of the verdict stays. */
void verdict_set(struct verdict *verdict, enum outcome outcome, enum reason reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Judges an answer to a question for imp_uid. Where it is VERIFIED, certification holds the fields asked for,
 * and the time of verification is left to the caller. */
void classify(const struct answer *answer, const char *imp_uid, certification_fields fields,
    struct certification *certification, struct verdict *verdict);

#endif
