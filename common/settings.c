/* Settings of a program: its command line, and access to the values. settings_start runs on the main thread
 * before any other; what it returns does not change, so the rest is for any thread. */
#include "common/settings.h"

#include "common/descriptors.h"
#include "common/log.h"
#include "common/secret.h"
#include "common/settings_check.h"
#include "common/settings_print.h"
#include "common/settings_values.h"
#include "common/utf8.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2
#define OWN_OPTIONS_MOST 16

/* What the command line asks for besides the program's work. */
enum request {
    REQUEST_RUN,
    REQUEST_HELP,
    REQUEST_VERSION,
    REQUEST_CHECK,
    REQUEST_PRINT,
    REQUEST_OWN, /* an option of the program's own that prints */
    REQUEST_INVALID
};

struct command_line {
    enum request request;
    const struct program *program; /* whose settings are read */
    void (*print)(FILE *out);      /* for REQUEST_OWN */
};

/* getopt_long values of the program's own options, behind those of enum request. */
#define OWN_OPTION_FIRST 256

static enum request refuse(const struct program *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum request refuse(const struct program *program, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s: %s\nTry '%s --help' for the options and settings.\n", program->name, text,
        program->name);
    return REQUEST_INVALID;
}

/* getopt_long leaves the letter of a short option in optopt, the value of a known long one, and 0 for an
 * unknown one. */
static enum request refuse_option(const struct program *program, char **argv, bool argument_missing)
{
    bool is_long = optopt < ' ' || optopt >= OWN_OPTION_FIRST;
    char letter[] = {'-', (char)optopt, '\0'}, shown[128];
    const char *option = is_long ? argv[optind - 1] : letter;
    utf8_escape(option, strcspn(option, "="), shown, sizeof shown);
    if (argument_missing)
        return refuse(program, "option '%s' needs a value", shown);
    if (is_long && optopt != 0)
        return refuse(program, "option '%s' takes no value", shown);
    return refuse(program, "unknown option '%s'", shown);
}

static void list_options(const struct program *program, struct option *options)
{
    static const struct option common[] = {{"help", no_argument, NULL, REQUEST_HELP},
        {"version", no_argument, NULL, REQUEST_VERSION}, {"check-config", no_argument, NULL, REQUEST_CHECK},
        {"print-config", no_argument, NULL, REQUEST_PRINT}};
    memcpy(options, common, sizeof common);
    options += sizeof common / sizeof *common;
    for (int i = 0; program->options && program->options[i].name; i++) {
        assert(i < OWN_OPTIONS_MOST);
        int argument = program->options[i].argument ? required_argument : no_argument;
        *options++ = (struct option){program->options[i].name, argument, NULL, OWN_OPTION_FIRST + i};
    }
    *options = (struct option){0};
}

static enum request take_own_option(const struct program *program, const struct program_option *option,
    const char *value, struct command_line *line)
{
    struct error why;
    if (option->take && !option->take(option->context, value, &why))
        return refuse(program, "--%s: %s", option->name, why.text);
    if (option->instead)
        line->program = option->instead;
    if (!option->print)
        return line->request;
    line->print = option->print;
    return REQUEST_OWN;
}

static enum request read_command_line(
    const struct program *program, int argc, char **argv, struct command_line *line)
{
    struct option options[4 + OWN_OPTIONS_MOST + 1];
    list_options(program, options);
    *line = (struct command_line){.request = REQUEST_RUN, .program = program};
    optind = 0; /* start over, also for the second program of one process, as tests have */
    for (;;) {
        int option = getopt_long(argc, argv, ":h", options, NULL);
        if (option < 0)
            break;
        if (option == '?' || option == ':')
            return refuse_option(program, argv, option == ':');
        if (option >= OWN_OPTION_FIRST)
            line->request =
                take_own_option(program, &program->options[option - OWN_OPTION_FIRST], optarg, line);
        else
            line->request = option == 'h' ? REQUEST_HELP : (enum request)option;
        if (line->request == REQUEST_INVALID)
            return REQUEST_INVALID;
    }
    if (optind < argc && !program->operands) {
        char shown[128];
        utf8_escape(argv[optind], strlen(argv[optind]), shown, sizeof shown);
        return refuse(program, "takes no operands, but '%s' is given", shown);
    }
    return line->request;
}

/* Closed by hand, or a full disk: the person would otherwise take half an answer for the whole. */
static int finish_stdout(const struct program *program)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_SUCCESS;
    fprintf(stderr, "%s: standard output: %s\n", program->name, strerror(errno));
    return EXIT_FAILURE;
}

static void print_faults(const struct program *program, struct faults *faults)
{
    char *text = NULL;
    size_t size = 0;
    if (faults->out)
        fflush(faults->out);
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return;
    fprintf(out, "%s: %u setting%s wrong:\n%s", program->name, faults->count,
        faults->count == 1 ? " is" : "s are", faults->text ? faults->text : "");
    fclose(out);
    fwrite(text, 1, size, stderr);
    free(text);
}

static struct settings *read_settings(const struct program *program)
{
    struct settings *settings = calloc(1, sizeof *settings);
    if (!settings) {
        fprintf(stderr, "%s: out of memory\n", program->name);
        return NULL;
    }
    settings->program = program;
    struct faults faults;
    faults_init(&faults);
    settings_values_read(settings, &faults);
    if (!faults.count && program->check)
        program->check(settings, &faults);
    if (faults.count) {
        print_faults(program, &faults);
        settings_free(settings);
        settings = NULL;
    }
    faults_cleanup(&faults);
    if (settings)
        settings_values_hide(settings);
    return settings;
}

