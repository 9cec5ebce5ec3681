/* A binary heap of timers. The owner's thread. */
#include "common/heap.h"

#include "common/clock.h"

#include <stdlib.h>

void heap_cleanup(struct heap *heap)
{
    free(heap->entries);
    *heap = (struct heap){0};
}

static void heap_swap(struct heap_entry *a, struct heap_entry *b)
{
    struct heap_entry other = *a;
    *a = *b;
    *b = other;
}

static bool heap_grow(struct heap *heap)
{
    size_t capacity = heap->capacity ? heap->capacity * 2 : 64;
    struct heap_entry *entries = reallocarray(heap->entries, capacity, sizeof *entries);
    if (!entries)
        return false;
    heap->entries = entries;
    heap->capacity = capacity;
    return true;
}

bool heap_push(struct heap *heap, int64_t due_ns, void *item)
{
    if (heap->count == heap->capacity && !heap_grow(heap))
        return false;
    struct heap_entry *entries = heap->entries;
    size_t at = heap->count++;
    entries[at] = (struct heap_entry){.due_ns = due_ns, .item = item};
    for (; at && entries[at].due_ns < entries[(at - 1) / 2].due_ns; at = (at - 1) / 2)
        heap_swap(&entries[at], &entries[(at - 1) / 2]);
    return true;
}

int64_t heap_due_ns(const struct heap *heap)
{
    return heap->count ? heap->entries[0].due_ns : CLOCK_NEVER;
}

static size_t heap_earlier_child(const struct heap *heap, size_t at)
{
    size_t left = 2 * at + 1, right = left + 1;
    return right < heap->count && heap->entries[right].due_ns < heap->entries[left].due_ns ? right : left;
}

void *heap_pop_due(struct heap *heap, int64_t now_ns)
{
    if (!heap->count || heap->entries[0].due_ns > now_ns)
        return NULL;
    void *item = heap->entries[0].item;
    heap->entries[0] = heap->entries[--heap->count];
    for (size_t at = 0, child; (child = heap_earlier_child(heap, at)) < heap->count; at = child) {
        if (heap->entries[at].due_ns <= heap->entries[child].due_ns)
            break;
        heap_swap(&heap->entries[at], &heap->entries[child]);
    }
    return item;
}
