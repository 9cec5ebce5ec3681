/* Checks of single setting values, by type. Any thread; owns nothing. */
#include "common/settings_check.h"

#include "common/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOST_SIZE 256
#define SHOWN_SIZE 80
#define DURATIONS_MOST 8
/* Kafka's limit is 249, and "-" and a worker's number follow. */
#define INSTANCE_MOST 240

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define HOST_CHARS LETTERS DIGITS "._-"

static const char duration_expected[] = "expected a whole number with ms, s, m or h, such as 200ms";

/* The value as it may be shown: quoted, escaped and cut, or not at all. */
struct shown {
    char text[SHOWN_SIZE + 3];
};

static struct shown show(const struct setting_row *row, const char *value)
{
    struct shown shown = {"the value (not shown: a secret)"};
    if (row->secret)
        return shown;
    char escaped[SHOWN_SIZE];
    utf8_escape(value, strlen(value), escaped, sizeof escaped);
    snprintf(shown.text, sizeof shown.text, "\"%s\"", escaped);
    return shown;
}

static bool is_made_of(const char *text, const char *characters)
{
    return *text && text[strspn(text, characters)] == '\0';
}

static bool check_text(const struct setting_row *row, const char *text, struct error *why)
{
    const char *rest = text;
    for (size_t left = strlen(text); left;) {
        struct utf8_char c = utf8_next(rest, left);
        if (!c.valid || !utf8_printable(c.code))
            return error_set(why, "%s holds a control character or is not UTF-8, expected one line of text",
                show(row, text).text);
        rest += c.length;
        left -= c.length;
    }
    if (row->most && strlen(text) > (size_t)row->most)
        return error_set(
            why, "%s is too long, expected at most %d bytes", show(row, text).text, (int)row->most);
    return true;
}

/* Digits alone, so that strtoll's signs, spaces and other bases are out. */
static bool parse_digits(const char *text, size_t length, int64_t *number)
{
    if (length == 0 || length > 18 || strspn(text, DIGITS) < length)
        return false;
    *number = 0;
    for (size_t i = 0; i < length; i++)
        *number = *number * 10 + (text[i] - '0');
    return true;
}

static bool check_number(const struct setting_row *row, const char *text, int64_t *number, struct error *why)
{
    if (!parse_digits(text, strlen(text), number) || *number < row->least || *number > row->most)
        return error_set(why, "%s, expected a whole number from %" PRId64 " to %" PRId64,
            show(row, text).text, row->least, row->most);
    return true;
}

/* The longest unit that tells ms exactly: 600000 is 10m. */
static const char *format_ms(int64_t ms, char *out, size_t size)
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t unit = 0;
    while (ms % units[unit].ms != 0 || (ms == 0 && unit < 2))
        unit++;
    snprintf(out, size, "%" PRId64 "%s", ms / units[unit].ms, units[unit].name);
    return out;
}

/* ms of one unit; 0 where the name is none. */
static int64_t unit_ms(const char *name)
{
    if (strcmp(name, "ms") == 0)
        return 1;
    if (strcmp(name, "s") == 0)
        return 1000;
    if (strcmp(name, "m") == 0)
        return 60000;
    return strcmp(name, "h") == 0 ? 3600000 : 0;
}

static bool check_duration(const struct setting_row *row, const char *text, int64_t *ms, struct error *why)
{
    size_t digits = strspn(text, DIGITS);
    int64_t count;
    if (digits && !text[digits])
        return error_set(why, "%s has no unit, %s", show(row, text).text, duration_expected);
    int64_t unit = unit_ms(text + digits);
    if (!unit || digits == 0)
        return error_set(why, "%s is no duration, %s", show(row, text).text, duration_expected);
    char least[32], most[32];
    if (!parse_digits(text, digits, &count) || count > row->most / unit || count * unit < row->least)
        return error_set(why, "%s is out of range, expected %s to %s", show(row, text).text,
            format_ms(row->least, least, sizeof least), format_ms(row->most, most, sizeof most));
    *ms = count * unit;
    return true;
}

