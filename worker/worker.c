/* One worker's thread: it waits for sockets, wake-ups and timers, and turns the flow. Loop thread, apart from
 * the public functions. Owns the thread, the flow and the two descriptors that it waits on. */
#include "worker/worker.h"

#include "common/chan.h"
#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Nothing depends on a wake-up: the loop turns at least this often. */
enum { TURN_MS = 100, EVENTS_MAX = 256 };

struct worker {
    int exit_fd;
    pthread_t thread;
    bool started;
    _Atomic int64_t drain_until_ns; /* 0: run */
    _Atomic bool ended;
    struct error failure; /* of the thread, read after ended */

    int epoll_fd;
    int wake_fd;
    struct flow *flow;
};

static int worker_sleep_ms(const struct worker *worker)
{
    int64_t due = flow_due_ns(worker->flow), now = clock_ns();
    if (due <= now)
        return 0;
    return due - now < TURN_MS * CLOCK_MS ? (int)((due - now + CLOCK_MS - 1) / CLOCK_MS) : TURN_MS;
}

static void worker_sleep(struct worker *worker)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(worker->epoll_fd, events, EVENTS_MAX, worker_sleep_ms(worker));
    for (int i = 0; i < count; i++) {
        if (events[i].data.fd != worker->wake_fd) {
            flow_socket(worker->flow, events[i].data.fd, events[i].events);
            continue;
        }
        uint64_t wakes;
        ssize_t got = read(worker->wake_fd, &wakes, sizeof wakes);
        (void)got; /* what woke us is looked at in each turn anyway */
    }
}

static void worker_turn(struct worker *worker)
{
    flow_turn(worker->flow);
    worker_sleep(worker);
}

static int64_t worker_jobs_until_ns(struct worker *worker, int64_t begun_ns)
{
    return flow_drain_jobs_until_ns(begun_ns, atomic_load(&worker->drain_until_ns));
}

/* Finishes what is in flight, then commits and waits for the answer, all until the deadline, which a second
 * wish to stop may bring forward. */
static void worker_drain(struct worker *worker)
{
    struct flow *flow = worker->flow;
    int64_t begun = clock_ns(), until = worker_jobs_until_ns(worker, begun);
    flow_drain(flow);
    while (clock_ns() < until && !flow_drained(flow, until)) {
        worker_turn(worker);
        until = worker_jobs_until_ns(worker, begun);
    }
    flow_finish(flow);
    while (clock_ns() < atomic_load(&worker->drain_until_ns) && !flow_finished(flow)) {
        worker_turn(worker);
        flow_finish(flow);
    }
    log_info("drained", LOG_NUMBER("left_for_redelivery", (int64_t)flow_in_flight(flow)));
}

static void *worker_thread(void *context)
{
    struct worker *worker = context;
    while (!atomic_load(&worker->drain_until_ns) && !flow_failed(worker->flow, &worker->failure))
        worker_turn(worker);
    if (!worker->failure.text[0])
        worker_drain(worker);
    flow_close(worker->flow);
    worker->flow = NULL;
    atomic_store(&worker->ended, true);
    wake_signal(worker->exit_fd);
    return NULL;
}

/* ---- opening and closing, on the main thread ---- */

static bool worker_open_loop(struct worker *worker, struct error *error)
{
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = worker->wake_fd};
    return epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake_fd, &event) == 0 ||
           error_set(error, "no file descriptor for the loop: %s", strerror(errno));
}

struct worker *worker_open(const struct flow_config *config, int exit_fd, struct error *error)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker) {
        error_set(error, "out of memory");
        return NULL;
    }
    worker->exit_fd = exit_fd;
    if (worker_open_loop(worker, error)) {
        struct flow_config own = *config;
        own.epoll_fd = worker->epoll_fd;
        own.wake_fd = worker->wake_fd;
        worker->flow = flow_open(&own, error);
        if (worker->flow)
            return worker;
    }
    worker_close(worker);
    return NULL;
}

void worker_close(struct worker *worker)
{
    if (!worker)
        return;
    if (worker->started) {
        worker_stop(worker, clock_ns());
        pthread_join(worker->thread, NULL);
    }
    flow_close(worker->flow);
    close(worker->epoll_fd);
    close(worker->wake_fd);
    free(worker);
}

bool worker_start(struct worker *worker, struct error *error)
{
    int result = pthread_create(&worker->thread, NULL, worker_thread, worker);
    worker->started = result == 0;
    return worker->started || error_set(error, "a thread could not be started: %s", strerror(result));
}

void worker_stop(struct worker *worker, int64_t drain_until_ns)
{
    atomic_store(&worker->drain_until_ns, drain_until_ns);
    wake_signal(worker->wake_fd);
}

bool worker_ended(struct worker *worker, struct error *error)
{
    if (!atomic_load(&worker->ended))
        return false;
    *error = worker->failure;
    return true;
}
