#ifndef IMPCERT_COMMON_HEAP_H
#define IMPCERT_COMMON_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Timers ordered by due time: a binary heap of borrowed pointers. Thread: the owner's. */
struct heap_entry {
    int64_t due_ns;
    void *item;
};

struct heap {
    struct heap_entry *entries;
    size_t count;
    size_t capacity;
};

/* A zeroed struct heap is an empty one. */
void heap_cleanup(struct heap *heap);
/* False when out of memory. */
bool heap_push(struct heap *heap, int64_t due_ns, void *item) __attribute__((warn_unused_result));
/* When the first is due, CLOCK_NEVER when empty. */
int64_t heap_due_ns(const struct heap *heap);
/* Removes and returns the first item due by now_ns; NULL where none is. Of equal due times any comes first.
 */
void *heap_pop_due(struct heap *heap, int64_t now_ns);

#endif
