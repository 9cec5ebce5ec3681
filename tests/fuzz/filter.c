/* Filters of impcert-replay, from its command line: a time by the first byte, or reasons. */
#include "replay/filter.h"

#include "common/clock.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static const int64_t now_ms = INT64_C(1767323045678);

static void check_time(const char *text)
{
    struct error why = {.text = ""};
    int64_t wall_ms;
    if (!filter_time(text, now_ms, &wall_ms, &why)) {
        FUZZ_CHECK(fuzz_says_why(why.text, sizeof why.text));
        return;
    }
    if (strpbrk(text, "smhd")) {
        FUZZ_CHECK(wall_ms <= now_ms);
        return;
    }
    char again[CLOCK_RFC3339_SIZE];
    clock_rfc3339(wall_ms, again);
    FUZZ_CHECK(strncmp(again, text, strlen(text) < 19 ? strlen(text) : 19) == 0);
}

static void check_reasons(const char *text)
{
    struct filter filter;
    struct error why = {.text = ""};
    filter_init(&filter);
    if (filter_add_reasons(&filter, text, &why))
        FUZZ_CHECK(filter.reasons && !(filter.reasons & 1) && filter.reasons < 1u << REASON_COUNT);
    else
        FUZZ_CHECK(fuzz_says_why(why.text, sizeof why.text));
    filter_cleanup(&filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    char *text = fuzz_text(data + 1, size - 1);
    if (data[0] & 1)
        check_time(text);
    else
        check_reasons(text);
    free(text);
    return 0;
}
