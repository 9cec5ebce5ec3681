// What can be set on the command line and changed while the simulator runs: one table, so that both know the
// same names, units and ranges. All functions run on the main thread.
#ifndef SIMULATOR_SETTINGS_H
#define SIMULATOR_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SETTINGS_TEXT = 128 };

struct settings {
    char key[SETTINGS_TEXT];    // imp_key that getToken accepts
    char secret[SETTINGS_TEXT]; // imp_secret that goes with it
    int64_t latency_ms;         // before every answer
    int64_t jitter_ms;          // at most this much more, at random
    int64_t token_life_ms;      // from issue to end
    int64_t token_window_ms; // asked in this last part of its life, a token's end moves; -1: token life / 30
    int64_t token_extend_ms; // by how much it moves; -1: token life / 6
    int64_t clock_skew_ms;   // how far the service's clock is ahead of this machine's
};

// One row of the table.
struct settings_row {
    const char *name; // with underscores; the option has hyphens
    const char *kind; // what the value looks like, for --help
    const char *help;
};

void settings_init(struct settings *settings);

// Sets one value. False: error (which the caller prints behind the name) says what is wrong and what was
// expected, and settings is unchanged. `name` is not terminated by name_len.
bool settings_set(struct settings *settings, const char *name, size_t name_len, const char *value,
    char *error, size_t error_size) __attribute__((warn_unused_result));

// A value as text that settings_set takes.
void settings_get(const struct settings *settings, size_t row, char *text, size_t size);

// The table's rows; NULL after the last.
const struct settings_row *settings_rows(size_t row);

int64_t settings_token_window_ms(const struct settings *settings);
int64_t settings_token_extend_ms(const struct settings *settings);

// Reads "0", or a whole number with ms, s, m or h, between min and max. False: *ms is unchanged.
bool settings_read_duration(const char *text, int64_t min_ms, int64_t max_ms, int64_t *ms)
    __attribute__((warn_unused_result));

#endif
