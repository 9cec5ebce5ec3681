/* impcert-replay list: what is unresolved, by reason and age. Main thread. */
#include "common/clock.h"
#include "replay/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *title;
    int64_t most_ms; /* age */
} list_ages[] = {
    {"< 1 h", 3600000}, {"< 1 day", 86400000}, {"< 7 days", 7 * INT64_C(86400000)}, {"older", INT64_MAX}};
enum { AGES = sizeof list_ages / sizeof *list_ages };

struct list {
    uint64_t counts[REASON_COUNT + 1][AGES]; /* by enum reason, 0 for an unknown one; the last is of all */
    int64_t oldest_ms[REASON_COUNT + 1];
};

size_t list_age(int64_t age_ms)
{
    size_t age = 0;
    while (age < AGES - 1 && age_ms >= list_ages[age].most_ms)
        age++;
    return age;
}

static uint64_t list_sum(const struct list *list, size_t row)
{
    uint64_t sum = 0;
    for (size_t age = 0; age < AGES; age++)
        sum += list->counts[row][age];
    return sum;
}

static void list_count_row(struct list *list, size_t row, size_t age, int64_t failed_ms)
{
    if (!list_sum(list, row) || failed_ms < list->oldest_ms[row])
        list->oldest_ms[row] = failed_ms;
    list->counts[row][age]++;
}

static void list_count(struct list *list, const struct dead *dead, int64_t now_ms)
{
    size_t age = list_age(now_ms - dead->failed_ms);
    list_count_row(list, dead->reason, age, dead->failed_ms);
    list_count_row(list, REASON_COUNT, age, dead->failed_ms);
}

static void list_print_row(const struct list *list, size_t row, const char *name)
{
    char oldest[CLOCK_RFC3339_SIZE];
    if (!list_sum(list, row))
        return;
    clock_rfc3339(list->oldest_ms[row], oldest);
    printf("%-16s %9" PRIu64, name, list_sum(list, row));
    for (size_t age = 0; age < AGES; age++)
        printf(" %9" PRIu64, list->counts[row][age]);
    printf("  %.19sZ\n", oldest);
}

static void list_print(const struct list *list)
{
    printf("%-16s %9s", "reason", "events");
    for (size_t age = 0; age < AGES; age++)
        printf(" %9s", list_ages[age].title);
    printf("  oldest\n");
    for (enum reason reason = REASON_NONE + 1; reason < REASON_COUNT; reason++)
        list_print_row(list, reason, reason_name(reason));
    list_print_row(list, REASON_NONE, "(unknown)");
    list_print_row(list, REASON_COUNT, "all");
}

static bool list_print_json(const struct dead *dead)
{
    char key[TABLE_KEY_SHOWN], failed[CLOCK_RFC3339_SIZE];
    table_show_key(dead, key);
    clock_rfc3339(dead->failed_ms, failed);
    json_t *object = json_pack("{s:s, s:s, s:s, s:i, s:i, s:I}", "key", key, "reason",
        reason_name(dead->reason), "failed_at", failed, "replay_count", (int)dead->replay_count, "partition",
        (int)dead->partition, "offset", (json_int_t)dead->offset);
    char *text = object ? json_dumps(object, 0) : NULL;
    bool printed = text && puts(text) >= 0;
    free(text);
    json_decref(object);
    return printed;
}

static int list_finish(struct replay *replay)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_SUCCESS;
    progress_message(&replay->progress, "standard output: %s", strerror(errno));
    return EXIT_FAILURE;
}

int list_run(struct replay *replay)
{
    struct error error;
    struct scan *scan =
        scan_open(replay->settings, settings_text(replay->settings, SETTING_DLQ_TOPIC), NULL, &error);
    if (!scan) {
        progress_message(&replay->progress, "%s", error.text);
        return EXIT_FAILURE;
    }
    bool read = replay_read_table(replay, scan);
    scan_close(scan);
    if (!read)
        return EXIT_FAILURE;
    struct list list = {.counts = {{0}}};
    struct dead *dead, *next;
    HASH_ITER (hh, replay->table.keys, dead, next) {
        if (!filter_match(&replay->options.filter, dead))
            continue;
        list_count(&list, dead, replay->options.now_ms);
        if (replay->options.json && !list_print_json(dead))
            break;
    }
    if (!replay->options.json && list_sum(&list, REASON_COUNT))
        list_print(&list);
    else if (!replay->options.json)
        printf("nothing is unresolved on %s%s\n", settings_text(replay->settings, SETTING_DLQ_TOPIC),
            replay->options.filtered ? " that these options mean" : "");
    return list_finish(replay);
}
