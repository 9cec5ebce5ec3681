/* The events on their way of one handle. Callers' threads and the handle's own meet here, under one mutex,
 * which is never held while a delivery is called. It owns the events from flight_enter on. */
#include "producer/impcert_flight.h"

#include "common/clock.h"

#include <stdlib.h>

void flight_init(struct flight *flight)
{
    *flight = (struct flight){.bytes_most = SIZE_MAX};
    pthread_mutex_init(&flight->mutex, NULL);
    clock_cond_init(&flight->changed);
    TAILQ_INIT(&flight->events);
}

void flight_cleanup(struct flight *flight)
{
    pthread_cond_destroy(&flight->changed);
    pthread_mutex_destroy(&flight->mutex);
}

/* With the mutex held. */
static void flight_take_out(struct flight *flight, struct flight_event *event)
{
    TAILQ_REMOVE(&flight->events, event, link);
    flight->count--;
    flight->bytes -= event->bytes;
}

bool flight_enter(struct flight *flight, struct flight_event *event)
{
    pthread_mutex_lock(&flight->mutex);
    bool room = event->bytes <= flight->bytes_most - flight->bytes;
    if (room) {
        event->number = flight->next++;
        TAILQ_INSERT_TAIL(&flight->events, event, link);
        flight->count++;
        flight->bytes += event->bytes;
    }
    pthread_mutex_unlock(&flight->mutex);
    return room;
}

void flight_leave(struct flight *flight, struct flight_event *event)
{
    pthread_mutex_lock(&flight->mutex);
    flight_take_out(flight, event);
    pthread_cond_broadcast(&flight->changed);
    pthread_mutex_unlock(&flight->mutex);
}

void flight_end(struct flight *flight, struct flight_ended *ended, uint64_t lost)
{
    struct flight_event *event;
    pthread_mutex_lock(&flight->mutex);
    STAILQ_FOREACH (event, ended, ended)
        flight_take_out(flight, event);
    flight->lost += lost;
    pthread_cond_broadcast(&flight->changed);
    pthread_mutex_unlock(&flight->mutex);
    while ((event = STAILQ_FIRST(ended))) {
        STAILQ_REMOVE_HEAD(ended, ended);
        free(event);
    }
}

uint64_t flight_rest(struct flight *flight, struct flight_ended *ended)
{
    struct flight_event *event;
    uint64_t number = 0;
    STAILQ_INIT(ended);
    pthread_mutex_lock(&flight->mutex);
    TAILQ_FOREACH (event, &flight->events, link) {
        STAILQ_INSERT_TAIL(ended, event, ended);
        number++;
    }
    pthread_mutex_unlock(&flight->mutex);
    return number;
}

size_t flight_count(struct flight *flight)
{
    pthread_mutex_lock(&flight->mutex);
    size_t count = flight->count;
    pthread_mutex_unlock(&flight->mutex);
    return count;
}

uint64_t flight_now(struct flight *flight)
{
    pthread_mutex_lock(&flight->mutex);
    uint64_t next = flight->next;
    pthread_mutex_unlock(&flight->mutex);
    return next;
}

/* With the mutex held. */
static bool flight_has_before(const struct flight *flight, uint64_t before)
{
    const struct flight_event *first = TAILQ_FIRST(&flight->events);
    return first && first->number < before;
}

bool flight_wait(struct flight *flight, uint64_t before, int64_t until_ns)
{
    bool in_time = true;
    pthread_mutex_lock(&flight->mutex);
    while (flight_has_before(flight, before) && in_time)
        in_time = clock_cond_wait(&flight->changed, &flight->mutex, until_ns);
    bool ended = !flight_has_before(flight, before);
    pthread_mutex_unlock(&flight->mutex);
    return ended;
}
