/* Names of settings in the environment. Main thread, before any other starts: environ must stand still. */
#include "common/settings_names.h"

#include "common/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "IMPCERT_"
#define PREFIX_LENGTH (sizeof PREFIX - 1)

/* Mistakes that a name which is no IMPCERT_* one may have, to be taken for one of ours. */
#define SIMILAR_DISTANCE 2

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b (optimal string alignment).
 * Both are shorter than SETTING_NAME_SIZE. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][SETTING_NAME_SIZE];
    size_t *before = rows[0], *previous = rows[1], *current = rows[2];
    size_t b_length = strlen(b);
    for (size_t j = 0; j <= b_length; j++)
        previous[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        current[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t replaced = previous[j - 1] + (a[i - 1] != b[j - 1]);
            current[j] = least(replaced, 1 + least(previous[j], current[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                current[j] = least(current[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = previous;
        previous = current;
        current = oldest;
    }
    return previous[b_length];
}

static const char *without_prefix(const char *name)
{
    return strncmp(name, PREFIX, PREFIX_LENGTH) == 0 ? name + PREFIX_LENGTH : name;
}

/* How far a candidate is. A whole word left out (IMPCERT_BROKERS) counts as more than one slip and less than
 * two. */
static size_t badness(const char *name, const char *candidate)
{
    const char *core = without_prefix(name);
    size_t far = 2 * distance(name, candidate);
    bool part = strlen(core) >= 4 && strstr(without_prefix(candidate), core);
    return part ? least(far, 3) : far;
}

void settings_names_nearest(const char *name, char out[static SETTING_NAME_SIZE])
{
    char cut[SETTING_NAME_SIZE];
    snprintf(cut, sizeof cut, "%s", name);
    size_t best = SIZE_MAX;
    for (int setting = 0; setting < SETTING_COUNT; setting++) {
        for (int as_file = 0; as_file < 2; as_file++) {
            char candidate[SETTING_NAME_SIZE];
            snprintf(candidate, sizeof candidate, "%s%s", settings_table[setting].name,
                as_file ? SETTING_FILE_SUFFIX : "");
            size_t far = badness(cut, candidate);
            if (far >= best)
                continue;
            best = far;
            memcpy(out, candidate, sizeof candidate);
        }
    }
}

static bool ends_with(const char *text, size_t length, const char *end)
{
    size_t end_length = strlen(end);
    return length >= end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

/* Behind _PORT: nothing, or _<digits>_TCP and the like, with _PROTO, _PORT or _ADDR at most. */
static bool is_port_rest(const char *rest)
{
    static const char *const ends[] = {"", "_PROTO", "_PORT", "_ADDR"};
    static const char *const protocols[] = {"_TCP", "_UDP", "_SCTP"};
    if (!*rest)
        return true;
    size_t digits = *rest == '_' ? strspn(rest + 1, "0123456789") : 0;
    if (!digits)
        return false;
    rest += 1 + digits;
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
        size_t length = strlen(protocols[i]);
        if (strncmp(rest, protocols[i], length) != 0)
            continue;
        for (size_t j = 0; j < sizeof ends / sizeof *ends; j++)
            if (strcmp(rest + length, ends[j]) == 0)
                return true;
    }
    return false;
}

bool settings_names_from_kubernetes(const char *name)
{
    if (ends_with(name, strlen(name), "_SERVICE_HOST") || strstr(name, "_SERVICE_PORT_") ||
        ends_with(name, strlen(name), "_SERVICE_PORT"))
        return true;
    for (const char *port = strstr(name, "_PORT"); port; port = strstr(port + 1, "_PORT"))
        if (is_port_rest(port + strlen("_PORT")))
            return true;
    return false;
}

static bool is_setting(const char *name, size_t length)
{
    for (int setting = 0; setting < SETTING_COUNT; setting++) {
        const char *known = settings_table[setting].name;
        size_t known_length = strlen(known);
        if (strncmp(name, known, least(length, known_length)) != 0 || length < known_length)
            continue;
        if (length == known_length || (length == known_length + strlen(SETTING_FILE_SUFFIX) &&
                                          ends_with(name, length, SETTING_FILE_SUFFIX)))
            return true;
    }
    return false;
}

static void check_name(const char *name, size_t length, struct faults *faults)
{
    char copy[256], shown[128], nearest[SETTING_NAME_SIZE];
    snprintf(copy, sizeof copy, "%.*s", (int)least(length, sizeof copy), name);
    if (is_setting(name, length) || settings_names_from_kubernetes(copy))
        return;
    utf8_escape(copy, strlen(copy), shown, sizeof shown);
    settings_names_nearest(copy, nearest);
    faults_add(faults, shown, "no such setting, the nearest is %s", nearest);
}

void settings_names_check(struct faults *faults)
{
    for (char **entry = environ; entry && *entry; entry++)
        if (strncmp(*entry, PREFIX, PREFIX_LENGTH) == 0)
            check_name(*entry, strcspn(*entry, "="), faults);
}

bool settings_names_similar(const char *name, char out[static SETTING_NAME_SIZE])
{
    for (char **entry = environ; entry && *entry; entry++) {
        size_t length = strcspn(*entry, "=");
        if (length >= SETTING_NAME_SIZE || !(*entry)[length] || !(*entry)[length + 1])
            continue;
        if (strncmp(*entry, PREFIX, PREFIX_LENGTH) == 0 || is_setting(*entry, length))
            continue; /* an IMPCERT_* name is reported for itself */
        memcpy(out, *entry, length);
        out[length] = '\0';
        if (distance(out, name) <= SIMILAR_DISTANCE)
            return true;
    }
    return false;
}
