/* Kafka clients: configuration from settings and property file, and librdkafka's log lines in our log.
 * Configurations are made on the main thread or by their worker; the log callback runs on librdkafka's own
 * threads and only logs. */
#include "common/kafka.h"

#include "common/log.h"
#include "common/secret.h"
#include "common/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define CLIENT_ID_SIZE 256
#define LINE_SIZE 4096 /* of a property file, before more memory is needed */

/* Owned by IMPCERT_KAFKA_BROKERS: a file shared with kcat has them too, so there they are passed over. */
static bool is_brokers_property(const char *name)
{
    return strcmp(name, "bootstrap.servers") == 0 || strcmp(name, "metadata.broker.list") == 0;
}

static enum log_level level_of(int syslog_level)
{
    if (syslog_level <= LOG_ERR)
        return LOG_LEVEL_ERROR;
    if (syslog_level == LOG_WARNING)
        return LOG_LEVEL_WARN;
    return syslog_level == LOG_DEBUG ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
}

/* One property file serves producers and consumers, and each is told of the properties that are the other's.
 * A failed connection comes to error_cb with the same words; a request without an answer is sent again, and
 * counted (impcert_kafka_request_timeouts_total). The first transaction of a cluster finds no
 * coordinator at first; what comes of it is in the answer to whoever waits for it. */
bool kafka_is_told_elsewhere(const char *facility, const char *text)
{
    if (strcmp(facility, "CONFWARN") == 0)
        return strstr(text, "property and will be ignored by this");
    if (strcmp(facility, "GETPID") == 0)
        return strstr(text, "retrying");
    if (strcmp(facility, "REQTMOUT") == 0)
        return true;
    return strcmp(facility, "FAIL") == 0;
}

static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    enum log_level own_level = kafka_is_told_elsewhere(facility, text) ? LOG_LEVEL_DEBUG : level_of(level);
    if (!log_enabled(own_level))
        return;
    log_fields(own_level, "kafka client", LOG_TEXT("facility", facility),
        LOG_TEXT("client", client ? rd_kafka_name(client) : ""), LOG_TEXT("detail", text), LOG_END);
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

/* What librdkafka says of a refused value, without the value: it may be a password in the wrong place. */
static const char *without_value(const char *reason)
{
    const char *range = strstr(reason, "outside allowed range");
    if (!range)
        range = strstr(reason, "not supported in this build");
    return range ? range : "its value is not valid";
}

static bool set_property(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *error)
{
    char reason[512], shown[128];
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, reason, sizeof reason);
    if (result == RD_KAFKA_CONF_OK)
        return true;
    utf8_escape(name, strlen(name), shown, sizeof shown);
    if (result == RD_KAFKA_CONF_UNKNOWN)
        return error_set(error, "no such Kafka property: \"%s\"", shown);
    reason[strcspn(reason, "\n")] = '\0';
    return error_set(error, "Kafka property %s: %.200s", shown, without_value(reason));
}

static bool set_all(rd_kafka_conf_t *conf, const struct kafka_property *list, struct error *error)
{
    for (; list && list->name; list++)
        if (!set_property(conf, list->name, list->value, error))
            return false;
    return true;
}

static bool is_listed(const struct kafka_property *list, const char *name)
{
    for (; list && list->name; list++)
        if (strcmp(list->name, name) == 0)
            return true;
    return false;
}

static bool take_line(
    rd_kafka_conf_t *conf, char *line, const struct kafka_property *fixed, struct error *error)
{
    char *name = trim(line);
    if (!*name || *name == '#')
        return true;
    char *equals = strchr(name, '=');
    if (!equals || equals == name)
        return error_set(error, "expected key=value, or # and a comment");
    *equals = '\0';
    name = trim(name);
    char *value = trim(equals + 1);
    if (strncmp(name, "topic.", 6) == 0 && strncmp(name, "topic.metadata.", 15) != 0 &&
        strcmp(name, "topic.blacklist") != 0)
        name +=
            6; /* kcat's way to name a property of topics, which rd_kafka_conf_set takes by its own name */
    if (is_brokers_property(name))
        return true;
    if (is_listed(fixed, name))
        return error_set(error, "Kafka property %s is fixed by the program, expected no such line", name);
    return set_property(conf, name, value, error);
}

