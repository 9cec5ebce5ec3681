/* Answers of HTTP/1.1: which heads and bodies are taken, which are refused, and that it does not matter where
 * they are cut into pieces. */
#include "worker/http1.h"

#include "common/utf8.h"
#include "tests/unit/mutant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK_LINE "HTTP/1.1 200 OK\r\n"
#define HEAD(headers) OK_LINE headers "\r\n"
#define CHUNKED(body) HEAD("Transfer-Encoding: chunked\r\n") body
/* What the peer might send after the answer. */
#define REST "HTTP/1.1 500 \r\n\r\n"

/* For messages. */
static const char *printable(const char *data, size_t size)
{
    static char text[600];
    utf8_escape(data, size, text, sizeof text);
    return text;
}

/* ---- heads ---- */

static enum http1_result read_head(const char *data, size_t size, struct http1_head *head, size_t *size_read)
{
    const char *why = NULL;
    *size_read = 0;
    enum http1_result result = http1_read_head(data, size, head, size_read, &why);
    if (result == HTTP1_DONE)
        assert_true(*size_read > 0 && *size_read <= size);
    if (result == HTTP1_BAD)
        assert_true(why && *why);
    return result;
}

/* Must be a whole head and nothing else. retry_after points to memory that is no more. */
static struct http1_head good_head(const char *data, size_t size)
{
    struct http1_head head;
    size_t size_read;
    char *block = block_of(data, size);
    enum http1_result result = read_head(block, size, &head, &size_read);
    free(block);
    if (result != HTTP1_DONE || size_read != size)
        fail_msg("%s: result %d, %zu of %zu bytes", printable(data, size), (int)result, size_read, size);
    return head;
}

static void expect_head_bad(const char *data, size_t size)
{
    struct http1_head head;
    size_t size_read;
    char *block = block_of(data, size);
    enum http1_result result = read_head(block, size, &head, &size_read);
    free(block);
    if (result != HTTP1_BAD)
        fail_msg("%s: result %d", printable(data, size), (int)result);
}

static void expect_heads_bad(const struct bytes *heads, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_head_bad(heads[i].data, heads[i].size);
}

struct framed {
    const char *data;
    size_t size;
    enum http1_framing framing;
    uint64_t length;
    bool keep_alive;
};

static void expect_framed(const struct framed *heads, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct http1_head head = good_head(heads[i].data, heads[i].size);
        if (head.framing != heads[i].framing || head.keep_alive != heads[i].keep_alive ||
            (head.framing == HTTP1_LENGTH && head.length != heads[i].length))
            fail_msg("%s: framing %d, length %llu, keep_alive %d", printable(heads[i].data, heads[i].size),
                (int)head.framing, (unsigned long long)head.length, head.keep_alive);
    }
}

static void http1_status_line_gives_the_status(void **state)
{
    (void)state;
    static const struct bytes lines[] = {
        {BYTES("HTTP/1.1 404 Not Found\r\n\r\n")},
        {BYTES("HTTP/1.1 404 \r\n\r\n")},
        {BYTES("HTTP/1.1 404\r\n\r\n")},
        {BYTES("HTTP/1.0 404 Not Found\r\n\r\n")},
        {BYTES("HTTP/1.1 404 200 OK\r\n\r\n")},
        {BYTES("HTTP/1.1 404 \xec\x97\x86\xec\x9d\x8c\tgone: 200\r\n\r\n")},
        {BYTES("HTTP/1.1 404 \xff\r\n\r\n")},
    };
    for (size_t i = 0; i < COUNT(lines); i++)
        assert_int_equal(good_head(lines[i].data, lines[i].size).status, 404);
    for (int status = 100; status < 600; status++) {
        char line[64];
        int size = snprintf(line, sizeof line, "HTTP/1.1 %d \r\n\r\n", status);
        assert_int_equal(good_head(line, (size_t)size).status, status);
    }
}

