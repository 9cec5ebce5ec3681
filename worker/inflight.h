#ifndef IMPCERT_WORKER_INFLIGHT_H
#define IMPCERT_WORKER_INFLIGHT_H

#include "worker/job.h"

/* The jobs in flight by imp_uid, so that the same imp_uid in flight twice is verified once: the first job
 * leads, later ones are its twins and end as it does. Thread: loop. */
struct inflight {
    struct job *leaders; /* uthash, by imp_uid */
};

/* Returns true where the job leads; false where it became a twin of the one that does. Out of memory it leads
 * unseen: another of its imp_uid leads as well, and is verified by itself. */
bool inflight_join(struct inflight *inflight, struct job *job);
/* A leader ends: it is forgotten. Its twins stay on its list, for the caller to end with it. */
void inflight_leave(struct inflight *inflight, struct job *leader);
/* A leader is given up without an end: its first twin leads from now on, with the other twins behind it.
 * Returns the new leader, on no list; NULL where there was no twin. */
struct job *inflight_succeed(struct inflight *inflight, struct job *leader);

#endif
