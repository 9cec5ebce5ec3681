/* The kept part of a certification: texts that survive growth, and that nothing of a person survives reset.
 */
#include "worker/certification.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAME "\xed\x99\x8d\xea\xb8\xb8\xec\x88\x9c"

/* The room's free() comes through here (linked with --wrap), so that a block can be looked at in its last
 * moment. */
void __real_free(void *block);
void __wrap_free(void *block);

static struct {
    const void *block; /* NULL: not watching */
    size_t size;
    int freed;
    bool wiped;
} watched;

static bool is_zero(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

void __wrap_free(void *block)
{
    if (block && block == watched.block) {
        watched.freed++;
        watched.wiped = is_zero(block, watched.size);
        watched.block = NULL;
    }
    __real_free(block);
}

static void watch(const struct buf *text)
{
    watched.block = text->data;
    watched.size = text->size;
    watched.freed = 0;
    watched.wiped = false;
}

static void keep(struct certification *certification, enum certification_field field, const char *text)
{
    assert_true(certification_keep_text(
        certification, field, &(struct reader_text){.data = text, .size = strlen(text)}));
}

static void certification_keeps_texts_apart(void **state)
{
    (void)state;
    struct certification certification;
    certification_init(&certification);
    keep(&certification, CERTIFICATION_NAME, NAME);
    keep(&certification, CERTIFICATION_PHONE, "");
    keep(&certification, CERTIFICATION_UNIQUE_KEY, "key");
    assert_string_equal(certification_text(&certification, CERTIFICATION_NAME), NAME);
    assert_string_equal(certification_text(&certification, CERTIFICATION_PHONE), "");
    assert_string_equal(certification_text(&certification, CERTIFICATION_UNIQUE_KEY), "key");
    assert_null(certification_text(&certification, CERTIFICATION_GENDER));
    certification_cleanup(&certification);
}

static void certification_keeps_texts_while_it_grows(void **state)
{
    (void)state;
    struct certification certification;
    char text[2001];
    certification_init(&certification);
    for (enum certification_field field = 0; field < CERTIFICATION_FIELD_COUNT; field++) {
        memset(text, 'a' + (int)field, sizeof text - 1);
        text[2000] = '\0';
        keep(&certification, field, text);
    }
    for (enum certification_field field = 0; field < CERTIFICATION_FIELD_COUNT; field++) {
        memset(text, 'a' + (int)field, sizeof text - 1);
        assert_string_equal(certification_text(&certification, field), text);
    }
    certification_cleanup(&certification);
}

static void certification_refuses_texts_beyond_all_measure(void **state)
{
    (void)state;
    struct certification certification;
    char *text = malloc(100000);
    memset(text, 'x', 99999);
    text[99999] = '\0';
    certification_init(&certification);
    keep(&certification, CERTIFICATION_NAME, NAME);
    assert_false(certification_keep_text(
        &certification, CERTIFICATION_ORIGIN, &(struct reader_text){.data = text, .size = strlen(text)}));
    assert_string_equal(certification_text(&certification, CERTIFICATION_NAME), NAME);
    assert_null(certification_text(&certification, CERTIFICATION_ORIGIN));
    certification_cleanup(&certification);
    free(text);
}

static void certification_value_that_is_no_text_has_no_text(void **state)
{
    (void)state;
    struct certification certification;
    certification_init(&certification);
    certification.values[CERTIFICATION_BIRTH] =
        (struct certification_value){.type = CERTIFICATION_NUMBER, .number = 7};
    certification.values[CERTIFICATION_FOREIGNER] =
        (struct certification_value){.type = CERTIFICATION_BOOL, .number = 1};
    assert_null(certification_text(&certification, CERTIFICATION_BIRTH));
    assert_null(certification_text(&certification, CERTIFICATION_FOREIGNER));
    certification_cleanup(&certification);
}

static void certification_reset_wipes_texts_in_memory_that_stays(void **state)
{
    (void)state;
    struct certification certification;
    certification_init(&certification);
    keep(&certification, CERTIFICATION_NAME, NAME);
    keep(&certification, CERTIFICATION_PHONE, "01012345678");
    const char *memory = certification.text.data;
    size_t size = certification.text.size;
    certification_reset(&certification);
    assert_ptr_equal(certification.text.data, memory);
    assert_true(is_zero(memory, size));
    assert_int_equal(certification.text.size, 0);
    certification_cleanup(&certification);
}

static void certification_reset_wipes_texts_in_memory_that_goes(void **state)
{
    (void)state;
    struct certification certification;
    char origin[5000];
    memset(origin, 'o', sizeof origin - 1);
    origin[sizeof origin - 1] = '\0';
    certification_init(&certification);
    keep(&certification, CERTIFICATION_NAME, NAME);
    keep(&certification, CERTIFICATION_ORIGIN, origin);
    watch(&certification.text);
    certification_reset(&certification);
    assert_int_equal(watched.freed, 1);
    assert_true(watched.wiped);
    assert_null(certification.text.data);
    certification_cleanup(&certification);
}

static void certification_cleanup_wipes_texts(void **state)
{
    (void)state;
    struct certification certification;
    certification_init(&certification);
    keep(&certification, CERTIFICATION_NAME, NAME);
    watch(&certification.text);
    certification_cleanup(&certification);
    assert_int_equal(watched.freed, 1);
    assert_true(watched.wiped);
}

static void certification_reset_wipes_what_a_shorter_text_left(void **state)
{
    (void)state;
    struct certification certification;
    certification_init(&certification);
    keep(&certification, CERTIFICATION_NAME, "a rather long name of a person");
    const char *memory = certification.text.data;
    size_t size = certification.text.size;
    certification_reset(&certification);
    keep(&certification, CERTIFICATION_NAME, "short");
    assert_true(is_zero(memory + sizeof "short", size - sizeof "short"));
    certification_reset(&certification);
    assert_true(is_zero(memory, size));
    certification_cleanup(&certification);
}

static void certification_reset_forgets_every_value(void **state)
{
    (void)state;
    struct certification certification;
    certification_init(&certification);
    keep(&certification, CERTIFICATION_NAME, NAME);
    certification.values[CERTIFICATION_BIRTH] =
        (struct certification_value){.type = CERTIFICATION_NUMBER, .number = -53600400};
    certification.fields = CERTIFICATION_BIT(CERTIFICATION_NAME) | CERTIFICATION_BIT(CERTIFICATION_BIRTH);
    certification.certified_at_s = 1700000123;
    certification.verified_at_ms = INT64_C(1700000123004);
    certification_reset(&certification);
    assert_int_equal(certification.fields, 0);
    assert_int_equal(certification.values[CERTIFICATION_BIRTH].type, CERTIFICATION_NULL);
    assert_int_equal(certification.values[CERTIFICATION_BIRTH].number, 0);
    assert_null(certification_text(&certification, CERTIFICATION_NAME));
    assert_int_equal(certification.certified_at_s, 0);
    assert_int_equal(certification.verified_at_ms, 0);
    certification_cleanup(&certification);
}

static void certification_can_be_used_again_after_reset(void **state)
{
    (void)state;
    struct certification certification;
    certification_init(&certification);
    certification_reset(&certification);
    for (int i = 0; i < 100; i++) {
        keep(&certification, CERTIFICATION_NAME, NAME);
        keep(&certification, CERTIFICATION_UNIQUE_KEY, "key");
        assert_string_equal(certification_text(&certification, CERTIFICATION_NAME), NAME);
        assert_string_equal(certification_text(&certification, CERTIFICATION_UNIQUE_KEY), "key");
        certification_reset(&certification);
    }
    certification_cleanup(&certification);
}

static void certification_names_and_types_are_those_of_the_api(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum certification_type type;
    } fields[CERTIFICATION_FIELD_COUNT] = {
        [CERTIFICATION_UNIQUE_KEY] = {"unique_key", CERTIFICATION_TEXT},
        [CERTIFICATION_UNIQUE_IN_SITE] = {"unique_in_site", CERTIFICATION_TEXT},
        [CERTIFICATION_NAME] = {"name", CERTIFICATION_TEXT},
        [CERTIFICATION_PHONE] = {"phone", CERTIFICATION_TEXT},
        [CERTIFICATION_BIRTH] = {"birth", CERTIFICATION_NUMBER},
        [CERTIFICATION_BIRTHDAY] = {"birthday", CERTIFICATION_TEXT},
        [CERTIFICATION_GENDER] = {"gender", CERTIFICATION_TEXT},
        [CERTIFICATION_CARRIER] = {"carrier", CERTIFICATION_TEXT},
        [CERTIFICATION_FOREIGNER] = {"foreigner", CERTIFICATION_BOOL},
        [CERTIFICATION_FOREIGNER_V2] = {"foreigner_v2", CERTIFICATION_BOOL},
        [CERTIFICATION_MERCHANT_UID] = {"merchant_uid", CERTIFICATION_TEXT},
        [CERTIFICATION_PG_PROVIDER] = {"pg_provider", CERTIFICATION_TEXT},
        [CERTIFICATION_PG_TID] = {"pg_tid", CERTIFICATION_TEXT},
        [CERTIFICATION_ORIGIN] = {"origin", CERTIFICATION_TEXT},
    };
    for (enum certification_field field = 0; field < CERTIFICATION_FIELD_COUNT; field++) {
        assert_string_equal(certification_name(field), fields[field].name);
        assert_int_equal(certification_documented_type(field), fields[field].type);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certification_keeps_texts_apart),
        cmocka_unit_test(certification_keeps_texts_while_it_grows),
        cmocka_unit_test(certification_refuses_texts_beyond_all_measure),
        cmocka_unit_test(certification_value_that_is_no_text_has_no_text),
        cmocka_unit_test(certification_reset_wipes_texts_in_memory_that_stays),
        cmocka_unit_test(certification_reset_wipes_texts_in_memory_that_goes),
        cmocka_unit_test(certification_cleanup_wipes_texts),
        cmocka_unit_test(certification_reset_wipes_what_a_shorter_text_left),
        cmocka_unit_test(certification_reset_forgets_every_value),
        cmocka_unit_test(certification_can_be_used_again_after_reset),
        cmocka_unit_test(certification_names_and_types_are_those_of_the_api),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
