/* JSON, read where it stands: what is told of it, what is refused, and that jansson would have said the same
 * of documents gone wrong in many ways. */
#include "tests/unit/mutant.h"
#include "worker/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

/* ---- ways through a document ---- */

static bool read_members(struct reader *reader, int levels);

/* Enters objects as far as levels go, and reads what is below. */
static bool read_levels(struct reader *reader, int levels)
{
    struct reader_value value;
    return levels && reader_enter(reader) ? read_members(reader, levels - 1) : reader_read(reader, &value);
}

static bool read_members(struct reader *reader, int levels)
{
    struct reader_text name;
    while (reader_member(reader, &name))
        if (!read_levels(reader, levels))
            return false;
    return !reader->bad;
}

static bool accepts(const char *data, size_t size, int levels)
{
    struct reader reader;
    reader_init(&reader, data, size);
    bool ok = read_levels(&reader, levels);
    return reader_finish(&reader) && ok;
}

static void expect(const char *data, size_t size, bool good)
{
    char *block = block_of(data, size);
    for (int levels = 0; levels < 3; levels++)
        if (accepts(block, size, levels) != good)
            fail_msg("%s: %s, %d levels entered", data, good ? "refused" : "accepted", levels);
    free(block);
}

static void expect_all(const struct bytes *documents, size_t count, bool good)
{
    for (size_t i = 0; i < count; i++)
        expect(documents[i].data, documents[i].size, good);
}

/* The same value, alone and inside of others. */
static void expect_anywhere(const char *data, size_t size, bool good)
{
    static const struct {
        const char *before, *behind;
    } places[] = {{"", ""}, {" ", "\n"}, {"[", "]"}, {"[0,", ",1]"}, {"{\"a\":", "}"},
        {"{\"a\":1,\"b\":", ",\"c\":null}"}, {"{\"a\":{\"b\":", "}}"}, {"[{\"a\":[", "]},{}]"}};
    for (size_t i = 0; i < COUNT(places); i++) {
        struct buf document;
        buf_init(&document, 1 << 20);
        assert_true(buf_append(&document, places[i].before, strlen(places[i].before)) &&
                    buf_append(&document, data, size) &&
                    buf_append(&document, places[i].behind, strlen(places[i].behind)));
        expect(document.data, document.size, good);
        buf_cleanup(&document);
    }
}

static void expect_anywhere_all(const struct bytes *values, size_t count, bool good)
{
    for (size_t i = 0; i < count; i++)
        expect_anywhere(values[i].data, values[i].size, good);
}

static struct reader_value value_of(const char *data)
{
    struct reader reader;
    struct reader_value value = {0};
    reader_init(&reader, data, strlen(data));
    assert_true(reader_read(&reader, &value));
    assert_true(reader_finish(&reader));
    return value;
}

/* ---- objects and other values ---- */

static void expect_member(struct reader *reader, const char *name)
{
    struct reader_text text;
    assert_true(reader_member(reader, &text));
    assert_true(reader_text_is(&text, name));
}

static void expect_integer(struct reader *reader, int64_t integer)
{
    struct reader_value value;
    assert_true(reader_read(reader, &value));
    assert_int_equal(value.type, READER_INTEGER);
    assert_true(value.integer == integer);
}

static void reader_walks_the_members_of_an_object(void **state)
{
    (void)state;
    static const char data[] = " { \"a\" : 1 , \"b\":2,\"\\u0063\"\n:\t3} ";
    struct reader reader;
    struct reader_text name;
    reader_init(&reader, BYTES(data));
    assert_true(reader_enter(&reader));
    expect_member(&reader, "a");
    expect_integer(&reader, 1);
    expect_member(&reader, "b");
    expect_integer(&reader, 2);
    expect_member(&reader, "c");
    expect_integer(&reader, 3);
    assert_false(reader_member(&reader, &name));
    assert_true(reader_finish(&reader));
}

static void reader_goes_on_behind_an_object_inside(void **state)
{
    (void)state;
    static const char data[] = "{\"a\":{},\"b\":{\"c\":{\"d\":4},\"e\":5},\"f\":[{},[]],\"g\":7}";
    struct reader reader;
    struct reader_text name;
    struct reader_value value;
    reader_init(&reader, BYTES(data));
    assert_true(reader_enter(&reader));
    expect_member(&reader, "a");
    assert_true(reader_enter(&reader));
    assert_false(reader_member(&reader, &name));
    expect_member(&reader, "b");
    assert_true(reader_enter(&reader));
    expect_member(&reader, "c");
    assert_true(reader_enter(&reader));
    expect_member(&reader, "d");
    expect_integer(&reader, 4);
    assert_false(reader_member(&reader, &name));
    expect_member(&reader, "e");
    expect_integer(&reader, 5);
    assert_false(reader_member(&reader, &name));
    expect_member(&reader, "f");
    assert_true(reader_read(&reader, &value));
    expect_member(&reader, "g");
    expect_integer(&reader, 7);
    assert_false(reader_member(&reader, &name));
    assert_true(reader_finish(&reader));
}

static const struct {
    const char *data;
    enum reader_type type;
} typed[] = {
    {"[]", READER_ARRAY},
    {"[{}]", READER_ARRAY},
    {"[1,\"a\",[2],{\"b\":3}]", READER_ARRAY},
    {"\"\"", READER_TEXT},
    {"\"{\"", READER_TEXT},
    {"0", READER_INTEGER},
    {"-17", READER_INTEGER},
    {"0.0", READER_REAL},
    {"1e0", READER_REAL},
    {"-1.5E+300", READER_REAL},
    {"true", READER_TRUE},
    {"false", READER_FALSE},
    {"null", READER_NULL},
};

static void reader_tells_what_a_value_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(typed); i++)
        assert_int_equal(value_of(typed[i].data).type, typed[i].type);
    assert_int_equal(value_of("{}").type, READER_OBJECT);
    assert_int_equal(value_of("{\"a\":{\"b\":[1,2]},\"c\":\"d\"}").type, READER_OBJECT);
    assert_int_equal(value_of("\t\r\n {}\t\r\n ").type, READER_OBJECT);
}

