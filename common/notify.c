/* sd_notify(3)'s datagrams, by the protocol that its page documents as stable: all of it that is needed here
 * is a sendto, which is no reason to depend on libsystemd. Main thread. */
#include "common/notify.h"

#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define US (CLOCK_MS / 1000)
/* Readiness is looked at so often, unless the watchdog asks for more. */
#define NOTIFY_INTERVAL (5 * CLOCK_S)
/* A manager that reads nothing for so long is not waited for. */
#define NOTIFY_SEND_MS 1000

/* "/run/notify", or "@name" in the abstract namespace. */
static bool notify_address(const char *path, struct sockaddr_un *address, socklen_t *size)
{
    size_t length = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || length < 2 || length >= sizeof address->sun_path)
        return false;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, length);
    bool abstract = path[0] == '@';
    if (abstract)
        address->sun_path[0] = '\0';
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (abstract ? 0 : 1));
    return true;
}

static int notify_connect(const char *path)
{
    struct sockaddr_un address;
    socklen_t size;
    if (!notify_address(path, &address, &size)) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct timeval timeout = {.tv_usec = NOTIFY_SEND_MS % 1000 * 1000, .tv_sec = NOTIFY_SEND_MS / 1000};
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0 &&
        connect(fd, (struct sockaddr *)&address, size) == 0)
        return fd;
    int failed = errno;
    if (fd >= 0)
        close(fd);
    errno = failed;
    return -1;
}

static int64_t notify_number(const char *name)
{
    const char *text = getenv(name);
    char *end;
    errno = 0;
    long long number = text ? strtoll(text, &end, 10) : 0;
    return text && end != text && !*end && !errno && number > 0 ? number : 0;
}

/* The time in which the manager wants to hear of us, or 0. WATCHDOG_PID keeps a child that has inherited the
 * variables from feeding its parent's watchdog. */
static int64_t notify_watchdog_ns(void)
{
    int64_t pid = notify_number("WATCHDOG_PID"), us = notify_number("WATCHDOG_USEC");
    return (!pid || pid == getpid()) && us < INT64_MAX / US ? us * US : 0;
}

void notify_open(struct notify *notify)
{
    *notify = NOTIFY_INIT;
    const char *path = getenv("NOTIFY_SOCKET");
    if (!path || !*path)
        return;
    notify->fd = notify_connect(path);
    if (notify->fd < 0) {
        log_warn("the service manager can't be told", LOG_TEXT("socket", path),
            LOG_TEXT("error", strerror(errno)));
        return;
    }
    int64_t watchdog_ns = notify_watchdog_ns();
    notify->watchdog = watchdog_ns > 0;
    /* Two in each time, as sd_watchdog_enabled(3) says, and one to spare. */
    notify->interval_ns =
        watchdog_ns && watchdog_ns / 3 < NOTIFY_INTERVAL ? watchdog_ns / 3 : NOTIFY_INTERVAL;
    notify->due_ns = clock_ns();
}

void notify_close(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

static void notify_send(struct notify *notify, const char *text)
{
    if (notify->fd < 0 || !*text || send(notify->fd, text, strlen(text), MSG_NOSIGNAL) >= 0)
        return;
    log_warn("the service manager was not told", LOG_TEXT("error", strerror(errno)));
}

void notify_ready(struct notify *notify)
{
    notify_send(notify, "READY=1");
}

void notify_stopping(struct notify *notify)
{
    notify_send(notify, "STOPPING=1");
}

/* Appends a STATUS line where it is another than before. */
static void notify_add_status(struct notify *notify, struct health *health, char *text, size_t size)
{
    char status[NOTIFY_STATUS_SIZE];
    health_summary(health, status, sizeof status);
    if (strcmp(status, notify->status) == 0)
        return;
    memcpy(notify->status, status, sizeof status);
    size_t used = strlen(text);
    snprintf(text + used, size - used, "STATUS=%s\n", status);
}

void notify_turn(struct notify *notify, bool alive, struct health *health)
{
    int64_t now = clock_ns();
    if (notify->fd < 0 || now < notify->due_ns)
        return;
    notify->due_ns = now + notify->interval_ns;
    char text[NOTIFY_STATUS_SIZE + 64] = "";
    if (notify->watchdog && alive)
        snprintf(text, sizeof text, "WATCHDOG=1\n");
    notify_add_status(notify, health, text, sizeof text);
    notify_send(notify, text);
}

int notify_wait_ms(const struct notify *notify, int wait_ms)
{
    if (notify->fd < 0)
        return wait_ms;
    int64_t left_ms = (notify->due_ns - clock_ns()) / CLOCK_MS + 1;
    return clock_shorter_ms(wait_ms, left_ms < 0 ? 0 : (int)left_ms);
}
