#ifndef IMPCERT_REPLAY_OPTIONS_H
#define IMPCERT_REPLAY_OPTIONS_H

#include "common/settings.h"
#include "replay/filter.h"

#include <stdbool.h>
#include <stdint.h>

/* What the command line says. Thread: main. */
struct options {
    struct filter filter;
    int64_t limit; /* 0: none */
    int64_t rate;  /* events a second; 0: no limit */
    bool dry_run;
    bool json;
    bool yes;             /* no confirmation */
    const char *why;      /* of discard */
    const char *filtered; /* the last filter that is given, "--reason"; NULL: none */
    bool max_replays;     /* --max-replays is given */
    int64_t now_ms;       /* wall time, which relative times count from */
};

enum { OPTIONS_COUNT = 11 };

void options_init(struct options *options);
void options_cleanup(struct options *options);

/* The rows for struct program, closed by one without a name, which fill options. */
void options_list(struct options *options, struct program_option rows[static OPTIONS_COUNT + 1]);
/* How impcert-replay presents itself, with these rows: in --help, and in its manual page and completions. The
 * check of the settings is the caller's. */
void options_program(struct program *program, const struct program_option *rows);

#endif
