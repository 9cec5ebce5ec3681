#ifndef IMPCERT_PRODUCER_GATEWAY_TOKENS_H
#define IMPCERT_PRODUCER_GATEWAY_TOKENS_H

#include "common/error.h"
#include "common/settings.h"

#include <stdint.h>

/* The bearer tokens of IMPCERT_BEARER_TOKENS (RFC 6750). Only their digests stay in memory, and a comparison
 * takes the same time whatever is presented. A file of tokens is read again every few seconds. Thread: loop.
 */
struct tokens;

/* NULL with the reason. The settings are borrowed for its life. */
struct tokens *tokens_open(const struct settings *settings, struct error *error);
void tokens_close(struct tokens *tokens);

/* Reads the file again where it is due; what is wrong with it is logged, and the tokens before stay. */
void tokens_turn(struct tokens *tokens, int64_t now_ns);

/* Whether the header Authorization (NULL: there is none) names one of them, or none is asked for. */
bool tokens_allow(const struct tokens *tokens, const char *authorization);

#endif
