/* Manual pages: prose by hand, options and settings from the tables. Main thread. */
#include "deploy/manual/page.h"

#include "common/settings_print.h"
#include "common/settings_table.h"
#include "deploy/manual/programs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Text as a line of its own, or a part of one. */
static void put_text(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", out);
        else if (text[0] == '-' && text[1] == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
    }
}

/* The same with a full stop, where it has none. */
static void put_sentence(FILE *out, const char *text)
{
    size_t length = strlen(text);
    put_text(out, text);
    fputs(length && text[length - 1] == '.' ? "\n" : ".\n", out);
}

/* An argument of a macro, however it looks. */
static void put_argument(FILE *out, const char *text)
{
    fputs(" \"\\&", out);
    put_text(out, text);
    fputc('"', out);
}

static void put_option(FILE *out, const struct program_option *option)
{
    fprintf(out, ".It Fl \\-%s", option->name);
    if (option->argument) {
        fputs(" Ar", out);
        put_argument(out, option->argument);
    }
    fputc('\n', out);
    put_sentence(out, option->help);
}

static void put_options(FILE *out, const struct program *program)
{
    for (const struct program_option *option = program->options; option && option->name; option++)
        put_option(out, option);
    for (const struct program_option *option = settings_common_options; option->name; option++)
        put_option(out, option);
}

static void put_default(FILE *out, const struct setting_row *row)
{
    if (row->required) {
        fputs("Required.\n", out);
    } else if (row->fallback) {
        fputs("Default:\n.Ql", out);
        put_argument(out, row->fallback);
        fputs(" .\n", out);
    } else if (row->computed_help) {
        fputs("Default: ", out);
        put_sentence(out, row->computed_help);
    } else {
        fputs("Not set by default.\n", out);
    }
}

/* In the largest unit that says it whole, as people write it. */
static void put_duration(FILE *out, int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t unit = ms ? 0 : 2;
    while (ms % units[unit].ms != 0)
        unit++;
    fprintf(out, "%" PRId64 "%s", ms / units[unit].ms, units[unit].name);
}

static void put_range(FILE *out, const struct setting_row *row)
{
    switch (row->type) {
    case SETTING_IS_NUMBER:
        fprintf(out, "A number from %" PRId64 " to %" PRId64 ".\n", row->least, row->most);
        break;
    case SETTING_IS_DURATION:
    case SETTING_IS_DURATIONS:
        fputs(row->type == SETTING_IS_DURATION ? "A duration from " : "Rising durations, each from ", out);
        put_duration(out, row->least);
        fputs(" to ", out);
        put_duration(out, row->most);
        fputs(".\n", out);
        break;
    case SETTING_IS_CHOICE:
    case SETTING_IS_WORDS:
        fputs(row->type == SETTING_IS_CHOICE ? "One of" : "Any of, separated by commas,", out);
        for (const char *const *word = row->words; *word; word++)
            fprintf(out, "%s %s", word == row->words ? "" : ",", *word);
        fputs(".\n", out);
        break;
    default:
        break;
    }
}

static void put_readers(FILE *out, const struct setting_row *row)
{
    const struct program *program;
    const char *separator = "Read by\n";
    for (size_t number = 0; (program = programs_at(number)); number++) {
        if (!(row->programs & program->id))
            continue;
        fprintf(out, "%s.Nm %s", separator, program->name);
        separator = " ,\n";
    }
    if (row->programs & PROGRAM_LIBRARY)
        fprintf(out, "%slibimpcert", separator);
    fputs(row->programs & PROGRAM_LIBRARY ? ".\n" : " .\n", out);
}

static void put_setting(FILE *out, const struct setting_row *row, bool full)
{
    fprintf(out, ".It Ev %s\n", row->name);
    put_sentence(out, row->help);
    if (full)
        put_range(out, row);
    put_default(out, row);
    if (full && row->secret)
        fputs("Never shown.\n", out);
    if (full)
        put_readers(out, row);
}

static void put_settings_of(FILE *out, const struct program *program)
{
    for (int setting = 0; setting < SETTING_COUNT; setting++)
        if (settings_table[setting].programs & program->id)
            put_setting(out, &settings_table[setting], false);
}

static void put_all_settings(FILE *out)
{
    for (int group = 0; group < GROUP_COUNT; group++) {
        fprintf(out, ".Ss %s\n.Bl -tag -width Ds\n", settings_group_title((enum setting_group)group));
        for (int setting = 0; setting < SETTING_COUNT; setting++)
            if (settings_table[setting].group == (enum setting_group)group)
                put_setting(out, &settings_table[setting], true);
        fputs(".El\n", out);
    }
}

/* line: without its end. */
static bool put_line(FILE *out, const char *line, struct error *error)
{
    static const char options[] = "@options ", settings[] = "@settings ";
    if (line[0] != '@') {
        fprintf(out, "%s\n", line);
        return true;
    }
    if (strcmp(line, "@settings") == 0) {
        put_all_settings(out);
        return true;
    }
    bool of_options = strncmp(line, options, strlen(options)) == 0;
    bool of_settings = strncmp(line, settings, strlen(settings)) == 0;
    const struct program *program = of_options || of_settings ? programs_find(strchr(line, ' ') + 1) : NULL;
    if (!program)
        return error_set(error, "%s: expected @options PROGRAM, @settings PROGRAM or @settings", line);
    if (of_options)
        put_options(out, program);
    else
        put_settings_of(out, program);
    return true;
}

bool page_copy(FILE *in, FILE *out, struct error *error)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    bool good = true;
    while (good && (length = getline(&line, &size, in)) >= 0) {
        line[strcspn(line, "\n")] = '\0';
        good = put_line(out, line, error);
    }
    free(line);
    return good;
}