static void reader_enters_objects_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(typed); i++) {
        struct reader reader;
        struct reader_value value;
        reader_init(&reader, typed[i].data, strlen(typed[i].data));
        assert_false(reader_enter(&reader));
        assert_true(reader_read(&reader, &value));
        assert_int_equal(value.type, typed[i].type);
        assert_true(reader_finish(&reader));
    }
}

static void reader_value_not_read_has_no_type(void **state)
{
    (void)state;
    struct reader_value value = {0};
    assert_int_equal(value.type, READER_NONE);
    for (size_t i = 0; i < COUNT(typed); i++)
        assert_int_not_equal(typed[i].type, READER_NONE);
}

static void reader_stands_where_it_has_read_to(void **state)
{
    (void)state;
    static const char data[] = "{\"a\":17,\"b\":[1,x]}";
    struct reader reader;
    struct reader_value value;
    reader_init(&reader, BYTES(data));
    assert_int_equal(reader_position(&reader), 0);
    assert_true(reader_enter(&reader));
    assert_int_equal(reader_position(&reader), 1);
    expect_member(&reader, "a");
    assert_int_equal(reader_position(&reader), 5);
    expect_integer(&reader, 17);
    assert_int_equal(reader_position(&reader), 7);
    expect_member(&reader, "b");
    assert_false(reader_read(&reader, &value));
    assert_int_equal(reader_position(&reader), 15);
    assert_false(reader_finish(&reader));
    assert_int_equal(reader_position(&reader), 15);
}

static void reader_that_met_something_bad_reads_no_more(void **state)
{
    (void)state;
    static const struct bytes documents[] = {
        {BYTES("[x] {\"a\":1}")},
        {BYTES("\"\\x\" {\"a\":1}")},
        {BYTES("9223372036854775808 {\"a\":1}")},
        {BYTES("nul {\"a\":1}")},
        {BYTES(", {\"a\":1}")},
    };
    for (size_t i = 0; i < COUNT(documents); i++) {
        struct reader reader;
        struct reader_text name;
        struct reader_value value;
        reader_init(&reader, documents[i].data, documents[i].size);
        assert_false(reader_read(&reader, &value));
        const char *object = memchr(documents[i].data, '{', documents[i].size);
        reader.at = object;
        assert_false(reader_enter(&reader));
        reader.at = object + 1;
        reader.first = true;
        assert_false(reader_member(&reader, &name));
        reader.at = object + strlen("{\"a\":");
        assert_false(reader_read(&reader, &value));
        reader.at = reader.end;
        assert_false(reader_finish(&reader));
    }
}

static void reader_finishes_only_behind_the_whole_document(void **state)
{
    (void)state;
    static const struct bytes good[] = {{BYTES("{} ")}, {BYTES("1\n")}, {BYTES("[]\r\n\t ")}};
    static const struct bytes bad[] = {
        {BYTES("{}{}")},
        {BYTES("{} {}")},
        {BYTES("{}}")},
        {BYTES("{},")},
        {BYTES("1 2")},
        {BYTES("[]]")},
        {BYTES("{}\0")},
        {BYTES("{}\n\0\n")},
        {BYTES("null\xef\xbb\xbf")},
        {BYTES("{}\xc2\xa0")},
        {BYTES("{}//")},
    };
    struct reader reader;
    expect_all(good, COUNT(good), true);
    expect_all(bad, COUNT(bad), false);
    reader_init(&reader, "{\"a\":1}", 7);
    assert_true(reader_enter(&reader));
    assert_false(reader_finish(&reader));
}

static void reader_refuses_a_document_without_a_value(void **state)
{
    (void)state;
    static const struct bytes bad[] = {
        {BYTES("")}, {BYTES(" ")}, {BYTES("\n\n")}, {BYTES("\0")}, {BYTES("\xef\xbb\xbf")}};
    expect_all(bad, COUNT(bad), false);
}

static void reader_refuses_brackets_and_commas_out_of_place(void **state)
{
    (void)state;
    static const struct bytes bad[] = {{BYTES("{")}, {BYTES("}")}, {BYTES("[")}, {BYTES("]")}, {BYTES("[}")},
        {BYTES("{]")}, {BYTES(",")}, {BYTES(":")}, {BYTES("{,}")}, {BYTES("[,]")}, {BYTES("[1,]")},
        {BYTES("[,1]")}, {BYTES("[1,,2]")}, {BYTES("[1 2]")}, {BYTES("[1:2]")}, {BYTES("[1;2]")},
        {BYTES("[1}")}, {BYTES("[[1]")}, {BYTES("[\"a\":1]")}, {BYTES("{\"a\"}")}, {BYTES("{\"a\":}")},
        {BYTES("{\"a\":1,}")}, {BYTES("{,\"a\":1}")}, {BYTES("{\"a\":1,,\"b\":2}")},
        {BYTES("{\"a\":1 \"b\":2}")}, {BYTES("{\"a\" 1}")}, {BYTES("{\"a\",1}")}, {BYTES("{\"a\"=1}")},
        {BYTES("{\"a\"::1}")}, {BYTES("{\"a\":1:2}")}, {BYTES("{\"a\":1]")}, {BYTES("{\"a\":1")},
        {BYTES("{\"a\":")}, {BYTES("{\"a\"")}, {BYTES("{\"a")}, {BYTES("{a:1}")}, {BYTES("{'a':1}")},
        {BYTES("{1:1}")}, {BYTES("{null:1}")}, {BYTES("{{}:1}")}, {BYTES("{\"a\":1,2}")},
        {BYTES("{\"a\":1,\"b\"}")}, {BYTES("{:1}")}, {BYTES("{\"\\x\":1}")}, {BYTES("{\"\xff\":1}")},
        {BYTES("{\"\\u0000\":1}")}, {BYTES("(1)")}, {BYTES("[1/**/]")}};
    expect_anywhere_all(bad, COUNT(bad), false);
}