/* "a, b or c" */
static const char *join_words(const char *const *words, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; words[i] && used < size; i++) {
        const char *before = i == 0 ? "" : words[i + 1] ? ", " : " or ";
        used += (size_t)snprintf(out + used, size - used, "%s%s", before, words[i]);
    }
    return out;
}

static bool find_word(const char *const *words, const char *text, size_t length, int64_t *place)
{
    for (size_t i = 0; words[i]; i++) {
        if (strlen(words[i]) == length && memcmp(words[i], text, length) == 0) {
            *place = (int64_t)i;
            return true;
        }
    }
    return false;
}

static bool check_choice(const struct setting_row *row, const char *text, int64_t *place, struct error *why)
{
    char words[256];
    if (!find_word(row->words, text, strlen(text), place))
        return error_set(
            why, "%s, expected %s", show(row, text).text, join_words(row->words, words, sizeof words));
    return true;
}

/* The next entry of a comma-separated list, without the spaces around it; NULL behind the last. */
static const char *next_entry(const char **rest, size_t *length)
{
    const char *entry = *rest;
    if (!entry)
        return NULL;
    const char *end = strchrnul(entry, ',');
    *rest = *end ? end + 1 : NULL;
    while (entry < end && *entry == ' ')
        entry++;
    while (end > entry && end[-1] == ' ')
        end--;
    *length = (size_t)(end - entry);
    return entry;
}

static bool check_words(const struct setting_row *row, const char *text, struct error *why)
{
    const char *rest = text, *entry;
    size_t length;
    int64_t place;
    while ((entry = next_entry(&rest, &length))) {
        if (find_word(row->words, entry, length, &place))
            continue;
        char shown[SHOWN_SIZE], words[256];
        utf8_escape(entry, length, shown, sizeof shown);
        return error_set(why, "\"%s\" is none of its words, expected a list of %s, separated by commas",
            shown, join_words(row->words, words, sizeof words));
    }
    return true;
}

bool settings_list_has(const char *list, const char *word)
{
    const char *entry;
    size_t length;
    while ((entry = next_entry(&list, &length)))
        if (length == strlen(word) && memcmp(entry, word, length) == 0)
            return true;
    return false;
}

bool settings_list_duration(const char *list, size_t index, char *out, size_t size, int64_t *ms)
{
    const char *entry;
    size_t length;
    while ((entry = next_entry(&list, &length)))
        if (!index--) {
            snprintf(out, size, "%.*s", (int)length, entry);
            size_t digits = strspn(out, DIGITS);
            return parse_digits(out, digits, ms) && (*ms *= unit_ms(out + digits));
        }
    return false;
}

/* Rising, since an event goes from one to the next; the number of them is returned as number. */
static bool check_durations(
    const struct setting_row *row, const char *text, int64_t *number, struct error *why)
{
    const char *rest = *text ? text : NULL, *entry;
    char one[SETTING_DURATION_SIZE];
    size_t length;
    int64_t ms, before = 0;
    while ((entry = next_entry(&rest, &length))) {
        if (++*number > DURATIONS_MOST)
            return error_set(why, "%s has more than %d entries", show(row, text).text, DURATIONS_MOST);
        snprintf(one, sizeof one, "%.*s", (int)(length < sizeof one ? length : sizeof one - 1), entry);
        if (!check_duration(row, one, &ms, why))
            return false;
        if (ms <= before)
            return error_set(
                why, "%s, expected each delay to be longer than the one before", show(row, text).text);
        before = ms;
    }
    return true;
}

