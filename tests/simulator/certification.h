// The certification record of an imp_uid, drawn from a hash of its name: the same on every run and every
// machine. Pure functions.
#ifndef SIMULATOR_CERTIFICATION_H
#define SIMULATOR_CERTIFICATION_H

#include "buf.h"

enum certification_variant {
    CERTIFICATION_FINISHED,
    CERTIFICATION_UNFINISHED, // started, but the person has not finished: most members are null
    CERTIFICATION_EMPTY_KEY,  // unique_key is ""
    CERTIFICATION_NULL_KEY,   // unique_key is null
    CERTIFICATION_ABSENT_KEY, // no unique_key
    CERTIFICATION_OTHER_UID,  // somebody else's record
};

// Adds the record as a JSON object. imp_uid is clean UTF-8.
void certification_write(struct buf *out, struct span imp_uid, enum certification_variant variant);

#endif