static void reader_refuses_words_that_are_none(void **state)
{
    (void)state;
    static const struct bytes bad[] = {{BYTES("tru")}, {BYTES("truth")}, {BYTES("True")}, {BYTES("TRUE")},
        {BYTES("truee")}, {BYTES("t")}, {BYTES("fals")}, {BYTES("fail")}, {BYTES("nul")}, {BYTES("nulls")},
        {BYTES("NULL")}, {BYTES("n\0ll")}, {BYTES("undefined")}, {BYTES("NaN")}, {BYTES("nan")},
        {BYTES("Infinity")}, {BYTES("truefalse")}, {BYTES("true1")}, {BYTES("'a'")}, {BYTES("a")}};
    expect_anywhere_all(bad, COUNT(bad), false);
}

static void reader_blanks_are_four_characters(void **state)
{
    (void)state;
    static const struct bytes others[] = {{BYTES("\f")}, {BYTES("\v")}, {BYTES("\0")}, {BYTES("\b")},
        {BYTES("\x7f")}, {BYTES("\xa0")}, {BYTES("\xc2\xa0")}, {BYTES("\xe2\x80\xa8")},
        {BYTES("\xef\xbb\xbf")}, {BYTES("/**/")}};
    expect(
        BYTES(" \t\r\n{ \t\r\n\"a\" \t\r\n: \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n} \t\r\n"), true);
    expect(BYTES("\t[\n]\r"), true);
    expect(BYTES("\n{\t}\n"), true);
    for (size_t i = 0; i < COUNT(others); i++)
        for (size_t place = 0; place < 9; place++) {
            static const char *const parts[] = {"", "{", "\"a\"", ":", "[", "1", ",", "2", "]", "}"};
            char document[64] = "";
            size_t size = 0;
            for (size_t part = 0; part < COUNT(parts); part++) {
                size += (size_t)sprintf(document + size, "%s", parts[part]);
                if (part == place) {
                    memcpy(document + size, others[i].data, others[i].size);
                    size += others[i].size;
                }
            }
            expect(document, size, false);
        }
}

/* ---- numbers ---- */

static void reader_integers_have_64_bits(void **state)
{
    (void)state;
    assert_true(value_of("0").integer == 0);
    assert_true(value_of("-0").integer == 0);
    assert_true(value_of("7").integer == 7);
    assert_true(value_of("-1234567890").integer == -1234567890);
    assert_true(value_of("1700000123").integer == 1700000123);
    assert_true(value_of("9223372036854775807").integer == INT64_MAX);
    assert_true(value_of("-9223372036854775807").integer == -INT64_MAX);
    assert_true(value_of("-9223372036854775808").integer == INT64_MIN);
}

static void reader_refuses_integers_of_more_than_64_bits(void **state)
{
    (void)state;
    static const struct bytes bad[] = {
        {BYTES("9223372036854775808")},
        {BYTES("-9223372036854775809")},
        {BYTES("9223372036854775810")},
        {BYTES("18446744073709551616")},
        {BYTES("18446744073709551617")},
        {BYTES("-18446744073709551617")},
        {BYTES("92233720368547758070")},
        {BYTES("100000000000000000000000000000000000000000")},
    };
    expect_anywhere_all(bad, COUNT(bad), false);
}

static void reader_reals_may_have_any_size(void **state)
{
    (void)state;
    static const char *const reals[] = {"0.0", "-0.0", "0e0", "0E-0", "1.5", "-1.50", "1e9", "1E9", "1e+9",
        "1e-9", "1.25e09", "1e999999", "-1e999999", "1e-999999", "9223372036854775808.0",
        "123456789012345678901234567890.5", "1e99999999999999999999"};
    for (size_t i = 0; i < COUNT(reals); i++) {
        assert_int_equal(value_of(reals[i]).type, READER_REAL);
        expect_anywhere(reals[i], strlen(reals[i]), true);
    }
}

static void reader_refuses_numbers_that_are_none(void **state)
{
    (void)state;
    static const struct bytes bad[] = {{BYTES("-")}, {BYTES("+1")}, {BYTES("--1")}, {BYTES("- 1")},
        {BYTES("-a")}, {BYTES("00")}, {BYTES("01")}, {BYTES("-01")}, {BYTES("-00")}, {BYTES("00.5")},
        {BYTES("0123")}, {BYTES("1.")}, {BYTES(".5")}, {BYTES("-.5")}, {BYTES("1.e5")}, {BYTES("1.5.5")},
        {BYTES("1e")}, {BYTES("1E")}, {BYTES("1e+")}, {BYTES("1e-")}, {BYTES("1e+-5")}, {BYTES("1e5.5")},
        {BYTES("1e5e5")}, {BYTES("1.5e")}, {BYTES("e5")}, {BYTES("0x10")}, {BYTES("1a")}, {BYTES("1_000")},
        {BYTES("1 000")}, {BYTES("-Infinity")}, {BYTES("1\0")}, {BYTES("1.\0")}, {BYTES("\xd9\xa1")}};
    expect_anywhere_all(bad, COUNT(bad), false);
}

/* ---- texts ---- */

static void expect_says(const struct reader_text *text, const char *data, size_t size)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_true(reader_text_append(text, &out));
    assert_int_equal(out.size, size);
    if (size)
        assert_memory_equal(out.data, data, size);
    buf_cleanup(&out);
}

