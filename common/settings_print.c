/* --help, --version and --print-config, made from the table. Main thread. */
#include "common/settings_print.h"

#include "common/utf8.h"

#include <string.h>

#define NAME_WIDTH 24
#define VALUE_WIDTH 56

const struct program_option settings_common_options[] = {
    {.name = "check-config", .help = "check the settings, say what is wrong, and exit"},
    {.name = "print-config", .help = "print the settings and where each comes from, and exit"},
    {.name = "help", .help = "print this help and exit"},
    {.name = "version", .help = "print the version and exit"},
    {.name = NULL},
};

static void print_option(FILE *out, const char *name, const char *argument, const char *help)
{
    char option[64];
    snprintf(option, sizeof option, "--%s%s%s", name, argument ? " " : "", argument ? argument : "");
    fprintf(out, "  %-*s  %s\n", NAME_WIDTH, option, help);
}

static void print_options(FILE *out, const struct program *program)
{
    fprintf(out, "\nOptions:\n");
    for (const struct program_option *option = program->options; option && option->name; option++)
        print_option(out, option->name, option->argument, option->help);
    for (const struct program_option *option = settings_common_options; option->name; option++)
        print_option(out, option->name, option->argument, option->help);
}

static void print_row(FILE *out, const struct setting_row *row)
{
    const char *fallback = row->computed_help ? row->computed_help : row->fallback;
    fprintf(out, "  %-*s  %s", NAME_WIDTH, row->name, row->help);
    if (row->required)
        fprintf(out, " (required)\n");
    else if (fallback)
        fprintf(out, " [%s]\n", fallback);
    else
        fprintf(out, " [none]\n");
}

static void print_group(FILE *out, const struct program *program, enum setting_group group)
{
    bool titled = false;
    for (int setting = 0; setting < SETTING_COUNT; setting++) {
        const struct setting_row *row = &settings_table[setting];
        if (row->group != group || !(row->programs & program->id))
            continue;
        if (!titled)
            fprintf(out, "\n%s:\n", settings_group_title(group));
        titled = true;
        print_row(out, row);
    }
}

void settings_print_help(FILE *out, const struct program *program)
{
    fprintf(out, "Usage: %s [OPTION]...%s%s\n\n%s\n", program->name, program->operands ? " " : "",
        program->operands ? program->operands : "", program->summary);
    print_options(out, program);
    fprintf(out,
        "\nSettings are environment variables, with their defaults in brackets. Any NAME may be given as\n"
        "NAME_FILE, the path of a file that holds the value. Durations take ms, s, m or h.\n");
    for (int group = 0; group < GROUP_COUNT; group++)
        print_group(out, program, (enum setting_group)group);
    if (program->details)
        fprintf(out, "\n%s\n", program->details);
}

void settings_print_version(FILE *out, const struct program *program)
{
    fprintf(out, "%s %s\n", program->name, IMPCERT_VERSION);
}

static void print_value(FILE *out, const struct setting_row *row, const struct setting_value *value)
{
    static const char *const origins[] = {"not set", "default", "environment", "file", "given"};
    const char *text = !value->text ? "" : row->secret ? "***" : value->text;
    int width = VALUE_WIDTH - (int)strlen(row->name);
    fprintf(out, "%s=%-*s # %s", row->name, width, text, origins[value->origin]);
    if (value->file) {
        char shown[256];
        utf8_escape(value->file, strlen(value->file), shown, sizeof shown);
        fprintf(out, " %s", shown);
    }
    fputc('\n', out);
}

void settings_print_config(FILE *out, const struct settings *settings)
{
    for (int setting = 0; setting < SETTING_COUNT; setting++)
        if (settings_values_owns(settings, (enum setting)setting))
            print_value(out, &settings_table[setting], &settings->values[setting]);
}
