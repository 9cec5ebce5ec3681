/* Values of the settings: environment variable, file or default, each checked against its row, then against
 * each other. Runs on the main thread before any other; settings_values_load also later, on any. */
#include "common/settings_values.h"

#include "common/secret.h"
#include "common/settings_check.h"
#include "common/settings_names.h"
#include "common/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define FILE_LIMIT 65536
#define FILE_LIMIT_TEXT "64 KiB"

/* Reads until the end or until buffer is full; the number of bytes, or -1. */
static ssize_t read_all(int file, char *buffer, size_t size)
{
    size_t used = 0;
    while (used < size) {
        ssize_t got = read(file, buffer + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        used += (size_t)got;
    }
    return (ssize_t)used;
}

/* Makes text of the bytes of a file, in place. */
static bool close_text(char *bytes, size_t length, const char *path, struct error *why)
{
    if (length > FILE_LIMIT)
        return error_set(why, "file %s holds more than " FILE_LIMIT_TEXT, path);
    if (memchr(bytes, '\0', length))
        return error_set(why, "file %s holds a NUL byte, expected text", path);
    while (length && (bytes[length - 1] == '\n' || bytes[length - 1] == '\r'))
        length--;
    if (length == 0)
        return error_set(why, "file %s is empty, expected the value", path);
    bytes[length] = '\0';
    return true;
}

char *settings_values_load(const char *path, struct error *why)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0) {
        error_set(why, "file %s can't be read: %s", path, strerror(errno));
        return NULL;
    }
    char *bytes = malloc(FILE_LIMIT + 1);
    ssize_t length = bytes ? read_all(file, bytes, FILE_LIMIT + 1) : -1;
    if (length < 0)
        error_set(why, "file %s can't be read: %s", path, strerror(errno));
    close(file);
    if (length < 0 || !close_text(bytes, (size_t)length, path, why)) {
        secret_wipe(bytes);
        return NULL;
    }
    return bytes;
}

bool settings_values_owns(const struct settings *settings, enum setting setting)
{
    return settings_table[setting].programs & settings->program->id;
}

/* A variable that is set to nothing counts as not set, but where nothing is a value. */
static const char *environment(const struct settings *settings, const char *name, bool may_be_empty)
{
    const char *text = settings->without_environment ? NULL : getenv(name);
    return text && (*text || may_be_empty) ? text : NULL;
}

/* What the caller of settings_open gave by name. */
static const char *given(const struct settings *settings, const char *name)
{
    for (const struct setting_given *one = settings->given; one && one->name; one++)
        if (one->value && strcmp(one->name, name) == 0)
            return one->value;
    return NULL;
}

static void report_missing(
    const struct settings *settings, const struct setting_row *row, struct faults *faults)
{
    char similar[SETTING_NAME_SIZE];
    if (!settings->without_environment && settings_names_similar(row->name, similar))
        faults_add(faults, row->name, "not set (%s is, a misspelling?), expected %s", similar, row->help);
    else
        faults_add(faults, row->name, "not set, expected %s", row->help);
}

static char *keep(const struct setting_row *row, const char *text)
{
    return row->secret ? secret_text(text) : strdup(text);
}

static void drop(const struct setting_row *row, struct setting_value *value)
{
    if (row->secret)
        secret_free(value->text);
    else
        free(value->text);
    value->text = NULL;
}

static char *load(const struct setting_row *row, const char *path, struct error *why)
{
    char *loaded = settings_values_load(path, why);
    if (!loaded || !row->secret)
        return loaded;
    char *text = secret_text(loaded);
    secret_wipe(loaded);
    if (!text)
        error_set(why, "out of memory");
    return text;
}

/* A setting that is given must not count as one that is not. */
static bool has_memory(const struct setting_row *row, const char *copy, struct faults *faults)
{
    if (!copy)
        faults_add(faults, row->name, "out of memory");
    return copy;
}

static bool take_file(const struct setting_row *row, struct setting_value *value, const char *path,
    const char *file_name, struct faults *faults)
{
    struct error why;
    value->origin = ORIGIN_FILE;
    value->file = strdup(path);
    if (!has_memory(row, value->file, faults))
        return false;
    value->text = load(row, path, &why);
    if (!value->text)
        faults_add(faults, file_name, "%s", why.text);
    return value->text;
}

static bool take_default(const struct settings *settings, const struct setting_row *row,
    struct setting_value *value, struct faults *faults)
{
    char computed[SETTING_DEFAULT_SIZE];
    const char *text = row->fallback;
    if (row->compute) {
        const char *base = settings->values[row->base].text;
        row->compute(base ? base : "", computed);
        text = computed;
    }
    if (!text && row->required)
        report_missing(settings, row, faults);
    if (!text)
        return false;
    value->origin = ORIGIN_DEFAULT;
    value->text = keep(row, text);
    return has_memory(row, value->text, faults);
}

/* Fills value from where it is given; false where there is none, or after a fault. */
static bool take_value(const struct settings *settings, const struct setting_row *row,
    struct setting_value *value, struct faults *faults)
{
    char file_name[SETTING_NAME_SIZE];
    snprintf(file_name, sizeof file_name, "%s" SETTING_FILE_SUFFIX, row->name);
    const char *own = given(settings, row->name);
    const char *text = own ? own : environment(settings, row->name, row->may_be_empty);
    const char *file = own ? NULL : environment(settings, file_name, false);
    if (text && file) {
        faults_add(faults, row->name, "given twice, also by %s; expected one of the two", file_name);
        return false;
    }
    if (file)
        return take_file(row, value, file, file_name, faults);
    if (!text)
        return take_default(settings, row, value, faults);
    value->text = keep(row, text);
    value->origin = own ? ORIGIN_GIVEN : ORIGIN_ENVIRONMENT;
    return has_memory(row, value->text, faults);
}