static const struct {
    const char *json;
    const char *says;
} texts[] = {
    {"\"\"", ""},
    {"\"a\"", "a"},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
    {"\"a\\nb\\tc\"", "a\nb\tc"},
    {"\"\\\\n\"", "\\n"},
    {"\"\\\\\\\\\"", "\\\\"},
    {"\"\\\\u0041\"", "\\u0041"},
    {"\"\\u0001\"", "\x01"},
    {"\"\\u0041\\u0042C\"", "ABC"},
    {"\"\\u00411\"", "A1"},
    {"\"\\u007f\\u0080\"", "\x7f\xc2\x80"},
    {"\"\\u07ff\\u0800\"", "\xdf\xbf\xe0\xa0\x80"},
    {"\"\\uD7FF\\uE000\\uffff\"", "\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"},
    {"\"\\ud64D\\uAE38\\uc21C\"", "\xed\x99\x8d\xea\xb8\xb8\xec\x88\x9c"},
    {"\"\\ud800\\udc00\"", "\xf0\x90\x80\x80"},
    {"\"\\uDBFF\\uDFFF\"", "\xf4\x8f\xbf\xbf"},
    {"\"a\\ud83d\\ude00b\"", "a\xf0\x9f\x98\x80"
                             "b"},
    {"\"\\u2028\\ufeff\"", "\xe2\x80\xa8\xef\xbb\xbf"},
    {"\"\x7f "
     "\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
        "\x7f "
        "\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
    {"\"\xed\x99\x8d\\n\xea\xb8\xb8\"", "\xed\x99\x8d\n\xea\xb8\xb8"},
    {"\"{}[]:,/'\"", "{}[]:,/'"},
};

static void reader_texts_say_what_they_stand_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct reader_value value = value_of(texts[i].json);
        assert_int_equal(value.type, READER_TEXT);
        expect_says(&value.text, texts[i].says, strlen(texts[i].says));
        expect_anywhere(texts[i].json, strlen(texts[i].json), true);
    }
}

static void reader_texts_are_borrowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct reader_text text = value_of(texts[i].json).text;
        assert_ptr_equal(text.data, texts[i].json + 1);
        assert_int_equal(text.size, strlen(texts[i].json) - 2);
        assert_int_equal(text.escaped, strchr(texts[i].json, '\\') != NULL);
    }
}

static void reader_names_say_what_they_stand_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        char data[200];
        struct reader reader;
        struct reader_text name;
        int size = snprintf(data, sizeof data, "{%s:17}", texts[i].json);
        reader_init(&reader, data, (size_t)size);
        assert_true(reader_enter(&reader));
        assert_true(reader_member(&reader, &name));
        expect_says(&name, texts[i].says, strlen(texts[i].says));
        expect_integer(&reader, 17);
        assert_false(reader_member(&reader, &name));
        assert_true(reader_finish(&reader));
    }
}

static void reader_text_is_what_it_says_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        for (size_t j = 0; j < COUNT(texts); j++) {
            struct reader_text text = value_of(texts[i].json).text;
            assert_int_equal(reader_text_is(&text, texts[j].says), i == j);
        }
}

static void expect_is_not(const struct reader_text *text, const char *other)
{
    char *block = block_of(other, strlen(other) + 1);
    assert_false(reader_text_is(text, block));
    free(block);
}

static void reader_text_is_not_its_beginning_nor_more(void **state)
{
    (void)state;
    char other[200];
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct reader_text text = value_of(texts[i].json).text;
        size_t size = strlen(texts[i].says);
        for (size_t cut = 0; cut < size; cut++) {
            memcpy(other, texts[i].says, size + 1);
            other[cut] = '\0';
            expect_is_not(&text, other);
            other[cut] = (char)(texts[i].says[cut] ^ 0x40);
            expect_is_not(&text, other);
        }
        snprintf(other, sizeof other, "%sx", texts[i].says);
        expect_is_not(&text, other);
    }
}

static void reader_text_is_appended_to_what_is_there(void **state)
{
    (void)state;
    struct buf out;
    struct reader_text text = value_of("\"a\\u00e9\\n\"").text;
    buf_init(&out, 100);
    assert_true(buf_append(&out, "x", 1));
    assert_true(reader_text_append(&text, &out));
    assert_true(reader_text_append(&text, &out));
    assert_string_equal(out.data, "xa\xc3\xa9\na\xc3\xa9\n");
    buf_cleanup(&out);
}

static void reader_text_over_the_limit_is_not_appended(void **state)
{
    (void)state;
    static const char *const json[] = {"\"abcd\"", "\"a\\u00e9b\"", "\"\\ud83d\\ude00\"", "\"abc\\n\""};
    for (size_t i = 0; i < COUNT(json); i++)
        for (size_t limit = 0; limit < 6; limit++) {
            struct buf out;
            struct reader_text text = value_of(json[i]).text;
            buf_init(&out, limit);
            assert_int_equal(reader_text_append(&text, &out), limit >= 4);
            assert_true(out.size <= limit);
            buf_cleanup(&out);
        }
}

static void reader_refuses_texts_that_do_not_end(void **state)
{
    (void)state;
    static const struct bytes bad[] = {{BYTES("\"")}, {BYTES("\"a")}, {BYTES("\"\\")}, {BYTES("\"\\\"")},
        {BYTES("\"\\u")}, {BYTES("\"\\u004")}, {BYTES("\"\\u0041")}, {BYTES("\"\\ud83d")},
        {BYTES("\"\\ud83d\\")}, {BYTES("\"\\ud83d\\u")}, {BYTES("\"\\ud83d\\ude0")},
        {BYTES("\"\\ud83d\\ude00")}, {BYTES("\"\xed")}, {BYTES("\"\xed\x99")}, {BYTES("\"\xed\x99\x8d")}};
    expect_all(bad, COUNT(bad), false);
}

static void reader_refuses_bad_escapes(void **state)
{
    (void)state;
    static const struct bytes bad[] = {{BYTES("\"\\\"")}, {BYTES("\"\\a\"")}, {BYTES("\"\\v\"")},
        {BYTES("\"\\0\"")}, {BYTES("\"\\x41\"")}, {BYTES("\"\\'\"")}, {BYTES("\"\\ \"")}, {BYTES("\"\\\n\"")},
        {BYTES("\"\\\0\"")}, {BYTES("\"\\\xed\x99\x8d\"")}, {BYTES("\"\\U0041\"")}, {BYTES("\"\\N\"")},
        {BYTES("\"\\u\"")}, {BYTES("\"\\u4\"")}, {BYTES("\"\\u41\"")}, {BYTES("\"\\u041\"")},
        {BYTES("\"\\u004g\"")}, {BYTES("\"\\u00 41\"")}, {BYTES("\"\\u+041\"")}, {BYTES("\"\\u-041\"")},
        {BYTES("\"\\u0x41\"")}, {BYTES("\"\\u{41}\"")}, {BYTES("\"\\u004\0\"")}};
    expect_anywhere_all(bad, COUNT(bad), false);
}

