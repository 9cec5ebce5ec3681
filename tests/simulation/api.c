/* What the Iamport API answers. Main thread. */
#include "api.h"

#include "common/clock.h"
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In its last minute a token is made to last longer when asked for. */
#define API_PROLONGED_WITHIN (60 * CLOCK_S)

struct api *api_new(struct world *world)
{
    struct api *api = world_alloc(sizeof *api);
    api->world = world;
    return api;
}

void api_free(struct api *api)
{
    free(api);
}

static enum fate api_failure(struct dice *dice)
{
    static const enum fate fates[] = {FATE_ERROR, FATE_ERROR, FATE_CUT, FATE_TIMEOUT, FATE_HTML};
    return fates[dice_below(dice, sizeof fates / sizeof fates[0])];
}

enum fate api_fate(struct api *api, const struct certified *subject)
{
    struct world *world = api->world;
    const struct plan *plan = &world->plan;
    if (window_holds(&plan->api_away, world->now_ns))
        return dice_permille(&world->dice, 700) ? FATE_ERROR : api_failure(&world->dice);
    if (!subject && window_holds(&plan->api_refuses_key, world->now_ns))
        return FATE_REFUSED_KEY;
    if (world_fault(world, plan->call_fails))
        return api_failure(&world->dice);
    if (world_fault(world, plan->call_throttled))
        return FATE_THROTTLED;
    return FATE_ANSWERED;
}

static void api_body(struct buf *body, const char *text)
{
    buf_reset(body, SIZE_MAX);
    if (!buf_append(body, text, strlen(text)))
        abort();
}

/* True where the fate was the answer. */
static bool api_failed(struct api *api, enum fate fate, struct buf *body, struct answer *answer)
{
    *answer = (struct answer){.transport = TRANSPORT_ANSWERED, .http_status = 200, .failure = ""};
    api_body(body, "");
    switch (fate) {
    case FATE_ERROR:
        answer->http_status = 503;
        return true;
    case FATE_CUT:
        *answer = (struct answer){.transport = TRANSPORT_FAILED, .failure = "no connection"};
        return true;
    case FATE_TIMEOUT:
        *answer = (struct answer){.transport = TRANSPORT_TIMEOUT, .failure = "timed out"};
        return true;
    case FATE_HTML:
        api_body(body, "<html>");
        return true;
    case FATE_THROTTLED:
        answer->http_status = 429;
        answer->retry_after_s = dice_between(&api->world->dice, 0, 3);
        return true;
    case FATE_REFUSED_KEY:
        answer->http_status = 401;
        return true;
    default:
        return false;
    }
}

static void api_renew_token(struct api *api)
{
    int64_t now = api->world->now_ns, life = api->world->plan.token_s * CLOCK_S;
    if (now >= api->token_ns)
        api->serial++;
    if (api->token_ns - now < API_PROLONGED_WITHIN)
        api->token_ns = now + life;
}

void api_answer_token(struct api *api, enum fate fate, struct buf *body, struct answer *answer)
{
    char text[256];
    if (!api_failed(api, fate, body, answer)) {
        api_renew_token(api);
        int64_t now_s = world_wall_ms(api->world) / 1000;
        snprintf(text, sizeof text,
            "{\"code\":0,\"response\":{\"access_token\":\"token-%d\",\"now\":%" PRId64
            ",\"expired_at\":%" PRId64 "}}",
            api->serial, now_s, now_s + (api->token_ns - api->world->now_ns) / CLOCK_S);
        api_body(body, text);
    }
    answer->body = body->data;
    answer->body_size = body->size;
}

static bool api_accepts(const struct api *api, const char *token)
{
    char text[32];
    snprintf(text, sizeof text, "token-%d", api->serial);
    return api->world->now_ns < api->token_ns && strcmp(text, token) == 0;
}

static void api_certification(
    const struct certified *subject, bool certified, const char *imp_uid, struct buf *body)
{
    char unique_key[96], text[512];
    truth_unique_key(subject, unique_key);
    snprintf(text, sizeof text,
        "{\"code\":0,\"message\":null,\"response\":{\"imp_uid\":\"%s\",\"certified\":%s,"
        "\"unique_key\":\"%s\",\"unique_in_site\":null,\"certified_at\":%" PRId64
        ",\"name\":\"nobody\",\"phone\":\"-\"}}",
        imp_uid, certified ? "true" : "false", subject->kind == KIND_NO_KEY ? "" : unique_key,
        truth_certified_at_s(subject));
    api_body(body, text);
}

/* By the kind of the certification. */
static void api_judge(struct api *api, struct certified *subject, struct buf *body, struct answer *answer)
{
    int64_t now = api->world->now_ns;
    bool fails_yet = subject->calls++ < subject->failing;
    switch (subject->kind) {
    case KIND_FLAKY:
    case KIND_ERROR:
        if (fails_yet || subject->kind == KIND_ERROR)
            answer->http_status = 500;
        break;
    case KIND_LIMITED:
        if (fails_yet)
            answer->http_status = 429;
        break;
    case KIND_MISSING:
        answer->http_status = 404;
        break;
    case KIND_FORBIDDEN:
        answer->http_status = 403;
        break;
    case KIND_CODE:
        api_body(body, "{\"code\":-1,\"message\":\"no\",\"response\":null}");
        return;
    case KIND_HTML:
        api_body(body, "<html>");
        return;
    case KIND_OTHER:
        api_certification(subject, true, "imp_other", body);
        return;
    default:
        break;
    }
    if (answer->http_status == 200)
        api_certification(subject,
            subject->kind != KIND_UNFINISHED && (subject->kind != KIND_LATE || now >= subject->certified_ns),
            subject->imp_uid, body);
}

void api_answer(struct api *api, enum fate fate, struct certified *subject, const char *token,
    struct buf *body, struct answer *answer)
{
    if (world_fault(api->world, api->world->plan.token_revoked))
        api->token_ns = api->world->now_ns;
    if (!api_failed(api, fate, body, answer)) {
        if (!api_accepts(api, token))
            answer->http_status = 401;
        else
            api_judge(api, subject, body, answer);
    }
    answer->body = body->data;
    answer->body_size = body->size;
}