/* Only what a name, an IPv4 or a bracketed IPv6 address is made of. */
static bool copy_host(const char *text, size_t length, char out[HOST_SIZE])
{
    bool bracketed = length > 2 && text[0] == '[' && text[length - 1] == ']';
    if (bracketed) {
        text++;
        length -= 2;
    }
    if (length == 0 || length >= HOST_SIZE)
        return false;
    memcpy(out, text, length);
    out[length] = '\0';
    return is_made_of(out, bracketed ? "abcdefABCDEF%." DIGITS ":" : HOST_CHARS);
}

bool settings_split_address(const char *text, char host[256], uint16_t *port, unsigned least_port)
{
    const char *colon = strrchr(text, ':');
    int64_t number;
    char own_host[HOST_SIZE];
    if (!colon || !copy_host(text, (size_t)(colon - text), host ? host : own_host))
        return false;
    size_t digits = strlen(colon + 1);
    if (digits > 5 || !parse_digits(colon + 1, digits, &number) || number < least_port || number > UINT16_MAX)
        return false;
    if (port)
        *port = (uint16_t)number;
    return true;
}

static bool check_address(const struct setting_row *row, const char *text, struct error *why)
{
    if (strcmp(text, "off") == 0 || settings_split_address(text, NULL, NULL, 0))
        return true;
    return error_set(why, "%s, expected host:port, [IPv6 address]:port (port 0: any free one) or off",
        show(row, text).text);
}

/* One of IMPCERT_KAFKA_BROKERS: host, host:port or PROTOCOL://host:port, as librdkafka reads them. */
static bool is_broker(const char *entry, size_t length)
{
    char text[HOST_SIZE + 32], host[HOST_SIZE];
    if (length >= sizeof text)
        return false;
    memcpy(text, entry, length);
    text[length] = '\0';
    char *scheme_end = strstr(text, "://");
    const char *rest = text;
    if (scheme_end) {
        *scheme_end = '\0';
        rest = scheme_end + 3;
        if (!is_made_of(text, LETTERS "_"))
            return false;
    }
    return copy_host(rest, strlen(rest), host) || settings_split_address(rest, NULL, NULL, 1);
}

static bool check_brokers(const char *text, struct error *why)
{
    const char *rest = text, *entry;
    size_t length;
    while ((entry = next_entry(&rest, &length))) {
        if (is_broker(entry, length))
            continue;
        char shown[SHOWN_SIZE];
        utf8_escape(entry, length, shown, sizeof shown);
        return error_set(
            why, "\"%s\" is no host:port, expected a list such as kafka-1:9092,kafka-2:9092", shown);
    }
    return true;
}

/* What stands between the scheme and the path. */
static bool is_authority(const char *text, size_t length)
{
    char authority[HOST_SIZE + 8], host[HOST_SIZE];
    if (length >= sizeof authority)
        return false;
    memcpy(authority, text, length);
    authority[length] = '\0';
    return copy_host(authority, length, host) || settings_split_address(authority, NULL, NULL, 1);
}

static bool check_url(const struct setting_row *row, const char *text, struct error *why)
{
    static const char expected[] = "expected http:// or https://, a host, and at most a port and a path";
    /* User info may hold a password: such a value is not shown. */
    if (strchr(text, '@'))
        return error_set(why, "the value (not shown) has user info, %s", expected);
    size_t scheme = strncasecmp(text, "https://", 8) == 0 ? 8 : strncasecmp(text, "http://", 7) == 0 ? 7 : 0;
    size_t authority = strcspn(text + scheme, "/?#");
    if (!scheme || !is_authority(text + scheme, authority))
        return error_set(why, "%s, %s", show(row, text).text, expected);
    const char *path = text + scheme + authority;
    if (strpbrk(path, "?#"))
        return error_set(why, "%s has a query or fragment, %s", show(row, text).text, expected);
    for (const char *c = path; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '\\')
            return error_set(why, "%s holds a character that no URL has, %s", show(row, text).text, expected);
    return true;
}

