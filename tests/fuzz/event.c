/* The event, as it comes from Kafka or a client. What is taken has the imp_uid that jansson reads, what is
 * refused says why without quoting, and what is written is read again. */
#include "common/event.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

static bool jansson_reads(const uint8_t *data, size_t size, const char *imp_uid)
{
    json_t *root = fuzz_json(data, size, JSON_DECODE_INT_AS_REAL, NULL);
    const char *text = json_string_value(json_object_get(root, "imp_uid"));
    bool same = text && strcmp(text, imp_uid) == 0;
    json_decref(root);
    return same;
}

static void check_round_trip(const char *imp_uid)
{
    char text[EVENT_TEXT_SIZE], again[EVENT_IMP_UID_SIZE];
    struct error why;
    size_t length = event_format(imp_uid, text);
    FUZZ_CHECK(length < sizeof text);
    FUZZ_CHECK(event_parse(text, length, again, &why));
    FUZZ_CHECK(strcmp(again, imp_uid) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char imp_uid[EVENT_IMP_UID_SIZE];
    struct error why = {.text = ""};
    if (event_parse(data, size, imp_uid, &why)) {
        FUZZ_CHECK(event_imp_uid_valid(imp_uid, strlen(imp_uid)));
        FUZZ_CHECK(jansson_reads(data, size, imp_uid));
        check_round_trip(imp_uid);
    } else
        FUZZ_CHECK(fuzz_says_why(why.text, sizeof why.text));
    return 0;
}
