/* Jobs by imp_uid. Loop thread. Jobs without a valid imp_uid never come here. */
/* HASH_ADD leaves tbl NULL when out of memory, instead of ending the program. */
#define HASH_NONFATAL_OOM 1
#include "worker/inflight.h"

#include <string.h>

static void inflight_add(struct inflight *inflight, struct job *job)
{
    HASH_ADD_KEYPTR(by_imp_uid, inflight->leaders, job->imp_uid, strlen(job->imp_uid), job);
}

bool inflight_join(struct inflight *inflight, struct job *job)
{
    size_t length = strlen(job->imp_uid);
    struct job *leader;
    HASH_FIND(by_imp_uid, inflight->leaders, job->imp_uid, length, leader);
    if (leader) {
        job_move(job, NULL, &leader->twins, JOB_TWIN);
        return false;
    }
    inflight_add(inflight, job);
    return true;
}

void inflight_leave(struct inflight *inflight, struct job *leader)
{
    if (leader->by_imp_uid.tbl)
        HASH_DELETE(by_imp_uid, inflight->leaders, leader);
    leader->by_imp_uid.tbl = NULL;
}

struct job *inflight_succeed(struct inflight *inflight, struct job *leader)
{
    inflight_leave(inflight, leader);
    struct job *heir = TAILQ_FIRST(&leader->twins);
    if (!heir)
        return NULL;
    job_move(heir, &leader->twins, NULL, JOB_READY);
    TAILQ_CONCAT(&heir->twins, &leader->twins, link);
    inflight_add(inflight, heir);
    return heir;
}