static void reader_refuses_the_nul_character(void **state)
{
    (void)state;
    static const struct bytes bad[] = {{BYTES("\"\0\"")}, {BYTES("\"a\0b\"")}, {BYTES("\"\\u0000\"")},
        {BYTES("\"a\\u0000b\"")}, {BYTES("\"\xc0\x80\"")}};
    expect_anywhere_all(bad, COUNT(bad), false);
}

static void reader_refuses_control_characters_in_texts(void **state)
{
    (void)state;
    for (char c = 0; c < 0x20; c++) {
        const char text[] = {'"', 'a', c, '"'};
        expect_anywhere(text, sizeof text, false);
    }
}

static void reader_refuses_surrogates_that_are_no_pair(void **state)
{
    (void)state;
    static const struct bytes bad[] = {{BYTES("\"\\ud800\"")}, {BYTES("\"\\udbff\"")}, {BYTES("\"\\udc00\"")},
        {BYTES("\"\\udfff\"")}, {BYTES("\"\\ud800x\"")}, {BYTES("\"\\ud800\\n\"")},
        {BYTES("\"\\ud800\\u0041\"")}, {BYTES("\"\\ud800\\ud800\"")}, {BYTES("\"\\ud800\\ue000\"")},
        {BYTES("\"\\udc00\\ud800\"")}, {BYTES("\"\\ud800 \\udc00\"")}, {BYTES("\"\\ud800\\\\udc00\"")},
        {BYTES("\"\\ud800udc00\"")}, {BYTES("\"\\ud800\\xdc00\"")}, {BYTES("\"\\ud800\\udc0\"")},
        {BYTES("\"\\ud800\\ud800\\udc00\"")}, {BYTES("\"\\ud800\\udc00\\udc00\"")},
        {BYTES("\"\xed\xa0\x80\"")}, {BYTES("\"\xed\xbf\xbf\"")}, {BYTES("\"\xed\xa0\xbd\xed\xb8\x80\"")}};
    expect_anywhere_all(bad, COUNT(bad), false);
}

static void reader_refuses_bad_utf8(void **state)
{
    (void)state;
    static const struct bytes bad[] = {{BYTES("\"\x80\"")}, {BYTES("\"\xbf\"")}, {BYTES("\"\xc0\xaf\"")},
        {BYTES("\"\xc1\xbf\"")}, {BYTES("\"\xc2\"")}, {BYTES("\"\xc2 \"")}, {BYTES("\"\xe0\x9f\xbf\"")},
        {BYTES("\"\xe2\x80\"")}, {BYTES("\"\xe2\x80 \"")}, {BYTES("\"\xf0\x8f\xbf\xbf\"")},
        {BYTES("\"\xf0\x9f\x98\"")}, {BYTES("\"\xf4\x90\x80\x80\"")}, {BYTES("\"\xf5\x80\x80\x80\"")},
        {BYTES("\"\xf8\x88\x80\x80\x80\"")}, {BYTES("\"\xfe\"")}, {BYTES("\"\xff\"")},
        {BYTES("\"\xb0\xa1\"")}};
    expect_anywhere_all(bad, COUNT(bad), false);
}

/* ---- limits ---- */

/* depth values in one another, the innermost a number or an empty one. */
static struct buf nested(const char *open, const char *close, int depth, bool number)
{
    struct buf out;
    bool ok = true;
    buf_init(&out, 1 << 24);
    for (int i = 1; i < depth; i++)
        ok = ok && buf_append(&out, open, strlen(open));
    ok = ok && (number ? buf_append(&out, "1", 1) : buf_append(&out, close[0] == ']' ? "[]" : "{}", 2));
    for (int i = 1; i < depth; i++)
        ok = ok && buf_append(&out, close, strlen(close));
    assert_true(ok);
    return out;
}

static void reader_nesting_has_a_limit(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"[", "]"}, {"{\"a\":", "}"}, {"[[],", "]"}, {"{\"b\":{},\"a\":", "}"}};
    for (size_t i = 0; i < COUNT(pairs); i++)
        for (int depth = 1; depth < 2 * READER_DEPTH; depth++)
            for (int number = 0; number < 2; number++) {
                struct buf document = nested(pairs[i][0], pairs[i][1], depth, number);
                assert_int_equal(accepts(document.data, document.size, 0), depth <= READER_DEPTH);
                buf_cleanup(&document);
            }
}

static void reader_nesting_is_not_followed_to_the_end_of_the_stack(void **state)
{
    (void)state;
    static const char *const opens[] = {"[", "{\"a\":", "[{\"a\":", "{\"a\":["};
    for (size_t i = 0; i < COUNT(opens); i++)
        for (int levels = 0; levels < 3; levels++) {
            struct buf document = nested(opens[i], "", 1000000, true);
            assert_false(accepts(document.data, document.size, levels));
            buf_cleanup(&document);
        }
}

static const char complete[] = "{\"code\":0,\"message\":null,\"response\":{\"name\":"
                               "\"\xed\x99\x8d\\uae38\\ud83d\\ude00\",\"a\":[1.5e3,-0,"
                               "{\"b\":[true,false]},\"\\\"\"],\"certified_at\":1700000123}}";

static void reader_refuses_a_document_cut_at_any_byte(void **state)
{
    (void)state;
    expect(BYTES(complete), true);
    for (size_t size = 0; size < sizeof complete - 1; size++)
        expect(complete, size, false);
}

/* ---- the same as jansson ---- */

enum { MUTANTS = 200000 };

static char letter(struct dice *dice)
{
    static const char letters[] = "{}[]:,\"\"\"\\\\/bfnrtu0123456789abcdefABCDEF+-.eE "
                                  "\t\r\n\0\x01\x1f\x7f\x80\xbf\xc2\xed\xa0\xf0\x9f\xff";
    return letters[draw(dice, sizeof letters - 1)];
}

