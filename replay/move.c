/* From the queue back, or into oblivion. Main thread. */
#include "replay/move.h"

#include "common/clock.h"
#include "common/interrupt.h"
#include "common/letter.h"
#include "replay/batch.h"
#include "replay/story.h"

#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAP_MS 100

struct moving {
    const struct move *move;
    struct send *send;
    struct batch batch;
    size_t batch_most;                /* items of a batch */
    size_t chosen, done, failed;      /* dead letters */
    uint64_t left_alone[2];           /* invalid, replayed too often */
    uint64_t by_reason[REASON_COUNT]; /* done */
    int64_t next_ns;                  /* when the next transaction may begin */
};

/* ---- choosing ---- */

static int moving_older(const struct dead *a, const struct dead *b)
{
    return (a->failed_ms > b->failed_ms) - (a->failed_ms < b->failed_ms);
}

static void moving_choose(struct moving *moving)
{
    struct replay *replay = moving->move->replay;
    const struct options *options = &replay->options;
    struct dead *dead, *next;
    HASH_SORT(replay->table.keys, moving_older);
    HASH_ITER (hh, replay->table.keys, dead, next) {
        if (!filter_match(&options->filter, dead))
            continue;
        if (!moving->move->discard && filter_hopeless(&options->filter, dead)) {
            moving->left_alone[dead->reason != REASON_INVALID_EVENT]++;
            continue;
        }
        if (options->limit && moving->chosen == (size_t)options->limit)
            continue;
        dead->chosen = true;
        moving->chosen++;
    }
}

/* Where each partition is to be read from again; -1: not at all. The caller frees it. */
static int64_t *moving_from(const struct moving *moving, int32_t partitions)
{
    int64_t *from = malloc((size_t)partitions * sizeof *from);
    struct dead *dead, *next;
    for (int32_t i = 0; from && i < partitions; i++)
        from[i] = -1;
    if (from)
        HASH_ITER (hh, moving->move->replay->table.keys, dead, next) {
            if (dead->chosen && (from[dead->partition] < 0 || dead->offset < from[dead->partition]))
                from[dead->partition] = dead->offset;
        }
    return from;
}

/* ---- telling ---- */

static void moving_counts(const uint64_t *by_reason, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (enum reason reason = REASON_NONE; reason < REASON_COUNT && used < size; reason++)
        if (by_reason[reason])
            used += (size_t)snprintf(out + used, size - used, "%s%" PRIu64 " %s", used ? ", " : ": ",
                by_reason[reason], reason == REASON_NONE ? "of unknown reason" : reason_name(reason));
}

static void moving_tell_left_alone(const struct moving *moving)
{
    static const char *const why[] = {
        "no valid imp_uid, these would fail again", "replayed often enough already (--max-replays)"};
    char text[160];
    for (size_t i = 0; i < 2; i++)
        if (moving->left_alone[i]) {
            snprintf(text, sizeof text, "left alone %" PRIu64 ": %s", moving->left_alone[i], why[i]);
            progress_plain(&moving->move->replay->progress, text);
        }
}

static int moving_tell_dry(struct moving *moving)
{
    uint64_t by_reason[REASON_COUNT] = {0};
    char counts[512], text[768];
    struct replay *replay = moving->move->replay;
    struct dead *dead, *next;
    HASH_ITER (hh, replay->table.keys, dead, next) {
        by_reason[dead->reason] += dead->chosen;
    }
    moving_counts(by_reason, counts, sizeof counts);
    snprintf(text, sizeof text, "%zu events would be %s%s", moving->chosen, moving->move->doing, counts);
    progress_plain(&replay->progress, text);
    moving_tell_left_alone(moving);
    return EXIT_SUCCESS;
}

static void moving_print_json(const struct moving *moving, const struct dead *dead)
{
    char key[TABLE_KEY_SHOWN];
    table_show_key(dead, key);
    json_t *object = json_pack(
        "{s:s, s:s, s:s}", "key", key, "reason", reason_name(dead->reason), "what", moving->move->doing);
    char *text = object ? json_dumps(object, 0) : NULL;
    if (text)
        puts(text);
    free(text);
    json_decref(object);
}

