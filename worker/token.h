#ifndef IMPCERT_WORKER_TOKEN_H
#define IMPCERT_WORKER_TOKEN_H

#include "common/health.h"
#include "common/settings.h"
#include "worker/http.h"
#include "worker/metrics.h"

#include <stdint.h>

/* The access token of one worker: one request at a time, however many jobs wait for it. The service answers
 * with the same token until its last minute, in which asking moves its end (PortOne V1, POST
 * /users/getToken): so it is renewed there, in the background. Its life is counted on our monotonic clock
 * from expired_at - now of their answer. Thread: loop. */
struct token;

/* settings, http, health and metrics are borrowed for its life. NULL when out of memory. */
struct token *token_open(
    const struct settings *settings, struct http *http, struct health_part *health, struct metrics *metrics);
void token_close(struct token *token);

/* The token to use now, NULL while there is none. Borrowed until the next token_turn. */
const char *token_value(const struct token *token, int64_t now_ns);
/* Changes with each answer, even if the text is the same. Never 0 where there is a token. */
uint64_t token_serial(const struct token *token);

/* A call with the token of that serial was answered otherwise than 401: the token is accepted. */
void token_worked(struct token *token, uint64_t serial);
/* A call with the token of that serial was answered 401. The token is renewed; meanwhile it stays in use
 * where it has worked for others, since then the fault may be that one call's. */
void token_refused(struct token *token, uint64_t serial, int64_t now_ns);

/* Whether a request for a token is under way. */
bool token_asking(const struct token *token);

/* Asks for a token where one is due. */
void token_turn(struct token *token, int64_t now_ns);
int64_t token_due_ns(const struct token *token);

#endif
