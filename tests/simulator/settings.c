// The settings table; see settings.h. Runs on the main thread; holds no memory.
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_MS (3600 * (int64_t)1000)

enum value { VALUE_TEXT, VALUE_DURATION };

struct definition {
    struct settings_row row;
    enum value value;
    size_t offset; // in struct settings
    int64_t min_ms, max_ms;
};

static const struct definition table[] = {
    {{"key", "TEXT", "imp_key that getToken accepts"}, VALUE_TEXT, offsetof(struct settings, key), 0, 0},
    {{"secret", "TEXT", "imp_secret that goes with it"}, VALUE_TEXT, offsetof(struct settings, secret), 0, 0},
    {{"latency", "DURATION", "wait before every answer"}, VALUE_DURATION,
        offsetof(struct settings, latency_ms), 0, HOUR_MS},
    {{"jitter", "DURATION", "wait at most this much longer, at random"}, VALUE_DURATION,
        offsetof(struct settings, jitter_ms), 0, HOUR_MS},
    {{"token_life", "DURATION", "life of a token"}, VALUE_DURATION, offsetof(struct settings, token_life_ms),
        1, 24 * HOUR_MS},
    {{"token_window", "DURATION", "last part of its life in which asking moves its end (default: life / 30)"},
        VALUE_DURATION, offsetof(struct settings, token_window_ms), 0, 24 * HOUR_MS},
    {{"token_extend", "DURATION", "how far asking moves its end (default: life / 6)"}, VALUE_DURATION,
        offsetof(struct settings, token_extend_ms), 0, 24 * HOUR_MS},
    {{"clock_skew", "DURATION", "how far the service's clock is ahead; may be negative"}, VALUE_DURATION,
        offsetof(struct settings, clock_skew_ms), -10000 * HOUR_MS, 10000 * HOUR_MS},
};

void settings_init(struct settings *settings)
{
    *settings = (struct settings){
        .key = "imp_key",
        .secret = "imp_secret",
        .token_life_ms = 1800 * 1000,
        .token_window_ms = -1,
        .token_extend_ms = -1,
    };
}

const struct settings_row *settings_rows(size_t row)
{
    return row < sizeof table / sizeof *table ? &table[row].row : NULL;
}

int64_t settings_token_window_ms(const struct settings *settings)
{
    return settings->token_window_ms >= 0 ? settings->token_window_ms : settings->token_life_ms / 30;
}

int64_t settings_token_extend_ms(const struct settings *settings)
{
    return settings->token_extend_ms >= 0 ? settings->token_extend_ms : settings->token_life_ms / 6;
}

bool settings_read_duration(const char *text, int64_t min_ms, int64_t max_ms, int64_t *ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", HOUR_MS}};
    if (!isdigit((unsigned char)text[text[0] == '-']))
        return false;
    char *rest = NULL;
    errno = 0;
    long long number = strtoll(text, &rest, 10);
    int64_t scale = number == 0 && *rest == '\0' ? 1 : 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(rest, units[i].unit) == 0)
            scale = units[i].ms;
    }
    int64_t value = 0;
    if (errno != 0 || scale == 0 || __builtin_mul_overflow(number, scale, &value) || value < min_ms ||
        value > max_ms)
        return false;
    *ms = value;
    return true;
}

static bool set_text(char *field, const char *value, char *error, size_t error_size)
{
    size_t len = strlen(value);
    if (len == 0 || len >= SETTINGS_TEXT) {
        snprintf(error, error_size, "has %zu bytes; expected 1 to %d", len, SETTINGS_TEXT - 1);
        return false;
    }
    memcpy(field, value, len + 1);
    return true;
}

bool settings_set(struct settings *settings, const char *name, size_t name_len, const char *value,
    char *error, size_t error_size)
{
    const struct definition *found = NULL;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strlen(table[i].row.name) == name_len && memcmp(table[i].row.name, name, name_len) == 0)
            found = &table[i];
    }
    if (found == NULL) {
        snprintf(error, error_size, "is not known; expected one of those that --help lists");
        return false;
    }
    void *field = (char *)settings + found->offset;
    if (found->value == VALUE_TEXT)
        return set_text(field, value, error, error_size);
    if (settings_read_duration(value, found->min_ms, found->max_ms, field))
        return true;
    snprintf(error, error_size,
        "\"%.40s\" is not a duration that fits; expected a whole number with ms, s, m or h, such as 100ms, "
        "from %lldms to "
        "%lldh",
        value, (long long)found->min_ms, (long long)(found->max_ms / HOUR_MS));
    return false;
}

void settings_get(const struct settings *settings, size_t row, char *text, size_t size)
{
    const char *field = (const char *)settings + table[row].offset;
    if (table[row].value == VALUE_TEXT) {
        snprintf(text, size, "%s", field);
        return;
    }
    int64_t ms = 0;
    memcpy(&ms, field, sizeof ms);
    if (table[row].offset == offsetof(struct settings, token_window_ms))
        ms = settings_token_window_ms(settings);
    if (table[row].offset == offsetof(struct settings, token_extend_ms))
        ms = settings_token_extend_ms(settings);
    snprintf(text, size, "%lldms", (long long)ms);
}
