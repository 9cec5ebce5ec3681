/* Messages and progress of impcert-publish on standard error. Main thread; owns the terminal's last line
 * while it draws. */
#include "producer/publish_report.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_DRAWING_NS (CLOCK_S / 2) /* short runs show none */
#define DRAWING_NS (CLOCK_S / 10)
#define BAR_WIDTH 30

void report_init(struct report *report)
{
    int64_t now_ns = clock_ns();
    *report = (struct report){.terminal = isatty(STDERR_FILENO),
        .started_ns = now_ns,
        .next_drawing_ns = now_ns + FIRST_DRAWING_NS};
}

void report_set_input(struct report *report, int file)
{
    struct stat about;
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode))
        return;
    off_t offset = lseek(file, 0, SEEK_CUR);
    if (offset >= 0 && offset < about.st_size)
        report->input_size = (uint64_t)(about.st_size - offset);
}

static void clear_progress(struct report *report)
{
    if (report->drawn)
        fputs("\r\033[K", stderr);
    report->drawn = false;
}

__attribute__((format(printf, 3, 0))) static void print(
    struct report *report, const char *where, const char *format, va_list arguments)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, arguments);
    clear_progress(report);
    fprintf(stderr, "impcert-publish: %s%s\n", where, text);
}

void report_message(struct report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print(report, "", format, arguments);
    va_end(arguments);
}

void report_at(struct report *report, struct place place, const char *format, ...)
{
    char where[48];
    snprintf(where, sizeof where, "%s %" PRIu64 ": ", place.operand ? "operand" : "line", place.number);
    va_list arguments;
    va_start(arguments, format);
    print(report, where, format, arguments);
    va_end(arguments);
}

void report_plain(struct report *report, const char *text)
{
    clear_progress(report);
    fprintf(stderr, "%s\n", text);
}

/* "[=====>    ]  45 %  ", or nothing where the size of the input is not known. */
static void format_bar(char *out, size_t size, uint64_t done, uint64_t total)
{
    out[0] = '\0';
    if (!total)
        return;
    if (done > total)
        done = total; /* the file grew */
    int filled = (int)(done * BAR_WIDTH / total);
    snprintf(out, size, "[%.*s%*s] %3d %%  ", filled, "==============================", BAR_WIDTH - filled,
        "", (int)(done * 100 / total));
}

void report_progress(struct report *report, uint64_t acknowledged, uint64_t bytes_read)
{
    if (!report->terminal)
        return;
    int64_t now_ns = clock_ns();
    if (now_ns < report->next_drawing_ns)
        return;
    report->next_drawing_ns = now_ns + DRAWING_NS;
    char bar[BAR_WIDTH + 24];
    format_bar(bar, sizeof bar, bytes_read, report->input_size);
    double seconds = (double)(now_ns - report->started_ns) / (double)CLOCK_S;
    fprintf(stderr, "\r\033[K%s%" PRIu64 " events acknowledged, %.0f/s", bar, acknowledged,
        (double)acknowledged / seconds);
    report->drawn = true;
}
