// What the simulated service has seen since its start or the last reset. Control requests are never counted.
// All functions run on the main thread.
#ifndef SIMULATOR_COUNTERS_H
#define SIMULATOR_COUNTERS_H

#include "tally.h"

enum { COUNTERS_STATUSES = 600 };

struct counters {
    uint64_t certification_calls; // GET /certifications/..., whatever became of them
    uint64_t token_requests;      // POST /users/getToken
    uint64_t tokens_issued;       // new tokens
    uint64_t tokens_extended;     // tokens whose end moved
    uint64_t unauthorized;        // certification calls answered 401
    uint64_t unanswered;          // hang, reset, closed without an answer
    uint64_t by_status[COUNTERS_STATUSES];
    struct tally calls; // certification calls by imp_uid
    bool keep_calls;    // false: calls stays empty
};

// Forgets everything except keep_calls.
void counters_reset(struct counters *counters);

void counters_cleanup(struct counters *counters);

#endif
