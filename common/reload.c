/* Watches the files of settings by looking at them every few seconds, since what replaces them is a rename, a
 * link that is turned, or a network file system. Main thread. */
#include "common/reload.h"

#include "common/clock.h"
#include "common/file_mark.h"
#include "common/kafka.h"
#include "common/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <unistd.h>

#define RELOAD_EVERY (2 * CLOCK_S)
/* Processes that see the same change don't all drain at once. */
#define RELOAD_SPREAD (10 * CLOCK_S)

struct watched {
    char *path;
    struct file_mark known,
        last; /* as it was at the start, or when the settings were last found wrong; last time */
    STAILQ_ENTRY(watched) link;
};

struct reload {
    const struct settings *settings;
    STAILQ_HEAD(, watched) files;
    int64_t look_ns;  /* when to look next */
    int64_t drain_ns; /* when to drain; CLOCK_NEVER: nothing has changed */
    bool wanted;
};

bool reload_watch(struct reload *reload, const char *path)
{
    struct watched *watched = calloc(1, sizeof *watched);
    if (!watched || !(watched->path = strdup(path))) {
        free(watched);
        return false;
    }
    watched->known = watched->last = file_mark(path);
    STAILQ_INSERT_TAIL(&reload->files, watched, link);
    return true;
}

static bool reload_take_path(void *context, const char *path)
{
    return reload_watch(context, path);
}

struct reload *reload_open(const struct settings *settings)
{
    struct reload *reload = calloc(1, sizeof *reload);
    if (!reload)
        return NULL;
    STAILQ_INIT(&reload->files);
    reload->settings = settings;
    reload->drain_ns = CLOCK_NEVER;
    if (settings_each_file(settings, reload_take_path, reload) &&
        kafka_each_file(settings, reload_take_path, reload))
        return reload;
    reload_close(reload);
    return NULL;
}

void reload_close(struct reload *reload)
{
    struct watched *watched;
    if (!reload)
        return;
    while ((watched = STAILQ_FIRST(&reload->files))) {
        STAILQ_REMOVE_HEAD(&reload->files, link);
        free(watched->path);
        free(watched);
    }
    free(reload);
}

/* A file that has changed and stands still since the last look; NULL: there is none. Several may be written
 * one after another. */
static const struct watched *reload_look(struct reload *reload)
{
    const struct watched *changed = NULL;
    bool still = true;
    struct watched *watched;
    STAILQ_FOREACH (watched, &reload->files, link) {
        struct file_mark now = file_mark(watched->path);
        still = still && file_mark_same(&now, &watched->last);
        watched->last = now;
        if (!file_mark_same(&now, &watched->known))
            changed = watched;
    }
    return still ? changed : NULL;
}

/* From now on what there is counts as known. */
static void reload_settle(struct reload *reload)
{
    struct watched *watched;
    STAILQ_FOREACH (watched, &reload->files, link)
        watched->known = watched->last;
}

static int64_t reload_spread(void)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
        random = (uint32_t)getpid();
    return RELOAD_SPREAD / 1000 * (random % 1000);
}

static void reload_check(struct reload *reload, const struct watched *changed, int64_t now_ns)
{
    struct faults faults;
    faults_init(&faults);
    settings_try(reload->settings, &faults);
    if (faults.out)
        fflush(faults.out);
    if (faults.count) {
        log_warn("settings have changed and are wrong: those before stay", LOG_TEXT("file", changed->path),
            LOG_TEXT("error", faults.text ? faults.text : ""));
        reload_settle(reload);
    } else {
        log_info("settings have changed: starting again", LOG_TEXT("file", changed->path));
        reload->drain_ns = now_ns + reload_spread();
    }
    faults_cleanup(&faults);
}

bool reload_turn(struct reload *reload, int64_t now_ns)
{
    if (reload->wanted)
        return false;
    if (now_ns >= reload->drain_ns) {
        reload->wanted = true;
        return true;
    }
    if (now_ns < reload->look_ns || reload->drain_ns != CLOCK_NEVER)
        return false;
    reload->look_ns = now_ns + RELOAD_EVERY;
    const struct watched *changed = reload_look(reload);
    if (changed)
        reload_check(reload, changed, now_ns);
    return false;
}

bool reload_wanted(const struct reload *reload)
{
    return reload && reload->wanted;
}

int reload_wait_ms(const struct reload *reload, int64_t now_ns)
{
    if (reload->wanted || STAILQ_EMPTY(&reload->files))
        return -1;
    int64_t due = clock_earlier(reload->look_ns, reload->drain_ns);
    return due > now_ns ? (int)((due - now_ns) / CLOCK_MS + 1) : 0;
}

bool reload_again(const struct reload *reload, const struct stop *stop, int exit_code)
{
    return reload_wanted(reload) && !stop->signalled && exit_code == EXIT_SUCCESS &&
           settings_restore_environment(reload->settings);
}

int reload_exec(char **argv)
{
    execv("/proc/self/exe", argv);
    log_error("cannot start again", LOG_TEXT("error", strerror(errno)));
    return EXIT_FAILURE;
}
