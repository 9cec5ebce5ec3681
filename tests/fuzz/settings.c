/* Values of settings: the first byte is the setting's place in the table, the rest is the value. What is
 * taken is in range, what is refused says why, and no part of a secret is in that. */
#include "common/settings_check.h"

#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void check_durations(const struct setting_row *row, const char *text, int64_t count)
{
    char one[SETTING_DURATION_SIZE];
    int64_t ms, before = 0;
    size_t i = 0;
    for (; *text && settings_list_duration(text, i, one, sizeof one, &ms); i++) {
        FUZZ_CHECK(ms > before && ms >= row->least && ms <= row->most && strlen(one) < sizeof one);
        before = ms;
    }
    FUZZ_CHECK((int64_t)i == count);
}

static void check_address(const char *text)
{
    char host[256] = "";
    uint16_t port;
    if (strcmp(text, "off") == 0)
        return;
    FUZZ_CHECK(settings_split_address(text, host, &port, 0));
    FUZZ_CHECK(*host && memchr(host, '\0', sizeof host) && !strpbrk(host, "[]/@ \n"));
}

static void check_taken(const struct setting_row *row, const char *text, int64_t number)
{
    if (row->type == SETTING_IS_NUMBER || row->type == SETTING_IS_DURATION)
        FUZZ_CHECK(number >= row->least && number <= row->most);
    else if (row->type == SETTING_IS_DURATIONS)
        check_durations(row, text, number);
    else if (row->type == SETTING_IS_CHOICE)
        FUZZ_CHECK(strcmp(row->words[number], text) == 0);
    else if (row->type == SETTING_IS_ADDRESS)
        check_address(text);
    else if (row->type == SETTING_IS_TOPIC || row->type == SETTING_IS_INSTANCE)
        FUZZ_CHECK(*text && strlen(text) <= 249 && !strpbrk(text, " /\n\""));
    /* None of them may hold what begins another line, but what files hold by lines. */
    bool by_lines = row->type == SETTING_IS_TOKENS || row->type == SETTING_IS_MASTER_KEY;
    FUZZ_CHECK(!strchr(text, '\n') || by_lines);
}

/* What is said of a secret is one of a few sentences, with at most a number in them. */
static void check_secret(const char *why)
{
    static const char *const said[] = {"the value (not shown: a secret) ", "token ", "holds no token, "};
    size_t i = 0;
    while (i < sizeof said / sizeof *said && strncmp(why, said[i], strlen(said[i])) != 0)
        i++;
    FUZZ_CHECK(i < sizeof said / sizeof *said);
    for (; *why; why++)
        FUZZ_CHECK(*why >= ' ' && *why <= '~');
}

static void check_refused(const struct setting_row *row, const char *text, const struct error *why)
{
    FUZZ_CHECK(fuzz_says_why(why->text, sizeof why->text));
    if (!row->secret)
        return;
    check_secret(why->text);
    /* A value may be words that we say to any. */
    struct error usual;
    int64_t number;
    FUZZ_CHECK(!settings_check(row, "\x01", &number, &usual));
    FUZZ_CHECK(strlen(text) < 24 || !strstr(why->text, text) || strstr(usual.text, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    const struct setting_row *row = &settings_table[data[0] % SETTING_COUNT];
    char *text = fuzz_text(data + 1, size - 1);
    struct error why = {.text = ""};
    int64_t number;
    /* Nothing counts as not set, but where it is a value; and files of any name are not to be opened. */
    if ((*text || row->may_be_empty) && row->type != SETTING_IS_FILE) {
        if (settings_check(row, text, &number, &why))
            check_taken(row, text, number);
        else
            check_refused(row, text, &why);
    }
    free(text);
    return 0;
}
