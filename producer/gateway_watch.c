/* Looks after Kafka. Its thread asks; what it finds is read by the loop. */
#include "producer/gateway_watch.h"

#include "common/chan.h"
#include "common/clock.h"

#include <pthread.h>
#include <stdlib.h>

#define ASK_MS 2000
#define PAUSE_WELL (2 * CLOCK_S)
#define PAUSE_ILL (CLOCK_S / 2)

struct watch {
    struct impcert *impcert;
    struct health_part *health;
    int wake_fd;
    pthread_t thread;
    bool started;
    struct chan *stop; /* closed at the end; nothing is ever inside */
    _Atomic bool available;
    _Atomic bool failed;
};

static void watch_note(struct watch *watch, enum impcert_status status, const char *text)
{
    atomic_store(&watch->available, status == IMPCERT_OK);
    if (status == IMPCERT_OK)
        health_ok(watch->health);
    else
        health_fail(watch->health, "%s", text);
    if (status == IMPCERT_FAILED && !atomic_exchange(&watch->failed, true))
        wake_signal(watch->wake_fd);
}

static void *watch_thread(void *context)
{
    struct watch *watch = context;
    int64_t pause = 0;
    while (!chan_wait_closed(watch->stop, clock_ns() + pause)) {
        struct impcert_error error = {.text = ""};
        enum impcert_status status = impcert_check(watch->impcert, ASK_MS, &error);
        watch_note(watch, status, error.text);
        pause = status == IMPCERT_OK ? PAUSE_WELL : PAUSE_ILL;
    }
    return NULL;
}

struct watch *watch_open(
    struct impcert *impcert, struct health_part *health, int wake_fd, struct error *error)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch) {
        error_set(error, "out of memory");
        return NULL;
    }
    watch->impcert = impcert;
    watch->health = health;
    watch->wake_fd = wake_fd;
    atomic_store(&watch->available, true);
    watch->stop = chan_new(-1);
    watch->started = watch->stop && pthread_create(&watch->thread, NULL, watch_thread, watch) == 0;
    if (watch->started)
        return watch;
    error_set(error, "the thread that watches Kafka could not be started");
    watch_close(watch);
    return NULL;
}

void watch_stop(struct watch *watch)
{
    chan_close(watch->stop);
}

void watch_close(struct watch *watch)
{
    if (!watch)
        return;
    if (watch->started) {
        watch_stop(watch);
        pthread_join(watch->thread, NULL);
    }
    chan_free(watch->stop);
    free(watch);
}

const _Atomic bool *watch_available(const struct watch *watch)
{
    return &watch->available;
}

bool watch_failed(const struct watch *watch)
{
    return atomic_load(&watch->failed);
}
