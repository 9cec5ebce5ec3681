/* impcert-replay: what failed for good, and its way back. Everything runs on the main thread. */
#include "replay/replay.h"

#include "common/interrupt.h"
#include "replay/send.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static bool replay_visit(void *context, const rd_kafka_message_t *record, struct error *error)
{
    struct replay *replay = context;
    replay->scanned++;
    if ((replay->scanned & 0x3ff) == 0)
        progress_draw(&replay->progress, replay->scanned, (uint64_t)replay->length, replay->scanned,
            "dead letters read");
    if (!record->key)
        return true; /* no dead letter is without a key */
    if (!record->payload) {
        table_remove(&replay->table, record->key, record->key_len);
        return true;
    }
    struct letter_failure failure;
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_message_headers(record, &headers);
    letter_read_failure(headers, &failure);
    if (!failure.failed_ms) /* a letter of somebody else's making */
        failure.failed_ms = rd_kafka_message_timestamp(record, NULL);
    return table_put(
               &replay->table, record->key, record->key_len, record->partition, record->offset, &failure) ||
           error_set(error, "out of memory: %zu dead letters are unresolved", table_count(&replay->table));
}

bool replay_read_table(struct replay *replay, struct scan *scan)
{
    struct error error;
    replay->scanned = 0;
    replay->length = scan_length(scan);
    bool read = scan_read(scan, NULL, replay_visit, replay, &error);
    progress_clear(&replay->progress);
    if (!read && error.text[0])
        progress_message(&replay->progress, "%s", error.text);
    else if (!read)
        progress_message(&replay->progress, "interrupted while reading; nothing was changed");
    return read;
}

/* Returns EXIT_USAGE with a message where an option has no meaning for the command. */
static int replay_refuse(struct replay *replay, const char *command)
{
    const struct options *options = &replay->options;
    bool run = strcmp(command, "run") == 0, discard = strcmp(command, "discard") == 0,
         show = strcmp(command, "show") == 0;
    const char *wrong = options->filtered && show              ? options->filtered
                        : options->max_replays && !run         ? "--max-replays"
                        : options->limit && !run && !discard   ? "--limit"
                        : options->rate && !run                ? "--rate"
                        : options->dry_run && !run && !discard ? "--dry-run"
                        : options->why && !discard             ? "--why"
                        : options->yes && !discard             ? "--yes"
                                                               : NULL;
    if (!wrong)
        return EXIT_SUCCESS;
    progress_message(&replay->progress, "%s has no meaning for %s", wrong, command);
    return EXIT_USAGE;
}

static int replay_command(struct replay *replay, int count, char **operands)
{
    const char *command = count ? operands[0] : "";
    bool show = strcmp(command, "show") == 0;
    if (count != (show ? 2 : 1)) {
        progress_message(&replay->progress,
            show ? "show takes one imp_uid" : "expected one of list, show IMP_UID, run, discard");
        return EXIT_USAGE;
    }
    if (replay_refuse(replay, command))
        return EXIT_USAGE;
    if (show)
        return show_run(replay, operands[1]);
    if (strcmp(command, "list") == 0)
        return list_run(replay);
    if (strcmp(command, "run") == 0)
        return run_run(replay);
    if (strcmp(command, "discard") == 0)
        return discard_run(replay);
    progress_message(&replay->progress, "no such command, expected one of list, show IMP_UID, run, discard");
    return EXIT_USAGE;
}

static void replay_check(const struct settings *settings, struct faults *faults)
{
    size_t before = faults->count;
    scan_check(settings, faults);
    /* Both read one property file, and what is wrong with it is told once. */
    if (faults->count == before)
        send_check(settings, faults);
}

int main(int argc, char **argv)
{
    struct replay replay = {.scanned = 0};
    struct program_option options[OPTIONS_COUNT + 1];
    options_init(&replay.options);
    options_list(&replay.options, options);
    struct program program;
    options_program(&program, options);
    program.check = replay_check;
    int exit_code;
    struct settings *settings = settings_start(&program, argc, argv, &exit_code);
    if (settings) {
        replay.settings = settings;
        progress_init(&replay.progress, program.name);
        replay.progress.plain = true;
        table_init(&replay.table);
        interrupt_install();
        exit_code = replay_command(&replay, argc - optind, argv + optind);
        table_cleanup(&replay.table);
    }
    settings_free(settings);
    options_cleanup(&replay.options);
    return exit_code;
}