static int moving_summarize(struct moving *moving, const struct error *error)
{
    char counts[512], text[1024];
    struct replay *replay = moving->move->replay;
    size_t left = moving->chosen - moving->done;
    moving_counts(moving->by_reason, counts, sizeof counts);
    if (error->text[0])
        progress_message(&replay->progress, "%s", error->text);
    else if (interrupt_requested())
        progress_message(
            &replay->progress, "interrupted: stopped between two transactions, nothing is half done");
    else if (left > moving->failed)
        progress_message(&replay->progress,
            "%zu dead letters are no longer on the queue (retention, or dealt with meanwhile)",
            left - moving->failed);
    snprintf(text, sizeof text, "%s %zu events%s%s", moving->move->doing, moving->done, counts,
        moving->chosen ? "" : " (nothing to do)");
    progress_plain(&replay->progress, text);
    if (left) {
        snprintf(text, sizeof text, "%zu are left as they were", left);
        progress_plain(&replay->progress, text);
    }
    moving_tell_left_alone(moving);
    return left || error->text[0] || fflush(stdout) != 0 ? EXIT_SOME_FAILED : EXIT_SUCCESS;
}

/* ---- moving ---- */

/* Waits until the rate allows the next transaction; false after a stop. */
static bool moving_pace(struct moving *moving)
{
    int64_t rate = moving->move->replay->options.rate;
    if (rate) {
        while (!interrupt_requested() && clock_ns() < moving->next_ns)
            poll(NULL, 0, NAP_MS);
        int64_t now = clock_ns();
        moving->next_ns = now + (int64_t)moving->batch.count * CLOCK_S / rate;
    }
    return !interrupt_requested();
}

static void moving_done(struct moving *moving, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        struct dead *dead = moving->batch.items[i].dead;
        dead->chosen = false;
        moving->by_reason[dead->reason]++;
        if (moving->move->replay->options.json)
            moving_print_json(moving, dead);
    }
    moving->done += to - from;
}

static void moving_failed(struct moving *moving, size_t item, const struct error *error)
{
    struct dead *dead = moving->batch.items[item].dead;
    char key[TABLE_KEY_SHOWN];
    table_show_key(dead, key);
    dead->chosen = false;
    moving->failed++;
    progress_message(&moving->move->replay->progress, "%s: %s", key, error->text);
}

/* One record that is refused takes its transaction with it: the halves are tried until it stands alone. */
static bool moving_send(struct moving *moving, size_t from, size_t to, struct error *error)
{
    enum send_result result = batch_send(&moving->batch, from, to, moving->send, error);
    size_t middle = from + (to - from) / 2;
    if (result == SEND_REFUSED && to - from > 1)
        return moving_send(moving, from, middle, error) && moving_send(moving, middle, to, error);
    if (result == SEND_REFUSED)
        moving_failed(moving, from, error);
    else if (result == SEND_OK)
        moving_done(moving, from, to);
    else
        return false;
    error->text[0] = '\0';
    return true;
}

static bool moving_commit(struct moving *moving, struct error *error)
{
    if (!moving->batch.count)
        return true;
    if (!moving_pace(moving))
        return false;
    if (!moving_send(moving, 0, moving->batch.count, error))
        return false;
    batch_clear(&moving->batch);
    progress_draw(&moving->move->replay->progress, moving->done, moving->chosen, moving->done, "events");
    return true;
}

