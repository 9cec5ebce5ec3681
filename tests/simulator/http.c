// HTTP/1.1 reading and writing; see http.h. Pure functions over borrowed bytes; run on the main thread.
#include "http.h"

#include <stdio.h>
#include <strings.h>

static struct span trimmed(const char *from, const char *to)
{
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
        to--;
    return (struct span){from, (size_t)(to - from)};
}

bool http_equal(struct span text, const char *expected)
{
    return text.len == strlen(expected) && memcmp(text.data, expected, text.len) == 0;
}

bool http_starts(struct span text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && memcmp(text.data, prefix, len) == 0;
}

static bool equal_any_case(struct span text, const char *expected)
{
    return text.len == strlen(expected) && strncasecmp(text.data, expected, text.len) == 0;
}

// METHOD SP TARGET SP HTTP/1.x
static bool read_request_line(struct span line, struct http_request *request)
{
    const char *end = line.data + line.len;
    const char *space = memchr(line.data, ' ', line.len);
    if (space == NULL || space == line.data)
        return false;
    const char *target = space + 1;
    const char *second = memchr(target, ' ', (size_t)(end - target));
    if (second == NULL || *target != '/')
        return false;
    struct span version = {second + 1, (size_t)(end - second - 1)};
    if (!http_equal(version, "HTTP/1.1") && !http_equal(version, "HTTP/1.0"))
        return false;
    const char *query = memchr(target, '?', (size_t)(second - target));
    request->method = (struct span){line.data, (size_t)(space - line.data)};
    request->path = (struct span){target, (size_t)((query != NULL ? query : second) - target)};
    request->keep_alive = version.data[version.len - 1] == '1';
    return true;
}

// Returns 0, or the status to refuse with.
static int read_length(struct span value, size_t *length)
{
    if (value.len == 0)
        return 400;
    size_t number = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return 400;
        number = number * 10 + (size_t)(value.data[i] - '0');
        if (number > HTTP_MAX_BODY)
            return 413;
    }
    *length = number;
    return 0;
}

static int read_header(struct span line, struct http_request *request, size_t *body_length)
{
    const char *colon = memchr(line.data, ':', line.len);
    if (colon == NULL || colon == line.data)
        return 400;
    struct span name = {line.data, (size_t)(colon - line.data)};
    struct span value = trimmed(colon + 1, line.data + line.len);
    if (equal_any_case(name, "Content-Length"))
        return read_length(value, body_length);
    if (equal_any_case(name, "Transfer-Encoding"))
        return 411;
    if (equal_any_case(name, "Authorization"))
        request->authorization = value;
    else if (equal_any_case(name, "Content-Type"))
        request->content_type = value;
    else if (equal_any_case(name, "Expect"))
        request->continues = equal_any_case(value, "100-continue");
    else if (equal_any_case(name, "Connection") && equal_any_case(value, "close"))
        request->keep_alive = false;
    else if (equal_any_case(name, "Connection") && equal_any_case(value, "keep-alive"))
        request->keep_alive = true;
    return 0;
}

static int read_head(struct span head, struct http_request *request, size_t *body_length)
{
    const char *end = head.data + head.len;
    const char *line = head.data;
    for (bool first = true; line < end; first = false) {
        const char *stop = memmem(line, (size_t)(end - line), "\r\n", 2);
        struct span text = {line, (size_t)(stop - line)};
        if (first && !read_request_line(text, request))
            return 400;
        int status = first ? 0 : read_header(text, request, body_length);
        if (status != 0)
            return status;
        line = stop + 2;
    }
    return 0;
}

static enum http_progress refuse(struct http_request *request, int status)
{
    request->status = status;
    request->keep_alive = false;
    return HTTP_BAD;
}

enum http_progress http_read(struct span bytes, struct http_request *request)
{
    *request = (struct http_request){0};
    size_t window = bytes.len < HTTP_MAX_HEAD ? bytes.len : HTTP_MAX_HEAD;
    const char *end = window == 0 ? NULL : memmem(bytes.data, window, "\r\n\r\n", 4);
    if (end == NULL)
        return bytes.len < HTTP_MAX_HEAD ? HTTP_MORE : refuse(request, 431);
    struct span head = {bytes.data, (size_t)(end - bytes.data) + 2};
    size_t body_length = 0;
    int status = read_head(head, request, &body_length);
    if (status != 0)
        return refuse(request, status);
    request->size = head.len + 2 + body_length;
    if (bytes.len < request->size)
        return HTTP_MORE;
    request->body = (struct span){end + 4, body_length};
    return HTTP_COMPLETE;
}

static void add_field(struct buf *out, const char *name, const char *value)
{
    if (value == NULL || *value == '\0')
        return;
    buf_add_text(out, name);
    buf_add_text(out, value);
    buf_add(out, "\r\n", 2);
}

void http_write_head(struct buf *out, const struct reply *reply, bool keep_alive)
{
    buf_add_text(out, "HTTP/1.1 ");
    buf_add_int(out, reply->status);
    buf_add(out, " ", 1);
    buf_add_text(out, http_reason(reply->status));
    buf_add_text(out, "\r\nContent-Type: ");
    buf_add_text(out, reply->content_type);
    buf_add_text(out, "\r\nContent-Length: ");
    buf_add_int(out, (int64_t)(reply->body.len + reply->padding));
    buf_add(out, "\r\n", 2);
    add_field(out, "Retry-After: ", reply->retry_after);
    add_field(out, "Location: ", reply->location);
    add_field(out, "Allow: ", reply->allow);
    add_field(out, "Connection: ", keep_alive ? NULL : "close");
    buf_add(out, "\r\n", 2);
}

const char *http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {302, "Found"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Status";
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

bool http_decode(struct span text, bool form, char *out, size_t size, size_t *len)
{
    size_t used = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '+' && form) {
            c = ' ';
        } else if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(text.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (used == size)
            return false;
        out[used++] = c;
    }
    *len = used;
    return true;
}