static void mutant_insert_word(struct mutant *mutant, struct dice *dice, size_t at)
{
    static const struct bytes words[] = {{BYTES("null")}, {BYTES("true")}, {BYTES("false")}, {BYTES("{}")},
        {BYTES("[]")}, {BYTES(",0")}, {BYTES("1,")}, {BYTES(",\"k\":1")}, {BYTES("\"k\":{\"l\":2},")},
        {BYTES("\\u0041")}, {BYTES("\\u0000")}, {BYTES("\\ud83d")}, {BYTES("\\ude00")},
        {BYTES("\\ud83d\\ude00")}, {BYTES("\\n")}, {BYTES("\\\"")}, {BYTES("\\\\")}, {BYTES("\\")},
        {BYTES("9223372036854775807")}, {BYTES("e5")}, {BYTES("e999")}, {BYTES(".5")}, {BYTES("-")},
        {BYTES("0")}, {BYTES("1e400")}, {BYTES("\xed\x99\x8d")}, {BYTES("\xf0\x9f\x98\x80")},
        {BYTES("\xed\xa0\x80")}, {BYTES("\xef\xbb\xbf")}, {BYTES("[[[[[[[[")}, {BYTES("]]]]]]]]")}};
    mutant_insert_one_of(mutant, dice, at, words, COUNT(words));
}

static void mutate(struct mutant *mutant, struct dice *dice)
{
    if (!mutant->size)
        return;
    size_t at = draw(dice, mutant->size), left = mutant->size - at;
    size_t span = 1 + draw(dice, left < 40 ? left : 40);
    switch (draw(dice, 16)) {
    case 0:
    case 1:
        mutant->data[at] = (char)(mutant->data[at] ^ 1 << draw(dice, 8));
        break;
    case 2:
    case 3:
    case 4:
        mutant->data[at] = letter(dice);
        break;
    case 5:
    case 6:
    case 7:
        mutant_insert(mutant, at, (const char[]){letter(dice)}, 1);
        break;
    case 8:
    case 9:
        mutant_delete(mutant, at, draw(dice, 3) ? 1 : span);
        break;
    case 10:
    case 11:
        mutant_duplicate(mutant, at, span, draw(dice, 3) ? at : draw(dice, mutant->size + 1));
        break;
    case 12:
        mutant->size = draw(dice, 4) ? mutant->size : at;
        break;
    default:
        mutant_insert_word(mutant, dice, at);
    }
}

#define TEN_ARRAYS "[[[[[[[[[["
#define TEN_ENDS "]]]]]]]]]]"

static const struct bytes good[] = {
    {BYTES(complete)},
    {BYTES("{\"a\":{\"b\":{\"c\":[1,2,[3,{\"d\":[]}]]},\"e\":\"f\"},\"g\":[],\"h\":{}}")},
    {BYTES("[0,-0,1,-1,9223372036854775807,-9223372036854775808,922337203685477580,0.5,-1.25e-7,1E+30]")},
    {BYTES("{\"max\":9223372036854775807,\"min\":-9223372036854775808,\"zero\":-0,\"one\":10,\"two\":-25,"
           "\"r\":0.0,\"s\":1e300,\"t\":-1.5E-3}")},
    {BYTES("{\"\":\"\",\"a\\n\":\"\\\"\\\\\\/"
           "\\b\\f\\n\\r\\t\",\"\\u0041\":\"\\u00e9\\u20AC\\uFFFF\",\"p\":\"x\\ud83d\\ude00y"
           "\\uDBFF\\uDFFF\"}")},
    {BYTES(
        "{\"\xed\x99\x8d\":\"\xea\xb8\xb8\xec\x88\x9c \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \x7f\",\"m\":{"
        "\"n\":\"\xf4\x8f\xbf\xbf\\n\xdf\xbf\",\"o\":\"\\u007f\"}}")},
    {BYTES(" {\r\n\t\"a\" : [ true , false , null ] ,\n \"b\" : { \"c\" : null , \"d\" : true } \n} \r\n")},
    {BYTES("\"text alone \\u0001\"")},
    {BYTES("-1234567")},
    {BYTES("null")},
    {BYTES("{\"k\":{\"l\":1,\"m\":{\"n\":2}},\"o\":[{\"k\":3},{\"k\":4}]}")},
    {BYTES("{\"deep\":" TEN_ARRAYS TEN_ARRAYS TEN_ARRAYS TEN_ARRAYS TEN_ARRAYS TEN_ARRAYS
           "1" TEN_ENDS TEN_ENDS TEN_ENDS TEN_ENDS TEN_ENDS TEN_ENDS ",\"b\":\"c\"}")},
};

static void mutant_of(struct mutant *mutant, unsigned seed)
{
    struct dice dice = {{(unsigned short)seed, (unsigned short)(seed >> 16), 8259}};
    const struct bytes *from = &good[draw(&dice, COUNT(good))];
    mutant->seed = seed;
    mutant->size = 0;
    mutant_insert(mutant, 0, from->data, from->size);
    for (size_t i = 1 + draw(&dice, draw(&dice, 2) ? 1 : 4); i; i--)
        mutate(mutant, &dice);
}

static void disagree(const struct mutant *mutant, const char *why)
{
    fprintf(stderr, "seed %u, %s: ", mutant->seed, why);
    for (size_t i = 0; i < mutant->size; i++)
        fprintf(stderr, "%02x", (unsigned char)mutant->data[i]);
    fprintf(stderr, "\n");
    fail_msg("seed %u: %s", mutant->seed, why);
}

static void agree(const struct mutant *mutant, bool same, const char *why)
{
    if (!same)
        disagree(mutant, why);
}

/* Brackets open at once, in JSON that is good. */
static int depth_of(const struct mutant *mutant)
{
    int depth = 0, most = 0;
    bool in_text = false;
    for (size_t i = 0; i < mutant->size; i++) {
        char c = mutant->data[i];
        if (in_text && c == '\\')
            i++;
        else if (c == '"')
            in_text = !in_text;
        else if (!in_text)
            depth += (c == '[' || c == '{') - (c == ']' || c == '}');
        most = depth > most ? depth : most;
    }
    return most;
}

