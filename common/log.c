/* Structured lines on stderr. Any thread: a line is built on the caller's stack without allocation and leaves
 * in one write(2), so lines never mix and no lock is needed; nor for the counts of repeats, where a race can
 * only let a line more or less through. The level and format are set once, before other
 * threads start. */
#include "common/log.h"

#include "common/clock.h"
#include "common/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A pipe takes up to PIPE_BUF (4096) bytes in one piece. */
#define LINE_SIZE 4096
/* Kept free for what closes a line that was cut. */
#define LINE_RESERVE 32
/* Longest escape of one character: \u1234. */
#define ESCAPE_SIZE 8

static enum log_level least_level = LOG_LEVEL_INFO;
static enum log_format line_format = LOG_FORMAT_JSON;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* How often a line came. What takes a place keeps it as long as it comes. */
enum { REPEAT_PLACES = 64, REPEAT_PROBES = 8 };
static struct repeat {
    _Atomic uint64_t key;        /* of the line; 0: the place was never taken */
    _Atomic int64_t since_ns;    /* when the first line of the span came */
    _Atomic uint64_t written;    /* in the span, those held back included */
    _Atomic uint64_t suppressed; /* since a line was last written */
} repeats[REPEAT_PLACES];

struct line {
    size_t length;
    bool cut; /* something did not fit; nothing more is taken */
    char bytes[LINE_SIZE];
};

void log_setup(enum log_level least, enum log_format format)
{
    least_level = least;
    line_format = format;
}

bool log_enabled(enum log_level level)
{
    return level >= least_level;
}

/* Bytes before the reserve, into which a closing quote may reach. */
static size_t room(const struct line *line)
{
    const size_t most = LINE_SIZE - LINE_RESERVE;
    return line->length < most ? most - line->length : 0;
}

static void add_bytes(struct line *line, const char *bytes, size_t length)
{
    if (line->cut || length > room(line)) {
        line->cut = true;
        return;
    }
    memcpy(line->bytes + line->length, bytes, length);
    line->length += length;
}

static void add_text(struct line *line, const char *text)
{
    add_bytes(line, text, strlen(text));
}

/* Past the reserve: only for what closes the line. */
static void add_closing(struct line *line, const char *text)
{
    size_t length = strlen(text);
    memcpy(line->bytes + line->length, text, length);
    line->length += length;
}

/* Writes text between double quotes, with everything escaped that could end the string, start a line or steer
 * a terminal. The closing quote always fits: it comes out of the reserve. */
static void add_quoted(struct line *line, const char *text)
{
    if (line->cut)
        return;
    add_text(line, "\"");
    size_t left = strlen(text);
    while (left && !line->cut) {
        char escape[ESCAPE_SIZE];
        struct utf8_char c = utf8_next(text, left);
        if (!c.valid)
            add_text(line, "\xef\xbf\xbd"); /* U+FFFD */
        else if (c.code == '"' || c.code == '\\')
            add_bytes(line, (const char[]){'\\', (char)c.code}, 2);
        else if (c.code == '\n')
            add_text(line, "\\n");
        else if (!utf8_printable(c.code)) {
            snprintf(escape, sizeof escape, "\\u%04" PRIx32, c.code);
            add_text(line, escape);
        } else
            add_bytes(line, text, c.length);
        text += c.length;
        left -= c.length;
    }
    add_closing(line, "\"");
}

/* Whether a text value reads without quotes: `key=value` splits at spaces and at the first =. */
static bool is_plain(const char *text)
{
    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
            return false;
    }
    return true;
}

static void add_number(struct line *line, int64_t number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, number);
    add_text(line, digits);
}

/* Adds the separator and name of a field, or nothing at all where its value would have no room. */
static bool add_name(struct line *line, const char *before, const char *name, const char *after)
{
    size_t least = strlen(before) + strlen(name) + strlen(after) + 24;
    if (line->cut || least > room(line)) {
        line->cut = true;
        return false;
    }
    add_text(line, before);
    add_text(line, name);
    add_text(line, after);
    return true;
}

static void add_json_field(struct line *line, const struct log_field *field)
{
    if (!add_name(line, ",\"", field->name, "\":"))
        return;
    if (field->text)
        add_quoted(line, field->text);
    else
        add_number(line, field->number);
}

static void add_text_field(struct line *line, const struct log_field *field)
{
    if (!add_name(line, " ", field->name, "="))
        return;
    if (!field->text)
        add_number(line, field->number);
    else if (is_plain(field->text) && strlen(field->text) <= room(line))
        add_text(line, field->text);
    else
        add_quoted(line, field->text);
}

