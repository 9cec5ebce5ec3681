/* Bodies of requests to the gateway. The first byte tells the type. What is taken is a valid imp_uid that
 * stands in the body, JSON is read as an event is, and a form of what was taken is read to the same. */
#include "producer/gateway_body.h"

#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copy_of(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);
    FUZZ_CHECK(copy);
    memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

static bool read_copy(enum body_type type, const uint8_t *data, size_t size,
    char imp_uid[static EVENT_IMP_UID_SIZE], struct error *why)
{
    char *body = copy_of(data, size);
    bool read = body_read(type, body, size, imp_uid, why);
    free(body);
    return read;
}

static void check_round_trip(const char *imp_uid)
{
    char form[128], again[EVENT_IMP_UID_SIZE];
    struct error why;
    int length = snprintf(form, sizeof form, "merchant_uid=1&imp%%5fuid=%s&status=ready", imp_uid);
    FUZZ_CHECK(read_copy(BODY_FORM, (const uint8_t *)form, (size_t)length, again, &why));
    FUZZ_CHECK(strcmp(again, imp_uid) == 0);
}

static void check_content_type(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    enum body_type type = body_type(text);
    FUZZ_CHECK(type == BODY_OTHER || strncasecmp(text, "application/", 12) == 0);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char imp_uid[EVENT_IMP_UID_SIZE], parsed[EVENT_IMP_UID_SIZE];
    struct error why = {.text = ""}, other;
    if (!size)
        return 0;
    enum body_type type = (enum body_type)(data[0] % (BODY_OTHER + 1));
    bool read = read_copy(type, data + 1, size - 1, imp_uid, &why);
    if (read) {
        FUZZ_CHECK(event_imp_uid_valid(imp_uid, strlen(imp_uid)));
        check_round_trip(imp_uid);
    } else
        FUZZ_CHECK(fuzz_says_why(why.text, sizeof why.text));
    /* Whatever is an event is taken as one, unless it says that it is a form. */
    if (type != BODY_FORM && event_parse(data + 1, size - 1, parsed, &other))
        FUZZ_CHECK(read && strcmp(imp_uid, parsed) == 0);
    check_content_type(data + 1, size - 1);
    return 0;
}