static size_t count_members(struct reader reader)
{
    size_t count = 0;
    struct reader_text name;
    struct reader_value value;
    while (reader_member(&reader, &name) && reader_read(&reader, &value))
        count++;
    return count;
}

struct comparison {
    const struct mutant *mutant;
    struct buf text;
    size_t values;
};

/* What the text says, closed by a NUL. */
static const char *decode(struct comparison *comparison, const struct reader_text *text)
{
    struct buf *out = &comparison->text;
    buf_reset(out, MUTANT_LIMIT);
    agree(comparison->mutant, reader_text_append(text, out) && buf_append(out, "", 1), "append");
    return out->data;
}

static void compare_text(struct comparison *comparison, const struct reader_text *text, const json_t *json)
{
    const char *expected = json_string_value(json), *says = decode(comparison, text);
    size_t size = comparison->text.size - 1;
    char other[MUTANT_LIMIT + 2];
    agree(comparison->mutant,
        size == json_string_length(json) && memcmp(says, expected, size) == 0 &&
            reader_text_is(text, expected),
        "text");
    snprintf(other, sizeof other, "%sx", expected);
    agree(comparison->mutant, !reader_text_is(text, other), "text is longer");
    other[size ? size - 1 : 0] = '\0';
    agree(comparison->mutant, !size || !reader_text_is(text, other), "text is shorter");
}

static enum reader_type type_of(const json_t *json)
{
    static const enum reader_type types[] = {
        [JSON_OBJECT] = READER_OBJECT,
        [JSON_ARRAY] = READER_ARRAY,
        [JSON_STRING] = READER_TEXT,
        [JSON_INTEGER] = READER_INTEGER,
        [JSON_REAL] = READER_REAL,
        [JSON_TRUE] = READER_TRUE,
        [JSON_FALSE] = READER_FALSE,
        [JSON_NULL] = READER_NULL,
    };
    return types[json_typeof(json)];
}

static void compare_value(struct comparison *comparison, const struct reader_value *value, const json_t *json)
{
    comparison->values++;
    agree(comparison->mutant, value->type == type_of(json), "type");
    if (value->type == READER_TEXT)
        compare_text(comparison, &value->text, json);
    if (value->type == READER_INTEGER)
        agree(comparison->mutant, value->integer == json_integer_value(json), "integer");
}

static void compare_levels(
    struct comparison *comparison, struct reader *reader, const json_t *json, int levels);

/* jansson keeps the last one of members of one name: such an object is only walked. */
static void compare_members(
    struct comparison *comparison, struct reader *reader, const json_t *json, int levels)
{
    struct reader_text name;
    struct reader_value value;
    bool unique = count_members(*reader) == json_object_size(json);
    while (reader_member(reader, &name)) {
        const char *says = decode(comparison, &name);
        const json_t *member = json_object_get(json, says);
        agree(comparison->mutant, member && reader_text_is(&name, says), "name");
        if (unique)
            compare_levels(comparison, reader, member, levels);
        else
            agree(comparison->mutant, reader_read(reader, &value), "read");
    }
    agree(comparison->mutant, !reader->bad, "end of an object");
}

/* An object is also read in one, which must come to the same place. */
static void compare_levels(
    struct comparison *comparison, struct reader *reader, const json_t *json, int levels)
{
    struct reader reading = *reader;
    struct reader_value value = {0};
    agree(comparison->mutant, reader_read(&reading, &value), "read");
    compare_value(comparison, &value, json);
    if (levels && reader_enter(reader)) {
        agree(comparison->mutant, json_is_object(json), "entered");
        compare_members(comparison, reader, json, levels - 1);
    } else
        agree(comparison->mutant, reader_read(reader, &value), "read after it was not entered");
    agree(comparison->mutant, reader_position(reader) == reader_position(&reading), "position");
}

static size_t compare(const struct mutant *mutant, const char *data, const json_t *json)
{
    struct comparison comparison = {.mutant = mutant};
    struct reader reader;
    buf_init(&comparison.text, MUTANT_LIMIT + 1);
    reader_init(&reader, data, mutant->size);
    compare_levels(&comparison, &reader, json, 2);
    agree(mutant, reader_finish(&reader), "finish");
    buf_cleanup(&comparison.text);
    return comparison.values;
}

struct tally {
    size_t accepted, refused, too_deep, too_large, values;
};

static void tally_mutant(struct tally *tally, const struct mutant *mutant, const char *data)
{
    json_error_t error;
    json_t *json = json_loadb(data, mutant->size, JSON_DECODE_ANY, &error);
    /* jansson loses a NUL behind a number or a word; JSON has none anywhere. */
    bool right = json && !memchr(data, '\0', mutant->size);
    if (right && depth_of(mutant) >= READER_DEPTH)
        tally->too_deep++;
    else if (!json && json_error_code(&error) == json_error_numeric_overflow && strstr(error.text, "real"))
        tally->too_large++;
    else {
        agree(mutant, accepts(data, mutant->size, 0) == right, right ? "refused" : "accepted");
        agree(mutant, accepts(data, mutant->size, 2) == right, right ? "refused inside" : "accepted inside");
        tally->values += right ? compare(mutant, data, json) : 0;
        tally->accepted += right;
        tally->refused += !right;
    }
    json_decref(json);
}

static void reader_agrees_with_jansson(void **state)
{
    (void)state;
    static struct mutant mutant;
    struct tally tally = {0};
    for (unsigned seed = 0; seed < MUTANTS; seed++) {
        mutant_of(&mutant, seed);
        char *block = block_of(mutant.data, mutant.size);
        tally_mutant(&tally, &mutant, block);
        free(block);
    }
    /* Otherwise this would say little. */
    assert_true(tally.accepted > MUTANTS / 10 && tally.refused > MUTANTS / 10 && tally.values > MUTANTS / 2);
    assert_true(tally.too_deep < MUTANTS / 20 && tally.too_large < MUTANTS / 20);
}