static void add_field(struct line *line, const struct log_field *field)
{
    if (field->optional && !*field->text)
        return;
    if (line_format == LOG_FORMAT_JSON)
        add_json_field(line, field);
    else
        add_text_field(line, field);
}

static void write_line(const struct line *line)
{
    size_t done = 0;
    while (done < line->length) {
        ssize_t wrote = write(STDERR_FILENO, line->bytes + done, line->length - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return; /* nowhere left to say so */
        done += (size_t)wrote;
    }
}

static void begin(struct line *line, enum log_level level, const char *message)
{
    char time[CLOCK_RFC3339_SIZE];
    clock_rfc3339(clock_wall_ms(), time);
    bool json = line_format == LOG_FORMAT_JSON;
    add_text(line, json ? "{\"time\":\"" : "");
    add_text(line, time);
    add_text(line, json ? "\",\"level\":\"" : " ");
    add_text(line, level_names[level]);
    add_text(line, json ? "\",\"message\":" : " ");
    if (json)
        add_quoted(line, message);
    else
        add_text(line, message);
}

/* What makes a line the same as another: its message and its first text. */
static uint64_t repeat_key(const char *message, const struct log_field *first)
{
    uint64_t key = UINT64_C(14695981039346656037) ^ (uintptr_t)message;
    for (const char *c = first->name && first->text ? first->text : ""; *c; c++)
        key = (key ^ (unsigned char)*c) * UINT64_C(1099511628211);
    return key ? key : 1;
}

static bool repeat_is_over(const struct repeat *repeat, int64_t now_ns)
{
    return now_ns - atomic_load(&repeat->since_ns) >= LOG_REPEATS_WITHIN_S * CLOCK_S;
}

/* Where the line is counted, which may be the place of another that has not come for a while. NULL where all
 * places that it could have are taken. */
static struct repeat *repeat_of(uint64_t key, int64_t now_ns)
{
    struct repeat *left = NULL;
    for (uint64_t i = 0; i < REPEAT_PROBES; i++) {
        struct repeat *repeat = &repeats[(key + i) % REPEAT_PLACES];
        uint64_t owner = atomic_load(&repeat->key);
        if (owner == key)
            return repeat;
        if (!left && (!owner || repeat_is_over(repeat, now_ns)))
            left = repeat;
    }
    if (!left)
        return NULL;
    atomic_store(&left->key, key);
    atomic_store(&left->suppressed, 0);
    atomic_store(&left->since_ns, now_ns);
    atomic_store(&left->written, 0);
    return left;
}

/* Whether to write the line now; then suppressed is how many were not since it was last written. */
static bool repeat_allowed(uint64_t key, int64_t now_ns, uint64_t *suppressed)
{
    struct repeat *repeat = repeat_of(key, now_ns);
    if (!repeat)
        return true;
    if (repeat_is_over(repeat, now_ns)) {
        atomic_store(&repeat->since_ns, now_ns);
        atomic_store(&repeat->written, 0);
    }
    if (atomic_fetch_add(&repeat->written, 1) >= LOG_REPEATS) {
        atomic_fetch_add(&repeat->suppressed, 1);
        return false;
    }
    *suppressed = atomic_exchange(&repeat->suppressed, 0);
    return true;
}

static void log_write(
    enum log_level level, const char *message, struct log_field field, va_list rest, uint64_t suppressed)
{
    int saved_errno = errno;
    bool json = line_format == LOG_FORMAT_JSON;
    struct line line = {.length = 0};
    begin(&line, level, message);
    for (; field.name; field = va_arg(rest, struct log_field))
        add_field(&line, &field);
    if (suppressed)
        add_field(&line, &LOG_NUMBER("suppressed", (int64_t)suppressed));
    if (line.cut)
        add_closing(&line, json ? ",\"cut\":true" : " cut=true");
    add_closing(&line, json ? "}\n" : "\n");
    write_line(&line);
    errno = saved_errno;
}

void log_fields(enum log_level level, const char *message, ...)
{
    uint64_t suppressed = 0;
    if (!log_enabled(level))
        return;
    va_list arguments;
    va_start(arguments, message);
    struct log_field first = va_arg(arguments, struct log_field);
    if (level < LOG_LEVEL_WARN || repeat_allowed(repeat_key(message, &first), clock_ns(), &suppressed))
        log_write(level, message, first, arguments, suppressed);
    va_end(arguments);
}
