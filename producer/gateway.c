/* impcert-gateway: settings, signals, the loop, and the exit code. The main thread is the loop; the library's
 * thread and the watch's only hand over what they know. */
#include "common/chan.h"
#include "common/clock.h"
#include "common/descriptors.h"
#include "common/health.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/reload.h"
#include "common/settings.h"
#include "common/stop.h"
#include "producer/gateway_api.h"
#include "producer/gateway_certificate.h"
#include "producer/gateway_program.h"
#include "producer/gateway_server.h"
#include "producer/gateway_watch.h"
#include "producer/producer_conf.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

/* While draining, a connection may bring one more request for so long. */
#define DRAIN_IDLE (CLOCK_S / 2)
/* What is left of the time to drain once all is answered goes to what callers no longer wait for. */
#define CLOSE_MS 1000
/* Of an event on its way: key, value, trace context, and what librdkafka needs for it. */
#define EVENT_KIB 2
/* Besides connections: Kafka's, files, descriptors of the loop. */
#define OTHER_DESCRIPTORS 128

struct gateway {
    struct settings *settings;
    struct health *health;
    struct reload *reload;
    struct impcert *impcert;
    struct watch *watch;
    struct tokens *tokens;
    struct gateway_metrics *metrics;
    struct api api;
    struct server *server;
    struct stop stop;
    struct notify notify;
    int wake_fd;
    int exit_code;
};

/* How many connections there may be: clients must not take the descriptors that Kafka needs. */
static size_t gateway_connections_most(const struct gateway *gateway)
{
    size_t wanted = (size_t)settings_number(gateway->settings, SETTING_CONNECTIONS);
    rlim_t limit = descriptors_raise(wanted + OTHER_DESCRIPTORS);
    if (limit >= wanted + OTHER_DESCRIPTORS)
        return wanted;
    rlim_t most = limit > 2 * OTHER_DESCRIPTORS ? limit - OTHER_DESCRIPTORS : limit / 2;
    log_warn("the limit of open files allows fewer connections than IMPCERT_CONNECTIONS",
        LOG_NUMBER("limit", (int64_t)limit), LOG_NUMBER("connections", (int64_t)most));
    return most;
}

/* A failed connection is told by readiness, and again and again here. */
static void gateway_on_client_log(void *context, int level, const char *text)
{
    (void)context;
    if (level == LOG_ERR || level >= LOG_INFO)
        log_debug("kafka client", LOG_TEXT("detail", text));
    else
        log_warn("kafka client", LOG_TEXT("detail", text));
}

static bool gateway_open_producer(struct gateway *gateway, struct error *error)
{
    struct impcert_error why;
    struct impcert_options options = IMPCERT_OPTIONS_INIT;
    options.brokers = settings_text(gateway->settings, SETTING_KAFKA_BROKERS);
    options.topic = settings_text(gateway->settings, SETTING_TOPIC);
    options.kafka_config = settings_text(gateway->settings, SETTING_KAFKA_CONFIG);
    options.program = settings_program(gateway->settings);
    options.queue_events = (uint32_t)settings_number(gateway->settings, SETTING_GATEWAY_IN_FLIGHT);
    options.queue_kib = options.queue_events * EVENT_KIB;
    options.timeout_ms = (uint32_t)settings_ms(gateway->settings, SETTING_PUBLISH_TIMEOUT);
    options.log = gateway_on_client_log;
    gateway->impcert = impcert_open(&options, &why);
    return gateway->impcert || error_set(error, "%s", why.text);
}

static bool gateway_open_watch(struct gateway *gateway, struct error *error)
{
    struct health_part *kafka = health_add(gateway->health, "kafka");
    if (!kafka)
        return error_set(error, "out of memory");
    gateway->watch = watch_open(gateway->impcert, kafka, gateway->wake_fd, error);
    return gateway->watch;
}

static bool gateway_listen(struct gateway *gateway, struct error *error)
{
    gateway->api = (struct api){.settings = gateway->settings,
        .impcert = gateway->impcert,
        .tokens = gateway->tokens,
        .health = gateway->health,
        .metrics = gateway->metrics,
        .available = watch_available(gateway->watch)};
    gateway->server = server_open(
        gateway->settings, &gateway->api, gateway_connections_most(gateway), gateway->wake_fd, error);
    if (!gateway->server)
        return false;
    log_info("started", LOG_TEXT("version", IMPCERT_VERSION),
        LOG_TEXT("address", server_address(gateway->server)),
        LOG_TEXT("scheme", certificates_wanted(gateway->settings) ? "https" : "http"),
        LOG_TEXT("topic", settings_text(gateway->settings, SETTING_TOPIC)));
    notify_ready(&gateway->notify);
    return true;
}

static bool gateway_open_wake(struct gateway *gateway, struct error *error)
{
    gateway->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return gateway->wake_fd >= 0 || error_set(error, "no file descriptor: %s", strerror(errno));
}

