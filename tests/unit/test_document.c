/* The document: exactly these members in this order, as BSON types, for an insert and for an update. */
#include "worker/document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define KEY "AAAA+/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
#define DATE(ms) "{ \"$date\" : { \"$numberLong\" : \"" ms "\" } }"
#define TIMES                                                                                                \
    "\"certified\" : true, \"certified_at\" : " DATE("1700000123000") ", "                                   \
                                                                      "\"verified_at\" : " DATE(             \
                                                                          "1700000125007")
#define DEFAULTS "\"unique_key\" : \"" KEY "\", \"unique_in_site\" : \"site\""

static void keep(struct certification *certification, enum certification_field field, const char *text)
{
    assert_true(certification_keep_text(
        certification, field, &(struct reader_text){.data = text, .size = strlen(text)}));
    certification->fields |= CERTIFICATION_BIT(field);
}

static void keep_value(struct certification *certification, enum certification_field field,
    enum certification_type type, int64_t number)
{
    certification->values[field] = (struct certification_value){.type = type, .number = number};
    certification->fields |= CERTIFICATION_BIT(field);
}

static void verified(struct certification *certification)
{
    certification_init(certification);
    keep(certification, CERTIFICATION_UNIQUE_KEY, KEY);
    keep(certification, CERTIFICATION_UNIQUE_IN_SITE, "site");
    certification->certified_at_s = 1700000123;
    certification->verified_at_ms = INT64_C(1700000125007);
}

/* Canonical JSON tells every type. */
static void bson_is(bson_t *bson, const char *json)
{
    assert_true(bson_validate(bson, BSON_VALIDATE_UTF8 | BSON_VALIDATE_EMPTY_KEYS, NULL));
    char *text = bson_as_canonical_extended_json(bson, NULL);
    assert_string_equal(text, json);
    bson_free(text);
    bson_destroy(bson);
}

static void insert_is(const struct certification *certification, const char *json)
{
    bson_t bson = BSON_INITIALIZER;
    struct error error;
    assert_true(document_insert(&bson, "imp_100000000001", certification, NULL, &error));
    bson_is(&bson, json);
}

static void update_is(const struct certification *certification, const char *json)
{
    bson_t bson = BSON_INITIALIZER;
    struct error error;
    assert_true(document_update(&bson, certification, NULL, &error));
    bson_is(&bson, json);
}

static void document_insert_has_the_default_members_alone(void **state)
{
    (void)state;
    struct certification certification;
    verified(&certification);
    insert_is(&certification, "{ \"_id\" : \"imp_100000000001\", " DEFAULTS ", " TIMES " }");
    certification_cleanup(&certification);
}

static void document_update_sets_all_but_the_id(void **state)
{
    (void)state;
    struct certification certification;
    verified(&certification);
    update_is(&certification, "{ \"$set\" : { " DEFAULTS ", " TIMES " } }");
    certification_cleanup(&certification);
}

static void document_selector_is_the_id(void **state)
{
    (void)state;
    bson_t bson = BSON_INITIALIZER;
    assert_true(document_selector(&bson, "imp_100000000001"));
    bson_is(&bson, "{ \"_id\" : \"imp_100000000001\" }");
}

static void document_has_null_where_nothing_was_told(void **state)
{
    (void)state;
    struct certification certification;
    certification_init(&certification);
    keep(&certification, CERTIFICATION_UNIQUE_KEY, "k");
    certification.fields = CERTIFICATION_ALWAYS | CERTIFICATION_BIT(CERTIFICATION_NAME) |
                           CERTIFICATION_BIT(CERTIFICATION_BIRTH) |
                           CERTIFICATION_BIT(CERTIFICATION_FOREIGNER_V2);
    certification.verified_at_ms = INT64_C(1700000125007);
    insert_is(&certification,
        "{ \"_id\" : \"imp_100000000001\", \"unique_key\" : \"k\", \"unique_in_site\" : null, \"name\" : "
        "null, "
        "\"birth\" : null, \"foreigner_v2\" : null, \"certified\" : true, \"certified_at\" : null, "
        "\"verified_at\" : " DATE("1700000125007") " }");
    certification_cleanup(&certification);
}