/* Answers --check-config or --print-config; true where the program is to run. */
static bool go_on(enum request request, const struct settings *settings, int *exit_code)
{
    if (request == REQUEST_RUN)
        return true;
    if (request == REQUEST_CHECK)
        puts("configuration ok");
    else
        settings_print_config(stdout, settings);
    *exit_code = finish_stdout(settings->program);
    return false;
}

/* True where that is all the program is to do. */
static bool print_without_settings(const struct program *program, const struct command_line *line)
{
    if (line->request == REQUEST_HELP)
        settings_print_help(stdout, program);
    else if (line->request == REQUEST_VERSION)
        settings_print_version(stdout, program);
    else if (line->request == REQUEST_OWN)
        line->print(stdout);
    else
        return false;
    return true;
}

struct settings *settings_start(const struct program *program, int argc, char **argv, int *exit_code)
{
    descriptors_guard();
    secret_guard();
    *exit_code = EXIT_USAGE;
    struct command_line line;
    if (read_command_line(program, argc, argv, &line) == REQUEST_INVALID)
        return NULL;
    if (print_without_settings(program, &line)) {
        *exit_code = finish_stdout(program);
        return NULL;
    }
    struct settings *settings = read_settings(line.program);
    if (!settings)
        return NULL;
    if (!go_on(line.request, settings, exit_code)) {
        settings_free(settings);
        return NULL;
    }
    bool json = strcmp(settings_text(settings, SETTING_LOG_FORMAT), "json") == 0;
    log_setup((enum log_level)settings_number(settings, SETTING_LOG_LEVEL),
        json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
    return settings;
}

struct settings *settings_open(
    const struct program *program, const struct setting_given *given, bool environment, struct faults *faults)
{
    struct settings *settings = calloc(1, sizeof *settings);
    if (!settings) {
        faults_add(faults, program->name, "out of memory");
        return NULL;
    }
    settings->program = program;
    settings->given = given;
    settings->without_environment = !environment;
    settings_values_read(settings, faults);
    settings->given = NULL;
    if (!faults->count && program->check)
        program->check(settings, faults);
    if (!faults->count)
        return settings;
    settings_free(settings);
    return NULL;
}

void settings_free(struct settings *settings)
{
    if (!settings)
        return;
    settings_values_cleanup(settings);
    free(settings);
}

void settings_try(const struct settings *settings, struct faults *faults)
{
    struct setting_given given[SETTING_COUNT + 1];
    size_t count = 0;
    for (int setting = 0; setting < SETTING_COUNT; setting++)
        if (settings_values_hidden(settings, (enum setting)setting))
            given[count++] =
                (struct setting_given){settings_table[setting].name, settings->values[setting].text};
    given[count] = (struct setting_given){0};
    settings_free(settings_open(settings->program, given, true, faults));
}

bool settings_each_file(
    const struct settings *settings, bool (*take)(void *context, const char *path), void *context)
{
    for (int setting = 0; setting < SETTING_COUNT; setting++) {
        const struct setting_row *row = &settings_table[setting];
        const struct setting_value *value = &settings->values[setting];
        if (row->reread)
            continue;
        if (value->origin == ORIGIN_FILE && !take(context, value->file))
            return false;
        if (row->type == SETTING_IS_FILE && value->text && !take(context, value->text))
            return false;
    }
    return true;
}

bool settings_restore_environment(const struct settings *settings)
{
    for (int setting = 0; setting < SETTING_COUNT; setting++)
        if (settings_values_hidden(settings, (enum setting)setting) &&
            setenv(settings_table[setting].name, settings->values[setting].text, 1) != 0)
            return false;
    return true;
}

const char *settings_program(const struct settings *settings)
{
    return settings->program->name;
}

const char *settings_text(const struct settings *settings, enum setting setting)
{
    assert(settings_values_owns(settings, setting));
    return settings->values[setting].text;
}

int64_t settings_number(const struct settings *settings, enum setting setting)
{
    assert(settings_values_owns(settings, setting));
    return settings->values[setting].number;
}

int64_t settings_ms(const struct settings *settings, enum setting setting)
{
    assert(settings_table[setting].type == SETTING_IS_DURATION);
    return settings_number(settings, setting);
}

bool settings_has_word(const struct settings *settings, enum setting setting, const char *word)
{
    const char *list = settings_text(settings, setting);
    return list && settings_list_has(list, word);
}

bool settings_duration_at(const struct settings *settings, enum setting setting, size_t index,
    char text[static SETTING_DURATION_SIZE], int64_t *ms)
{
    return settings_list_duration(settings_text(settings, setting), index, text, SETTING_DURATION_SIZE, ms);
}

bool settings_address(
    const struct settings *settings, enum setting setting, char host[static 256], uint16_t *port)
{
    const char *text = settings_text(settings, setting);
    return text && settings_split_address(text, host, port, 0);
}

static bool copy_value(const char *text, char *out, size_t size, struct error *error)
{
    size_t length = strlen(text);
    if (length >= size)
        return error_set(error, "the value has %zu bytes, at most %zu are taken", length, size - 1);
    memcpy(out, text, length + 1);
    return true;
}

bool settings_reread(
    const struct settings *settings, enum setting setting, char *out, size_t size, struct error *error)
{
    const struct setting_row *row = &settings_table[setting];
    const struct setting_value *value = &settings->values[setting];
    assert(settings_values_owns(settings, setting));
    if (value->origin == ORIGIN_NONE)
        return error_set(error, "%s is not set", row->name);
    if (value->origin != ORIGIN_FILE)
        return copy_value(value->text, out, size, error);
    struct error why;
    int64_t number;
    char *text = settings_values_load(value->file, &why);
    bool ok = text && settings_check(row, text, &number, &why) && copy_value(text, out, size, &why);
    if (!ok)
        error_set(error, "%s_FILE: %.400s", row->name, why.text);
    secret_wipe(text);
    return ok;
}
