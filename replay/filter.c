/* Filters of dead letters. Pure, main thread. */
#include "replay/filter.h"

#include "common/clock.h"
#include "common/event.h"
#include "common/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REPLAYS 5

void filter_init(struct filter *filter)
{
    *filter = (struct filter){.max_replays = MAX_REPLAYS};
}

void filter_cleanup(struct filter *filter)
{
    free(filter->imp_uids);
}

static void filter_list_reasons(char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (enum reason reason = REASON_NONE + 1; reason < REASON_COUNT && used < size; reason++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", reason_name(reason));
}

bool filter_add_reasons(struct filter *filter, const char *names, struct error *why)
{
    char name[32], shown[80], all[256];
    for (const char *rest = names;; rest++) {
        size_t length = strcspn(rest, ",");
        snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : 0), rest);
        enum reason reason = reason_by_name(name);
        if (reason == REASON_NONE) {
            utf8_escape(rest, length, shown, sizeof shown);
            filter_list_reasons(all, sizeof all);
            return error_set(why, "\"%s\" is no reason, expected one or more of %s", shown, all);
        }
        filter->reasons |= 1u << reason;
        rest += length;
        if (!*rest)
            return true;
    }
}

bool filter_add_imp_uid(struct filter *filter, const char *imp_uid, struct error *why)
{
    if (filter->imp_uid_count == FILTER_IMP_UIDS_MOST)
        return error_set(why, "given more than %d times", FILTER_IMP_UIDS_MOST);
    if (!*imp_uid)
        return error_set(why, "empty, expected an imp_uid");
    if (!filter->imp_uids)
        filter->imp_uids = calloc(FILTER_IMP_UIDS_MOST, sizeof *filter->imp_uids);
    if (!filter->imp_uids)
        return error_set(why, "out of memory");
    filter->imp_uids[filter->imp_uid_count++] = imp_uid;
    return true;
}

static bool filter_duration(const char *text, int64_t *ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    size_t digits = strspn(text, "0123456789");
    if (!digits || digits > 9)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(text + digits, units[i].unit) == 0) {
            *ms = strtoll(text, NULL, 10) * units[i].ms;
            return true;
        }
    return false;
}

bool filter_time(const char *text, int64_t now_ms, int64_t *wall_ms, struct error *why)
{
    char whole[CLOCK_RFC3339_SIZE], shown[80];
    int64_t before_ms;
    if (filter_duration(text, &before_ms)) {
        *wall_ms = now_ms - before_ms;
        return true;
    }
    /* 2026-01-02, 2026-01-02T03:04:05Z and 2026-01-02T03:04:05.678Z, by what is missing. */
    size_t length = strlen(text);
    if (length == 10)
        snprintf(whole, sizeof whole, "%.10sT00:00:00.000Z", text);
    else if (length == 20 && text[19] == 'Z')
        snprintf(whole, sizeof whole, "%.19s.000Z", text);
    else
        snprintf(whole, sizeof whole, "%.24s", text);
    if (length <= 24 && clock_parse_rfc3339(whole, strlen(whole), wall_ms))
        return true;
    utf8_escape(text, length, shown, sizeof shown);
    return error_set(why,
        "\"%s\" is no time, expected 2026-01-02, 2026-01-02T03:04:05Z, or how long ago: 30m, 2h, 7d", shown);
}

bool filter_match(const struct filter *filter, const struct dead *dead)
{
    if (filter->reasons && !(filter->reasons & 1u << dead->reason))
        return false;
    if ((filter->since_ms && dead->failed_ms < filter->since_ms) ||
        (filter->until_ms && dead->failed_ms >= filter->until_ms))
        return false;
    if (!filter->imp_uids)
        return true;
    for (size_t i = 0; i < filter->imp_uid_count; i++)
        if (strcmp(filter->imp_uids[i], dead->key) == 0)
            return true;
    return false;
}

const char *filter_hopeless(const struct filter *filter, const struct dead *dead)
{
    bool named = filter->reasons & 1u << REASON_INVALID_EVENT || filter->imp_uids;
    if (dead->reason == REASON_INVALID_EVENT && !named)
        return "no valid imp_uid: these would fail again";
    if (dead->replay_count >= filter->max_replays)
        return "replayed often enough (--max-replays)";
    return NULL;
}