#define OPT_IN                                                                                               \
    "\"name\" : \"\xed\x99\x8d\xea\xb8\xb8\xec\x88\x9c\", \"phone\" : \"01012345678\", "                     \
    "\"birth\" : { \"$numberLong\" : \"-53600400\" }, \"birthday\" : \"1968-04-21\", "                       \
    "\"gender\" : \"female\", \"carrier\" : \"SKT_MVNO\", \"foreigner\" : false, \"foreigner_v2\" : true, "  \
    "\"merchant_uid\" : \"order 17\", \"pg_provider\" : \"danal\", \"pg_tid\" : \"202311150001\", "          \
    "\"origin\" : \"https://shop.example/join\""

static void keep_opt_in(struct certification *certification)
{
    keep(certification, CERTIFICATION_NAME, "\xed\x99\x8d\xea\xb8\xb8\xec\x88\x9c");
    keep(certification, CERTIFICATION_PHONE, "01012345678");
    keep_value(certification, CERTIFICATION_BIRTH, CERTIFICATION_NUMBER, -53600400);
    keep(certification, CERTIFICATION_BIRTHDAY, "1968-04-21");
    keep(certification, CERTIFICATION_GENDER, "female");
    keep(certification, CERTIFICATION_CARRIER, "SKT_MVNO");
    keep_value(certification, CERTIFICATION_FOREIGNER, CERTIFICATION_BOOL, 0);
    keep_value(certification, CERTIFICATION_FOREIGNER_V2, CERTIFICATION_BOOL, 1);
    keep(certification, CERTIFICATION_MERCHANT_UID, "order 17");
    keep(certification, CERTIFICATION_PG_PROVIDER, "danal");
    keep(certification, CERTIFICATION_PG_TID, "202311150001");
    keep(certification, CERTIFICATION_ORIGIN, "https://shop.example/join");
}

static void document_has_the_opt_in_members(void **state)
{
    (void)state;
    struct certification certification;
    verified(&certification);
    keep_opt_in(&certification);
    insert_is(&certification, "{ \"_id\" : \"imp_100000000001\", " DEFAULTS ", " OPT_IN ", " TIMES " }");
    update_is(&certification, "{ \"$set\" : { " DEFAULTS ", " OPT_IN ", " TIMES " } }");
    certification_cleanup(&certification);
}

/* Values of fields that were not asked for can be left from before: the mask decides. */
static void document_leaves_out_what_was_not_asked_for(void **state)
{
    (void)state;
    struct certification certification;
    verified(&certification);
    keep_opt_in(&certification);
    certification.fields = CERTIFICATION_ALWAYS | CERTIFICATION_BIT(CERTIFICATION_GENDER);
    insert_is(&certification,
        "{ \"_id\" : \"imp_100000000001\", " DEFAULTS ", \"gender\" : \"female\", " TIMES " }");
    update_is(&certification, "{ \"$set\" : { " DEFAULTS ", \"gender\" : \"female\", " TIMES " } }");
    certification_cleanup(&certification);
}

static void document_keeps_empty_texts_and_extreme_numbers(void **state)
{
    (void)state;
    struct certification certification;
    certification_init(&certification);
    keep(&certification, CERTIFICATION_UNIQUE_KEY, "k");
    keep(&certification, CERTIFICATION_UNIQUE_IN_SITE, "");
    keep_value(&certification, CERTIFICATION_BIRTH, CERTIFICATION_NUMBER, INT64_MIN);
    certification.certified_at_s = INT64_C(253402300799);
    insert_is(&certification,
        "{ \"_id\" : \"imp_100000000001\", \"unique_key\" : \"k\", \"unique_in_site\" : \"\", "
        "\"birth\" : { \"$numberLong\" : \"-9223372036854775808\" }, \"certified\" : true, "
        "\"certified_at\" : " DATE("253402300799000") ", \"verified_at\" : " DATE("0") " }");
    certification_cleanup(&certification);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_insert_has_the_default_members_alone),
        cmocka_unit_test(document_update_sets_all_but_the_id),
        cmocka_unit_test(document_selector_is_the_id),
        cmocka_unit_test(document_has_null_where_nothing_was_told),
        cmocka_unit_test(document_has_the_opt_in_members),
        cmocka_unit_test(document_leaves_out_what_was_not_asked_for),
        cmocka_unit_test(document_keeps_empty_texts_and_extreme_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
