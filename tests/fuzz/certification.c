/* The answer about a certification: the worker's own reader of JSON against jansson. Nothing is VERIFIED but
 * what jansson reads as certified, for the same imp_uid and with a unique_key; nothing that is so is missed;
 * and what is kept is what jansson reads. */
#include "worker/classify.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

#define IMP_UID "imp_448280090638"
#define ALL_FIELDS ((CERTIFICATION_BIT(CERTIFICATION_FIELD_COUNT)) - 1)

/* What jansson reads that the worker does not take: nesting beyond any answer's. */
static bool is_deep(const uint8_t *data, size_t size)
{
    size_t open = 0;
    for (size_t i = 0; i < size; i++)
        open += data[i] == '{' || data[i] == '[';
    return open >= READER_DEPTH;
}

static bool is_verified(const json_t *root)
{
    const json_t *response = json_object_get(root, "response"), *code = json_object_get(root, "code");
    const char *imp_uid = json_string_value(json_object_get(response, "imp_uid"));
    return json_is_integer(code) && json_integer_value(code) == 0 && imp_uid &&
           strcmp(imp_uid, IMP_UID) == 0 && json_is_true(json_object_get(response, "certified")) &&
           json_string_length(json_object_get(response, "unique_key"));
}

static void check_kept(const struct certification *certification, const json_t *response)
{
    for (enum certification_field field = 0; field < CERTIFICATION_FIELD_COUNT; field++) {
        const json_t *value = json_object_get(response, certification_name(field));
        const struct certification_value *kept = &certification->values[field];
        const char *text = certification_text(certification, field);
        if (kept->type == CERTIFICATION_TEXT)
            FUZZ_CHECK(json_is_string(value) && strcmp(text, json_string_value(value)) == 0);
        else if (kept->type == CERTIFICATION_NUMBER)
            FUZZ_CHECK(json_is_integer(value) && kept->number == json_integer_value(value));
        else if (kept->type == CERTIFICATION_BOOL)
            FUZZ_CHECK(json_is_boolean(value) && kept->number == json_is_true(value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct answer answer = {
        .transport = TRANSPORT_ANSWERED, .http_status = 200, .body = (const char *)data, .body_size = size};
    struct certification certification;
    struct verdict verdict = {.outcome = OUTCOME_RETRY};
    json_error_t error;
    json_t *strict = fuzz_json(data, size, JSON_REJECT_DUPLICATES, NULL);
    json_t *lenient = fuzz_json(data, size, JSON_DECODE_ANY, &error);
    certification_init(&certification);
    classify(&answer, IMP_UID, ALL_FIELDS, &certification, &verdict);
    FUZZ_CHECK(fuzz_says_why(verdict.error, sizeof verdict.error));
    if (verdict.outcome == OUTCOME_VERIFIED) {
        /* The worker has no use for real numbers, so that one out of range is none of its business. */
        bool overflow = !lenient && json_error_code(&error) == json_error_numeric_overflow;
        FUZZ_CHECK(overflow || is_verified(lenient));
        if (!overflow)
            check_kept(&certification, json_object_get(lenient, "response"));
        FUZZ_CHECK(verdict.reason == REASON_NONE);
    } else {
        FUZZ_CHECK(verdict.reason != REASON_NONE);
        FUZZ_CHECK(!is_verified(strict) || is_deep(data, size));
        FUZZ_CHECK(!certification.text.size);
    }
    certification_cleanup(&certification);
    json_decref(strict);
    json_decref(lenient);
    return 0;
}
