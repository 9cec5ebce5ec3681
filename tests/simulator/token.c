// Token rules; see token.h. Runs on the main thread; the caller owns the token.
#include "token.h"

#include <stdio.h>
#include <strings.h>
#include <sys/random.h>

static void renew(struct token *token)
{
    unsigned char bytes[TOKEN_LENGTH / 2];
    // Cannot fall short: requests of up to 256 bytes are served whole once the kernel has any randomness.
    while (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(token->text + i * 2, 3, "%02x", bytes[i]);
}

enum token_step token_ask(struct token *token, const struct settings *settings, int64_t now_ms)
{
    if (now_ms >= token->end_ms) {
        renew(token);
        token->end_ms = now_ms + settings->token_life_ms;
        return TOKEN_NEW;
    }
    if (token->end_ms - now_ms > settings_token_window_ms(settings))
        return TOKEN_SAME;
    token->end_ms += settings_token_extend_ms(settings);
    return TOKEN_EXTENDED;
}

bool token_accepts(const struct token *token, struct span authorization, int64_t now_ms)
{
    const char *text = authorization.data;
    size_t len = authorization.len;
    if (now_ms >= token->end_ms)
        return false;
    if (len > 7 && strncasecmp(text, "Bearer ", 7) == 0) {
        text += 7;
        len -= 7;
    }
    return len == TOKEN_LENGTH && memcmp(text, token->text, TOKEN_LENGTH) == 0;
}

void token_expire(struct token *token)
{
    token->end_ms = 0;
}
