/* From the options of a handle to the configuration of its producer, by way of the settings. Any thread. */
#include "common/kafka.h"
#include "producer/impcert_handle.h"
#include "producer/producer_conf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY_NAME "libimpcert"

/* Callers built against an older header have a shorter structure: what it lacks is as if not set. */
static struct impcert_options impcert_options_copy(const struct impcert_options *given)
{
    struct impcert_options options = IMPCERT_OPTIONS_INIT;
    if (given)
        memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    else
        options.environment = 1;
    return options;
}

static bool impcert_options_number(
    rd_kafka_conf_t *conf, const char *property, uint32_t number, struct impcert_error *error)
{
    char text[16], why[256];
    if (!number)
        return true;
    snprintf(text, sizeof text, "%" PRIu32, number);
    if (rd_kafka_conf_set(conf, property, text, why, sizeof why) == RD_KAFKA_CONF_OK)
        return true;
    impcert_error_set(error, IMPCERT_INVALID, "%s: %s", property, why);
    return false;
}

static bool impcert_options_numbers(
    rd_kafka_conf_t *conf, const struct impcert_options *options, struct impcert_error *error)
{
    return impcert_options_number(conf, "queue.buffering.max.messages", options->queue_events, error) &&
           impcert_options_number(conf, "queue.buffering.max.kbytes", options->queue_kib, error) &&
           impcert_options_number(conf, "message.timeout.ms", options->timeout_ms, error);
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
    if (*topic && impcert_options_numbers(conf, options, error))
        return conf;
    if (!*topic)
        impcert_error_set(error, IMPCERT_NO_MEMORY, "out of memory");
    free(*topic);
    rd_kafka_conf_destroy(conf);
    return NULL;
}

/* "  IMPCERT_TOPIC: ...\n" for each; without the first indent and the last newline. */
static void impcert_options_tell(struct faults *faults, struct impcert_error *error)
{
    if (faults->out)
        fflush(faults->out);
    const char *text = faults->text ? faults->text : "out of memory";
    size_t length = strlen(text);
    while (length && text[length - 1] == '\n')
        length--;
    size_t indent = strspn(text, " ");
    impcert_error_set(error, IMPCERT_INVALID, "%.*s", (int)(length - indent), text + indent);
}

rd_kafka_conf_t *impcert_options_conf(
    const struct impcert_options *given, char **topic, struct impcert_error *error)
{
    struct impcert_options options = impcert_options_copy(given);
    const struct program program = {
        .id = PROGRAM_LIBRARY, .name = options.program ? options.program : LIBRARY_NAME};
    const struct setting_given values[] = {{"IMPCERT_KAFKA_BROKERS", options.brokers},
        {"IMPCERT_TOPIC", options.topic}, {"IMPCERT_KAFKA_CONFIG", options.kafka_config}, {NULL, NULL}};
    struct faults faults;
    faults_init(&faults);
    struct settings *settings = settings_open(&program, values, options.environment, &faults);
    rd_kafka_conf_t *conf = settings ? impcert_options_from(settings, &options, topic, error) : NULL;
    if (!settings)
        impcert_options_tell(&faults, error);
    settings_free(settings);
    faults_cleanup(&faults);
    return conf;
}