static void reader_agrees_with_jansson_on_what_is_good(void **state)
{
    (void)state;
    static struct mutant mutant;
    struct tally tally = {0};
    for (size_t i = 0; i < COUNT(good); i++) {
        mutant.size = 0;
        mutant_insert(&mutant, 0, good[i].data, good[i].size);
        char *block = block_of(mutant.data, mutant.size);
        tally_mutant(&tally, &mutant, block);
        free(block);
    }
    assert_int_equal(tally.accepted, COUNT(good));
}

/* Any few bytes inside of a text. */
static void reader_agrees_with_jansson_on_texts(void **state)
{
    (void)state;
    static struct mutant mutant;
    struct tally tally = {0};
    for (unsigned seed = 0; seed < MUTANTS; seed++) {
        struct dice dice = {{(unsigned short)seed, (unsigned short)(seed >> 16), 3629}};
        mutant.seed = seed;
        mutant.size = 0;
        mutant_insert(&mutant, 0, "\"", 1);
        for (size_t i = 1 + draw(&dice, 4); i; i--)
            if (draw(&dice, 4))
                mutant_insert_word(&mutant, &dice, mutant.size);
            else
                mutant.data[mutant.size++] = draw(&dice, 2) ? (char)draw(&dice, 256) : letter(&dice);
        mutant_insert(&mutant, mutant.size, "\"", 1);
        char *block = block_of(mutant.data, mutant.size);
        tally_mutant(&tally, &mutant, block);
        free(block);
    }
    assert_true(tally.accepted > MUTANTS / 10 && tally.refused > MUTANTS / 10);
}

/* All of up to six characters that numbers are made of. */
static void reader_agrees_with_jansson_on_numbers(void **state)
{
    (void)state;
    static const char letters[] = "019-+.eE";
    static struct mutant mutant;
    struct tally tally = {0};
    for (size_t size = 1, count = 8; size <= 6; size++, count *= 8)
        for (size_t number = 0; number < count; number++) {
            mutant.seed = (unsigned)number;
            mutant.size = size;
            for (size_t i = 0, rest = number; i < size; i++, rest /= 8)
                mutant.data[i] = letters[rest % 8];
            char *block = block_of(mutant.data, size);
            tally_mutant(&tally, &mutant, block);
            free(block);
        }
    assert_true(tally.accepted > 1000 && tally.refused > 1000);
}

/* The limits of 64 bits, and digits close to them. */
static void reader_agrees_with_jansson_on_large_integers(void **state)
{
    (void)state;
    static struct mutant mutant;
    struct tally tally = {0};
    for (unsigned seed = 0; seed < 20000; seed++) {
        struct dice dice = {{(unsigned short)seed, 0, 64}};
        uint64_t near = (uint64_t)INT64_MAX - 100 + draw(&dice, 200);
        mutant.seed = seed;
        mutant.size = (size_t)snprintf(
            mutant.data, sizeof mutant.data, "%s%llu", draw(&dice, 2) ? "-" : "", (unsigned long long)near);
        if (!draw(&dice, 4))
            mutant.data[mutant.size - 1 - draw(&dice, 18)] = (char)('0' + draw(&dice, 10));
        if (!draw(&dice, 8))
            mutant.data[mutant.size++] = (char)('0' + draw(&dice, 10));
        char *block = block_of(mutant.data, mutant.size);
        tally_mutant(&tally, &mutant, block);
        free(block);
    }
    assert_true(tally.accepted > 1000 && tally.refused > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_walks_the_members_of_an_object),
        cmocka_unit_test(reader_goes_on_behind_an_object_inside),
        cmocka_unit_test(reader_tells_what_a_value_is),
        cmocka_unit_test(reader_enters_objects_alone),
        cmocka_unit_test(reader_value_not_read_has_no_type),
        cmocka_unit_test(reader_stands_where_it_has_read_to),
        cmocka_unit_test(reader_that_met_something_bad_reads_no_more),
        cmocka_unit_test(reader_finishes_only_behind_the_whole_document),
        cmocka_unit_test(reader_refuses_a_document_without_a_value),
        cmocka_unit_test(reader_refuses_brackets_and_commas_out_of_place),
        cmocka_unit_test(reader_refuses_words_that_are_none),
        cmocka_unit_test(reader_blanks_are_four_characters),
        cmocka_unit_test(reader_integers_have_64_bits),
        cmocka_unit_test(reader_refuses_integers_of_more_than_64_bits),
        cmocka_unit_test(reader_reals_may_have_any_size),
        cmocka_unit_test(reader_refuses_numbers_that_are_none),
        cmocka_unit_test(reader_texts_say_what_they_stand_for),
        cmocka_unit_test(reader_texts_are_borrowed),
        cmocka_unit_test(reader_names_say_what_they_stand_for),
        cmocka_unit_test(reader_text_is_what_it_says_and_nothing_else),
        cmocka_unit_test(reader_text_is_not_its_beginning_nor_more),
        cmocka_unit_test(reader_text_is_appended_to_what_is_there),
        cmocka_unit_test(reader_text_over_the_limit_is_not_appended),
        cmocka_unit_test(reader_refuses_texts_that_do_not_end),
        cmocka_unit_test(reader_refuses_bad_escapes),
        cmocka_unit_test(reader_refuses_the_nul_character),
        cmocka_unit_test(reader_refuses_control_characters_in_texts),
        cmocka_unit_test(reader_refuses_surrogates_that_are_no_pair),
        cmocka_unit_test(reader_refuses_bad_utf8),
        cmocka_unit_test(reader_nesting_has_a_limit),
        cmocka_unit_test(reader_nesting_is_not_followed_to_the_end_of_the_stack),
        cmocka_unit_test(reader_refuses_a_document_cut_at_any_byte),
        cmocka_unit_test(reader_agrees_with_jansson_on_what_is_good),
        cmocka_unit_test(reader_agrees_with_jansson),
        cmocka_unit_test(reader_agrees_with_jansson_on_texts),
        cmocka_unit_test(reader_agrees_with_jansson_on_numbers),
        cmocka_unit_test(reader_agrees_with_jansson_on_large_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
