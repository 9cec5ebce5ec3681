#ifndef IMPCERT_REPLAY_REPLAY_H
#define IMPCERT_REPLAY_REPLAY_H

#include "common/progress.h"
#include "common/scan.h"
#include "common/settings.h"
#include "replay/options.h"
#include "replay/table.h"

/* What the commands of impcert-replay share. Thread: main. */
enum { EXIT_SOME_FAILED = 1, EXIT_USAGE = 2 };

struct replay {
    const struct settings *settings;
    struct options options;
    struct progress progress;
    struct table table;
    uint64_t scanned; /* records looked at in the scan under way */
    int64_t length;   /* of the scan under way, for progress */
};

/* Reads the whole queue into the table. False with a message, or without one after a stop. */
bool replay_read_table(struct replay *replay, struct scan *scan);

/* The commands: each returns the exit code. */
int list_run(struct replay *replay);
/* The column of the table for an age: 0 below an hour, a day, a week, 3 older. */
size_t list_age(int64_t age_ms);
int show_run(struct replay *replay, const char *imp_uid);
int run_run(struct replay *replay);
int discard_run(struct replay *replay);

#endif