/* scheme://host[:port] */
static bool is_origin(const char *entry, size_t length)
{
    size_t scheme = strncmp(entry, "https://", 8) == 0 ? 8 : strncmp(entry, "http://", 7) == 0 ? 7 : 0;
    return scheme && length > scheme && is_authority(entry + scheme, length - scheme);
}

/* The header Origin (RFC 6454, section 7) is compared byte by byte: another writing of it would never match.
 */
static bool is_browsers_origin(const char *entry, size_t length)
{
    const char *port = entry[4] == 's' ? ":443" : ":80";
    size_t digits = strlen(port);
    for (size_t i = 0; i < length; i++)
        if (entry[i] >= 'A' && entry[i] <= 'Z')
            return false;
    return length < digits || memcmp(entry + length - digits, port, digits) != 0;
}

static bool check_origins(const char *text, struct error *why)
{
    const char *rest = text, *entry;
    size_t length;
    if (strcmp(text, "*") == 0)
        return true;
    while ((entry = next_entry(&rest, &length))) {
        bool origin = is_origin(entry, length);
        if (origin && is_browsers_origin(entry, length))
            continue;
        char shown[SHOWN_SIZE];
        utf8_escape(entry, length, shown, sizeof shown);
        if (origin)
            return error_set(why,
                "\"%s\" never comes, expected it as browsers write it: lower-case, without the usual port",
                shown);
        return error_set(why,
            "\"%s\" is no origin, expected * or a list such as https://shop.example,https://m.shop.example",
            shown);
    }
    return true;
}

/* token68 of RFC 7235, section 2.1. */
static bool check_tokens(const char *text, struct error *why)
{
    static const char separators[] = " \t\r\n,";
    size_t count = 0;
    for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
        size_t length = strcspn(text, separators), taken = strspn(text, LETTERS DIGITS "-._~+/=");
        count++;
        if (taken < length)
            return error_set(
                why, "token %zu (not shown) has a character other than A-Z a-z 0-9 - . _ ~ + / =", count);
        if (length < 16 || length > 256)
            return error_set(
                why, "token %zu (not shown) has %zu characters, expected 16 to 256", count, length);
        text += length;
    }
    return count ||
           error_set(why, "holds no token, expected one or more, separated by white space or commas");
}

static bool check_file(const struct setting_row *row, const char *path, struct error *why)
{
    struct stat about;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return error_set(why, "%s can't be read (%s), expected the path of a readable file",
            show(row, path).text, strerror(errno));
    bool ok = fstat(file, &about) == 0 && !S_ISDIR(about.st_mode);
    close(file);
    if (!ok)
        return error_set(
            why, "%s is a directory, expected the path of a readable file", show(row, path).text);
    return true;
}

static bool check_topic(const struct setting_row *row, const char *text, struct error *why)
{
    bool dots = strcmp(text, ".") == 0 || strcmp(text, "..") == 0;
    if (!dots && strlen(text) <= 249 && is_made_of(text, LETTERS DIGITS "._-"))
        return true;
    return error_set(why, "%s, expected a topic name: 1 to 249 of A-Z a-z 0-9 . _ -", show(row, text).text);
}

static bool check_instance(const struct setting_row *row, const char *text, struct error *why)
{
    if (strlen(text) <= INSTANCE_MOST && is_made_of(text, LETTERS DIGITS "._-"))
        return true;
    return error_set(why, "%s, expected 1 to %d of A-Z a-z 0-9 . _ -", show(row, text).text, INSTANCE_MOST);
}

static bool check_database(const struct setting_row *row, const char *text, struct error *why)
{
    if (check_text(row, text, why) && strlen(text) <= 63 && !strpbrk(text, "/\\. \"$*<>:|?"))
        return true;
    return error_set(why,
        "%s, expected a database name: at most 63 bytes, none of / \\ . \" $ * < > : | ? or space",
        show(row, text).text);
}

