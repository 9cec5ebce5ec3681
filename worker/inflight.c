/* Jobs by imp_uid. Loop thread. Jobs without a valid imp_uid never come here. */
#include "worker/inflight.h"

#include <string.h>

bool inflight_join(struct inflight *inflight, struct job *job)
{
    size_t length = strlen(job->imp_uid);
    struct job *leader;
    HASH_FIND(by_imp_uid, inflight->leaders, job->imp_uid, length, leader);
    if (leader) {
        job_move(job, NULL, &leader->twins, JOB_TWIN);
        return false;
    }
    HASH_ADD_KEYPTR(by_imp_uid, inflight->leaders, job->imp_uid, length, job);
    return true;
}

void inflight_leave(struct inflight *inflight, struct job *leader)
{
    HASH_DELETE(by_imp_uid, inflight->leaders, leader);
}

struct job *inflight_succeed(struct inflight *inflight, struct job *leader)
{
    inflight_leave(inflight, leader);
    struct job *heir = TAILQ_FIRST(&leader->twins);
    if (!heir)
        return NULL;
    job_move(heir, &leader->twins, NULL, JOB_READY);
    TAILQ_CONCAT(&heir->twins, &leader->twins, link);
    HASH_ADD_KEYPTR(by_imp_uid, inflight->leaders, heir->imp_uid, strlen(heir->imp_uid), heir);
    return heir;
}
