/* Reading answers of HTTP/1.1. Pure. */
#include "worker/http1.h"

#include "common/hex.h"

#include <string.h>
#include <strings.h>

/* Nobody has a use for longer chunk extensions and trailers. */
enum { HTTP1_OVERHEAD_LIMIT = 16 * 1024 };

/* More could overflow; the size of a chunk may begin with zeros. */
enum { HTTP1_LENGTH_DIGITS = 18, HTTP1_CHUNK_BITS = 60, HTTP1_CHUNK_DIGITS = 64 };

/* Where in a chunked body the next byte is: RFC 9112, section 7.1. */
enum {
    CHUNK_SIZE,
    CHUNK_BLANKS,    /* behind the size */
    CHUNK_EXTENSION, /* behind its semicolon */
    CHUNK_SIZE_LF,   /* behind the CR of that line */
    CHUNK_DATA,
    CHUNK_END,    /* behind the data */
    CHUNK_END_LF, /* behind the CR there */
    TRAILER_START,
    TRAILER,
    TRAILER_LF, /* behind the CR of the empty line */
};

struct text {
    const char *data;
    size_t size;
};

struct headers {
    struct http1_head *head;
    bool has_length;
    bool http_1_0;
    bool close;
    bool keep_alive;
    bool foldable;   /* the last line is a header that means nothing here */
    const char *why; /* set: bad */
};

