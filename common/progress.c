/* The terminal's last line, and the messages above it. Main thread. */
#include "common/progress.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define FIRST_DRAWING_NS (CLOCK_S / 2) /* short runs show none */
#define DRAWING_NS (CLOCK_S / 10)
#define PLAIN_NS (5 * CLOCK_S)
#define BAR_WIDTH 30

void progress_init(struct progress *progress, const char *program)
{
    *progress = (struct progress){.program = program, .terminal = isatty(STDERR_FILENO)};
    progress_restart(progress);
}

void progress_restart(struct progress *progress)
{
    progress->started_ns = clock_ns();
    progress->next_drawing_ns = progress->started_ns + (progress->terminal ? FIRST_DRAWING_NS : PLAIN_NS);
}

void progress_clear(struct progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
}

void progress_say(struct progress *progress, const char *where, const char *format, va_list arguments)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, arguments);
    progress_clear(progress);
    fprintf(stderr, "%s: %s%s\n", progress->program, where, text);
}

void progress_message(struct progress *progress, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    progress_say(progress, "", format, arguments);
    va_end(arguments);
}

void progress_plain(struct progress *progress, const char *text)
{
    progress_clear(progress);
    fprintf(stderr, "%s\n", text);
}

static void progress_bar(char *out, size_t size, uint64_t done, uint64_t total)
{
    out[0] = '\0';
    if (!total)
        return;
    if (done > total)
        done = total; /* it grew meanwhile */
    int filled = (int)(done * BAR_WIDTH / total);
    snprintf(out, size, "[%.*s%*s] %3d %%  ", filled, "==============================", BAR_WIDTH - filled,
        "", (int)(done * 100 / total));
}

static void progress_left(char *out, size_t size, double seconds, uint64_t done, uint64_t total)
{
    out[0] = '\0';
    if (done && done < total)
        snprintf(out, size, ", %.0f s left", seconds * (double)(total - done) / (double)done);
}

void progress_draw(struct progress *progress, uint64_t done, uint64_t total, uint64_t count, const char *what)
{
    int64_t now_ns = clock_ns();
    if (!(progress->terminal || progress->plain) || now_ns < progress->next_drawing_ns)
        return;
    progress->next_drawing_ns = now_ns + (progress->terminal ? DRAWING_NS : PLAIN_NS);
    char bar[BAR_WIDTH + 24], left[32];
    double seconds = (double)(now_ns - progress->started_ns) / (double)CLOCK_S;
    progress_bar(bar, sizeof bar, done, total);
    progress_left(left, sizeof left, seconds, done, total);
    if (progress->terminal)
        fprintf(
            stderr, "\r\033[K%s%" PRIu64 " %s, %.0f/s%s", bar, count, what, (double)count / seconds, left);
    else
        progress_message(progress, "%" PRIu64 " of %" PRIu64 " %s, %.0f/s%s", count, total, what,
            (double)count / seconds, left);
    progress->drawn = progress->terminal;
}
