/* How a daemon is stopped. Main thread. */
#include "common/stop.h"

#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define STOP_AGAIN_AFTER CLOCK_S

bool stop_open(struct stop *stop, int64_t drain_ns, struct error *error)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    sigdelset(&signals, SIGPIPE);
    *stop = STOP_INIT;
    stop->drain_ns = drain_ns;
    stop->fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    return stop->fd >= 0 || error_set(error, "no file descriptor: %s", strerror(errno));
}

void stop_close(struct stop *stop)
{
    if (stop->fd >= 0)
        close(stop->fd);
}

bool stop_ask(struct stop *stop, const char *why)
{
    int64_t now = clock_ns();
    if (!stop->since_ns) {
        stop->since_ns = now;
        stop->exit_by_ns = now + stop->drain_ns;
        log_info("draining", LOG_TEXT("by", why), LOG_NUMBER("timeout_ms", stop->drain_ns / CLOCK_MS));
        return true;
    }
    if (now - stop->since_ns >= STOP_AGAIN_AFTER) {
        log_warn("asked to stop again: leaving at once", LOG_TEXT("by", why));
        stop->exit_by_ns = now;
    }
    return false;
}

bool stop_read(struct stop *stop)
{
    struct signalfd_siginfo signal;
    bool begins = false;
    while (read(stop->fd, &signal, sizeof signal) == (ssize_t)sizeof signal) {
        const char *why = signal.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM";
        if (stop->since_ns && !stop->signalled)
            log_info("stopping for good", LOG_TEXT("by", why));
        else
            begins |= stop_ask(stop, why);
        stop->signalled = true;
    }
    return begins;
}
