// Fault rules: which calls go wrong, how, and how often. They are given as JSON on the command line or
// through the control endpoint. All functions run on the main thread.
#ifndef SIMULATOR_FAULTS_H
#define SIMULATOR_FAULTS_H

#include <jansson.h>

#include "outcome.h"

struct rule;

struct faults {
    struct rule *rules; // owned; the first that matches wins
    size_t count;
};

// What a rule does to a call.
struct fault {
    struct outcome outcome; // text in it is valid until the rules change
    int64_t latency_ms;     // instead of the set latency; -1: as set
};

// Adds one rule behind the others. False: error says what is wrong and what was expected, and nothing was
// added.
bool faults_add(struct faults *faults, const json_t *spec, char *error, size_t error_size)
    __attribute__((warn_unused_result));

// The same, from text.
bool faults_add_text(struct faults *faults, const char *text, char *error, size_t error_size)
    __attribute__((warn_unused_result));

// Replaces all rules by those of a JSON array. False: as faults_add, and the old rules stand.
bool faults_replace(struct faults *faults, const json_t *specs, char *error, size_t error_size)
    __attribute__((warn_unused_result));

// Finds the rule for a call and counts the hit. imp_uid is empty on the token path.
bool faults_match(struct faults *faults, enum outcome_path path, struct span imp_uid, struct fault *fault);

// The rules as they were given, with "hits". A new reference; NULL: no memory.
json_t *faults_json(const struct faults *faults);

void faults_cleanup(struct faults *faults);

#endif
