// Command line reading by the settings table and four options of its own; see options.h. Runs on the main
// thread.
#include "options.h"

#include <stdio.h>

enum { NAME_SIZE = 32, REASON_SIZE = 384 };

// Splits "--name=value", or takes the next argument as the value when one is needed. The name gets
// underscores.
struct argument {
    char name[NAME_SIZE];
    size_t len;
    const char *value; // NULL: none was given
};

static bool split(const char *text, struct argument *argument)
{
    if (strncmp(text, "--", 2) != 0 || text[2] == '\0')
        return false;
    const char *equals = strchr(text, '=');
    size_t len = equals == NULL ? strlen(text) - 2 : (size_t)(equals - text) - 2;
    if (len == 0 || len >= NAME_SIZE)
        return false;
    for (size_t i = 0; i < len; i++)
        argument->name[i] = text[2 + i] == '-' ? '_' : text[2 + i];
    argument->name[len] = '\0';
    argument->len = len;
    argument->value = equals == NULL ? NULL : equals + 1;
    return true;
}

static bool take_flag(struct options *options, struct api *api, const struct argument *argument)
{
    if (argument->value != NULL)
        return false;
    if (strcmp(argument->name, "help") == 0)
        options->help = true;
    else if (strcmp(argument->name, "no_calls") == 0)
        api->counters.keep_calls = false;
    else
        return false;
    return true;
}

static bool is_known(const char *name)
{
    if (strcmp(name, "listen") == 0 || strcmp(name, "fault") == 0)
        return true;
    for (size_t row = 0; settings_rows(row) != NULL; row++) {
        if (strcmp(settings_rows(row)->name, name) == 0)
            return true;
    }
    return false;
}

static bool take_value(
    struct options *options, struct api *api, const struct argument *argument, char *reason, size_t size)
{
    if (strcmp(argument->name, "listen") == 0) {
        options->listen = argument->value;
        return true;
    }
    if (strcmp(argument->name, "fault") == 0)
        return faults_add_text(&api->faults, argument->value, reason, size);
    return settings_set(&api->settings, argument->name, argument->len, argument->value, reason, size);
}

bool options_read(
    struct options *options, struct api *api, int argc, char **argv, char *error, size_t error_size)
{
    *options = (struct options){.listen = "127.0.0.1:8400"};
    for (int i = 1; i < argc; i++) {
        struct argument argument = {0};
        const char *text = argv[i];
        char reason[REASON_SIZE] = "";
        if (split(text, &argument) && take_flag(options, api, &argument))
            continue;
        if (!is_known(argument.name)) {
            snprintf(
                error, error_size, "%.60s: is not an option; expected one of those that --help lists", text);
            return false;
        }
        if (argument.value == NULL && ++i < argc)
            argument.value = argv[i];
        if (argument.value == NULL)
            snprintf(reason, sizeof reason, "has no value; expected one behind it");
        if (argument.value == NULL || !take_value(options, api, &argument, reason, sizeof reason)) {
            snprintf(error, error_size, "%.*s: %s", (int)argument.len + 2, text, reason);
            return false;
        }
    }
    return true;
}

void options_print_help(void)
{
    puts("Usage: impcert-simulator [OPTION]...\n"
         "Stands in for the Iamport (PortOne V1) REST API in tests.\n"
         "\n"
         "  --listen HOST:PORT        where to listen; port 0 takes a free one (default 127.0.0.1:8400)\n"
         "  --fault JSON              adds a fault rule, such as "
         "{\"kind\":\"status\",\"status\":503,\"percent\":10}\n"
         "  --no-calls                does not count the calls by imp_uid\n"
         "  --help                    prints this and ends\n"
         "\n"
         "These can also be changed while it runs, by PUT /_control/settings:");
    struct settings defaults;
    settings_init(&defaults);
    for (size_t row = 0; settings_rows(row) != NULL; row++) {
        char option[NAME_SIZE * 2], value[SETTINGS_TEXT];
        settings_get(&defaults, row, value, sizeof value);
        snprintf(option, sizeof option, "--%s %s", settings_rows(row)->name, settings_rows(row)->kind);
        for (char *c = option; *c != ' '; c++)
            *c = *c == '_' ? '-' : *c;
        printf("  %-25s %s (default %s)\n", option, settings_rows(row)->help, value);
    }
    puts(
        "\nDURATION is a whole number with ms, s, m or h. The first line of output is \"listening on URL\".");
}
