/* The queue that crosses threads, under one mutex. Owns nothing but the order of its items. */
#include "common/chan.h"

#include "common/clock.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

STAILQ_HEAD(chan_items, chan_item);

struct chan {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* an item came, or closed was set: chan_take waits here */
    pthread_cond_t ended;   /* closed was set: chan_wait_closed waits here, taking no item's signal away */
    struct chan_items items;
    bool closed;
    int wake_fd;
};

struct chan *chan_new(int wake_fd)
{
    struct chan *chan = calloc(1, sizeof *chan);
    if (!chan)
        return NULL;
    pthread_mutex_init(&chan->mutex, NULL);
    clock_cond_init(&chan->changed);
    clock_cond_init(&chan->ended);
    STAILQ_INIT(&chan->items);
    chan->wake_fd = wake_fd;
    return chan;
}

void chan_free(struct chan *chan)
{
    if (!chan)
        return;
    assert(STAILQ_EMPTY(&chan->items));
    pthread_cond_destroy(&chan->changed);
    pthread_cond_destroy(&chan->ended);
    pthread_mutex_destroy(&chan->mutex);
    free(chan);
}

void chan_give(struct chan *chan, struct chan_item *item)
{
    pthread_mutex_lock(&chan->mutex);
    STAILQ_INSERT_TAIL(&chan->items, item, link);
    pthread_cond_signal(&chan->changed);
    pthread_mutex_unlock(&chan->mutex);
    if (chan->wake_fd >= 0)
        wake_signal(chan->wake_fd);
}

struct chan_item *chan_take(struct chan *chan, int64_t until_ns)
{
    pthread_mutex_lock(&chan->mutex);
    while (STAILQ_EMPTY(&chan->items) && !chan->closed && clock_ns() < until_ns &&
           clock_cond_wait(&chan->changed, &chan->mutex, until_ns))
        ;
    struct chan_item *item = STAILQ_FIRST(&chan->items);
    if (item)
        STAILQ_REMOVE_HEAD(&chan->items, link);
    pthread_mutex_unlock(&chan->mutex);
    return item;
}

void chan_close(struct chan *chan)
{
    pthread_mutex_lock(&chan->mutex);
    chan->closed = true;
    pthread_cond_broadcast(&chan->changed);
    pthread_cond_broadcast(&chan->ended);
    pthread_mutex_unlock(&chan->mutex);
}

bool chan_wait_closed(struct chan *chan, int64_t until_ns)
{
    pthread_mutex_lock(&chan->mutex);
    while (!chan->closed && clock_ns() < until_ns && clock_cond_wait(&chan->ended, &chan->mutex, until_ns))
        ;
    bool closed = chan->closed;
    pthread_mutex_unlock(&chan->mutex);
    return closed;
}

void wake_signal(int wake_fd)
{
    /* An eventfd write fails only when its counter is full, and then the reader is due to wake anyway. */
    uint64_t one = 1;
    ssize_t written = write(wake_fd, &one, sizeof one);
    (void)written;
}
