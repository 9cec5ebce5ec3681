/* The options of impcert-replay. Main thread. */
#include "replay/options.h"

#include "common/clock.h"
#include "common/utf8.h"

#include <string.h>

void options_init(struct options *options)
{
    *options = (struct options){.now_ms = clock_wall_ms()};
    filter_init(&options->filter);
}

void options_cleanup(struct options *options)
{
    filter_cleanup(&options->filter);
}

static bool options_number(const char *text, int64_t least, int64_t most, int64_t *number, struct error *why)
{
    char shown[80];
    size_t digits = strspn(text, "0123456789");
    *number = 0;
    for (size_t i = 0; i < digits && digits <= 12; i++)
        *number = *number * 10 + (text[i] - '0');
    if (digits && digits <= 12 && !text[digits] && *number >= least && *number <= most)
        return true;
    utf8_escape(text, strlen(text), shown, sizeof shown);
    return error_set(
        why, "\"%s\", expected a whole number from %lld to %lld", shown, (long long)least, (long long)most);
}

static bool take_reason(void *context, const char *value, struct error *why)
{
    struct options *options = context;
    options->filtered = "--reason";
    return filter_add_reasons(&options->filter, value, why);
}

static bool take_imp_uid(void *context, const char *value, struct error *why)
{
    struct options *options = context;
    options->filtered = "--imp-uid";
    return filter_add_imp_uid(&options->filter, value, why);
}

static bool take_since(void *context, const char *value, struct error *why)
{
    struct options *options = context;
    options->filtered = "--since";
    return filter_time(value, options->now_ms, &options->filter.since_ms, why);
}

static bool take_until(void *context, const char *value, struct error *why)
{
    struct options *options = context;
    options->filtered = "--until";
    return filter_time(value, options->now_ms, &options->filter.until_ms, why);
}

static bool take_limit(void *context, const char *value, struct error *why)
{
    struct options *options = context;
    return options_number(value, 1, 1000000000, &options->limit, why);
}

static bool take_rate(void *context, const char *value, struct error *why)
{
    struct options *options = context;
    return options_number(value, 1, 1000000, &options->rate, why);
}

static bool take_max_replays(void *context, const char *value, struct error *why)
{
    struct options *options = context;
    int64_t number;
    if (!options_number(value, 1, 255, &number, why))
        return false;
    options->filter.max_replays = (int)number;
    options->max_replays = true;
    return true;
}

static bool take_why(void *context, const char *value, struct error *why)
{
    struct options *options = context;
    options->why = value;
    return (*value && strlen(value) <= 500) || error_set(why, "expected 1 to 500 characters that say why");
}

static bool take_flag(void *context, const char *value, struct error *why)
{
    (void)value, (void)why;
    *(bool *)context = true;
    return true;
}

static const char *reason_word(size_t number)
{
    enum reason reason = (enum reason)(number + REASON_NONE + 1);
    return reason < REASON_COUNT ? reason_name(reason) : NULL;
}

void options_list(struct options *options, struct program_option rows[static OPTIONS_COUNT + 1])
{
#define TAKES(option, value, text, function)                                                                 \
    {                                                                                                        \
        .name = (option), .argument = (value), .help = (text), .take = (function), .context = options        \
    }
#define FLAG(option, text, flag)                                                                             \
    {                                                                                                        \
        .name = (option), .help = (text), .take = take_flag, .context = (flag)                               \
    }
    const struct program_option list[OPTIONS_COUNT + 1] = {
        {.name = "reason",
            .argument = "NAME,...",
            .help = "only those that failed for this reason; may be repeated",
            .take = take_reason,
            .context = options,
            .word = reason_word},
        TAKES("imp-uid", "IMP_UID", "only this one; may be repeated", take_imp_uid),
        TAKES("since", "TIME", "failed at or after 2026-01-02, 2026-01-02T03:04:05Z, or ago: 30m, 2h, 7d",
            take_since),
        TAKES("until", "TIME", "failed before", take_until),
        TAKES("limit", "N", "at most so many, the oldest first (run, discard)", take_limit),
        TAKES("rate", "N", "at most so many a second (run)", take_rate),
        TAKES("max-replays", "N", "leave alone what was replayed so often [5] (run)", take_max_replays),
        FLAG("dry-run", "say what would be done, and do nothing (run, discard)", &options->dry_run),
        FLAG("json", "a JSON object a line, one for each event", &options->json),
        TAKES("why", "TEXT", "why they are given up (discard)", take_why),
        FLAG("yes", "do not ask (discard)", &options->yes),
        {.name = NULL},
    };
#undef FLAG
#undef TAKES
    memcpy(rows, list, sizeof list);
}

void options_program(struct program *program, const struct program_option *rows)
{
    static const char *const commands[] = {"list", "show", "run", "discard", NULL};
    *program = (struct program){
        .id = PROGRAM_REPLAY,
        .name = "impcert-replay",
        .summary = "Shows the events that failed for good, and sends them back to be verified again.",
        .operands = "list | show IMP_UID | run | discard",
        .details =
            "list     how many failed, by reason and age; --json: each\n"
            "show     the story of one event: every failure, replay and discard that the queue still has\n"
            "run      publishes them to the topic of the events and marks them as replayed, in one "
            "transaction\n"
            "discard  marks them as given up\n"
            "\n"
            "Exit status: 0 all done; 1 some failed, or stopped before all was done; 2 usage or settings.",
        .commands = commands,
        .options = rows,
    };
}
