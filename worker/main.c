/* impcert-worker: settings, signals, the HTTP endpoint, and the exit code. The main thread does nothing else;
 * each worker runs on threads of its own. */
#include "common/chan.h"
#include "common/clock.h"
#include "common/descriptors.h"
#include "common/endpoint.h"
#include "common/exposition.h"
#include "common/health.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/reload.h"
#include "common/settings.h"
#include "common/stop.h"
#include "worker/allocators.h"
#include "worker/cipher.h"
#include "worker/consumer_conf.h"
#include "worker/forward.h"
#include "worker/limiter.h"
#include "worker/metrics_page.h"
#include "worker/mongo.h"
#include "worker/program.h"
#include "worker/store.h"
#include "worker/tasks.h"
#include "worker/tiers.h"
#include "worker/topics.h"
#include "worker/worker.h"

#include <curl/curl.h>
#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };
/* Liveness: a loop that has not turned for so long is stuck, whatever else is up or down. One that has
 * drained and ended is not. */
#define LOOP_STUCK_AFTER (30 * CLOCK_S)

struct process {
    struct settings *settings;
    struct tiers tiers;
    struct limiter *limiter;
    mongoc_client_pool_t *clients;
    struct health *health;
    struct topics *topics;     /* makes those that are missing */
    struct endpoint *endpoint; /* NULL: IMPCERT_HTTP_LISTEN is off */
    struct metrics **metrics;  /* one a worker */
    struct worker **workers;
    size_t count;
    struct stop stop;
    struct notify notify;
    struct reload *reload;
    int exit_fd; /* signalled when a worker has ended */
    int exit_code;
};

static bool process_alive(const struct process *process)
{
    struct error error;
    for (size_t i = 0; i < process->count; i++)
        if (!worker_ended(process->workers[i], &error) &&
            clock_ns() - metrics_last_turn_ns(process->metrics[i]) > LOOP_STUCK_AFTER)
            return false;
    return true;
}

static bool process_size_page(const struct process *process, struct buf *page)
{
    uint64_t in_flight = (uint64_t)settings_number(process->settings, SETTING_IN_FLIGHT);
    return exposition_value(
               page, "impcert_workers", "Workers of the process.", "gauge", (uint64_t)process->count) &&
           exposition_value(page, "impcert_in_flight_limit",
               "Events that may be in flight, by IMPCERT_IN_FLIGHT, in all workers.", "gauge",
               in_flight * process->count);
}

/* A gauge of +Inf is how Prometheus writes no limit. */
static bool process_limiter_page(const struct process *process, struct buf *page)
{
    double pace = limiter_pace(process->limiter, clock_ns());
    return buf_format(page,
               "# HELP impcert_calls_per_second_limit Calls for a certification that are let through now.\n"
               "# TYPE impcert_calls_per_second_limit gauge\nimpcert_calls_per_second_limit ") &&
           (isinf(pace) ? buf_format(page, "+Inf\n") : buf_format(page, "%.1f\n", pace));
}

static bool process_page(void *context, const char *path, struct endpoint_page *page)
{
    const struct process *process = context;
    if (strcmp(path, "/healthz") == 0) {
        bool alive = process_alive(process);
        page->status = alive ? 200 : 503;
        return buf_format(&page->body, "%s\n", alive ? "alive" : "a worker's loop is stuck");
    }
    if (strcmp(path, "/readyz") == 0) {
        page->content_type = "application/json";
        page->status = health_ready(process->health, &page->body) ? 200 : 503;
        return true;
    }
    if (strcmp(path, "/metrics") == 0) {
        page->content_type = EXPOSITION_CONTENT_TYPE;
        return metrics_page(process->metrics, process->count, &page->body) &&
               process_size_page(process, &page->body) && process_limiter_page(process, &page->body) &&
               health_metrics(process->health, &page->body);
    }
    return false;
}

static bool process_open_exit(struct process *process, struct error *error)
{
    process->exit_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return process->exit_fd >= 0 || error_set(error, "no file descriptor: %s", strerror(errno));
}

/* Each call in flight may need a connection of its own. */
static void process_raise_descriptors(const struct process *process)
{
    rlim_t need = (rlim_t)settings_number(process->settings, SETTING_IN_FLIGHT) * process->count + 256;
    rlim_t limit = descriptors_raise(need);
    if (limit < need)
        log_warn("the limit of open files is lower than IMPCERT_IN_FLIGHT and IMPCERT_WORKERS may need",
            LOG_NUMBER("limit", (int64_t)limit), LOG_NUMBER("needed", (int64_t)need));
}

