#ifndef IMPCERT_SIMULATION_DOCUMENTS_H
#define IMPCERT_SIMULATION_DOCUMENTS_H

#include <stdint.h>

/* MongoDB: writes that are under way, and take effect whether or not whoever sent them is still there.
 * Thread: main. */
struct world;
struct process;
struct documents;

struct documents *documents_new(struct world *world);
void documents_free(struct documents *documents);

/* When the next write takes effect. */
int64_t documents_due_ns(const struct documents *documents);
void documents_turn(struct documents *documents);
/* Its process is gone, and with it some of its writes. */
void documents_cut(struct documents *documents, const struct process *process);

#endif