static bool check_collection(const struct setting_row *row, const char *text, struct error *why)
{
    bool ok = check_text(row, text, why) && strlen(text) <= 120 && !strchr(text, '$') && text[0] != '.' &&
              text[strlen(text) - 1] != '.' && strncmp(text, "system.", 7) != 0;
    if (ok)
        return true;
    return error_set(why,
        "%s, expected a collection name: at most 120 bytes, no $, not system.*, no dot at an end",
        show(row, text).text);
}

static bool check_namespace(const struct setting_row *row, const char *text, struct error *why)
{
    char database[64];
    size_t length = strcspn(text, ".");
    struct error unused;
    snprintf(database, sizeof database, "%.*s", (int)(length < sizeof database ? length : 0), text);
    if (*database && text[length] && text[length + 1] && check_database(row, database, &unused) &&
        check_collection(row, text + length + 1, &unused))
        return true;
    return error_set(
        why, "%s, expected the name of a database, a dot and that of a collection", show(row, text).text);
}

/* 96 bytes take 128 characters without padding (RFC 4648). */
static bool check_master_key(const struct setting_row *row, const char *text, struct error *why)
{
    enum { CHARACTERS = 128 };
    static const char white[] = " \t\r\n", base64[] = LETTERS DIGITS "+/";
    size_t count = 0;
    for (text += strspn(text, white); *text; text += strspn(text, white)) {
        size_t length = strspn(text, base64);
        if (!length)
            return error_set(why, "%s is not base64, expected what `openssl rand -base64 96` prints",
                show(row, text).text);
        count += length;
        text += length;
    }
    return count == CHARACTERS || error_set(why,
                                      "%s has %zu characters of base64, expected %d, as `openssl rand "
                                      "-base64 96` prints for 96 bytes",
                                      show(row, text).text, count, CHARACTERS);
}

static bool check_mongodb_uri(const struct setting_row *row, const char *text, struct error *why)
{
    size_t scheme = strncmp(text, "mongodb://", 10) == 0       ? 10
                    : strncmp(text, "mongodb+srv://", 14) == 0 ? 14
                                                               : 0;
    if (!scheme || !text[scheme])
        return error_set(
            why, "%s is no MongoDB URI, expected mongodb://... or mongodb+srv://...", show(row, text).text);
    return check_text(row, text, why);
}

bool settings_check(const struct setting_row *row, const char *text, int64_t *number, struct error *why)
{
    *number = 0;
    switch (row->type) {
    case SETTING_IS_TEXT:
        return check_text(row, text, why);
    case SETTING_IS_NUMBER:
        return check_number(row, text, number, why);
    case SETTING_IS_DURATION:
        return check_duration(row, text, number, why);
    case SETTING_IS_DURATIONS:
        return check_durations(row, text, number, why);
    case SETTING_IS_CHOICE:
        return check_choice(row, text, number, why);
    case SETTING_IS_WORDS:
        return check_words(row, text, why);
    case SETTING_IS_BROKERS:
        return check_brokers(text, why);
    case SETTING_IS_ADDRESS:
        return check_address(row, text, why);
    case SETTING_IS_ORIGINS:
        return check_origins(text, why);
    case SETTING_IS_TOKENS:
        return check_tokens(text, why);
    case SETTING_IS_URL:
        return check_url(row, text, why);
    case SETTING_IS_FILE:
        return check_file(row, text, why);
    case SETTING_IS_TOPIC:
        return check_topic(row, text, why);
    case SETTING_IS_INSTANCE:
        return check_instance(row, text, why);
    case SETTING_IS_DATABASE:
        return check_database(row, text, why);
    case SETTING_IS_COLLECTION:
        return check_collection(row, text, why);
    case SETTING_IS_MONGODB_URI:
        return check_mongodb_uri(row, text, why);
    case SETTING_IS_NAMESPACE:
        return check_namespace(row, text, why);
    case SETTING_IS_MASTER_KEY:
        return check_master_key(row, text, why);
    }
    return false;
}
