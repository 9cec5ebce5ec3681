// Binary heap of timers; see timers.h. Runs on the main thread; owns the array, not the timers in it.
#include "timers.h"

#include <assert.h>
#include <stdlib.h>

bool timers_reserve(struct timers *timers, size_t count)
{
    if (count <= timers->cap)
        return true;
    size_t cap = timers->cap == 0 ? 64 : timers->cap * 2;
    while (cap < count)
        cap *= 2;
    struct timer **heap = realloc(timers->heap, (cap + 1) * sizeof *heap);
    if (heap == NULL)
        return false;
    timers->heap = heap;
    timers->cap = cap;
    return true;
}

void timers_cleanup(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){0};
}

static void place(struct timers *timers, size_t slot, struct timer *timer)
{
    timers->heap[slot] = timer;
    timer->slot = slot;
}

static void sift_up(struct timers *timers, struct timer *timer)
{
    size_t slot = timer->slot;
    while (slot > 1 && timers->heap[slot / 2]->due_ns > timer->due_ns) {
        place(timers, slot, timers->heap[slot / 2]);
        slot /= 2;
    }
    place(timers, slot, timer);
}

static void sift_down(struct timers *timers, struct timer *timer)
{
    size_t slot = timer->slot;
    for (;;) {
        size_t child = slot * 2;
        if (child > timers->len)
            break;
        if (child < timers->len && timers->heap[child + 1]->due_ns < timers->heap[child]->due_ns)
            child++;
        if (timers->heap[child]->due_ns >= timer->due_ns)
            break;
        place(timers, slot, timers->heap[child]);
        slot = child;
    }
    place(timers, slot, timer);
}

void timers_set(struct timers *timers, struct timer *timer, int64_t due_ns)
{
    timer->due_ns = due_ns;
    if (timer->slot == 0) {
        assert(timers->len < timers->cap);
        place(timers, ++timers->len, timer);
    }
    sift_up(timers, timer);
    sift_down(timers, timer);
}

void timers_cancel(struct timers *timers, struct timer *timer)
{
    if (timer->slot == 0)
        return;
    struct timer *last = timers->heap[timers->len--];
    if (last != timer) {
        place(timers, timer->slot, last);
        sift_up(timers, last);
        sift_down(timers, last);
    }
    timer->slot = 0;
}

struct timer *timers_peek(const struct timers *timers)
{
    return timers->len == 0 ? NULL : timers->heap[1];
}
