/* The one table of settings, a row for each. Read-only; any thread. */
#include "common/settings_table.h"

#include "common/cores.h"

#include <stdio.h>
#include <unistd.h>

#define WORKER PROGRAM_WORKER
#define GATEWAY PROGRAM_GATEWAY
#define ERASE PROGRAM_ERASE
#define PROGRAMS (PROGRAM_WORKER | PROGRAM_PUBLISH | PROGRAM_GATEWAY | PROGRAM_REPLAY)
#define KAFKA (PROGRAMS | PROGRAM_LIBRARY | ERASE)
#define STORE (PROGRAM_WORKER | PROGRAM_VALIDATOR | ERASE)
#define LOG (PROGRAMS | PROGRAM_VALIDATOR | ERASE)

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"json", "text", NULL};
/* In the order of false and true: settings_number is 0 or 1. */
static const char *const booleans[] = {"false", "true", NULL};
static const char *const store_fields[] = {"name", "phone", "birth", "birthday", "gender", "carrier",
    "foreigner", "foreigner_v2", "merchant_uid", "pg_provider", "pg_tid", "origin", NULL};

static void compute_workers(const char *base, char *out)
{
    (void)base;
    snprintf(out, SETTING_DEFAULT_SIZE, "%u", cores_usable());
}

static void compute_dlq_topic(const char *base, char *out)
{
    snprintf(out, SETTING_DEFAULT_SIZE, "%s.dlq", base);
}

/* Of a database that is wrong, one fault is enough. */
static void compute_key_vault(const char *base, char *out)
{
    snprintf(out, SETTING_DEFAULT_SIZE, "%s.__keyVault", *base ? base : "impcert");
}

static void compute_log_format(const char *base, char *out)
{
    (void)base;
    snprintf(out, SETTING_DEFAULT_SIZE, "%s", isatty(STDERR_FILENO) ? "text" : "json");
}