static void http1_status_line_that_is_none_is_refused(void **state)
{
    (void)state;
    static const struct bytes bad[] = {
        {BYTES("\r\n")},
        {BYTES("\n")},
        {BYTES("\r\nHTTP/1.1 200 OK\r\n\r\n")},
        {BYTES(" HTTP/1.1 200 OK\r\n\r\n")},
        {BYTES("HTTP/1.1\r\n\r\n")},
        {BYTES("HTTP/1.1 \r\n\r\n")},
        {BYTES("HTTP/1.1 OK\r\n\r\n")},
        {BYTES("HTTP/1.1 20\r\n\r\n")},
        {BYTES("HTTP/1.1 20 OK\r\n\r\n")},
        {BYTES("HTTP/1.1 2000 OK\r\n\r\n")},
        {BYTES("HTTP/1.1 200OK\r\n\r\n")},
        {BYTES("HTTP/1.1  200 OK\r\n\r\n")},
        {BYTES("HTTP/1.1200 OK\r\n\r\n")},
        {BYTES("HTTP/1.1x200 OK\r\n\r\n")},
        {BYTES("HTTP/1.1 099 OK\r\n\r\n")},
        {BYTES("HTTP/1.1 000 OK\r\n\r\n")},
        {BYTES("HTTP/1.1 -20 OK\r\n\r\n")},
        {BYTES("HTTP/1.1 +20 OK\r\n\r\n")},
        {BYTES("HTTP/1.1 2x0 OK\r\n\r\n")},
        {BYTES("HTTP/1.1 2\0"
               "0 OK\r\n\r\n")},
        {BYTES("HTTP/2 200\r\n\r\n")},
        {BYTES("HTTP/2.0 200 OK\r\n\r\n")},
        {BYTES("HTTP/0.9 200 OK\r\n\r\n")},
        {BYTES("HTTP/11 200 OK\r\n\r\n")},
        {BYTES("HTTP/1.11 200 OK\r\n\r\n")},
        {BYTES("HTTP/1.x 200 OK\r\n\r\n")},
        {BYTES("http/1.1 200 OK\r\n\r\n")},
        {BYTES("HTTPS/1.1 200 OK\r\n\r\n")},
        {BYTES("ICY 200 OK\r\n\r\n")},
        {BYTES("GET / HTTP/1.1\r\n\r\n")},
        {BYTES("Content-Length: 5\r\n\r\n")},
        {BYTES("220 mail.example ESMTP\r\n")},
        {BYTES("<html>\n")},
        {BYTES("{\"code\":0}\n")},
        {BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\n")},
        {BYTES("\x15\x03\x01\x00\x02\x02\n")},
    };
    expect_heads_bad(bad, COUNT(bad));
}

static void http1_lines_may_end_with_a_bare_lf(void **state)
{
    (void)state;
    static const struct framed heads[] = {
        {BYTES("HTTP/1.1 200 OK\nContent-Length: 3\n\n"), HTTP1_LENGTH, 3, true},
        {BYTES("HTTP/1.1 200 OK\r\nContent-Length: 3\n\r\n"), HTTP1_LENGTH, 3, true},
        {BYTES("HTTP/1.1 200 OK\nContent-Length: 3\r\n\n"), HTTP1_LENGTH, 3, true},
        {BYTES("HTTP/1.1 200\nTransfer-Encoding: chunked\nConnection: close\n\n"), HTTP1_CHUNKED, 0, false},
    };
    expect_framed(heads, COUNT(heads));
}

static void http1_head_ends_with_an_empty_line(void **state)
{
    (void)state;
    static const char *const heads[] = {HEAD(""), HEAD("Content-Length: 3\r\n"),
        HEAD("A: 1\r\n b\r\nC: d\r\n"), "HTTP/1.1 200 OK\n\n", "HTTP/1.1 100 Continue\r\n\r\n"};
    static const char *const rests[] = {
        "", "abc", "\n", "\r\n", "\r\n\r\n", REST, "Content-Length: 7\r\n\r\n"};
    for (size_t i = 0; i < COUNT(heads); i++)
        for (size_t j = 0; j < COUNT(rests); j++) {
            char all[200];
            struct http1_head head;
            size_t size_read;
            int size = snprintf(all, sizeof all, "%s%s", heads[i], rests[j]);
            char *block = block_of(all, (size_t)size);
            assert_int_equal(read_head(block, (size_t)size, &head, &size_read), HTTP1_DONE);
            assert_int_equal(size_read, strlen(heads[i]));
            free(block);
        }
}

static void http1_head_cut_at_any_byte_is_more(void **state)
{
    (void)state;
    static const struct bytes heads[] = {
        {BYTES(HEAD("Server: nginx\r\nContent-Type: application/json\r\n\tcharset=utf-8\r\n"
                    "Content-Length: 17\r\nConnection: keep-alive, x\r\nRetry-After: 5\r\nVary:\r\n"))},
        {BYTES("HTTP/1.0 503 Service Unavailable\nTransfer-Encoding: chunked\nConnection: close\n\n")},
        {BYTES("HTTP/1.1 204\r\n\r\n")},
    };
    for (size_t i = 0; i < COUNT(heads); i++)
        for (size_t size = 0; size < heads[i].size; size++) {
            struct http1_head head;
            size_t size_read;
            char *block = block_of(heads[i].data, size);
            if (read_head(block, size, &head, &size_read) != HTTP1_MORE)
                fail_msg("cut to %s", printable(heads[i].data, size));
            free(block);
        }
}

/* A head that takes size bytes, of one long header or of many short ones. */
static char *long_head(size_t size, bool many)
{
    char *data = malloc(size);
    assert_non_null(data);
    memcpy(data, BYTES(OK_LINE "X: "));
    memset(data + strlen(OK_LINE "X: "), 'a', size - strlen(OK_LINE "X: "));
    for (size_t at = strlen(OK_LINE) + 100; many && at < size - 100; at += 100)
        memcpy(data + at - 5, BYTES("\r\nX: "));
    memcpy(data + size - 4, BYTES("\r\n\r\n"));
    return data;
}

static void http1_head_up_to_its_limit_is_taken_and_none_longer(void **state)
{
    (void)state;
    struct http1_head head;
    size_t size_read;
    for (int many = 0; many < 2; many++) {
        char *data = long_head(HTTP1_HEAD_LIMIT, many);
        assert_int_equal(read_head(data, HTTP1_HEAD_LIMIT, &head, &size_read), HTTP1_DONE);
        assert_int_equal(size_read, HTTP1_HEAD_LIMIT);
        assert_int_equal(read_head(data, HTTP1_HEAD_LIMIT - 1, &head, &size_read), HTTP1_MORE);
        free(data);
        data = long_head(HTTP1_HEAD_LIMIT + 1, many);
        assert_int_equal(read_head(data, HTTP1_HEAD_LIMIT - 1, &head, &size_read), HTTP1_MORE);
        assert_int_equal(read_head(data, HTTP1_HEAD_LIMIT, &head, &size_read), HTTP1_BAD);
        free(data);
    }
}

static void http1_status_line_without_an_end_is_refused_at_the_limit(void **state)
{
    (void)state;
    struct http1_head head;
    size_t size_read;
    char *data = calloc(1, HTTP1_HEAD_LIMIT);
    assert_non_null(data);
    assert_int_equal(read_head(data, HTTP1_HEAD_LIMIT - 1, &head, &size_read), HTTP1_MORE);
    assert_int_equal(read_head(data, HTTP1_HEAD_LIMIT, &head, &size_read), HTTP1_BAD);
    free(data);
}

static void http1_why_holds_nothing_of_the_answer(void **state)
{
    (void)state;
    static const char *const heads[] = {"secret\r\n", "HTTP/1.1 200secret\r\n", HEAD("secret\r\n"),
        HEAD("secret : x\r\n"), HEAD("Content-Length: secret\r\n"), HEAD("Transfer-Encoding: secret\r\n"),
        HEAD("Connection: x\r\n secret\r\n")};
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct http1_head head;
        size_t size_read;
        const char *why = NULL;
        assert_int_equal(http1_read_head(heads[i], strlen(heads[i]), &head, &size_read, &why), HTTP1_BAD);
        assert_null(strstr(why, "secret"));
    }
}

/* ---- headers ---- */

static void http1_content_length_is_the_length(void **state)
{
    (void)state;
    static const struct framed heads[] = {
        {BYTES(HEAD("Content-Length: 0\r\n")), HTTP1_LENGTH, 0, true},
        {BYTES(HEAD("Content-Length: 17\r\n")), HTTP1_LENGTH, 17, true},
        {BYTES(HEAD("Content-Length:17\r\n")), HTTP1_LENGTH, 17, true},
        {BYTES(HEAD("Content-Length: \t 17 \t \r\n")), HTTP1_LENGTH, 17, true},
        {BYTES(HEAD("content-length: 17\r\n")), HTTP1_LENGTH, 17, true},
        {BYTES(HEAD("CONTENT-LENGTH: 17\r\n")), HTTP1_LENGTH, 17, true},
        {BYTES(HEAD("Content-Length: 0017\r\n")), HTTP1_LENGTH, 17, true},
        {BYTES(HEAD("Content-Length: 4294967296\r\n")), HTTP1_LENGTH, UINT64_C(4294967296), true},
        {BYTES(HEAD("Content-Length: 999999999999999999\r\n")), HTTP1_LENGTH, UINT64_C(999999999999999999),
            true},
        {BYTES(HEAD("Content-Length: 17\r\nX: y\r\nContent-Length: 17\r\n")), HTTP1_LENGTH, 17, true},
        {BYTES(HEAD("Content-Length: 0\r\nContent-Length: 0\r\n")), HTTP1_LENGTH, 0, true},
        {BYTES("HTTP/1.1 404 Not Found\r\nContent-Length: 17\r\n\r\n"), HTTP1_LENGTH, 17, true},
    };
    expect_framed(heads, COUNT(heads));
}

