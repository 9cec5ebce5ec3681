/* Messages and progress of impcert-publish on standard error. Main thread. */
#include "producer/publish_report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void report_init(struct report *report)
{
    *report = (struct report){.input_size = 0};
    progress_init(&report->progress, "impcert-publish");
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

void report_message(struct report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    progress_say(&report->progress, "", format, arguments);
    va_end(arguments);
}

void report_at(struct report *report, struct place place, const char *format, ...)
{
    char where[48];
    snprintf(where, sizeof where, "%s %" PRIu64 ": ", place.operand ? "operand" : "line", place.number);
    va_list arguments;
    va_start(arguments, format);
    progress_say(&report->progress, where, format, arguments);
    va_end(arguments);
}

void report_plain(struct report *report, const char *text)
{
    progress_plain(&report->progress, text);
}

void report_progress(struct report *report, uint64_t acknowledged, uint64_t bytes_read)
{
    progress_draw(&report->progress, bytes_read, report->input_size, acknowledged, "events acknowledged");
}
