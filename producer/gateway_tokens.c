/* Bearer tokens, as digests. Loop thread. */
#include "producer/gateway_tokens.h"

#include "common/clock.h"
#include "common/log.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TOKENS_MOST 1000
#define TOKENS_TEXT_SIZE 65537 /* what a file of a setting may hold, and NUL */
#define TOKENS_REREAD (2 * CLOCK_S)

enum { DIGEST_SIZE = 32 };

struct tokens {
    const struct settings *settings;
    size_t count;
    unsigned char digests[TOKENS_MOST][DIGEST_SIZE];
    int64_t reread_ns;
    bool told; /* that the file can't be read */
};

static bool tokens_digest(const char *text, size_t length, unsigned char digest[static DIGEST_SIZE])
{
    return EVP_Digest(text, length, digest, NULL, EVP_sha256(), NULL) == 1;
}

/* Replaces the digests only once all of the text is good. */
static bool tokens_take(struct tokens *tokens, const char *text, struct error *error)
{
    static const char separators[] = " \t\r\n,";
    unsigned char(*digests)[DIGEST_SIZE] = calloc(TOKENS_MOST, DIGEST_SIZE);
    size_t count = 0, length;
    bool ok = digests || error_set(error, "out of memory");
    for (text += strspn(text, separators); ok && *text; text += length, text += strspn(text, separators)) {
        length = strcspn(text, separators);
        if (count == TOKENS_MOST)
            ok = error_set(error, "there are more than %d tokens", TOKENS_MOST);
        else if (!tokens_digest(text, length, digests[count++]))
            ok = error_set(error, "SHA-256 is not available");
    }
    if (ok) {
        memcpy(tokens->digests, digests, count * DIGEST_SIZE);
        tokens->count = count;
    }
    free(digests);
    return ok;
}

static bool tokens_read(struct tokens *tokens, struct error *error)
{
    if (!settings_text(tokens->settings, SETTING_BEARER_TOKENS))
        return true;
    char *text = malloc(TOKENS_TEXT_SIZE);
    if (!text)
        return error_set(error, "out of memory");
    bool ok = settings_reread(tokens->settings, SETTING_BEARER_TOKENS, text, TOKENS_TEXT_SIZE, error) &&
              tokens_take(tokens, text, error);
    explicit_bzero(text, TOKENS_TEXT_SIZE);
    free(text);
    return ok;
}

struct tokens *tokens_open(const struct settings *settings, struct error *error)
{
    struct tokens *tokens = calloc(1, sizeof *tokens);
    if (!tokens) {
        error_set(error, "out of memory");
        return NULL;
    }
    tokens->settings = settings;
    if (tokens_read(tokens, error))
        return tokens;
    free(tokens);
    return NULL;
}

void tokens_close(struct tokens *tokens)
{
    free(tokens);
}

void tokens_turn(struct tokens *tokens, int64_t now_ns)
{
    struct error error;
    if (now_ns < tokens->reread_ns)
        return;
    tokens->reread_ns = now_ns + TOKENS_REREAD;
    bool read = tokens_read(tokens, &error);
    if (!read && !tokens->told)
        log_warn("the bearer tokens can't be read again, those before stay", LOG_TEXT("error", error.text));
    tokens->told = !read;
}

bool tokens_allow(const struct tokens *tokens, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    unsigned char digest[DIGEST_SIZE];
    if (!tokens->count)
        return true;
    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *presented = authorization + sizeof scheme - 1;
    presented += strspn(presented, " ");
    if (!tokens_digest(presented, strlen(presented), digest))
        return false;
    unsigned known = 0;
    for (size_t i = 0; i < tokens->count; i++)
        known |= CRYPTO_memcmp(digest, tokens->digests[i], DIGEST_SIZE) == 0;
    return known;
}
