#ifndef IMPCERT_TESTS_FUZZ_H
#define IMPCERT_TESTS_FUZZ_H

#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the targets share. A target runs the code that ships on any bytes, and checks what has to hold for
 * them, beside that nothing crashes. */

/* What every target defines, by the name that libFuzzer calls. data is a block of exactly that size. Returns
 * 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As assert, in every build. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_failed(__FILE__, __LINE__, #condition))
void fuzz_failed(const char *file, int line, const char *condition) __attribute__((noreturn));

/* The bytes as text up to their first NUL. The caller frees it. */
char *fuzz_text(const uint8_t *data, size_t size);
/* As jansson reads it, but that jansson passes over a NUL behind a number. The caller owns it. */
json_t *fuzz_json(const uint8_t *data, size_t size, size_t flags, json_error_t *error);
/* Whether a text ends within size bytes and is not empty: what an error has to say. */
bool fuzz_says_why(const char *text, size_t size);

/* Headers of a record, from a line each: name:value; a line without a colon has no value (null). The caller
 * owns the result. */
rd_kafka_headers_t *fuzz_headers(const uint8_t *data, size_t size);
/* How many headers are not ours, by what has to be carried along. */
bool fuzz_header_is_foreign(const char *name, bool replay_is_foreign);
/* Whether the foreign headers of one are those of the other, in the same order. */
bool fuzz_headers_carried(
    const rd_kafka_headers_t *from, const rd_kafka_headers_t *to, bool replay_is_foreign);
size_t fuzz_headers_count(const rd_kafka_headers_t *headers, const char *name);
/* Whether the last value of that name is this text. */
bool fuzz_header_is(const rd_kafka_headers_t *headers, const char *name, const char *text);

#endif