static void read_setting(struct settings *settings, enum setting setting, struct faults *faults)
{
    const struct setting_row *row = &settings_table[setting];
    struct setting_value *value = &settings->values[setting];
    struct error why;
    if (!take_value(settings, row, value, faults) || settings_check(row, value->text, &value->number, &why))
        return;
    const char *origin = value->origin == ORIGIN_FILE      ? "from its file: "
                         : value->origin == ORIGIN_DEFAULT ? "by default: "
                                                           : "";
    faults_add(faults, row->name, "%s%s", origin, why.text);
    drop(row, value);
}

static const char *default_mark(const struct setting_value *value)
{
    return value->origin == ORIGIN_DEFAULT ? " (its default)" : "";
}

/* Kafka takes topic names of at most 249 characters, and those of the retry tiers are made of ours. */
static void check_topics(const struct setting_value *values, struct faults *faults)
{
    enum { TOPIC_MOST = 249, RETRY_INFIX = sizeof ".retry." - 1 };
    const struct setting_value *topic = &values[SETTING_TOPIC], *dlq = &values[SETTING_DLQ_TOPIC];
    const char *delays = values[SETTING_RETRY_DELAYS].text;
    if (!topic->text)
        return;
    if (dlq->text && strcmp(topic->text, dlq->text) == 0)
        faults_add(faults, settings_table[SETTING_DLQ_TOPIC].name, "\"%s\" is %s too, expected another topic",
            dlq->text, settings_table[SETTING_TOPIC].name);
    size_t length = strlen(topic->text);
    char delay[SETTING_DURATION_SIZE];
    int64_t ms;
    for (size_t i = 0; delays && settings_list_duration(delays, i, delay, sizeof delay, &ms); i++) {
        if (dlq->text && strncmp(dlq->text, topic->text, length) == 0 &&
            strncmp(dlq->text + length, ".retry.", RETRY_INFIX) == 0 &&
            strcmp(dlq->text + length + RETRY_INFIX, delay) == 0)
            faults_add(faults, settings_table[SETTING_DLQ_TOPIC].name,
                "\"%s\" is a retry topic of %s too, expected another topic", dlq->text,
                settings_table[SETTING_RETRY_DELAYS].name);
        if (length + RETRY_INFIX + strlen(delay) > TOPIC_MOST)
            faults_add(faults, settings_table[SETTING_TOPIC].name,
                "the retry topic \"....retry.%s\" would be longer than %d, expected a shorter topic", delay,
                TOPIC_MOST);
    }
}

/* The key pair, the token and what Iamport tells of a person go over this connection. */
static void check_iamport_url(const struct setting_value *values, struct faults *faults)
{
    const struct setting_value *url = &values[SETTING_IAMPORT_URL], *allow = &values[SETTING_ALLOW_HTTP];
    if (!url->text || !allow->text || allow->number || strncasecmp(url->text, "http://", 7) != 0)
        return;
    char shown[128];
    utf8_escape(url->text, strlen(url->text), shown, sizeof shown);
    faults_add(faults, settings_table[SETTING_IAMPORT_URL].name,
        "\"%s\" would send the key pair and personal data in clear text, expected https://, or %s=true where "
        "nobody can listen",
        shown, settings_table[SETTING_ALLOW_HTTP].name);
}

static void check_together(const struct settings *settings, struct faults *faults)
{
    const struct setting_value *values = settings->values;
    const struct setting_value *backoff = &values[SETTING_BACKOFF], *most = &values[SETTING_BACKOFF_MAX];
    if (backoff->text && most->text && backoff->number > most->number)
        faults_add(faults, settings_table[SETTING_BACKOFF].name, "%s%s, expected at most %s, which is %s%s",
            backoff->text, default_mark(backoff), settings_table[SETTING_BACKOFF_MAX].name, most->text,
            default_mark(most));
    check_topics(values, faults);
    check_iamport_url(values, faults);
}

void settings_values_read(struct settings *settings, struct faults *faults)
{
    for (int setting = 0; setting < SETTING_COUNT; setting++)
        if (settings_values_owns(settings, (enum setting)setting))
            read_setting(settings, (enum setting)setting, faults);
    check_together(settings, faults);
    if (!settings->without_environment)
        settings_names_check(faults);
}

bool settings_values_hidden(const struct settings *settings, enum setting setting)
{
    return settings_table[setting].secret && settings->values[setting].origin == ORIGIN_ENVIRONMENT &&
           settings->values[setting].text;
}

/* What is read anew whenever it is needed is not kept. */
static void forget(struct settings *settings, enum setting setting)
{
    const struct setting_row *row = &settings_table[setting];
    struct setting_value *value = &settings->values[setting];
    if (row->secret && row->reread && value->origin == ORIGIN_FILE && value->text)
        explicit_bzero(value->text, strlen(value->text));
}

void settings_values_hide(struct settings *settings)
{
    for (int setting = 0; setting < SETTING_COUNT; setting++) {
        const char *name = settings_table[setting].name;
        forget(settings, (enum setting)setting);
        char *shown = settings_values_hidden(settings, (enum setting)setting) ? getenv(name) : NULL;
        if (!shown)
            continue;
        explicit_bzero(shown, strlen(shown));
        unsetenv(name);
    }
}

void settings_values_cleanup(struct settings *settings)
{
    for (int setting = 0; setting < SETTING_COUNT; setting++) {
        struct setting_value *value = &settings->values[setting];
        drop(&settings_table[setting], value);
        free(value->file);
        *value = (struct setting_value){0};
    }
}
