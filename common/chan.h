#ifndef IMPCERT_COMMON_CHAN_H
#define IMPCERT_COMMON_CHAN_H

#include "common/error.h"

#include <stdint.h>
#include <sys/queue.h>

/* The queue that crosses threads: whatever is given belongs to the taker from then on. First in, first out.
 */
struct chan_item {
    STAILQ_ENTRY(chan_item) link; /* the chan's while inside */
};

struct chan;

/* wake_fd: an eventfd to signal at each give, for a taker that sleeps in epoll; -1 for takers that block in
 * chan_take. */
struct chan *chan_new(int wake_fd);
/* Must be empty: the chan does not know what its items are. NULL is fine. */
void chan_free(struct chan *chan);

/* Thread: any. */
void chan_give(struct chan *chan, struct chan_item *item);
/* The next item; waits for one until until_ns (monotonic). NULL at the deadline, or once closed and empty.
 * Thread: any. */
struct chan_item *chan_take(struct chan *chan, int64_t until_ns);
/* Ends all waiting, now and later; what is inside can still be taken. Thread: any. */
void chan_close(struct chan *chan);
/* Waits until until_ns or until the chan is closed; true when it is closed. For a taker that has to pause.
 * Thread: any. */
bool chan_wait_closed(struct chan *chan, int64_t until_ns);

/* Signals an eventfd. Wake-ups merge: whoever wakes drains everything. Thread: any. */
void wake_signal(int wake_fd);

#endif
