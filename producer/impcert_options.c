/* From the options of a handle to the configuration of its producer, by way of the settings. Any thread. */
#include "common/kafka.h"
#include "producer/impcert_handle.h"
#include "producer/producer_conf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY_NAME "libimpcert"
/* No later release will add more bytes to a structure: such a size was never set. */
#define GROWTH_MOST 1024

bool impcert_copy(void *own, size_t size, const void *given, size_t given_size, size_t least,
    const char *what, struct impcert_error *error)
{
    if (given_size < least || given_size > size + GROWTH_MOST) {
        impcert_error_set(error, IMPCERT_INVALID,
            "%s: size is %zu, expected the one that its initializer sets", what, given_size);
        return false;
    }
    for (size_t i = size; i < given_size; i++) {
        if (!((const char *)given)[i])
            continue;
        impcert_error_set(error, IMPCERT_INVALID,
            "%s: a member is set that version " IMPCERT_VERSION " of the library does not have", what);
        return false;
    }
    memcpy(own, given, given_size < size ? given_size : size);
    return true;
}

bool impcert_options_copy(
    const struct impcert_options *given, struct impcert_options *options, struct impcert_error *error)
{
    const size_t least = offsetof(struct impcert_options, log_context) + sizeof given->log_context;
    *options = (struct impcert_options)IMPCERT_OPTIONS_INIT;
    if (given)
        return impcert_copy(
            options, sizeof *options, given, given->size, least, "struct impcert_options", error);
    options->environment = 1;
    return true;
}

/* The numbers, as far as they are given, and their properties. */
struct number {
    const char *name, *property;
    uint32_t value;
};

enum { NUMBERS = 3 };

static void impcert_options_numbers(const struct impcert_options *options, struct number numbers[NUMBERS])
{
    numbers[0] = (struct number){"queue_events", "queue.buffering.max.messages", options->queue_events};
    numbers[1] = (struct number){"queue_kib", "queue.buffering.max.kbytes", options->queue_kib};
    numbers[2] = (struct number){"timeout_ms", "message.timeout.ms", options->timeout_ms};
}

static void impcert_options_check(const struct impcert_options *options, struct faults *faults)
{
    struct number numbers[NUMBERS];
    impcert_options_numbers(options, numbers);
    for (int i = 0; i < NUMBERS; i++)
        if (numbers[i].value > INT32_MAX)
            faults_add(faults, numbers[i].name, "%" PRIu32 ", expected at most %" PRId32, numbers[i].value,
                INT32_MAX);
}

static bool impcert_options_set(
    rd_kafka_conf_t *conf, const struct impcert_options *options, struct impcert_error *error)
{
    struct number numbers[NUMBERS];
    char text[16], why[256];
    impcert_options_numbers(options, numbers);
    for (int i = 0; i < NUMBERS; i++) {
        snprintf(text, sizeof text, "%" PRIu32, numbers[i].value);
        if (!numbers[i].value ||
            rd_kafka_conf_set(conf, numbers[i].property, text, why, sizeof why) == RD_KAFKA_CONF_OK)
            continue;
        impcert_error_set(error, IMPCERT_INVALID, "%s: %s", numbers[i].name, why);
        return false;
    }
    return true;
}

size_t impcert_options_bytes(const rd_kafka_conf_t *conf)
{
    char kib[32] = "";
    size_t size = sizeof kib;
    rd_kafka_conf_get(conf, "queue.buffering.max.kbytes", kib, &size);
    return (size_t)strtoull(kib, NULL, 10) * 1024;
}

static rd_kafka_conf_t *impcert_options_from(const struct settings *settings,
    const struct impcert_options *options, char **topic, struct impcert_error *error)
{
    struct error why;
    rd_kafka_conf_t *conf = producer_conf_new(settings, &why);
    if (!conf) {
        impcert_error_set(error, IMPCERT_INVALID, "IMPCERT_KAFKA_CONFIG: %s", why.text);
        return NULL;
    }
    *topic = strdup(settings_text(settings, SETTING_TOPIC));
    if (*topic && impcert_options_set(conf, options, error))
        return conf;
    if (!*topic)
        impcert_error_set(error, IMPCERT_NO_MEMORY, "out of memory");
    free(*topic);
    rd_kafka_conf_destroy(conf);
    return NULL;
}

/* "  IMPCERT_TOPIC: ...\n" for each, without the indents and the last newline. */
static void impcert_options_tell(struct faults *faults, struct impcert_error *error)
{
    char text[sizeof error->text];
    size_t length = 0;
    if (faults->out)
        fflush(faults->out);
    const char *from = faults->text ? faults->text : "out of memory";
    while (*from && length < sizeof text - 1) {
        if (length == 0 || text[length - 1] == '\n')
            from += strspn(from, " ");
        text[length++] = *from++;
    }
    if (length && text[length - 1] == '\n')
        length--;
    impcert_error_set(error, IMPCERT_INVALID, "%.*s", (int)length, text);
}

rd_kafka_conf_t *impcert_options_conf(
    const struct impcert_options *options, char **topic, struct impcert_error *error)
{
    const struct program program = {
        .id = PROGRAM_LIBRARY, .name = options->program ? options->program : LIBRARY_NAME};
    const struct setting_given values[] = {{"IMPCERT_KAFKA_BROKERS", options->brokers},
        {"IMPCERT_TOPIC", options->topic}, {"IMPCERT_KAFKA_CONFIG", options->kafka_config}, {NULL, NULL}};
    struct faults faults;
    faults_init(&faults);
    impcert_options_check(options, &faults);
    struct settings *settings = settings_open(&program, values, options->environment, &faults);
    rd_kafka_conf_t *conf = settings ? impcert_options_from(settings, options, topic, error) : NULL;
    if (!settings)
        impcert_options_tell(&faults, error);
    settings_free(settings);
    faults_cleanup(&faults);
    return conf;
}
