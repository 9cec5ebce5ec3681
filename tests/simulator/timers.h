// Timers ordered by due time (binary heap). The heap borrows the timers, which live in their owners' structs.
// All functions run on the main thread.
#ifndef SIMULATOR_TIMERS_H
#define SIMULATOR_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    int64_t due_ns; // monotonic clock
    size_t slot;    // place in the heap, from 1; 0 while not set
};

struct timers {
    struct timer **heap; // owned array of borrowed timers; heap[0] is unused
    size_t len;          // timers set
    size_t cap;          // timers that fit
};

// Makes room for `count` timers in all, so that timers_set never fails. False: no memory.
bool timers_reserve(struct timers *timers, size_t count) __attribute__((warn_unused_result));

void timers_cleanup(struct timers *timers);

// Sets a timer, or moves one that is set.
void timers_set(struct timers *timers, struct timer *timer, int64_t due_ns);

// Fine on a timer that is not set.
void timers_cancel(struct timers *timers, struct timer *timer);

// The earliest timer, NULL when none is set. Valid until the next change.
struct timer *timers_peek(const struct timers *timers);

#endif