/* Everything is opened in the order that it depends on each other. */
static int gateway_open(struct gateway *gateway, struct error *error)
{
    int64_t drain_ns = settings_ms(gateway->settings, SETTING_DRAIN_TIMEOUT) * CLOCK_MS;
    notify_open(&gateway->notify);
    if (!stop_open(&gateway->stop, drain_ns, error) || !gateway_open_wake(gateway, error))
        return EXIT_FAILURE;
    gateway->health = health_new();
    gateway->metrics = gateway_metrics_new();
    gateway->reload = reload_open(gateway->settings);
    if (!gateway->health || !gateway->metrics || !gateway->reload) {
        error_set(error, "out of memory");
        return EXIT_FAILURE;
    }
    gateway->tokens = tokens_open(gateway->settings, error);
    if (!gateway->tokens || !gateway_open_producer(gateway, error))
        return EXIT_USAGE;
    return gateway_open_watch(gateway, error) && gateway_listen(gateway, error) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void gateway_drain(struct gateway *gateway)
{
    gateway->api.draining = true;
    if (!reload_wanted(gateway->reload)) /* to the manager a process that runs itself again goes on */
        notify_stopping(&gateway->notify);
    watch_stop(gateway->watch);
    server_drain(gateway->server);
}

static void gateway_read_wake(struct gateway *gateway)
{
    uint64_t count;
    ssize_t got = read(gateway->wake_fd, &count, sizeof count);
    (void)got;
    if (!watch_failed(gateway->watch) || gateway->exit_code)
        return;
    log_error("the producer failed, the reason is above");
    gateway->exit_code = EXIT_FAILURE;
    if (!gateway->stop.since_ns && stop_ask(&gateway->stop, "a failed producer"))
        gateway_drain(gateway);
}

static int gateway_wait_ms(const struct gateway *gateway)
{
    enum { DRAINING_MS = 100 };
    int wait_ms =
        clock_shorter_ms(server_wait_ms(gateway->server), reload_wait_ms(gateway->reload, clock_ns()));
    wait_ms = notify_wait_ms(&gateway->notify, wait_ms);
    return gateway->stop.since_ns ? clock_shorter_ms(wait_ms, DRAINING_MS) : wait_ms;
}

static bool gateway_ended(const struct gateway *gateway)
{
    if (!gateway->stop.since_ns)
        return false;
    if (clock_ns() - gateway->stop.since_ns >= DRAIN_IDLE)
        server_cut_idle(gateway->server, DRAIN_IDLE);
    return clock_ns() >= gateway->stop.exit_by_ns ||
           (!server_connections(gateway->server) && !server_in_flight(gateway->server));
}

static void gateway_run(struct gateway *gateway)
{
    struct pollfd waits[] = {
        {.fd = gateway->stop.fd, .events = POLLIN},
        {.fd = gateway->wake_fd, .events = POLLIN},
        {.fd = server_fd(gateway->server), .events = POLLIN},
    };
    while (!gateway_ended(gateway)) {
        poll(waits, sizeof waits / sizeof waits[0], gateway_wait_ms(gateway));
        if (stop_read(&gateway->stop) ||
            (reload_turn(gateway->reload, clock_ns()) && stop_ask(&gateway->stop, "changed settings")))
            gateway_drain(gateway);
        gateway_read_wake(gateway);
        tokens_turn(gateway->tokens, clock_ns());
        server_turn(gateway->server);
        notify_turn(
            &gateway->notify, true, gateway->health); /* the loop that tells is the one that matters */
    }
}

/* The producer first: then no event is on its way, and none of its requests waits. */
static void gateway_close(struct gateway *gateway)
{
    watch_close(gateway->watch);
    impcert_close(gateway->impcert, CLOSE_MS);
    if (gateway->server)
        server_turn(gateway->server);
    if (gateway->server && server_in_flight(gateway->server))
        _exit(gateway->exit_code); /* their connections can't be closed */
    server_close(gateway->server);
    gateway_metrics_free(gateway->metrics);
    tokens_close(gateway->tokens);
    health_free(gateway->health);
    reload_close(gateway->reload);
    settings_free(gateway->settings);
    stop_close(&gateway->stop);
    notify_close(&gateway->notify);
    close(gateway->wake_fd);
}

static void gateway_check(const struct settings *settings, struct faults *faults)
{
    char host[256];
    uint16_t port;
    producer_conf_check(settings, faults);
    certificates_check(settings, faults);
    if (!settings_address(settings, SETTING_GATEWAY_LISTEN, host, &port))
        faults_add(faults, "IMPCERT_HTTP_LISTEN", "off, expected host:port: the gateway is there to listen");
}

int main(int argc, char **argv)
{
    struct program program = gateway_program;
    program.check = gateway_check;
    struct gateway gateway = {.stop = STOP_INIT, .notify = NOTIFY_INIT, .wake_fd = -1};
    gateway.settings = settings_start(&program, argc, argv, &gateway.exit_code);
    if (!gateway.settings)
        return gateway.exit_code;

    struct error error = {""};
    gateway.exit_code = gateway_open(&gateway, &error);
    if (gateway.exit_code != EXIT_SUCCESS) {
        log_error("cannot start", LOG_TEXT("error", error.text));
    } else {
        gateway_run(&gateway);
        if (server_in_flight(gateway.server))
            log_warn("left before everything was answered");
        else
            log_info("stopped");
    }
    bool again = reload_again(gateway.reload, &gateway.stop, gateway.exit_code);
    gateway_close(&gateway);
    return again ? reload_exec(argv) : gateway.exit_code;
}