static void http1_content_length_that_is_no_number_is_refused(void **state)
{
    (void)state;
    static const struct bytes bad[] = {
        {BYTES(HEAD("Content-Length:\r\n"))},
        {BYTES(HEAD("Content-Length: \r\n"))},
        {BYTES(HEAD("Content-Length: -1\r\n"))},
        {BYTES(HEAD("Content-Length: -0\r\n"))},
        {BYTES(HEAD("Content-Length: +5\r\n"))},
        {BYTES(HEAD("Content-Length: 0x5\r\n"))},
        {BYTES(HEAD("Content-Length: 5.0\r\n"))},
        {BYTES(HEAD("Content-Length: 5e1\r\n"))},
        {BYTES(HEAD("Content-Length: 5 5\r\n"))},
        {BYTES(HEAD("Content-Length: 5,\r\n"))},
        {BYTES(HEAD("Content-Length: 5, 5\r\n"))},
        {BYTES(HEAD("Content-Length: 5,6\r\n"))},
        {BYTES(HEAD("Content-Length: 5;6\r\n"))},
        {BYTES(HEAD("Content-Length: \"5\"\r\n"))},
        {BYTES(HEAD("Content-Length: five\r\n"))},
        {BYTES(HEAD("Content-Length: 5\v\r\n"))},
        {BYTES(HEAD("Content-Length: 5\r\r\n"))},
        {BYTES(HEAD("Content-Length: \xd9\xa5\r\n"))},
        {BYTES(HEAD("Content-Length: 5\xa0\r\n"))},
        {BYTES(HEAD("Content-Length: 18446744073709551616\r\n"))},
        {BYTES(HEAD("Content-Length: 18446744073709551621\r\n"))},
        {BYTES(HEAD("Content-Length: 36893488147419103237\r\n"))},
        {BYTES(HEAD("Content-Length: 100000000000000000000000000000000000005\r\n"))},
        {BYTES(HEAD("Content-Length: 5\r\nContent-Length: 6\r\n"))},
        {BYTES(HEAD("Content-Length: 0\r\nContent-Length: 6\r\n"))},
        {BYTES(HEAD("Content-Length: 5\r\nContent-Length: 0\r\n"))},
        {BYTES(HEAD("Content-Length: 5\r\nContent-Length: \r\n"))},
        {BYTES(HEAD("Content-Length: 5\r\nContent-Length: 5\r\ncontent-length: 6\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: chunked\r\nContent-Length: -1\r\n"))},
    };
    expect_heads_bad(bad, COUNT(bad));
}

static void http1_transfer_encoding_is_chunked(void **state)
{
    (void)state;
    static const struct framed heads[] = {
        {BYTES(HEAD("Transfer-Encoding: chunked\r\n")), HTTP1_CHUNKED, 0, true},
        {BYTES(HEAD("Transfer-Encoding:chunked\r\n")), HTTP1_CHUNKED, 0, true},
        {BYTES(HEAD("Transfer-Encoding:\t chunked\t \r\n")), HTTP1_CHUNKED, 0, true},
        {BYTES(HEAD("transfer-encoding: Chunked\r\n")), HTTP1_CHUNKED, 0, true},
        {BYTES(HEAD("TRANSFER-ENCODING: CHUNKED\r\n")), HTTP1_CHUNKED, 0, true},
        {BYTES(HEAD("Transfer-Encoding: chunked\r\nConnection: close\r\n")), HTTP1_CHUNKED, 0, false},
    };
    expect_framed(heads, COUNT(heads));
}