/* Without this, glibc keeps freed memory apart in up to eight arenas a core (mallopt(3)), and what
 * librdkafka's threads allocate and the loops free piles up in them: about twice the memory at full load,
 * without being any quicker. */
static void process_limit_arenas(const struct process *process)
{
    mallopt(M_ARENA_MAX, (int)(process->count + 1) / 2);
}

static bool process_open_worker(struct process *process, size_t number, struct error *error)
{
    process->metrics[number] = metrics_new();
    if (!process->metrics[number])
        return error_set(error, "out of memory");
    struct flow_config config = {
        .settings = process->settings,
        .tiers = &process->tiers,
        .topics = process->topics,
        .limiter = process->limiter,
        .clients = process->clients,
        .health = process->health,
        .metrics = process->metrics[number],
        .number = number,
    };
    process->workers[number] = worker_open(&config, process->exit_fd, error);
    return process->workers[number];
}

static bool process_open_workers(struct process *process, struct error *error)
{
    process->count = (size_t)settings_number(process->settings, SETTING_WORKERS);
    process->workers = calloc(process->count, sizeof(struct worker *));
    process->metrics = calloc(process->count, sizeof(struct metrics *));
    if (!process->workers || !process->metrics)
        return error_set(error, "out of memory");
    process_raise_descriptors(process);
    process_limit_arenas(process);
    for (size_t i = 0; i < process->count; i++)
        if (!process_open_worker(process, i, error))
            return false;
    return true;
}

/* The topics that failed events go to. The topic of the events is its owner's to make. */
static bool process_open_topics(struct process *process, struct error *error)
{
    const char *names[TIERS_MOST + 1];
    size_t count = 0;
    for (size_t i = 0; i < process->tiers.count; i++)
        names[count++] = process->tiers.list[i].topic;
    names[count++] = settings_text(process->settings, SETTING_DLQ_TOPIC);
    struct health_part *health = health_add(process->health, "topics");
    if (!health)
        return error_set(error, "out of memory");
    process->topics = topics_open(process->settings, names, count, health, error);
    return process->topics;
}

static bool process_listen(struct process *process, struct error *error)
{
    char host[256];
    uint16_t port;
    if (!settings_address(process->settings, SETTING_HTTP_LISTEN, host, &port))
        return true;
    process->endpoint = endpoint_open(host, port, process_page, process, error);
    if (process->endpoint)
        log_info("endpoint listening", LOG_TEXT("address", endpoint_address(process->endpoint)));
    return process->endpoint;
}

/* A tenth of the time is kept for leaving the group. */
static void process_drain(struct process *process)
{
    const struct stop *stop = &process->stop;
    if (!reload_wanted(process->reload)) /* to the manager a process that runs itself again goes on */
        notify_stopping(&process->notify);
    for (size_t i = 0; i < process->count; i++)
        worker_stop(process->workers[i], stop->exit_by_ns - stop->drain_ns / 10);
}

/* Returns whether all workers have ended. One that failed takes the others with it: a half-working process
 * would hide it. */
static bool process_check_workers(struct process *process)
{
    uint64_t ended;
    ssize_t got = read(process->exit_fd, &ended, sizeof ended);
    (void)got;
    size_t left = process->count;
    for (size_t i = 0; i < process->count; i++) {
        struct error error;
        if (!worker_ended(process->workers[i], &error))
            continue;
        left--;
        if (!error.text[0] || process->exit_code)
            continue;
        log_error("worker failed", LOG_TEXT("error", error.text));
        process->exit_code = EXIT_FAILURE;
        if (!process->stop.since_ns && stop_ask(&process->stop, "a failed worker"))
            process_drain(process);
    }
    return !left;
}

static int process_wait_ms(const struct process *process)
{
    int64_t now = clock_ns();
    int endpoint_ms = process->endpoint ? endpoint_wait_ms(process->endpoint) : -1;
    endpoint_ms = notify_wait_ms(&process->notify, endpoint_ms);
    if (process->stop.exit_by_ns == CLOCK_NEVER)
        return clock_shorter_ms(endpoint_ms, reload_wait_ms(process->reload, now));
    int64_t left_ms = (process->stop.exit_by_ns - now) / CLOCK_MS + 1;
    return clock_shorter_ms(endpoint_ms, left_ms < 0 ? 0 : (int)left_ms);
}

