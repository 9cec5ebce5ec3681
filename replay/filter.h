#ifndef IMPCERT_REPLAY_FILTER_H
#define IMPCERT_REPLAY_FILTER_H

#include "common/error.h"
#include "replay/table.h"

#include <stdbool.h>
#include <stdint.h>

/* Which dead letters are meant. Pure. Thread: main. */
enum { FILTER_IMP_UIDS_MOST = 1000 };

struct filter {
    unsigned reasons;      /* bits by enum reason; 0: all */
    const char **imp_uids; /* owned list of borrowed texts; NULL: all */
    size_t imp_uid_count;
    int64_t since_ms, until_ms; /* wall time of the failure; 0: any */
    int max_replays;
};

void filter_init(struct filter *filter);
void filter_cleanup(struct filter *filter);

/* "not_found" or "not_found,refused"; may be called again. */
bool filter_add_reasons(struct filter *filter, const char *names, struct error *why);
/* Borrows the text. */
bool filter_add_imp_uid(struct filter *filter, const char *imp_uid, struct error *why);
/* RFC 3339 in UTC, a date, or a duration before now_ms such as 2h. */
bool filter_time(const char *text, int64_t now_ms, int64_t *wall_ms, struct error *why);

/* Whether it is meant, by reason, imp_uid and time. */
bool filter_match(const struct filter *filter, const struct dead *dead);
/* Whether a replay of one that is meant is left alone, and why: NULL, or words for a summary. */
const char *filter_hopeless(const struct filter *filter, const struct dead *dead);

#endif
