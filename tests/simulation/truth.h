#ifndef IMPCERT_SIMULATION_TRUTH_H
#define IMPCERT_SIMULATION_TRUTH_H

#include "common/event.h"
#include "common/letter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What really is: the certifications, what the API says of each, and the events that ask for them. Thread:
 * main. */
struct world;

enum kind {
    KIND_CERTIFIED,
    KIND_LATE,  /* certified only after a while */
    KIND_FLAKY, /* certified, but its first calls fail */
    KIND_LIMITED,
    KIND_MISSING,
    KIND_UNFINISHED,
    KIND_NO_KEY,
    KIND_FORBIDDEN,
    KIND_CODE,
    KIND_REFUSED_BY_STORE,
    KIND_OTHER, /* from here on the call fails each time, which opens the circuit in the end */
    KIND_HTML,
    KIND_ERROR,
    KIND_HANGING,
    KIND_INVALID, /* no valid event */
    KIND_COUNT
};

struct certified {
    char imp_uid[EVENT_IMP_UID_SIZE];
    enum kind kind;
    int calls;            /* that were answered by its kind */
    int failing;          /* FLAKY, LIMITED: how many of them fail */
    int64_t certified_ns; /* LATE: from then on */
    bool stored;
};

enum { TRUTH_TOPICS_MOST = 10 };

/* A record of the main topic. */
struct event {
    size_t subject; /* index of the certification; SIZE_MAX: none */
    int64_t at_ns;  /* when it is published */
    char key[EVENT_IMP_UID_SIZE];
    char value[128];
    size_t value_size; /* SIZE_MAX: null */
    bool traced;       /* has a header of its own */
    int partition;
    int64_t offset; /* -1: not published yet */

    unsigned reached;                         /* bits: topics that it was forwarded to */
    int attempts[TRUTH_TOPICS_MOST];          /* most that a record of it on that topic tells */
    int64_t not_before_ms[TRUTH_TOPICS_MOST]; /* least that a record of it on that topic tells */
};

struct truth {
    struct certified *certified;
    size_t certified_count;
    struct event *events; /* by at_ns */
    size_t event_count;
    size_t published;
};

struct truth *truth_new(struct world *world);
void truth_free(struct truth *truth);

/* By name, as long as size says; NULL where there is none. */
struct certified *truth_find(const struct truth *truth, const char *name, size_t size);
const char *kind_name(enum kind kind);
/* Reasons that an event of that kind may fail with, as bits, when nothing else fails. */
unsigned kind_reasons(enum kind kind);
/* Whether a document of it may be there now. */
bool truth_storable(const struct certified *one, int64_t now_ns);
/* The document's texts. */
void truth_unique_key(const struct certified *one, char out[static 96]);
int64_t truth_certified_at_s(const struct certified *one);

#endif
