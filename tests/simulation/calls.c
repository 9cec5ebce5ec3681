/* Stands in for worker/http.c: calls that a virtual API answers, each after a while. Main thread. Owns the
 * calls. */
#include "api.h"
#include "common/clock.h"
#include "common/heap.h"
#include "oracle.h"
#include "process.h"
#include "worker/http.h"
#include "worker/job.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { TOKEN_MOST = 32 };

struct call {
    char token[TOKEN_MOST];
    uint64_t token_serial;
    struct certified *subject; /* NULL: asks for a token */
    enum fate fate;
    bool probe;
    http_done done;
    void *context, *about;
    LIST_ENTRY(call) link;
};

LIST_HEAD(call_list, call);

struct http {
    struct world *world;
    struct process *process;
    struct http_config config;
    struct heap due; /* running calls */
    struct call_list running, idle;
    struct buf body;
};

struct http *http_open(const struct http_config *config, int epoll_fd, struct error *error)
{
    (void)epoll_fd, (void)error;
    struct http *http = world_alloc(sizeof *http);
    http->world = world_current();
    http->process = http->world->running;
    http->config = *config;
    LIST_INIT(&http->running);
    LIST_INIT(&http->idle);
    buf_init(&http->body, HTTP_BODY_LIMIT);
    return http;
}

static void calls_free(struct call_list *list)
{
    struct call *call;
    while ((call = LIST_FIRST(list))) {
        LIST_REMOVE(call, link);
        free(call);
    }
}

void http_close(struct http *http)
{
    if (!http)
        return;
    calls_free(&http->running);
    calls_free(&http->idle);
    heap_cleanup(&http->due);
    buf_cleanup(&http->body);
    free(http);
}

static struct call *calls_take(struct http *http)
{
    struct call *call = LIST_FIRST(&http->idle);
    if (call)
        LIST_REMOVE(call, link);
    else
        call = world_alloc(sizeof *call);
    LIST_INSERT_HEAD(&http->running, call, link);
    return call;
}

static int64_t calls_due_ns(struct http *http, const struct call *call)
{
    struct world *world = http->world;
    if (call->fate == FATE_TIMEOUT || (call->subject && call->subject->kind == KIND_HANGING))
        return world->now_ns + http->config.timeout_ms * CLOCK_MS;
    return world_after_ms(world, 1, world->plan.latency_ms);
}

/* What a certification is asked for is a job. */
static bool calls_is_first(const struct job *job)
{
    return !job->attempts;
}

/* As if curl did not take it, which is a failed call like others. */
static bool calls_refuse(struct http *http, const struct http_request *request, struct error *error)
{
    const struct answer none = {.transport = TRANSPORT_FAILED};
    struct caller *caller = process_caller(http->process);
    if (!request->json)
        oracle_on_answer(http->world, caller, &none, oracle_on_call(http->world, caller),
            calls_is_first(request->subject));
    return error_set(error, "not taken");
}

bool http_start(struct http *http, const struct http_request *request, struct error *error)
{
    struct world *world = http->world;
    if (world_fault(world, world->plan.call_fails / 50))
        return calls_refuse(http, request, error);
    struct call *call = calls_take(http);
    const char *name = strrchr(request->path, '/') + 1;
    call->subject = request->json ? NULL : truth_find(world->truth, name, strlen(name));
    snprintf(call->token, sizeof call->token, "%s", request->token ? request->token : "");
    call->token_serial = request->token_serial;
    call->fate = api_fate(world->api, call->subject);
    call->done = request->done;
    call->context = request->context;
    call->about = request->subject;
    call->probe = !request->json && oracle_on_call(world, process_caller(http->process));
    if (!request->json && !call->subject)
        world_violate(world, "a call for %s, which no event is about", name);
    if (!heap_push(&http->due, calls_due_ns(http, call), call))
        abort();
    world_note(world, "call", (int64_t)process_number(http->process),
        call->subject ? call->subject - world->truth->certified : -1, call->fate);
    return true;
}

static void calls_answer(struct http *http, struct call *call)
{
    struct world *world = http->world;
    struct answer answer;
    if (!call->subject)
        api_answer_token(world->api, call->fate, &http->body, &answer);
    else if (call->subject->kind == KIND_HANGING)
        api_answer(world->api, FATE_TIMEOUT, call->subject, call->token, &http->body, &answer);
    else
        api_answer(world->api, call->fate, call->subject, call->token, &http->body, &answer);
    answer.token_serial = call->token_serial;
    if (call->subject)
        oracle_on_answer(
            world, process_caller(http->process), &answer, call->probe, calls_is_first(call->about));
    world_note(world, "answer", (int64_t)process_number(http->process),
        call->subject ? call->subject - world->truth->certified : -1, answer.http_status);
    call->done(call->context, call->about, &answer);
    LIST_REMOVE(call, link);
    LIST_INSERT_HEAD(&http->idle, call, link);
}

void http_ready(struct http *http, int fd, uint32_t events)
{
    (void)http, (void)fd, (void)events;
}

int64_t http_due_ns(const struct http *http)
{
    return heap_due_ns(&http->due);
}

void http_turn(struct http *http, int64_t now_ns)
{
    struct call *call;
    while ((call = heap_pop_due(&http->due, now_ns)))
        calls_answer(http, call);
}
