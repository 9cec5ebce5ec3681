/* The worker's reader of JSON against jansson: both take the same texts, and read the same in them. */
#include "worker/reader.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

enum { TEXT_LIMIT = 1 << 20 };

static size_t brackets(const uint8_t *data, size_t size)
{
    size_t open = 0;
    for (size_t i = 0; i < size; i++)
        open += data[i] == '{' || data[i] == '[';
    return open;
}

static void check_text(const struct reader_text *text, const json_t *value)
{
    struct buf out;
    const char *expected = json_string_value(value);
    buf_init(&out, TEXT_LIMIT);
    FUZZ_CHECK(expected && reader_text_append(text, &out));
    FUZZ_CHECK(out.size == strlen(expected) && (!out.size || memcmp(out.data, expected, out.size) == 0));
    FUZZ_CHECK(reader_text_is(text, expected));
    FUZZ_CHECK(!reader_text_is(text, "another"));
    buf_cleanup(&out);
}

static void check_value(const struct reader_value *value, const json_t *expected)
{
    switch (value->type) {
    case READER_OBJECT:
        FUZZ_CHECK(json_is_object(expected));
        break;
    case READER_ARRAY:
        FUZZ_CHECK(json_is_array(expected));
        break;
    case READER_TEXT:
        if (strcmp(json_string_value(expected), "another") != 0)
            check_text(&value->text, expected);
        break;
    case READER_INTEGER:
        FUZZ_CHECK(json_is_integer(expected) && json_integer_value(expected) == value->integer);
        break;
    case READER_REAL:
        FUZZ_CHECK(json_is_real(expected));
        break;
    default:
        FUZZ_CHECK(value->type == (json_is_true(expected)       ? READER_TRUE
                                      : json_is_false(expected) ? READER_FALSE
                                                                : READER_NULL));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader;
    struct reader_value value = {.type = READER_NONE};
    json_error_t error;
    json_t *expected = fuzz_json(data, size, JSON_DECODE_ANY, &error);
    bool out_of_range = !expected && json_error_code(&error) == json_error_numeric_overflow;
    reader_init(&reader, (const char *)data, size);
    bool read = reader_read(&reader, &value) && reader_finish(&reader);
    FUZZ_CHECK(reader_position(&reader) <= size);
    if (read && !out_of_range) {
        FUZZ_CHECK(expected);
        check_value(&value, expected);
    } else if (!read)
        FUZZ_CHECK(!expected || brackets(data, size) >= READER_DEPTH);
    json_decref(expected);
    return 0;
}
