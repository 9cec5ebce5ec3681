/* Publishing one event and waiting for its end. The caller and the handle's thread share the wait; whoever is
 * last frees it. */
#include "common/clock.h"
#include "producer/impcert_handle.h"

#include <pthread.h>
#include <stdlib.h>

struct wait {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool ended;     /* the event has come to its end */
    bool abandoned; /* the caller has gone: the handle's thread frees it */
    struct impcert_error end;
};

static struct wait *wait_new(void)
{
    struct wait *wait = calloc(1, sizeof *wait);
    if (!wait)
        return NULL;
    pthread_mutex_init(&wait->mutex, NULL);
    clock_cond_init(&wait->changed);
    return wait;
}

static void wait_free(struct wait *wait)
{
    pthread_cond_destroy(&wait->changed);
    pthread_mutex_destroy(&wait->mutex);
    free(wait);
}

static void wait_on_delivery(void *context, enum impcert_status status, const char *text)
{
    struct wait *wait = context;
    pthread_mutex_lock(&wait->mutex);
    wait->ended = true;
    impcert_error_set(&wait->end, status, "%s", text);
    bool abandoned = wait->abandoned;
    pthread_cond_signal(&wait->changed);
    pthread_mutex_unlock(&wait->mutex);
    if (abandoned)
        wait_free(wait);
}

/* False at the deadline; then the wait is the handle's thread's. */
static bool wait_for_end(struct wait *wait, int wait_ms)
{
    int64_t until_ns = wait_ms < 0 ? CLOCK_NEVER : clock_ns() + wait_ms * CLOCK_MS;
    bool in_time = true;
    pthread_mutex_lock(&wait->mutex);
    while (!wait->ended && in_time)
        in_time = clock_cond_wait(&wait->changed, &wait->mutex, until_ns);
    bool ended = wait->ended;
    wait->abandoned = !ended;
    pthread_mutex_unlock(&wait->mutex);
    return ended;
}

enum impcert_status impcert_publish_wait(
    struct impcert *impcert, const struct impcert_event *event, int wait_ms, struct impcert_error *error)
{
    struct wait *wait = wait_new();
    if (!wait)
        return impcert_error_set(error, IMPCERT_NO_MEMORY, "out of memory");
    enum impcert_status status = impcert_publish(impcert, event, wait_on_delivery, wait, error);
    if (status != IMPCERT_OK) {
        wait_free(wait);
        return status;
    }
    if (!wait_for_end(wait, wait_ms))
        return impcert_error_set(
            error, IMPCERT_TIMEOUT, "not acknowledged after %d ms, still on its way", wait_ms);
    status = wait->end.status;
    if (status != IMPCERT_OK)
        impcert_error_set(error, status, "%s", wait->end.text);
    wait_free(wait);
    return status;
}
