#ifndef IMPCERT_REPLAY_STORY_H
#define IMPCERT_REPLAY_STORY_H

#include <librdkafka/rdkafka.h>
#include <stdint.h>

/* The headers that replays and discards write, and what they tell. Pure. Thread: any.
 *
 * impcert.replay_count and impcert.replayed_at: of the last replay. impcert.replay_history: a JSON array of
 * the failures before it, the oldest first, each with the members reason, error, http_status, attempts,
 * first_failed_at, failed_at and origin as their headers had them; it goes with the event, so that compaction
 * takes nothing away. */
enum { STORY_FAILURES_MOST = 20 }; /* the oldest are dropped */

/* The headers of the event of a dead letter that is replayed. own: the dead letter's, NULL: none. The caller
 * owns the result; NULL when out of memory. */
rd_kafka_headers_t *story_event_headers(const rd_kafka_headers_t *own, int replay_count, int64_t now_ms);
/* Those of its mark. */
rd_kafka_headers_t *story_replayed_headers(int replay_count, int64_t now_ms);

#endif
