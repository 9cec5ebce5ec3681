// The simulated service: /users/getToken and /certifications/{imp_uid}. All functions run on the main thread.
#ifndef SIMULATOR_API_H
#define SIMULATOR_API_H

#include "counters.h"
#include "faults.h"
#include "http.h"
#include "settings.h"
#include "token.h"

enum { API_IMP_UID = 256 }; // longest imp_uid, in bytes

struct api {
    struct settings settings;
    struct token token;
    struct faults faults;
    struct counters counters;
    struct tally attempts; // calls so far for names that fail at first
    uint64_t answers;      // drawn from for jitter
};

void api_init(struct api *api);
void api_cleanup(struct api *api);

// Answers any path that is not the control endpoint's, and counts the call.
void api_answer(struct api *api, const struct http_request *request, struct reply *reply);

// Takes an imp_uid from a path segment, into API_IMP_UID bytes. False: no imp_uid looks like this.
bool api_read_imp_uid(struct span segment, char *text, struct span *imp_uid)
    __attribute__((warn_unused_result));

// Adds the record that the service holds, whatever its answers make of it. False: it holds none, nothing was
// added.
bool api_write_record(struct buf *out, struct span imp_uid);

#endif
