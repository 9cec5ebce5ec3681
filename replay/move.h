#ifndef IMPCERT_REPLAY_MOVE_H
#define IMPCERT_REPLAY_MOVE_H

#include "replay/replay.h"
#include "replay/send.h"

/* What run and discard have in common: dead letters are chosen from the table, read again, and moved in
 * transactions of some hundreds. Thread: main. */
struct move {
    struct replay *replay;
    const char *doing; /* "replayed", "discarded" */
    bool discard;      /* only marks are written */
};

/* Chooses, oldest first, and moves. Returns the exit code. */
int move_run(struct move *move);

#endif
