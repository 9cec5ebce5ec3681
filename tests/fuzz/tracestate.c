/* The header tracestate, against the same in a regular expression. */
#include "producer/gateway_tracestate.h"

#include "tests/fuzz/fuzz.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS "[ \t]*"
#define KEY "[a-z0-9][-a-z0-9_*/@]*"
#define VALUE "[ -+.-<>-~-]*[!-+.-<>-~-]" /* printable without comma and =, not ending with a blank */
#define MEMBER BLANKS "(" KEY "=" VALUE ")?" BLANKS

static bool matches(const char *text)
{
    static regex_t expression;
    static bool ready;
    if (!ready)
        FUZZ_CHECK(!regcomp(&expression, "^" MEMBER "(," MEMBER ")*$", REG_EXTENDED | REG_NOSUB));
    ready = true;
    return strchr(text, '=') && !regexec(&expression, text, 0, NULL, 0);
}

/* Keys and values have a longest length, which would make a slow expression. */
static bool is_short(const char *text)
{
    size_t key = 0, value = 0;
    for (bool in_value = false; *text; text++) {
        if (*text == ',') {
            in_value = false;
            key = value = 0;
        } else if (*text == '=')
            in_value = true;
        else if (in_value)
            value++;
        else
            key++;
        if (key > 250 || value > 250)
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    FUZZ_CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    bool valid = tracestate_valid((const char *)data, size);
    if (size > 512 || strlen(text) != size)
        FUZZ_CHECK(!valid);
    else if (is_short(text))
        FUZZ_CHECK(valid == matches(text));
    free(text);
    return 0;
}