static void http1_transfer_encoding_of_another_kind_is_refused(void **state)
{
    (void)state;
    static const struct bytes bad[] = {
        {BYTES(HEAD("Transfer-Encoding:\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: identity\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: gzip\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: gzip, chunked\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: chunked, gzip\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: chunked, chunked\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: chunked, identity\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: chunked;q=1\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: \"chunked\"\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: xchunked\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: chunkedx\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: chunke\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: chunked x\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: chunked\v\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: chunked\r\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"))},
        {BYTES(HEAD("Content-Length: 5\r\nTransfer-Encoding: gzip\r\n"))},
        {BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n")},
    };
    expect_heads_bad(bad, COUNT(bad));
}

static void http1_chunked_with_a_length_ends_the_connection(void **state)
{
    (void)state;
    static const struct framed heads[] = {
        {BYTES(HEAD("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")), HTTP1_CHUNKED, 0, false},
        {BYTES(HEAD("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")), HTTP1_CHUNKED, 0, false},
        {BYTES(HEAD("Content-Length: 0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n")),
            HTTP1_CHUNKED, 0, false},
    };
    expect_framed(heads, COUNT(heads));
}

#define WITH_CONNECTION(lines) BYTES(HEAD("Content-Length: 5\r\n" lines)), HTTP1_LENGTH, 5

static void http1_connection_ends_where_the_answer_says_close(void **state)
{
    (void)state;
    static const struct framed heads[] = {
        {WITH_CONNECTION("Connection: close\r\n"), false},
        {WITH_CONNECTION("connection:close\r\n"), false},
        {WITH_CONNECTION("CONNECTION: CLOSE\r\n"), false},
        {WITH_CONNECTION("Connection: Close \t\r\n"), false},
        {WITH_CONNECTION("Connection: keep-alive, close\r\n"), false},
        {WITH_CONNECTION("Connection: close, keep-alive\r\n"), false},
        {WITH_CONNECTION("Connection: x,close,y\r\n"), false},
        {WITH_CONNECTION("Connection: x\t,\tclose\t,\ty\r\n"), false},
        {WITH_CONNECTION("Connection: ,, ,close\r\n"), false},
        {WITH_CONNECTION("Connection: close,\r\n"), false},
        {WITH_CONNECTION("Connection: close\r\nConnection: keep-alive\r\n"), false},
        {WITH_CONNECTION("Connection: keep-alive\r\nX: y\r\nConnection: close\r\n"), false},
    };
    expect_framed(heads, COUNT(heads));
}

static void http1_connection_stays_otherwise(void **state)
{
    (void)state;
    static const struct framed heads[] = {
        {WITH_CONNECTION(""), true},
        {WITH_CONNECTION("Connection: keep-alive\r\n"), true},
        {WITH_CONNECTION("Connection:\r\n"), true},
        {WITH_CONNECTION("Connection: ,\r\n"), true},
        {WITH_CONNECTION("Connection: closed\r\n"), true},
        {WITH_CONNECTION("Connection: x-close\r\n"), true},
        {WITH_CONNECTION("Connection: clos, e\r\n"), true},
        {WITH_CONNECTION("Connection: upgrade, x\r\n"), true},
        {WITH_CONNECTION("Proxy-Connection: close\r\n"), true},
        {WITH_CONNECTION("X: close\r\n"), true},
        {WITH_CONNECTION("X: y\r\n Connection: close\r\n"), true},
    };
    expect_framed(heads, COUNT(heads));
}

#define OLD_HEAD(headers) "HTTP/1.0 200 OK\r\n" headers "\r\n"

static void http1_0_stays_only_where_the_answer_says_so(void **state)
{
    (void)state;
    static const struct framed heads[] = {
        {BYTES(OLD_HEAD("")), HTTP1_UNTIL_CLOSE, 0, false},
        {BYTES(OLD_HEAD("Connection: keep-alive\r\n")), HTTP1_UNTIL_CLOSE, 0, false},
        {BYTES(OLD_HEAD("Content-Length: 5\r\n")), HTTP1_LENGTH, 5, false},
        {BYTES(OLD_HEAD("Content-Length: 5\r\nConnection: x\r\n")), HTTP1_LENGTH, 5, false},
        {BYTES(OLD_HEAD("Content-Length: 5\r\nConnection: Keep-Alive\r\n")), HTTP1_LENGTH, 5, true},
        {BYTES(OLD_HEAD("Content-Length: 5\r\nConnection: keep-alive, x\r\n")), HTTP1_LENGTH, 5, true},
        {BYTES(OLD_HEAD("Content-Length: 5\r\nConnection: x, keep-alive\r\n")), HTTP1_LENGTH, 5, true},
        {BYTES(OLD_HEAD("Content-Length: 5\r\nConnection: close, keep-alive\r\n")), HTTP1_LENGTH, 5, false},
    };
    expect_framed(heads, COUNT(heads));
}

static void http1_0_with_chunks_ends_the_connection(void **state)
{
    (void)state;
    static const struct framed heads[] = {
        {BYTES(OLD_HEAD("Transfer-Encoding: chunked\r\n")), HTTP1_CHUNKED, 0, false},
        {BYTES(OLD_HEAD("Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n")), HTTP1_CHUNKED, 0,
            false},
    };
    expect_framed(heads, COUNT(heads));
}

static void http1_answers_of_some_statuses_have_no_body(void **state)
{
    (void)state;
    static const char *const statuses[] = {"100", "101", "102", "103", "199", "204", "304"};
    static const char *const headers[] = {
        "", "Content-Length: 0\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"};
    for (size_t i = 0; i < COUNT(statuses); i++)
        for (size_t j = 0; j < COUNT(headers); j++) {
            char data[100];
            int size = snprintf(data, sizeof data, "HTTP/1.1 %s \r\n%s\r\n", statuses[i], headers[j]);
            struct http1_head head = good_head(data, (size_t)size);
            assert_int_equal(head.framing, HTTP1_LENGTH);
            assert_int_equal(head.length, 0);
        }
}

static void http1_connection_stays_after_an_answer_without_a_body(void **state)
{
    (void)state;
    static const struct framed heads[] = {
        {BYTES("HTTP/1.1 100 Continue\r\n\r\n"), HTTP1_LENGTH, 0, true},
        {BYTES("HTTP/1.1 204 No Content\r\n\r\n"), HTTP1_LENGTH, 0, true},
        {BYTES("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), HTTP1_LENGTH, 0, true},
        {BYTES("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"), HTTP1_LENGTH, 0, false},
        {BYTES("HTTP/1.0 204 No Content\r\n\r\n"), HTTP1_LENGTH, 0, false},
    };
    expect_framed(heads, COUNT(heads));
}

static void http1_body_without_framing_goes_until_the_close(void **state)
{
    (void)state;
    static const struct framed heads[] = {
        {BYTES(HEAD("")), HTTP1_UNTIL_CLOSE, 0, false},
        {BYTES(HEAD("Content-Type: text/html\r\n")), HTTP1_UNTIL_CLOSE, 0, false},
        {BYTES(HEAD("Connection: keep-alive\r\n")), HTTP1_UNTIL_CLOSE, 0, false},
        {BYTES(HEAD("Connection: close\r\n")), HTTP1_UNTIL_CLOSE, 0, false},
        {BYTES("HTTP/1.1 502 Bad Gateway\r\n\r\n"), HTTP1_UNTIL_CLOSE, 0, false},
        {BYTES("HTTP/1.1 205 Reset Content\r\n\r\n"), HTTP1_UNTIL_CLOSE, 0, false},
    };
    expect_framed(heads, COUNT(heads));
}

static void http1_headers_that_mean_nothing_are_read_over(void **state)
{
    (void)state;
    static const struct framed heads[] = {
        {WITH_CONNECTION("X:\r\n"), true},
        {WITH_CONNECTION("X: \r\n"), true},
        {WITH_CONNECTION("X: a:b: c, \"d\"\r\n"), true},
        {WITH_CONNECTION("X: \xed\x99\x8d\xff\x80\r\n"), true},
        {WITH_CONNECTION("X-Content-Length: 7\r\n"), true},
        {WITH_CONNECTION("Content-Length-X: 7\r\n"), true},
        {WITH_CONNECTION("Content-Lengt: 7\r\n"), true},
        {WITH_CONNECTION("X: y, Content-Length: 7\r\n"), true},
        {WITH_CONNECTION("X-Transfer-Encoding: gzip\r\n"), true},
        {WITH_CONNECTION("TE: chunked\r\n"), true},
        {WITH_CONNECTION("!#$%&'*+-.^_`|~09azAZ: x\r\n"), true},
    };
    expect_framed(heads, COUNT(heads));
}

static void http1_folded_headers_that_mean_nothing_are_read_over(void **state)
{
    (void)state;
    static const struct framed heads[] = {
        {WITH_CONNECTION("X: a\r\n b\r\n"), true},
        {WITH_CONNECTION("X: a\r\n\tb\r\n"), true},
        {WITH_CONNECTION("X: a\n b\n"), true},
        {WITH_CONNECTION("X:\r\n a\r\n \t b\r\n"), true},
        {WITH_CONNECTION("X: a\r\n \r\n"), true},
        {WITH_CONNECTION("X: a\r\n Content-Length: 7\r\n"), true},
        {WITH_CONNECTION("X: a\r\n Transfer-Encoding: chunked\r\n\tConnection: close\r\n"), true},
        {WITH_CONNECTION("X: a\r\n : b\r\n"), true},
    };
    expect_framed(heads, COUNT(heads));
}

static void http1_folds_elsewhere_are_refused(void **state)
{
    (void)state;
    static const struct bytes bad[] = {
        {BYTES(HEAD(" X: a\r\n"))},
        {BYTES(HEAD(" \r\n"))},
        {BYTES(HEAD("\tfolded status line\r\n"))},
        {BYTES(HEAD("Content-Length: 1\r\n 7\r\n"))},
        {BYTES(HEAD("Content-Length:\r\n 17\r\n"))},
        {BYTES(HEAD("Content-Length: 17\r\n \r\n"))},
        {BYTES(HEAD("Content-Length: 17\r\n X: a\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: chunked\r\n , gzip\r\n"))},
        {BYTES(HEAD("Transfer-Encoding:\r\n chunked\r\n"))},
        {BYTES(HEAD("Connection: keep-alive,\r\n close\r\n"))},
        {BYTES(HEAD("X: a\r\n b\r\nContent-Length: 1\r\n 7\r\n"))},
    };
    expect_heads_bad(bad, COUNT(bad));
}

static void http1_lines_that_are_no_headers_are_refused(void **state)
{
    (void)state;
    static const struct bytes bad[] = {
        {BYTES(HEAD("X\r\n"))},
        {BYTES(HEAD("no header\r\n"))},
        {BYTES(HEAD(":\r\n"))},
        {BYTES(HEAD(": a\r\n"))},
        {BYTES(HEAD("\r\r\n"))},
        {BYTES(HEAD("X: a\r\nY\r\n"))},
        {BYTES(HEAD("HTTP/1.1 200 OK\r\n"))},
        {BYTES(OK_LINE "<html>\r\n")},
    };
    expect_heads_bad(bad, COUNT(bad));
}

static void http1_blanks_before_the_colon_are_refused(void **state)
{
    (void)state;
    static const struct bytes bad[] = {
        {BYTES(HEAD("X : a\r\n"))},
        {BYTES(HEAD("X\t: a\r\n"))},
        {BYTES(HEAD("Content-Length : 5\r\n"))},
        {BYTES(HEAD("Content-Length\t: 5\r\n"))},
        {BYTES(HEAD("Content-Length: 5\r\nTransfer-Encoding : chunked\r\n"))},
    };
    expect_heads_bad(bad, COUNT(bad));
}

static void http1_nul_in_a_header_is_refused(void **state)
{
    (void)state;
    static const struct bytes bad[] = {
        {BYTES(HEAD("\0\r\n"))},
        {BYTES(HEAD("\0: a\r\n"))},
        {BYTES(HEAD("X\0: a\r\n"))},
        {BYTES(HEAD("X: \0\r\n"))},
        {BYTES(HEAD("X: a\0b\r\n"))},
        {BYTES(HEAD("X: a\0"))},
        {BYTES(HEAD("Content-Length\0: 5\r\n"))},
        {BYTES(HEAD("Content-Length: 5\0\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: chunked\0\r\n"))},
        {BYTES(HEAD("Transfer-Encoding: chunked\0gzip\r\n"))},
        {BYTES(HEAD("Connection: close\0\r\n"))},
        {BYTES(HEAD("Retry-After: 5\0\r\n"))},
    };
    expect_heads_bad(bad, COUNT(bad));
}

/* RFC 9110, section 5.5: a value with NUL is refused, or cleaned. */
static void http1_nul_in_a_folded_header_is_refused(void **state)
{
    (void)state;
    static const struct bytes bad[] = {
        {BYTES(HEAD("X: a\r\n \0\r\n"))},
        {BYTES(HEAD("X: a\r\n b\r\n\tc\0d\r\n"))},
    };
    expect_heads_bad(bad, COUNT(bad));
}

/* RFC 9112, section 2.2: otherwise it had to be read as a blank, as which it would stand before the colon or
 * around "close". */
static void http1_bare_cr_in_a_header_is_refused(void **state)
{
    (void)state;
    static const struct bytes bad[] = {
        {BYTES(HEAD("Content-Length\r: 5\r\n"))},
        {BYTES(HEAD("\rContent-Length: 5\r\n"))},
        {BYTES(HEAD("Content-Length: 5\r\nTransfer-Encoding\r: chunked\r\n"))},
        {BYTES(HEAD("Content-Length: 5\r\nConnection: close\r\r\n"))},
        {BYTES(HEAD("Content-Length: 5\r\nConnection:\rclose\r\n"))},
        {BYTES(HEAD("Content-Length: 5\r\nConnection: x,\rclose\r\n"))},
    };
    expect_heads_bad(bad, COUNT(bad));
}

static void expect_retry_after(const char *headers, const char *expected)
{
    char data[200];
    struct http1_head head;
    size_t size_read;
    int size = snprintf(data, sizeof data, "HTTP/1.1 429 \r\n%s\r\n", headers);
    assert_int_equal(read_head(data, (size_t)size, &head, &size_read), HTTP1_DONE);
    if (!expected) {
        assert_null(head.retry_after);
        return;
    }
    assert_true(head.retry_after >= data && head.retry_after + head.retry_after_size <= data + size);
    assert_int_equal(head.retry_after_size, strlen(expected));
    assert_memory_equal(head.retry_after, expected, strlen(expected));
}

static void http1_retry_after_is_where_it_stands(void **state)
{
    (void)state;
    expect_retry_after("", NULL);
    expect_retry_after("X-Retry-After: 5\r\n", NULL);
    expect_retry_after("Content-Length: 0\r\n", NULL);
    expect_retry_after("Retry-After: 5\r\n", "5");
    expect_retry_after("Retry-After:120\n", "120");
    expect_retry_after("retry-after: \t 5 \t\r\nContent-Length: 0\r\n", "5");
    expect_retry_after("Content-Length: 0\r\nRETRY-AFTER: Fri, 31 Dec 1999 23:59:59 GMT\r\nX: y\r\n",
        "Fri, 31 Dec 1999 23:59:59 GMT");
    expect_retry_after("Retry-After: -1; x\r\n", "-1; x");
    expect_retry_after("Retry-After:\r\n", "");
}

/* ---- whole answers, in pieces ---- */

enum { ANSWER_LIMIT = 2048 };

/* As a connection reads: heads from their start on each time, bodies piece by piece. */
struct reading {
    struct http1_body body;
    bool has_head;
    enum http1_result result;
    size_t taken;
    char content[ANSWER_LIMIT];
    size_t content_size;
};

static void reading_init(struct reading *reading)
{
    memset(reading, 0, offsetof(struct reading, content));
    reading->result = HTTP1_MORE;
    reading->content_size = 0;
}

/* Up to the head of an answer that is no interim one. */
static void reading_head(struct reading *reading, const char *data, size_t end)
{
    struct http1_head head;
    size_t size;
    while (!reading->has_head) {
        reading->result = read_head(data + reading->taken, end - reading->taken, &head, &size);
        if (reading->result != HTTP1_DONE)
            return;
        reading->taken += size;
        reading->has_head = head.status >= 200;
    }
    reading->result = HTTP1_MORE;
    http1_body_begin(&reading->body, &head);
}

static void reading_body_step(struct reading *reading, const char *data, size_t size)
{
    const char *span = NULL;
    size_t size_read = SIZE_MAX, span_size = SIZE_MAX;
    reading->result = http1_read_body(&reading->body, data, size, &size_read, &span, &span_size);
    assert_true(size_read <= size && span_size <= size_read);
    assert_true(size_read || !size || reading->result == HTTP1_DONE);
    assert_true(span >= data && span + span_size <= data + size_read);
    assert_true(reading->content_size + span_size <= sizeof reading->content);
    memcpy(reading->content + reading->content_size, span, span_size);
    reading->content_size += span_size;
    reading->taken += size_read;
}

/* All of data up to end is there now. */
static void reading_go_on(struct reading *reading, const char *data, size_t end)
{
    if (!reading->has_head)
        reading_head(reading, data, end);
    if (!reading->has_head || reading->result != HTTP1_MORE)
        return;
    do
        reading_body_step(reading, data + reading->taken, end - reading->taken);
    while (reading->result == HTTP1_MORE && reading->taken < end);
}

static void reading_piece(struct reading *reading, const char *data, size_t end)
{
    if (reading->result != HTTP1_MORE)
        return;
    char *block = block_of(data, end);
    reading_go_on(reading, block, end);
    free(block);
}

static void read_whole(struct reading *reading, const char *data, size_t size)
{
    reading_init(reading);
    reading_piece(reading, data, size);
}

static void read_bytewise(struct reading *reading, const char *data, size_t size)
{
    reading_init(reading);
    for (size_t end = 1; end <= size; end++)
        reading_piece(reading, data, end);
}

struct whole {
    const char *data;
    size_t size;
    size_t rest; /* bytes behind the end of the answer */
    const char *content;
    enum http1_result result;
};

#define WITH_REST(answer) answer REST, sizeof(answer REST) - 1, sizeof(REST) - 1

static const struct whole wholes[] = {
    {WITH_REST(HEAD("Content-Length: 5\r\n") "hello"), "hello", HTTP1_DONE},
    {WITH_REST(HEAD("Content-Length: 0\r\n")), "", HTTP1_DONE},
    {WITH_REST("HTTP/1.1 100 Continue\r\n\r\n"
               "HTTP/1.1 103 Early Hints\nLink: x\n\n" HEAD("Content-Length: 2\r\n") "\r\n"),
        "\r\n", HTTP1_DONE},
    {WITH_REST("HTTP/1.1 204 No Content\r\n\r\n"), "", HTTP1_DONE},
    {WITH_REST("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), "", HTTP1_DONE},
    {WITH_REST(CHUNKED("0\r\n\r\n")), "", HTTP1_DONE},
    {WITH_REST(CHUNKED("5\r\nhello\r\n0\r\n\r\n")), "hello", HTTP1_DONE},
    {WITH_REST(CHUNKED("5\r\nhello\r\nC\r\n, 0\r\n\r\nworld\r\n1\r\n!\r\n0\r\n\r\n")),
        "hello, 0\r\n\r\nworld!", HTTP1_DONE},
    {WITH_REST(CHUNKED("0a\r\n0123456789\r\n0F\r\nabcdefghijklmno\r\nA\r\n----------\r\n000\r\n\r\n")),
        "0123456789abcdefghijklmno----------", HTTP1_DONE},
    {WITH_REST(CHUNKED("5;a\r\nhello\r\n1 ;b=c;d=\"e;\"\r\n \r\n5\t; x\r\nworld\r\n0;last=1\r\n\r\n")),
        "hello world", HTTP1_DONE},
    {WITH_REST(CHUNKED("5\r\nhello\r\n0\r\nX: y\r\nContent-Length: 7\r\nZ:\r\n\r\n")), "hello", HTTP1_DONE},
    {WITH_REST(CHUNKED("5\r\nhello\r\n0\r\nX: y\nZ: 0\n\n")), "hello", HTTP1_DONE},
    {WITH_REST(HEAD("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") "5\r\nhello\r\n0\r\n\r\n"),
        "hello", HTTP1_DONE},
    {BYTES(HEAD("") "hello\r\n0\r\n\r\n"), 0, "hello\r\n0\r\n\r\n", HTTP1_MORE},
    {BYTES(CHUNKED("5\r\nhello\r\nx")), 0, "hello", HTTP1_BAD},
};

static void expect_whole(const struct whole *whole, const struct reading *reading, size_t cut, size_t other)
{
    if (reading->result != whole->result || reading->content_size != strlen(whole->content) ||
        memcmp(reading->content, whole->content, reading->content_size) != 0 ||
        reading->taken != whole->size - whole->rest)
        fail_msg("%s, cut at %zu and %zu: result %d, content of %zu, %zu of %zu bytes",
            printable(whole->data, whole->size), cut, other, (int)reading->result, reading->content_size,
            reading->taken, whole->size);
}

static void http1_answers_are_the_same_in_any_three_pieces(void **state)
{
    (void)state;
    struct reading reading;
    for (size_t i = 0; i < COUNT(wholes); i++)
        for (size_t cut = 0; cut <= wholes[i].size; cut++)
            for (size_t other = cut; other <= wholes[i].size; other++) {
                reading_init(&reading);
                reading_piece(&reading, wholes[i].data, cut);
                reading_piece(&reading, wholes[i].data, other);
                reading_piece(&reading, wholes[i].data, wholes[i].size);
                expect_whole(&wholes[i], &reading, cut, other);
            }
}

static void http1_answers_are_the_same_byte_by_byte(void **state)
{
    (void)state;
    struct reading reading;
    for (size_t i = 0; i < COUNT(wholes); i++) {
        read_bytewise(&reading, wholes[i].data, wholes[i].size);
        expect_whole(&wholes[i], &reading, 1, 2);
    }
}

static void http1_answers_cut_off_are_more(void **state)
{
    (void)state;
    struct reading reading;
    for (size_t i = 0; i < COUNT(wholes); i++)
        for (size_t size = 0; size + 1 < wholes[i].size - wholes[i].rest; size++) {
            read_whole(&reading, wholes[i].data, size);
            assert_int_equal(reading.result, HTTP1_MORE);
            assert_int_equal(reading.taken, reading.has_head ? size : reading.taken);
        }
}

/* ---- bodies ---- */

static struct http1_body body_of(enum http1_framing framing, uint64_t length)
{
    struct http1_body body;
    struct http1_head head = {.status = 200, .framing = framing, .length = length};
    http1_body_begin(&body, &head);
    return body;
}

static void http1_body_without_bytes_is_done_at_once(void **state)
{
    (void)state;
    const char *span;
    size_t size_read, span_size;
    struct http1_body body = body_of(HTTP1_LENGTH, 0);
    assert_int_equal(http1_read_body(&body, "x", 1, &size_read, &span, &span_size), HTTP1_DONE);
    assert_int_equal(size_read, 0);
    assert_int_equal(span_size, 0);
    body = body_of(HTTP1_LENGTH, 0);
    assert_int_equal(http1_read_body(&body, "", 0, &size_read, &span, &span_size), HTTP1_DONE);
}

static void http1_body_asked_about_nothing_is_more(void **state)
{
    (void)state;
    static const enum http1_framing framings[] = {HTTP1_LENGTH, HTTP1_CHUNKED, HTTP1_UNTIL_CLOSE};
    for (size_t i = 0; i < COUNT(framings); i++) {
        const char *span;
        size_t size_read = 1, span_size = 1;
        struct http1_body body = body_of(framings[i], 1);
        assert_int_equal(http1_read_body(&body, "", 0, &size_read, &span, &span_size), HTTP1_MORE);
        assert_int_equal(size_read, 0);
        assert_int_equal(span_size, 0);
    }
}

static void http1_body_ends_at_the_close_only_without_framing(void **state)
{
    (void)state;
    struct reading reading;
    for (size_t i = 0; i < COUNT(wholes); i++)
        for (size_t size = 0; size < wholes[i].size - wholes[i].rest; size++) {
            read_whole(&reading, wholes[i].data, size);
            if (reading.has_head)
                assert_int_equal(http1_body_ends_here(&reading.body),
                    !strstr(wholes[i].data, "ength: ") && !strstr(wholes[i].data, "chunked"));
        }
}

static void http1_body_may_be_longer_than_memory(void **state)
{
    (void)state;
    struct reading reading;
    read_whole(&reading, BYTES(HEAD("Content-Length: 999999999999999999\r\n") "hello"));
    assert_int_equal(reading.result, HTTP1_MORE);
    assert_int_equal(reading.content_size, 5);
    read_whole(&reading, BYTES(CHUNKED("FFFFFFFFFFFFFFFF\r\nhello")));
    assert_int_equal(reading.result, HTTP1_MORE);
    assert_int_equal(reading.content_size, 5);
}

static void expect_bodies_bad(const struct bytes *answers, size_t count)
{
    struct reading reading;
    for (size_t i = 0; i < count; i++) {
        const char *data = answers[i].data;
        read_whole(&reading, data, answers[i].size);
        enum http1_result result = reading.result;
        read_bytewise(&reading, data, answers[i].size);
        if (result != HTTP1_BAD || reading.result != HTTP1_BAD)
            fail_msg("%s: result %d, byte by byte %d", printable(data, answers[i].size), (int)result,
                (int)reading.result);
    }
}

static void http1_chunks_that_are_not_framed_are_refused(void **state)
{
    (void)state;
    static const struct bytes bad[] = {
        {BYTES(CHUNKED("\r\n"))},
        {BYTES(CHUNKED("\n"))},
        {BYTES(CHUNKED("\r\n5\r\nhello\r\n"))},
        {BYTES(CHUNKED(" 5\r\nhello\r\n"))},
        {BYTES(CHUNKED(";a\r\n"))},
        {BYTES(CHUNKED("hello"))},
        {BYTES(CHUNKED("{\"code\":0}"))},
        {BYTES(CHUNKED("-5\r\nhello\r\n"))},
        {BYTES(CHUNKED("+5\r\nhello\r\n"))},
        {BYTES(CHUNKED("0x5\r\nhello\r\n"))},
        {BYTES(CHUNKED("5h\r\nhello\r\n"))},
        {BYTES(CHUNKED("g\r\n"))},
        {BYTES(CHUNKED("5,\r\nhello\r\n"))},
        {BYTES(CHUNKED("5.\r\nhello\r\n"))},
        {BYTES(CHUNKED("5\0\r\nhello\r\n"))},
        {BYTES(CHUNKED("\xff\r\n"))},
        {BYTES(CHUNKED("5\r\nhello0\r\n\r\n"))},
        {BYTES(CHUNKED("5\r\nhello!\r\n0\r\n\r\n"))},
        {BYTES(CHUNKED("5\r\nhello\r0\r\n\r\n"))},
        {BYTES(CHUNKED("5\r\nhello \r\n0\r\n\r\n"))},
        {BYTES(CHUNKED("4\r\nhello\r\n0\r\n\r\n"))},
        {BYTES(CHUNKED("5\r\nhello\r\n\r\n0\r\n\r\n"))},
        {BYTES(CHUNKED("5\r\nhello\r\n\r\n"))},
    };
    expect_bodies_bad(bad, COUNT(bad));
}

/* RFC 9112, sections 7.1 and 2.2. */
static void http1_chunk_lines_that_could_be_read_in_two_ways_are_refused(void **state)
{
    (void)state;
    static const struct bytes bad[] = {
        {BYTES(CHUNKED("5 6\r\nhello\r\n0\r\n\r\n"))},
        {BYTES(CHUNKED("5\t0\r\nhello\r\n0\r\n\r\n"))},
        {BYTES(CHUNKED("5\r6\r\nhello\r\n0\r\n\r\n"))},
        {BYTES(CHUNKED("5\r\r\nhello\r\n0\r\n\r\n"))},
        {BYTES(CHUNKED("5;a\rb\r\nhello\r\n0\r\n\r\n"))},
        {BYTES(CHUNKED("5\r\nhello\r\r\n0\r\n\r\n"))},
        {BYTES(CHUNKED("5\r\nhello\r\n0\r\r\n\r\n"))},
        {BYTES(CHUNKED("5\r\nhello\r\n0\r\n\r\r\n"))},
    };
    expect_bodies_bad(bad, COUNT(bad));
}

/* Others would read on until CRLF. RFC 9112, section 2.2 has the bare LF for the head and trailers alone. */
static void http1_bare_lf_does_not_end_a_chunk_extension(void **state)
{
    (void)state;
    static const struct bytes bad[] = {
        {BYTES(CHUNKED("5;a\nhello\r\n0\r\n\r\n"))},
        {BYTES(CHUNKED("5;\nhello\r\n0\r\n\r\n"))},
    };
    expect_bodies_bad(bad, COUNT(bad));
}

static void http1_chunk_size_over_64_bits_is_refused(void **state)
{
    (void)state;
    static const struct bytes bad[] = {
        {BYTES(CHUNKED("10000000000000000\r\n"))},
        {BYTES(CHUNKED("10000000000000005\r\nhello\r\n0\r\n\r\n"))},
        {BYTES(CHUNKED("fffffffffffffffff\r\n"))},
        {BYTES(CHUNKED("0010000000000000005\r\nhello\r\n0\r\n\r\n"))},
        {BYTES(CHUNKED("5\r\nhello\r\n100000000000000000000000000000000\r\n\r\n"))},
    };
    expect_bodies_bad(bad, COUNT(bad));
}

static void http1_chunk_size_may_begin_with_zeros(void **state)
{
    (void)state;
    struct reading reading;
    read_whole(&reading, BYTES(CHUNKED("00000000000000000005\r\nhello\r\n0000000000000000000\r\n\r\n")));
    assert_int_equal(reading.result, HTTP1_DONE);
    assert_int_equal(reading.content_size, 5);
}

/* The result once start and then size bytes of filling are there, in pieces of its length. */
static enum http1_result read_filled(const char *start, const char *filling, size_t size)
{
    struct http1_body body = body_of(HTTP1_CHUNKED, 0);
    const char *data = start;
    enum http1_result result = HTTP1_MORE;
    for (size_t fed = 0; result == HTTP1_MORE && fed < size; fed += strlen(filling), data = filling)
        for (size_t left = strlen(data); result == HTTP1_MORE && left;) {
            const char *span;
            size_t taken, span_size;
            result = http1_read_body(&body, data, left, &taken, &span, &span_size);
            assert_in_range(taken, 1, left);
            data += taken;
            left -= taken;
        }
    return result;
}

struct filled {
    const char *start;
    const char *filling;
};

static const struct filled fillings[] = {
    {"5;", "aaaaaaaa"},
    {"5;", ";a=b;c=\"d\""},
    {"5 ", "       "},
    {"0\r\nX: ", "aaaaaaa"},
    {"0\r\n", "X: y\r\n"},
    {"0\r\n", "a:\n"},
    {"1;a", "bcdefg\r\n \r\n1;"},
};

static void http1_chunk_extensions_and_trailers_may_take_a_kilobyte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(fillings); i++)
        assert_int_equal(read_filled(fillings[i].start, fillings[i].filling, 1024), HTTP1_MORE);
}

static void http1_endless_chunk_extensions_and_trailers_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(fillings); i++)
        if (read_filled(fillings[i].start, fillings[i].filling, 1 << 20) != HTTP1_BAD)
            fail_msg("%s%s...", fillings[i].start, fillings[i].filling);
}

static void http1_endless_zeros_of_a_chunk_size_are_refused(void **state)
{
    (void)state;
    assert_int_equal(read_filled("0", "00000000", 1 << 20), HTTP1_BAD);
}

/* What frames a chunk is no extension: a peer that flushes often sends many small chunks. */
static void http1_chunks_may_be_many_and_small(void **state)
{
    (void)state;
    assert_int_equal(read_filled("1\r\nx\r\n", "1\r\nx\r\n", 1 << 20), HTTP1_MORE);
    assert_int_equal(
        read_filled(
            "40\r\n", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n40\r\n", 1 << 20),
        HTTP1_MORE);
}

/* ---- answers gone wrong ---- */

enum { MUTANTS = 100000 };

static void mutant_insert_word(struct mutant *mutant, struct dice *dice, size_t at)
{
    static const struct bytes words[] = {{BYTES("\r\n")}, {BYTES("\n")}, {BYTES("\r")}, {BYTES("\0")},
        {BYTES(" ")}, {BYTES("\t")}, {BYTES(":")}, {BYTES(",")}, {BYTES(";")}, {BYTES("0")}, {BYTES("9")},
        {BYTES("f")}, {BYTES("-")}, {BYTES("\xff")}, {BYTES("\r\n\r\n")}, {BYTES("Content-Length: 4\r\n")},
        {BYTES("Transfer-Encoding: chunked\r\n")}, {BYTES("Connection: close\r\n")}, {BYTES("0\r\n\r\n")},
        {BYTES("HTTP/1.1 100 \r\n\r\n")}, {BYTES("ffffffffffffffff")}, {BYTES("\r\n ")}};
    mutant_insert_one_of(mutant, dice, at, words, COUNT(words));
}

static void mutate(struct mutant *mutant, struct dice *dice)
{
    if (!mutant->size)
        return;
    size_t at = draw(dice, mutant->size), left = mutant->size - at;
    size_t span = 1 + draw(dice, left < 40 ? left : 40);
    switch (draw(dice, 6)) {
    case 0:
        mutant->data[at] = (char)(mutant->data[at] ^ 1 << draw(dice, 8));
        break;
    case 1:
        mutant->data[at] = (char)draw(dice, 256);
        break;
    case 2:
        mutant_delete(mutant, at, draw(dice, 2) ? span : 1);
        break;
    case 3:
        mutant_duplicate(mutant, at, span, draw(dice, mutant->size + 1));
        break;
    case 4:
        mutant->size = draw(dice, 4) ? mutant->size : at;
        break;
    default:
        mutant_insert_word(mutant, dice, at);
    }
}

static void mutant_of(struct mutant *mutant, struct dice *dice)
{
    const struct whole *whole = &wholes[draw(dice, COUNT(wholes))];
    mutant->size = 0;
    mutant_insert(mutant, 0, whole->data, whole->size);
    for (size_t i = 1 + draw(dice, 5); i; i--)
        mutate(mutant, dice);
}

static void read_in_pieces(struct reading *reading, const struct mutant *mutant, struct dice *dice)
{
    size_t longest = 1 + draw(dice, draw(dice, 2) ? 10 : 200);
    reading_init(reading);
    for (size_t end = 0; end < mutant->size;) {
        end += 1 + draw(dice, longest);
        end = end < mutant->size ? end : mutant->size;
        reading_piece(reading, mutant->data, end);
    }
}

/* The checks of each step are in reading_body_step. */
static void http1_answers_gone_wrong_are_read_the_same_in_any_pieces(void **state)
{
    (void)state;
    static struct mutant mutant;
    static struct reading whole, pieces;
    size_t results[3] = {0};
    for (unsigned seed = 0; seed < MUTANTS; seed++) {
        struct dice dice = {{(unsigned short)seed, (unsigned short)(seed >> 16), 9112}};
        mutant_of(&mutant, &dice);
        read_whole(&whole, mutant.data, mutant.size);
        read_in_pieces(&pieces, &mutant, &dice);
        if (pieces.result != whole.result || pieces.has_head != whole.has_head ||
            pieces.taken != whole.taken || pieces.content_size != whole.content_size ||
            memcmp(pieces.content, whole.content, whole.content_size) != 0)
            fail_msg("seed %u: %s", seed, printable(mutant.data, mutant.size));
        results[whole.result]++;
    }
    assert_true(results[HTTP1_MORE] > MUTANTS / 20 && results[HTTP1_DONE] > MUTANTS / 20 &&
                results[HTTP1_BAD] > MUTANTS / 20);
}

static void http1_noise_is_no_answer(void **state)
{
    (void)state;
    static struct mutant noise;
    static struct reading reading;
    for (unsigned seed = 0; seed < 2000; seed++) {
        struct dice dice = {{(unsigned short)seed, 0, 2616}};
        noise.size = 1 + draw(&dice, sizeof noise.data - 1);
        for (size_t i = 0; i < noise.size; i++)
            noise.data[i] = (char)draw(&dice, 256);
        noise.data[noise.size - 1] = '\n';
        read_in_pieces(&reading, &noise, &dice);
        assert_int_equal(reading.result, HTTP1_BAD);
    }
}

/* Any bytes behind a good head of chunks. */
static void http1_noise_in_chunks_is_taken_in_bounds(void **state)
{
    (void)state;
    static const char bytes[] = "0123456789abcdefABCDEF;; \t\r\r\n\n\n\n\n\nx";
    static struct mutant noise;
    static struct reading whole, pieces;
    for (unsigned seed = 0; seed < 20000; seed++) {
        struct dice dice = {{(unsigned short)seed, 0, 7230}};
        noise.size = 0;
        mutant_insert(&noise, 0, BYTES(CHUNKED("1\r\n")));
        for (size_t i = draw(&dice, 100); i; i--)
            noise.data[noise.size++] = bytes[draw(&dice, sizeof bytes - 1)];
        read_whole(&whole, noise.data, noise.size);
        read_in_pieces(&pieces, &noise, &dice);
        assert_int_equal(pieces.result, whole.result);
        assert_int_equal(pieces.taken, whole.taken);
        assert_int_equal(pieces.content_size, whole.content_size);
        assert_memory_equal(pieces.content, whole.content, whole.content_size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http1_status_line_gives_the_status),
        cmocka_unit_test(http1_status_line_that_is_none_is_refused),
        cmocka_unit_test(http1_lines_may_end_with_a_bare_lf),
        cmocka_unit_test(http1_head_ends_with_an_empty_line),
        cmocka_unit_test(http1_head_cut_at_any_byte_is_more),
        cmocka_unit_test(http1_head_up_to_its_limit_is_taken_and_none_longer),
        cmocka_unit_test(http1_status_line_without_an_end_is_refused_at_the_limit),
        cmocka_unit_test(http1_why_holds_nothing_of_the_answer),
        cmocka_unit_test(http1_content_length_is_the_length),
        cmocka_unit_test(http1_content_length_that_is_no_number_is_refused),
        cmocka_unit_test(http1_transfer_encoding_is_chunked),
        cmocka_unit_test(http1_transfer_encoding_of_another_kind_is_refused),
        cmocka_unit_test(http1_chunked_with_a_length_ends_the_connection),
        cmocka_unit_test(http1_connection_ends_where_the_answer_says_close),
        cmocka_unit_test(http1_connection_stays_otherwise),
        cmocka_unit_test(http1_0_stays_only_where_the_answer_says_so),
        cmocka_unit_test(http1_0_with_chunks_ends_the_connection),
        cmocka_unit_test(http1_answers_of_some_statuses_have_no_body),
        cmocka_unit_test(http1_connection_stays_after_an_answer_without_a_body),
        cmocka_unit_test(http1_body_without_framing_goes_until_the_close),
        cmocka_unit_test(http1_headers_that_mean_nothing_are_read_over),
        cmocka_unit_test(http1_folded_headers_that_mean_nothing_are_read_over),
        cmocka_unit_test(http1_folds_elsewhere_are_refused),
        cmocka_unit_test(http1_lines_that_are_no_headers_are_refused),
        cmocka_unit_test(http1_blanks_before_the_colon_are_refused),
        cmocka_unit_test(http1_nul_in_a_header_is_refused),
        cmocka_unit_test(http1_nul_in_a_folded_header_is_refused),
        cmocka_unit_test(http1_bare_cr_in_a_header_is_refused),
        cmocka_unit_test(http1_retry_after_is_where_it_stands),
        cmocka_unit_test(http1_answers_are_the_same_in_any_three_pieces),
        cmocka_unit_test(http1_answers_are_the_same_byte_by_byte),
        cmocka_unit_test(http1_answers_cut_off_are_more),
        cmocka_unit_test(http1_body_without_bytes_is_done_at_once),
        cmocka_unit_test(http1_body_asked_about_nothing_is_more),
        cmocka_unit_test(http1_body_ends_at_the_close_only_without_framing),
        cmocka_unit_test(http1_body_may_be_longer_than_memory),
        cmocka_unit_test(http1_chunks_that_are_not_framed_are_refused),
        cmocka_unit_test(http1_chunk_lines_that_could_be_read_in_two_ways_are_refused),
        cmocka_unit_test(http1_bare_lf_does_not_end_a_chunk_extension),
        cmocka_unit_test(http1_chunk_size_over_64_bits_is_refused),
        cmocka_unit_test(http1_chunk_size_may_begin_with_zeros),
        cmocka_unit_test(http1_chunk_extensions_and_trailers_may_take_a_kilobyte),
        cmocka_unit_test(http1_endless_chunk_extensions_and_trailers_are_refused),
        cmocka_unit_test(http1_endless_zeros_of_a_chunk_size_are_refused),
        cmocka_unit_test(http1_chunks_may_be_many_and_small),
        cmocka_unit_test(http1_answers_gone_wrong_are_read_the_same_in_any_pieces),
        cmocka_unit_test(http1_noise_is_no_answer),
        cmocka_unit_test(http1_noise_in_chunks_is_taken_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