static bool moving_add(
    struct moving *moving, struct dead *dead, const rd_kafka_message_t *record, struct error *error)
{
    rd_kafka_headers_t *own = NULL, *event = NULL, *mark;
    int64_t now_ms = clock_wall_ms();
    rd_kafka_message_headers(record, &own);
    if (moving->move->discard) {
        mark = letter_discarded_headers(moving->move->replay->options.why, now_ms);
    } else {
        event = story_event_headers(own, dead->replay_count + 1, now_ms);
        mark = event ? story_replayed_headers(dead->replay_count + 1, now_ms) : NULL;
    }
    return batch_add(&moving->batch, dead, record, event, mark) || error_set(error, "out of memory");
}

/* False also when all are done: then the rest of the queue does not matter. */
static bool moving_visit(void *context, const rd_kafka_message_t *record, struct error *error)
{
    struct moving *moving = context;
    if (!record->key || !record->payload)
        return true;
    struct dead *dead = table_find(&moving->move->replay->table, record->key, record->key_len);
    if (!dead || !dead->chosen || dead->offset != record->offset || dead->partition != record->partition)
        return true;
    if (!moving_add(moving, dead, record, error))
        return false;
    bool last = moving->done + moving->failed + moving->batch.count == moving->chosen;
    if (!last && !batch_full(&moving->batch, moving->batch_most))
        return true;
    return moving_commit(moving, error) && !last;
}

static void moving_move(struct moving *moving, struct scan *scan, struct error *error)
{
    int64_t *from = moving_from(moving, scan_partitions(scan));
    progress_restart(&moving->move->replay->progress);
    if (!from)
        error_set(error, "out of memory");
    else if (scan_read(scan, from, moving_visit, moving, error) && !interrupt_requested())
        moving_commit(moving, error);
    if (moving->done)
        send_settle(moving->send);
    batch_clear(&moving->batch);
    free(from);
}

static bool moving_confirmed(const struct moving *moving)
{
    struct replay *replay = moving->move->replay;
    char answer[16];
    if (!moving->move->discard || replay->options.yes)
        return true;
    fprintf(stderr, "%zu events will be given up, for good. Type yes to go on: ", moving->chosen);
    return fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0;
}

static int moving_run(struct moving *moving, struct scan *scan)
{
    struct replay *replay = moving->move->replay;
    struct error error = {""};
    if (!replay_read_table(replay, scan))
        return EXIT_FAILURE;
    moving_choose(moving);
    if (replay->options.dry_run)
        return moving_tell_dry(moving);
    if (moving->chosen && !moving_confirmed(moving)) {
        progress_message(&replay->progress, "nothing was changed");
        return EXIT_FAILURE;
    }
    if (moving->chosen)
        moving_move(moving, scan, &error);
    return moving_summarize(moving, &error);
}

/* The producer comes before the reading: once it is there nobody else can mark what is read here. But first
 * of all comes what fails soon and changes nothing. */
static bool moving_open(struct moving *moving, struct scan *scan, struct error *error)
{
    const struct settings *settings = moving->move->replay->settings;
    if (!moving->move->discard && !scan_has_topic(scan, settings_text(settings, SETTING_TOPIC), error))
        return false;
    if (moving->move->replay->options.dry_run)
        return true;
    moving->send = send_open(settings, error);
    return moving->send;
}

int move_run(struct move *move)
{
    struct replay *replay = move->replay;
    struct error error = {""};
    struct moving *moving = calloc(1, sizeof *moving);
    int exit_code = EXIT_FAILURE;
    if (!moving) {
        progress_message(&replay->progress, "out of memory");
        return EXIT_FAILURE;
    }
    moving->move = move;
    int64_t rate = replay->options.rate;
    moving->batch_most = rate && rate < 2 * BATCH_ITEMS_MOST ? (size_t)(rate + 1) / 2 : BATCH_ITEMS_MOST;
    struct scan *scan =
        scan_open(replay->settings, settings_text(replay->settings, SETTING_DLQ_TOPIC), NULL, &error);
    if (scan && moving_open(moving, scan, &error))
        exit_code = moving_run(moving, scan);
    else
        progress_message(&replay->progress, "%s", error.text);
    scan_close(scan);
    send_close(moving->send);
    free(moving);
    return exit_code;
}
