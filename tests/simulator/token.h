// The access token of the simulated service and its rules of life. Times are the service's own clock, in
// milliseconds since 1970. All functions run on the main thread.
#ifndef SIMULATOR_TOKEN_H
#define SIMULATOR_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "settings.h"

enum { TOKEN_LENGTH = 40 };

enum token_step {
    TOKEN_SAME,
    TOKEN_EXTENDED,
    TOKEN_NEW,
};

struct token {
    char text[TOKEN_LENGTH + 1]; // 40 hex digits; empty before the first
    int64_t end_ms;              // valid before this time; 0 when there is none
};

// What asking for a token does: the same with the same end while it lives, the end moved on in its last part,
// a new one after its end.
enum token_step token_ask(struct token *token, const struct settings *settings, int64_t now_ms);

// Judges an Authorization header, with "Bearer " or without.
bool token_accepts(const struct token *token, struct span authorization, int64_t now_ms);

// Makes the token invalid from now on; the next to ask gets a new one.
void token_expire(struct token *token);

#endif
