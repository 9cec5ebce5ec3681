/* The header traceparent, against the same in a regular expression. */
#include "common/traceparent.h"

#include "tests/fuzz/fuzz.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

static bool matches(const char *text)
{
    static const char form[] = "^(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}|[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{"
                               "16}-[0-9a-f]{2}(-.*)?)$";
    static regex_t expression;
    static bool ready;
    if (!ready)
        FUZZ_CHECK(!regcomp(&expression, form, REG_EXTENDED | REG_NOSUB));
    ready = true;
    return !regexec(&expression, text, 0, NULL, 0);
}

static bool is_valid(const char *text, size_t length)
{
    static const char zeros[] = "00000000000000000000000000000000";
    if (strlen(text) != length || length > TRACEPARENT_MOST || !matches(text))
        return false;
    bool later = strncmp(text, "00", 2) != 0 || length == 55;
    return later && strncmp(text, "ff", 2) != 0 && strncmp(text + 3, zeros, 32) != 0 &&
           strncmp(text + 36, zeros, 16) != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    FUZZ_CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    FUZZ_CHECK(traceparent_valid((const char *)data, size) == is_valid(text, size));
    free(text);
    return 0;
}
