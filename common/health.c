/* Readiness of the parts, under one mutex: parts change seldom. Any thread. */
#include "common/health.h"

#include "common/clock.h"
#include "common/exposition.h"
#include "common/log.h"
#include "common/utf8.h"

#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REASON_SIZE = 400 };
#define HEALTH_REPEAT (60 * CLOCK_S)

struct health_part {
    struct health *health;
    const char *name;
    bool ready;
    char reason[REASON_SIZE]; /* why not; empty until it has failed once */
    int64_t logged_ns;        /* when the reason was last logged */
    struct health_part *next;
};

struct health {
    pthread_mutex_t mutex;
    struct health_part *parts;
};

struct health *health_new(void)
{
    struct health *health = calloc(1, sizeof *health);
    if (health)
        pthread_mutex_init(&health->mutex, NULL);
    return health;
}

void health_free(struct health *health)
{
    if (!health)
        return;
    struct health_part *part = health->parts;
    while (part) {
        struct health_part *next = part->next;
        free(part);
        part = next;
    }
    pthread_mutex_destroy(&health->mutex);
    free(health);
}

struct health_part *health_add(struct health *health, const char *name)
{
    struct health_part *part = calloc(1, sizeof *part);
    if (!part)
        return NULL;
    part->health = health;
    part->name = name;
    pthread_mutex_lock(&health->mutex);
    part->next = health->parts;
    health->parts = part;
    pthread_mutex_unlock(&health->mutex);
    return part;
}

/* The mutex is held. */
static bool health_all_ready(const struct health *health, const char *name)
{
    for (const struct health_part *part = health->parts; part; part = part->next)
        if (!part->ready && strcmp(part->name, name) == 0)
            return false;
    return true;
}

/* Whether a part of that name has logged that reason within the last minute. The mutex is held. */
static bool health_logged(const struct health *health, const char *name, const char *reason, int64_t now_ns)
{
    for (const struct health_part *part = health->parts; part; part = part->next)
        if (part->logged_ns && now_ns - part->logged_ns < HEALTH_REPEAT && strcmp(part->name, name) == 0 &&
            strcmp(part->reason, reason) == 0)
            return true;
    return false;
}

/* Returns whether it was not ready before. */
static bool health_set_ready(struct health_part *part)
{
    bool before = part->ready;
    part->ready = true;
    part->reason[0] = '\0';
    part->logged_ns = 0;
    return !before;
}

void health_assume(struct health_part *part)
{
    pthread_mutex_lock(&part->health->mutex);
    health_set_ready(part);
    pthread_mutex_unlock(&part->health->mutex);
}

void health_ok(struct health_part *part)
{
    pthread_mutex_lock(&part->health->mutex);
    bool news = health_set_ready(part) && health_all_ready(part->health, part->name);
    pthread_mutex_unlock(&part->health->mutex);
    if (news)
        log_info("ready", LOG_TEXT("part", part->name));
}

void health_fail(struct health_part *part, const char *format, ...)
{
    char text[REASON_SIZE], reason[REASON_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    /* Other programs' words, maybe cut inside a character: JSON takes valid UTF-8 only. */
    utf8_escape(text, strlen(text), reason, sizeof reason);

    int64_t now = clock_ns();
    pthread_mutex_lock(&part->health->mutex);
    bool news = !health_logged(part->health, part->name, reason, now);
    part->ready = false;
    snprintf(part->reason, sizeof part->reason, "%s", reason);
    if (news)
        part->logged_ns = now;
    pthread_mutex_unlock(&part->health->mutex);
    if (news)
        log_warn("not ready", LOG_TEXT("part", part->name), LOG_TEXT("reason", reason));
}

/* Workers have parts of the same name: the object gets the first reason of each name. */
static json_t *health_reasons(const struct health *health)
{
    json_t *reasons = json_object();
    for (const struct health_part *part = health->parts; part; part = part->next)
        if (!part->ready)
            json_object_set_new(
                reasons, part->name, json_string(part->reason[0] ? part->reason : "not known yet"));
    return reasons;
}

void health_summary(struct health *health, char *text, size_t size)
{
    pthread_mutex_lock(&health->mutex);
    json_t *reasons = health_reasons(health);
    pthread_mutex_unlock(&health->mutex);
    char line[4 * REASON_SIZE];
    size_t used = (size_t)snprintf(line, sizeof line, json_object_size(reasons) ? "not ready" : "ready");
    const char *name, *separator = ": ";
    json_t *reason;
    json_object_foreach (reasons, name, reason) {
        int more =
            snprintf(line + used, sizeof line - used, "%s%s: %s", separator, name, json_string_value(reason));
        used = used + (size_t)more < sizeof line ? used + (size_t)more : sizeof line - 1;
        separator = "; ";
    }
    utf8_escape(line, used, text, size);
    json_decref(reasons);
}

bool health_ready(struct health *health, struct buf *page)
{
    pthread_mutex_lock(&health->mutex);
    json_t *reasons = health_reasons(health);
    pthread_mutex_unlock(&health->mutex);
    bool ready = json_object_size(reasons) == 0;
    json_t *object = json_pack("{s:b, s:o}", "ready", ready, "reasons", reasons);
    char *text = json_dumps(object, JSON_SORT_KEYS);
    if (!text || !buf_format(page, "%s\n", text))
        ready = false;
    free(text);
    json_decref(object);
    return ready;
}

/* Whether it is the first part of its name. The mutex is held. */
static bool health_is_first(const struct health *health, const struct health_part *part)
{
    const struct health_part *other = health->parts;
    while (strcmp(other->name, part->name) != 0)
        other = other->next;
    return other == part;
}

bool health_metrics(struct health *health, struct buf *page)
{
    static const char part_name[] = "impcert_part_ready";
    bool all = true;
    bool fine = exposition_head(
        page, part_name, "Whether each thing that the process depends on is ready, as in /readyz.", "gauge");
    pthread_mutex_lock(&health->mutex);
    for (const struct health_part *part = health->parts; fine && part; part = part->next) {
        bool ready = health_all_ready(health, part->name);
        all = all && ready;
        if (health_is_first(health, part))
            fine = buf_format(page, "%s{part=\"%s\"} %d\n", part_name, part->name, ready);
    }
    pthread_mutex_unlock(&health->mutex);
    return fine && exposition_value(page, "impcert_ready", "Whether the process is ready.", "gauge", all);
}
