/* The answer that brings a token: what is taken can stand in a header and has a life, by jansson's reading.
 */
#include "worker/token_answer.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

static void check_taken(const struct token_answer *answer, const json_t *root)
{
    const json_t *response = json_object_get(root, "response");
    const char *value = json_string_value(json_object_get(response, "access_token"));
    FUZZ_CHECK(json_integer_value(json_object_get(root, "code")) == 0);
    FUZZ_CHECK(value && strcmp(value, answer->value) == 0);
    FUZZ_CHECK(answer->value[0] && answer->life_s >= 1 && answer->life_s <= INT32_MAX);
    for (const char *c = answer->value; *c; c++)
        FUZZ_CHECK(*c > ' ' && *c < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct token_answer answer;
    const char *why = NULL;
    if (token_answer_read((const char *)data, size, &answer, &why)) {
        json_t *root = fuzz_json(data, size, 0, NULL);
        check_taken(&answer, root);
        json_decref(root);
    } else
        FUZZ_CHECK(why && *why && !answer.value[0] && !answer.life_s);
    return 0;
}