static bool text_is(struct text text, const char *word)
{
    return text.size == strlen(word) && strncasecmp(text.data, word, text.size) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct text text_trim(struct text text)
{
    while (text.size && is_blank(text.data[0]))
        text.data++, text.size--;
    while (text.size && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* Cuts the first element off a list of them (RFC 9110, section 5.6.1). */
static bool text_next_element(struct text *list, struct text *element)
{
    if (!list->size)
        return false;
    const char *comma = memchr(list->data, ',', list->size);
    size_t size = comma ? (size_t)(comma - list->data) : list->size;
    *element = text_trim((struct text){list->data, size});
    size += comma ? 1 : 0;
    *list = (struct text){list->data + size, list->size - size};
    return true;
}

static bool text_number(struct text text, uint64_t *number)
{
    *number = 0;
    if (!text.size || text.size > HTTP1_LENGTH_DIGITS)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *number = *number * 10 + (uint64_t)(text.data[i] - '0');
    }
    return true;
}

static void headers_content_length(struct headers *headers, struct text value)
{
    uint64_t length;
    if (!text_number(value, &length) || (headers->has_length && length != headers->head->length)) {
        headers->why = "its Content-Length is no number";
        return;
    }
    headers->has_length = true;
    headers->head->length = length;
}

static void headers_transfer_encoding(struct headers *headers, struct text value)
{
    if (!text_is(value, "chunked") || headers->head->framing == HTTP1_CHUNKED)
        headers->why = "its Transfer-Encoding is not understood";
    headers->head->framing = HTTP1_CHUNKED;
}

static void headers_connection(struct headers *headers, struct text value)
{
    struct text element;
    while (text_next_element(&value, &element)) {
        headers->close = headers->close || text_is(element, "close");
        headers->keep_alive = headers->keep_alive || text_is(element, "keep-alive");
    }
}

/* Characters of a token: RFC 9110, section 5.6.2. */
static bool is_token(struct text text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return text.size;
}

static void headers_line(struct headers *headers, struct text line)
{
    const char *colon = memchr(line.data, ':', line.size);
    struct text name = {line.data, colon ? (size_t)(colon - line.data) : 0};
    bool folded = is_blank(line.data[0]) && headers->foldable; /* obsolete: RFC 9112, section 5.2 */
    if (memchr(line.data, '\0', line.size) || memchr(line.data, '\r', line.size) ||
        (!folded && !is_token(name)))
        headers->why = "a header line of it is not one";
    if (headers->why || folded)
        return;
    struct text value = text_trim((struct text){line.data + name.size + 1, line.size - name.size - 1});
    headers->foldable = false;
    if (text_is(name, "content-length"))
        headers_content_length(headers, value);
    else if (text_is(name, "transfer-encoding"))
        headers_transfer_encoding(headers, value);
    else if (text_is(name, "connection"))
        headers_connection(headers, value);
    else if (text_is(name, "retry-after")) {
        headers->head->retry_after = value.data;
        headers->head->retry_after_size = value.size;
    } else
        headers->foldable = true;
}

/* HTTP/1.1 200 OK */
static void headers_status_line(struct headers *headers, struct text line)
{
    static const char version[] = "HTTP/1.";
    size_t at = sizeof version - 1;
    bool ok = line.size >= at + 5 && memcmp(line.data, version, at) == 0 &&
              (line.data[at] == '0' || line.data[at] == '1') && line.data[at + 1] == ' ';
    uint64_t status = 0;
    ok = ok && text_number((struct text){line.data + at + 2, 3}, &status) && status >= 100 &&
         (line.size == at + 5 || line.data[at + 5] == ' ');
    if (!ok)
        headers->why = "it does not begin as HTTP/1.1 does";
    headers->http_1_0 = ok && line.data[at] == '0';
    headers->head->status = (int)status;
}

/* How the body is framed: RFC 9112, section 6.3. With both, the answer is taken and the connection not used
 * again, since somebody under way may have gone by the other. */
static void headers_conclude(struct headers *headers)
{
    struct http1_head *head = headers->head;
    bool chunked = head->framing == HTTP1_CHUNKED;
    head->keep_alive = !headers->close && (!headers->http_1_0 || headers->keep_alive) &&
                       !(chunked && (headers->has_length || headers->http_1_0));
    if (head->status < 200 || head->status == 204 || head->status == 304) {
        head->keep_alive = head->keep_alive && (head->status != 204 || (!chunked && !head->length));
        head->framing = HTTP1_LENGTH;
        head->length = 0;
    } else if (!chunked && !headers->has_length) {
        head->framing = HTTP1_UNTIL_CLOSE;
        head->keep_alive = false;
    }
}

enum http1_result http1_read_head(
    const char *data, size_t size, struct http1_head *head, size_t *size_read, const char **why)
{
    *head = (struct http1_head){.framing = HTTP1_LENGTH};
    struct headers headers = {.head = head};
    const char *at = data, *end = data + size, *newline;
    for (; (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1) {
        struct text line = {at, (size_t)(newline - at)};
        if (line.size && line.data[line.size - 1] == '\r')
            line.size--;
        if (at == data)
            headers_status_line(&headers, line);
        else if (line.size)
            headers_line(&headers, line);
        else {
            headers_conclude(&headers);
            *size_read = (size_t)(newline + 1 - data);
            return HTTP1_DONE;
        }
        if ((*why = headers.why))
            return HTTP1_BAD;
    }
    if (size < HTTP1_HEAD_LIMIT)
        return HTTP1_MORE;
    *why = "its head is too long";
    return HTTP1_BAD;
}

void http1_body_begin(struct http1_body *body, const struct http1_head *head)
{
    *body = (struct http1_body){.framing = head->framing, .step = CHUNK_SIZE};
    if (head->framing == HTTP1_LENGTH)
        body->left = head->length;
}

static enum http1_result chunk_go(struct http1_body *body, int step)
{
    body->step = step;
    return HTTP1_MORE;
}

static enum http1_result chunk_size_read(struct http1_body *body)
{
    return chunk_go(body, body->left ? CHUNK_DATA : TRAILER_START);
}

static enum http1_result chunk_size(struct http1_body *body, char c)
{
    int digit = body->step == CHUNK_SIZE ? hex_digit(c) : -1;
    if (digit >= 0) {
        bool ok = !(body->left >> HTTP1_CHUNK_BITS) && ++body->digits <= HTTP1_CHUNK_DIGITS;
        body->left = body->left * 16 + (uint64_t)digit;
        return ok ? HTTP1_MORE : HTTP1_BAD;
    }
    if (!body->digits)
        return HTTP1_BAD;
    if (c == '\r')
        return chunk_go(body, CHUNK_SIZE_LF);
    if (c == ';')
        return chunk_go(body, CHUNK_EXTENSION);
    if (is_blank(c))
        return chunk_go(body, CHUNK_BLANKS);
    return c == '\n' ? chunk_size_read(body) : HTTP1_BAD;
}

static enum http1_result chunk_end(struct http1_body *body, char c)
{
    if (c == '\r' && body->step == CHUNK_END)
        return chunk_go(body, CHUNK_END_LF);
    body->digits = 0;
    return c == '\n' ? chunk_go(body, CHUNK_SIZE) : HTTP1_BAD;
}

static enum http1_result chunk_trailer(struct http1_body *body, char c)
{
    if (body->step == TRAILER)
        return c == '\n' ? chunk_go(body, TRAILER_START) : HTTP1_MORE;
    if (c == '\n')
        return HTTP1_DONE;
    if (body->step == TRAILER_LF)
        return HTTP1_BAD;
    return chunk_go(body, c == '\r' ? TRAILER_LF : TRAILER);
}

static bool chunk_is_overhead(const struct http1_body *body)
{
    return body->step == CHUNK_BLANKS || body->step == CHUNK_EXTENSION || body->step >= TRAILER_START;
}

/* One byte between the chunks' contents. */
static enum http1_result chunk_byte(struct http1_body *body, char c)
{
    if (chunk_is_overhead(body) && ++body->overhead > HTTP1_OVERHEAD_LIMIT)
        return HTTP1_BAD;
    switch (body->step) {
    case CHUNK_SIZE:
    case CHUNK_BLANKS:
        return chunk_size(body, c);
    case CHUNK_EXTENSION:
        return c == '\r' ? chunk_go(body, CHUNK_SIZE_LF) : c == '\n' ? HTTP1_BAD : HTTP1_MORE;
    case CHUNK_SIZE_LF:
        return c == '\n' ? chunk_size_read(body) : HTTP1_BAD;
    case CHUNK_END:
    case CHUNK_END_LF:
        return chunk_end(body, c);
    default:
        return chunk_trailer(body, c);
    }
}

static size_t body_take(struct http1_body *body, size_t size)
{
    size_t taken = body->left < size ? (size_t)body->left : size;
    body->left -= taken;
    return taken;
}

static enum http1_result read_chunked(struct http1_body *body, const char *data, size_t size,
    size_t *size_read, const char **span, size_t *span_size)
{
    size_t at = 0;
    for (; at < size && body->step != CHUNK_DATA; at++) {
        enum http1_result result = chunk_byte(body, data[at]);
        if (result == HTTP1_MORE)
            continue;
        *size_read = at + 1;
        return result;
    }
    *span = data + at;
    *span_size = body->step == CHUNK_DATA ? body_take(body, size - at) : 0;
    *size_read = at + *span_size;
    if (body->step == CHUNK_DATA && !body->left)
        body->step = CHUNK_END;
    return HTTP1_MORE;
}

enum http1_result http1_read_body(struct http1_body *body, const char *data, size_t size, size_t *size_read,
    const char **span, size_t *span_size)
{
    *span = data;
    *span_size = 0;
    if (body->framing == HTTP1_CHUNKED)
        return read_chunked(body, data, size, size_read, span, span_size);
    if (body->framing == HTTP1_UNTIL_CLOSE) {
        *size_read = *span_size = size;
        return HTTP1_MORE;
    }
    *size_read = *span_size = body_take(body, size);
    return body->left ? HTTP1_MORE : HTTP1_DONE;
}

bool http1_body_ends_here(const struct http1_body *body)
{
    return body->framing == HTTP1_UNTIL_CLOSE;
}