static bool take_file(
    rd_kafka_conf_t *conf, const char *path, const struct kafka_property *fixed, struct error *error)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(error, "%s: %s", path, strerror(errno));
    /* Passwords pass through both, and nowhere else. */
    char buffer[BUFSIZ];
    setvbuf(file, buffer, _IOFBF, sizeof buffer);
    size_t size = LINE_SIZE;
    char *line = malloc(size);
    ssize_t length;
    struct error why;
    bool ok = line || error_set(error, "out of memory");
    for (unsigned number = 1; ok && (length = getline(&line, &size, file)) >= 0; number++) {
        ok = strlen(line) == (size_t)length ? take_line(conf, line, fixed, &why)
                                            : error_set(&why, "expected text, not a NUL byte");
        if (!ok)
            error_set(error, "%.200s:%u: %.280s", path, number, why.text);
        explicit_bzero(line, (size_t)length);
    }
    secret_wipe(line);
    /* getline ends without either where there is no memory for a line. */
    if (ok && !feof(file))
        ok = error_set(error, "%s: %s", path, strerror(errno));
    fclose(file);
    explicit_bzero(buffer, sizeof buffer);
    return ok;
}

/* program/host: what the broker's logs and quotas know a client by. */
static void make_client_id(const struct settings *settings, char out[static CLIENT_ID_SIZE])
{
    char host[65] = "";
    gethostname(host, sizeof host - 1);
    snprintf(out, CLIENT_ID_SIZE, "%s/%s", settings_program(settings), host);
}

rd_kafka_conf_t *kafka_conf_new(const struct settings *settings, const struct kafka_property *defaults,
    const struct kafka_property *fixed, struct error *error)
{
    char client_id[CLIENT_ID_SIZE];
    make_client_id(settings, client_id);
    const struct kafka_property identity[] = {{"client.id", client_id}, {"client.software.name", "impcert"},
        {"client.software.version", IMPCERT_VERSION}, {NULL, NULL}};
    const struct kafka_property brokers[] = {
        {"bootstrap.servers", settings_text(settings, SETTING_KAFKA_BROKERS)}, {NULL, NULL}};
    const char *path = settings_text(settings, SETTING_KAFKA_CONFIG);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, on_log);
    /* Before 2.0 librdkafka does not look at the host name by itself; without TLS it knows no such property.
     */
    rd_kafka_conf_set(conf, "ssl.endpoint.identification.algorithm", "https", NULL, 0);
    if (set_all(conf, identity, error) && set_all(conf, defaults, error) &&
        (!path || take_file(conf, path, fixed, error)) && set_all(conf, brokers, error) &&
        set_all(conf, fixed, error))
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

void kafka_conf_check(const struct settings *settings, const struct kafka_property *defaults,
    const struct kafka_property *fixed, struct faults *faults)
{
    struct error error;
    rd_kafka_conf_t *conf = kafka_conf_new(settings, defaults, fixed, &error);
    if (conf)
        rd_kafka_conf_destroy(conf);
    else
        faults_add(faults, "IMPCERT_KAFKA_CONFIG", "%s", error.text);
}

bool kafka_each_file(
    const struct settings *settings, bool (*take)(void *context, const char *path), void *context)
{
    static const char *const properties[] = {"ssl.ca.location", "ssl.certificate.location",
        "ssl.key.location", "ssl.keystore.location", "ssl.crl.location", "sasl.kerberos.keytab"};
    struct error error;
    rd_kafka_conf_t *conf = kafka_conf_new(settings, NULL, NULL, &error);
    bool ok = conf;
    for (size_t i = 0; ok && i < sizeof properties / sizeof *properties; i++) {
        char path[4096];
        size_t size = sizeof path;
        if (rd_kafka_conf_get(conf, properties[i], path, &size) == RD_KAFKA_CONF_OK && *path)
            ok = take(context, path);
    }
    if (conf)
        rd_kafka_conf_destroy(conf);
    return ok;
}

rd_kafka_t *kafka_open(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct error *error)
{
    char reason[512];
    rd_kafka_t *client = rd_kafka_new(type, conf, reason, sizeof reason);
    if (client)
        return client;
    rd_kafka_conf_destroy(conf);
    error_set(error, "Kafka client: %.480s", reason);
    return NULL;
}

bool kafka_acknowledged(const rd_kafka_message_t *report)
{
    return !report->err && report->offset >= 0;
}