/* Returns false when the time to drain ran out before all workers had ended. */
static bool process_run(struct process *process)
{
    struct pollfd waits[] = {
        {.fd = process->stop.fd, .events = POLLIN},
        {.fd = process->exit_fd, .events = POLLIN},
        {.fd = process->endpoint ? endpoint_fd(process->endpoint) : -1, .events = POLLIN},
    };
    while (!process_check_workers(process)) {
        if (clock_ns() >= process->stop.exit_by_ns)
            return false;
        poll(waits, sizeof waits / sizeof waits[0], process_wait_ms(process));
        if (stop_read(&process->stop) ||
            (reload_turn(process->reload, clock_ns()) && stop_ask(&process->stop, "changed settings")))
            process_drain(process);
        if (process->endpoint)
            endpoint_turn(process->endpoint);
        notify_turn(&process->notify, process_alive(process), process->health);
    }
    return true;
}

static bool process_start(struct process *process, struct error *error)
{
    for (size_t i = 0; i < process->count; i++)
        if (!worker_start(process->workers[i], error))
            return false;
    log_info("started", LOG_TEXT("version", IMPCERT_VERSION), LOG_NUMBER("workers", (int64_t)process->count),
        LOG_TEXT("topic", settings_text(process->settings, SETTING_TOPIC)),
        LOG_TEXT("group", settings_text(process->settings, SETTING_GROUP)));
    notify_ready(&process->notify);
    return true;
}

static void process_close(struct process *process)
{
    endpoint_close(process->endpoint);
    for (size_t i = 0; process->workers && i < process->count; i++)
        worker_close(process->workers[i]);
    topics_close(process->topics);
    for (size_t i = 0; process->metrics && i < process->count; i++)
        metrics_free(process->metrics[i]);
    free(process->workers);
    free(process->metrics);
    limiter_free(process->limiter);
    mongo_close(process->clients);
    health_free(process->health);
    reload_close(process->reload);
    curl_global_cleanup();
    settings_free(process->settings);
    stop_close(&process->stop);
    notify_close(&process->notify);
    close(process->exit_fd);
}

/* Everything is opened in the order that it depends on each other. A library that refuses what the settings
 * say is a fault of the settings. */
static int process_open(struct process *process, struct error *error)
{
    notify_open(&process->notify);
    tiers_init(&process->tiers, process->settings);
    process->health = health_new();
    process->reload = reload_open(process->settings);
    process->limiter = limiter_new(settings_number(process->settings, SETTING_RATE_LIMIT));
    int64_t drain_ns = settings_ms(process->settings, SETTING_DRAIN_TIMEOUT) * CLOCK_MS;
    if (!process->health || !process->limiter || !process->reload ||
        !stop_open(&process->stop, drain_ns, error) || !process_open_exit(process, error))
        return EXIT_FAILURE;
    process->clients = mongo_open(process->settings,
        (uint32_t)(settings_number(process->settings, SETTING_WORKERS) * STORE_THREADS), error);
    if (!process->clients || !process_open_topics(process, error) || !process_open_workers(process, error))
        return EXIT_USAGE;
    if (!process_listen(process, error) || !process_start(process, error))
        return EXIT_FAILURE;
    return EXIT_SUCCESS;
}

static void process_check(const struct settings *settings, struct faults *faults)
{
    size_t before = faults->count;
    consumer_conf_check(settings, faults);
    /* Both read one property file, and what is wrong with it is told once. */
    if (faults->count == before)
        forward_check(settings, faults);
    mongo_check(settings, faults);
    cipher_check(settings, faults);
}

static int run_worker(struct settings *settings, char **argv)
{
    struct process process = {.settings = settings, .stop = STOP_INIT, .notify = NOTIFY_INIT, .exit_fd = -1};
    struct error error = {""};
    process.exit_code = process_open(&process, &error);
    if (process.exit_code != EXIT_SUCCESS)
        log_error("cannot start", LOG_TEXT("error", error.text));
    else if (!process_run(&process)) {
        /* Some thread waits for a server. What it holds was not committed and will be delivered again. */
        log_warn("left before everything was finished; what is left will be delivered again");
        bool again = reload_again(process.reload, &process.stop, process.exit_code);
        _exit(again ? reload_exec(argv) : process.exit_code);
    } else
        log_info("stopped");
    bool again = reload_again(process.reload, &process.stop, process.exit_code);
    process_close(&process);
    return again ? reload_exec(argv) : process.exit_code;
}

int main(int argc, char **argv)
{
    struct tasks tasks;
    struct program_option options[TASKS_OPTIONS + 1];
    struct program program;
    worker_program(&program, options, &tasks);
    program.check = process_check;
    int exit_code;
    allocators_set();
    struct settings *settings = settings_start(&program, argc, argv, &exit_code);
    if (!settings)
        return exit_code;
    if (!tasks.asked)
        return run_worker(settings, argv);
    exit_code = tasks_run(&tasks, settings);
    settings_free(settings);
    return exit_code;
}
