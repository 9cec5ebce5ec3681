// Everything that can become of a call, whether an imp_uid's own name asks for it or a fault rule does. All
// functions run on the main thread.
#ifndef SIMULATOR_OUTCOME_H
#define SIMULATOR_OUTCOME_H

#include "certification.h"
#include "reply.h"

enum outcome_kind {
    OUTCOME_PLAIN, // as the service answers
    OUTCOME_MISSING,
    OUTCOME_UNFINISHED,
    OUTCOME_NO_KEY,
    OUTCOME_NULL_KEY,
    OUTCOME_ABSENT_KEY,
    OUTCOME_REFUSED,
    OUTCOME_CODE,
    OUTCOME_WRONG_IMP_UID,
    OUTCOME_HTML,
    OUTCOME_EMPTY,
    OUTCOME_MALFORMED,
    OUTCOME_TRUNCATED,
    OUTCOME_ERROR,
    OUTCOME_UNAVAILABLE,
    OUTCOME_HANG,
    OUTCOME_RESET,
    OUTCOME_FLAKY,
    OUTCOME_LIMITED,
    OUTCOME_HUGE,
    OUTCOME_SLOW_BODY,
    OUTCOME_REDIRECT,
    OUTCOME_STATUS,
    OUTCOME_EXPIRED_TOKEN,
    OUTCOME_KEY_REFUSED,
    OUTCOME_NO_ANSWER,
    OUTCOME_LATENCY,
    OUTCOME_KINDS,
};

// The two paths of the service, as flags.
enum outcome_path {
    OUTCOME_CERTIFICATION = 1,
    OUTCOME_TOKEN = 2,
};

struct outcome {
    enum outcome_kind kind;
    int status;              // of OUTCOME_STATUS
    const char *body;        // of OUTCOME_STATUS, borrowed; NULL: a usual one
    const char *retry_after; // header value, borrowed; NULL: the kind's own
    int64_t interval_ms;     // of OUTCOME_SLOW_BODY
};

// What an imp_uid's name asks for. *failures: with OUTCOME_FLAKY and OUTCOME_LIMITED, how many calls fail.
enum outcome_kind outcome_of_name(struct span imp_uid, uint32_t *failures);

// The kind of a rule; OUTCOME_PLAIN for a name that no rule may have.
enum outcome_kind outcome_find(const char *name);

// Where a kind can be used: outcome_path flags.
unsigned outcome_paths(enum outcome_kind kind);

// The record that belongs to it.
enum certification_variant outcome_variant(enum outcome_kind kind);

// True when the usual answer does not matter, so that the service need not make one.
bool outcome_replaces(enum outcome_kind kind);

// Turns the usual answer into what the outcome makes of it.
void outcome_apply(const struct outcome *outcome, struct reply *reply);

#endif
