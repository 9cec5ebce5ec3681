/* The access token. Loop thread. Owns the token's text, which leaves only in Authorization headers. */
#include "worker/token.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "worker/token_answer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECRET_SIZE = 1024 };

/* The service moves the end when asked in its last 60 s; 5 s of that allow for clocks read in whole seconds.
 */
#define TOKEN_RENEW_BEFORE (55 * CLOCK_S)
#define TOKEN_BACKOFF_BASE (CLOCK_S / 2)
#define TOKEN_BACKOFF_MAX (30 * CLOCK_S)

struct token {
    const struct settings *settings;
    struct http *http;
    struct health_part *health;
    struct metrics *metrics;
    char value[TOKEN_SIZE]; /* empty: none */
    uint64_t serial;
    int64_t ends_ns;  /* value is not used from here on */
    int64_t renew_ns; /* when to ask next; CLOCK_NEVER while asking */
    bool asking;
    bool worked;  /* some call with this text was answered otherwise than 401 */
    bool doubted; /* a call with this serial was refused, and the next request is due or under way */
    int failures; /* in a row: requests without a token, and refusals without a call that worked in between */
    struct backoff backoff;
};

struct token *token_open(
    const struct settings *settings, struct http *http, struct health_part *health, struct metrics *metrics)
{
    struct token *token = calloc(1, sizeof *token);
    if (!token)
        return NULL;
    token->settings = settings;
    token->http = http;
    token->health = health;
    token->metrics = metrics;
    backoff_init(&token->backoff, TOKEN_BACKOFF_BASE, TOKEN_BACKOFF_MAX);
    return token;
}

void token_close(struct token *token)
{
    if (!token)
        return;
    explicit_bzero(token->value, sizeof token->value);
    free(token);
}

const char *token_value(const struct token *token, int64_t now_ns)
{
    return token->value[0] && now_ns < token->ends_ns ? token->value : NULL;
}

uint64_t token_serial(const struct token *token)
{
    return token->serial;
}

static void token_fail(struct token *token, const char *reason)
{
    token->failures++;
    token->renew_ns = clock_ns() + backoff_delay(&token->backoff, token->failures);
    metrics_add(token->metrics, METRIC_TOKEN_FAILURES, 1);
    health_fail(token->health, "no token from %s, users/getToken: %s",
        settings_text(token->settings, SETTING_IAMPORT_URL), reason);
}

static void token_accept(struct token *token, const char *value, int64_t life_s)
{
    int64_t now = clock_ns();
    bool same = strcmp(value, token->value) == 0;
    snprintf(token->value, sizeof token->value, "%s", value);
    token->serial++;
    token->worked = token->worked && same;
    /* A refused token is counted as a failure until it works: the same one may come back again and again. */
    token->failures = token->doubted ? token->failures : 0;
    token->doubted = false;
    token->ends_ns = now + life_s * CLOCK_S;
    /* Where there is less than the renewal window left, the next request waits for the end itself. */
    metrics_token(token->metrics, token->ends_ns);
    metrics_set(token->metrics, METRIC_KEY_PAIR_REFUSED, 0);
    token->renew_ns = token->ends_ns - (life_s * CLOCK_S > TOKEN_RENEW_BEFORE ? TOKEN_RENEW_BEFORE : 0);
    health_ok(token->health);
}

static void token_read(struct token *token, const struct answer *answer)
{
    struct token_answer read;
    const char *why;
    if (token_answer_read(answer->body, answer->body_size, &read, &why))
        token_accept(token, read.value, read.life_s);
    else
        token_fail(token, why);
    explicit_bzero(&read, sizeof read);
}

static void token_answered(void *context, void *subject, const struct answer *answer)
{
    (void)subject;
    struct token *token = context;
    char reason[128];
    token->asking = false;
    if (answer->transport != TRANSPORT_ANSWERED)
        token_fail(token, answer->failure);
    else if (answer->http_status == 401) {
        metrics_set(token->metrics, METRIC_KEY_PAIR_REFUSED, 1);
        token_fail(token, "the key pair was refused (HTTP 401); check IAMPORT_KEY and IAMPORT_SECRET");
    } else if (answer->http_status != 200) {
        snprintf(reason, sizeof reason, "HTTP %ld", answer->http_status);
        token_fail(token, reason);
    } else
        token_read(token, answer);
}

/* The key pair is read afresh each time: secrets are rotated in place. */
static bool token_ask(struct token *token, struct error *error)
{
    char key[SECRET_SIZE], secret[SECRET_SIZE];
    bool asked = false;
    char *json = NULL;
    if (settings_reread(token->settings, SETTING_IAMPORT_KEY, key, sizeof key, error) &&
        settings_reread(token->settings, SETTING_IAMPORT_SECRET, secret, sizeof secret, error)) {
        json_t *body = json_pack("{s:s, s:s}", "imp_key", key, "imp_secret", secret);
        json = body ? json_dumps(body, JSON_COMPACT) : NULL;
        json_decref(body);
        struct http_request request = {
            .path = "users/getToken", .json = json, .done = token_answered, .context = token};
        asked = json ? http_start(token->http, &request, error)
                     : error_set(error, "the key pair is not valid UTF-8");
    }
    if (json)
        explicit_bzero(json, strlen(json));
    free(json);
    explicit_bzero(key, sizeof key);
    explicit_bzero(secret, sizeof secret);
    return asked;
}

void token_turn(struct token *token, int64_t now_ns)
{
    if (token->asking || now_ns < token->renew_ns)
        return;
    struct error error;
    metrics_add(token->metrics, METRIC_TOKEN_REQUESTS, 1);
    token->asking = token_ask(token, &error);
    if (!token->asking)
        token_fail(token, error.text);
}

bool token_asking(const struct token *token)
{
    return token->asking;
}

int64_t token_due_ns(const struct token *token)
{
    return token->asking ? CLOCK_NEVER : token->renew_ns;
}

void token_worked(struct token *token, uint64_t serial)
{
    if (serial != token->serial || token->doubted)
        return;
    token->worked = true;
    token->failures = 0;
}

void token_refused(struct token *token, uint64_t serial, int64_t now_ns)
{
    if (serial != token->serial || token->doubted)
        return;
    token->doubted = true;
    if (!token->worked) {
        token->ends_ns = now_ns;
        metrics_token(token->metrics, token->ends_ns);
    }
    token->renew_ns = now_ns;
    if (token->failures++)
        token->renew_ns += backoff_delay(&token->backoff, token->failures);
}