/* clang-format off */
const struct setting_row settings_table[SETTING_COUNT] = {
    [SETTING_KAFKA_BROKERS] = {"IMPCERT_KAFKA_BROKERS", SETTING_IS_BROKERS, GROUP_KAFKA, KAFKA,
        .required = true,
        .help = "bootstrap servers, host:port,..."},
    [SETTING_KAFKA_CONFIG] = {"IMPCERT_KAFKA_CONFIG", SETTING_IS_FILE, GROUP_KAFKA, KAFKA,
        .help = "file of librdkafka properties, key=value (TLS, SASL, tuning)"},
    [SETTING_TOPIC] = {"IMPCERT_TOPIC", SETTING_IS_TOPIC, GROUP_KAFKA, KAFKA, .fallback = "certifications",
        .help = "topic of the events"},
    [SETTING_GROUP] = {"IMPCERT_GROUP", SETTING_IS_TEXT, GROUP_KAFKA, WORKER | ERASE, .fallback = "impcert",
        .most = 240, .help = "consumer group; the retry topics' is of this name and .retry"},
    [SETTING_INSTANCE_ID] = {"IMPCERT_INSTANCE_ID", SETTING_IS_INSTANCE, GROUP_KAFKA, WORKER,
        .help = "static membership: a lasting name, as a StatefulSet's pods have"},
    [SETTING_RETRY_DELAYS] = {"IMPCERT_RETRY_DELAYS", SETTING_IS_DURATIONS, GROUP_KAFKA, WORKER | ERASE,
        .fallback = "30s,5m,1h", .least = SECOND, .most = 7 * 24 * HOUR, .may_be_empty = true,
        .help = "retry tiers, topics <topic>.retry.<delay>; empty: none"},
    [SETTING_DLQ_TOPIC] = {"IMPCERT_DLQ_TOPIC", SETTING_IS_TOPIC, GROUP_KAFKA, WORKER | PROGRAM_REPLAY | ERASE,
        .compute = compute_dlq_topic, .base = SETTING_TOPIC, .computed_help = "<topic>.dlq",
        .help = "topic of the events that failed for good"},
    [SETTING_WORKERS] = {"IMPCERT_WORKERS", SETTING_IS_NUMBER, GROUP_WORK, WORKER, .least = 1, .most = 256,
        .compute = compute_workers, .computed_help = "usable cores",
        .help = "workers in the process"},
    [SETTING_IN_FLIGHT] = {"IMPCERT_IN_FLIGHT", SETTING_IS_NUMBER, GROUP_WORK, WORKER, .fallback = "1024",
        .least = 1, .most = 100000, .help = "events in flight per worker, the bound on memory"},
    [SETTING_ATTEMPTS] = {"IMPCERT_ATTEMPTS", SETTING_IS_NUMBER, GROUP_WORK, WORKER, .fallback = "4",
        .least = 1, .most = 100, .help = "tries of an event in the process"},
    [SETTING_BACKOFF] = {"IMPCERT_BACKOFF", SETTING_IS_DURATION, GROUP_WORK, WORKER, .fallback = "200ms",
        .least = 1, .most = HOUR, .help = "longest wait after the first try; it doubles with each"},
    [SETTING_BACKOFF_MAX] = {"IMPCERT_BACKOFF_MAX", SETTING_IS_DURATION, GROUP_WORK, WORKER,
        .fallback = "10s",
        .least = 1, .most = HOUR, .help = "longest wait after any try"},
    [SETTING_TIMEOUT] = {"IMPCERT_TIMEOUT", SETTING_IS_DURATION, GROUP_IAMPORT, WORKER, .fallback = "10s",
        .least = 1, .most = 10 * MINUTE, .help = "one HTTP call, from start to end"},
    [SETTING_CONNECT_TIMEOUT] = {"IMPCERT_CONNECT_TIMEOUT", SETTING_IS_DURATION, GROUP_IAMPORT, WORKER,
        .fallback = "3s", .least = 1, .most = 10 * MINUTE, .help = "its part for name, connection and TLS"},
    [SETTING_CA_FILE] = {"IMPCERT_CA_FILE", SETTING_IS_FILE, GROUP_IAMPORT, WORKER,
        .help = "PEM file of authorities to trust instead of the system's"},
    [SETTING_ALLOW_HTTP] = {"IMPCERT_ALLOW_HTTP", SETTING_IS_CHOICE, GROUP_IAMPORT, WORKER, .words = booleans,
        .fallback = "false", .help = "true: IAMPORT_URL may be http://, as in tests"},
    [SETTING_RATE_LIMIT] = {"IMPCERT_RATE_LIMIT", SETTING_IS_NUMBER, GROUP_IAMPORT, WORKER, .fallback = "0",
        .least = 0, .most = 1000000, .help = "HTTP calls a second of the whole process; 0: no limit"},
    [SETTING_DRAIN_TIMEOUT] = {"IMPCERT_DRAIN_TIMEOUT", SETTING_IS_DURATION, GROUP_PROCESS, WORKER | GATEWAY,
        .fallback = "25s", .least = 0, .most = HOUR, .help = "after SIGTERM, for what is in flight"},
    [SETTING_STORE_FIELDS] = {"IMPCERT_STORE_FIELDS", SETTING_IS_WORDS, GROUP_MONGODB, WORKER,
        .words = store_fields, .help = "further fields to keep, such as birthday,gender"},
    [SETTING_HTTP_LISTEN] = {"IMPCERT_HTTP_LISTEN", SETTING_IS_ADDRESS, GROUP_PROCESS, WORKER,
        .fallback = "127.0.0.1:9464", .help = "host:port of metrics and health, or off"},
    [SETTING_GATEWAY_LISTEN] = {"IMPCERT_HTTP_LISTEN", SETTING_IS_ADDRESS, GROUP_HTTP, GATEWAY,
        .fallback = "127.0.0.1:8080", .help = "host:port of POST /certifications, metrics and health"},
    [SETTING_TLS_CERT_FILE] = {"IMPCERT_TLS_CERT_FILE", SETTING_IS_FILE, GROUP_HTTP, GATEWAY,
        .reread = true,
        .help = "PEM file of a certificate and its chain, for HTTPS"},
    [SETTING_TLS_KEY_FILE] = {"IMPCERT_TLS_KEY_FILE", SETTING_IS_FILE, GROUP_HTTP, GATEWAY,
        .reread = true,
        .help = "PEM file of its private key"},
    [SETTING_GATEWAY_IN_FLIGHT] = {"IMPCERT_IN_FLIGHT", SETTING_IS_NUMBER, GROUP_WORK, GATEWAY,
        .fallback = "10000",
        .least = 1, .most = 1000000, .help = "events that wait for Kafka at once; beyond, 503 is answered"},
    [SETTING_PUBLISH_TIMEOUT] = {"IMPCERT_PUBLISH_TIMEOUT", SETTING_IS_DURATION, GROUP_WORK, GATEWAY,
        .fallback = "5s", .least = 10, .most = 10 * MINUTE, .help = "for Kafka to acknowledge an event; beyond, 503"},
    [SETTING_CONNECTIONS] = {"IMPCERT_CONNECTIONS", SETTING_IS_NUMBER, GROUP_HTTP, GATEWAY, .fallback = "20000",
        .least = 1, .most = 1000000, .help = "connections of all clients"},
    [SETTING_CLIENT_CONNECTIONS] = {"IMPCERT_CLIENT_CONNECTIONS", SETTING_IS_NUMBER, GROUP_HTTP, GATEWAY,
        .fallback = "1000",
        .least = 0, .most = 1000000, .help = "of one address, such as a proxy's; 0: no limit"},
    [SETTING_REQUEST_TIMEOUT] = {"IMPCERT_REQUEST_TIMEOUT", SETTING_IS_DURATION, GROUP_HTTP, GATEWAY,
        .fallback = "10s", .least = 10, .most = HOUR, .help = "for a request to come in whole"},
    [SETTING_IDLE_TIMEOUT] = {"IMPCERT_IDLE_TIMEOUT", SETTING_IS_DURATION, GROUP_HTTP, GATEWAY,
        .fallback = "1m", .least = 1 * SECOND, .most = HOUR, .help = "until a connection without a request is closed"},
    [SETTING_CORS_ORIGINS] = {"IMPCERT_CORS_ORIGINS", SETTING_IS_ORIGINS, GROUP_HTTP, GATEWAY,
        .help = "pages of these origins may post, https://shop.example,...; *: all"},
    [SETTING_BEARER_TOKENS] = {"IMPCERT_BEARER_TOKENS", SETTING_IS_TOKENS, GROUP_HTTP, GATEWAY, .secret = true, .reread = true,
        .help = "one of these is asked for; separated by white space or commas"},
    [SETTING_LOG_LEVEL] = {"IMPCERT_LOG_LEVEL", SETTING_IS_CHOICE, GROUP_PROCESS, LOG, .fallback = "info",
        .words = log_levels, .help = "debug, info, warn or error"},
    [SETTING_LOG_FORMAT] = {"IMPCERT_LOG_FORMAT", SETTING_IS_CHOICE, GROUP_PROCESS, LOG,
        .words = log_formats, .compute = compute_log_format,
        .computed_help = "json; text on a terminal", .help = "json or text"},
    [SETTING_IAMPORT_URL] = {"IAMPORT_URL", SETTING_IS_URL, GROUP_IAMPORT, WORKER,
        .fallback = "https://api.iamport.kr", .help = "address of the API"},
    [SETTING_IAMPORT_KEY] = {"IAMPORT_KEY", SETTING_IS_TEXT, GROUP_IAMPORT, WORKER, .required = true,
        .secret = true, .reread = true, .help = "REST API key"},
    [SETTING_IAMPORT_SECRET] = {"IAMPORT_SECRET", SETTING_IS_TEXT, GROUP_IAMPORT, WORKER, .required = true,
        .secret = true, .reread = true, .help = "REST API secret"},
    [SETTING_MONGODB_URI] = {"MONGODB_URI", SETTING_IS_MONGODB_URI, GROUP_MONGODB, STORE, .required = true,
        .secret = true, .help = "mongodb://... or mongodb+srv://..."},
    [SETTING_MONGODB_DATABASE] = {"MONGODB_DATABASE", SETTING_IS_DATABASE, GROUP_MONGODB, STORE,
        .fallback = "impcert", .help = "database of the documents"},
    [SETTING_MONGODB_COLLECTION] = {"MONGODB_COLLECTION", SETTING_IS_COLLECTION, GROUP_MONGODB, STORE,
        .fallback = "certifications", .help = "collection of the documents"},
    [SETTING_ENCRYPTION_KEY] = {"IMPCERT_ENCRYPTION_KEY", SETTING_IS_MASTER_KEY, GROUP_MONGODB, WORKER,
        .secret = true, .reread = true, .help = "master key of what is encrypted, 96 bytes in base64"},
    [SETTING_ENCRYPTION_KEY_VAULT] = {"IMPCERT_ENCRYPTION_KEY_VAULT", SETTING_IS_NAMESPACE, GROUP_MONGODB,
        WORKER, .compute = compute_key_vault, .base = SETTING_MONGODB_DATABASE,
        .computed_help = "<database>.__keyVault", .help = "database.collection of the data key"},
    [SETTING_RETENTION] = {"IMPCERT_RETENTION", SETTING_IS_DURATION, GROUP_MONGODB, WORKER, .least = SECOND,
        .most = INT32_MAX * SECOND, .help = "documents are deleted so long after verified_at: 8760h"},
};
/* clang-format on */

const char *settings_group_title(enum setting_group group)
{
    static const char *const titles[GROUP_COUNT] = {"Kafka", "Work", "Iamport", "MongoDB", "HTTP", "Process"};
    return titles[group];
}
