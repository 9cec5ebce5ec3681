/* The metadata of a commit, for the position in the first 8 bytes. The ninth says how the rest becomes the
 * text: 0: as it is; 1 and 2: as the content of runs or of a bitmap, with the checksum that belongs to it, so
 * that more than the checksum is looked at. What is taken is written again to the same effect, what is
 * refused leaves no mark. */
#include "worker/completions.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

enum { FRONT = 9, CONTENT_MOST = 600, TEXT_SIZE = 2 * COMPLETIONS_TEXT_MAX };

static uint32_t mix(uint32_t sum, unsigned char byte)
{
    return (sum ^ byte) * UINT32_C(16777619);
}

static size_t base64(const unsigned char *bytes, size_t length, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t written = 0;
    for (size_t bit = 0; bit < length * 8; bit += 6) {
        unsigned value = 0;
        for (size_t i = bit; i < bit + 6; i++)
            value = value << 1 | (i < length * 8 ? (unsigned)bytes[i / 8] >> (7 - i % 8) & 1U : 0);
        out[written++] = digits[value];
    }
    return written;
}

/* The text that an adversary would write who knows the format. */
static size_t forge(int64_t base, char kind, const uint8_t *content, size_t size, char *out)
{
    unsigned char bytes[4 + CONTENT_MOST];
    uint32_t sum = UINT32_C(2166136261);
    size = size < CONTENT_MOST ? size : CONTENT_MOST;
    for (unsigned shift = 0; shift < 64; shift += 8)
        sum = mix(sum, (unsigned char)((uint64_t)base >> shift));
    sum = mix(sum, (unsigned char)kind);
    for (size_t i = 0; i < size; i++)
        sum = mix(sum, content[i]);
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(sum >> 8 * i);
    memcpy(bytes + 4, content, size);
    memcpy(out, (char[]){'1', kind, ':'}, 3);
    return 3 + base64(bytes, 4 + size, out + 3);
}

static bool decode(const char *text, size_t length, int64_t base, struct offsets *offsets)
{
    offsets_init(offsets);
    FUZZ_CHECK(offsets_restore(offsets, base));
    bool read = completions_decode(text, length, offsets);
    FUZZ_CHECK(offsets->base == base && offsets->next == base && !offsets->in_flight);
    FUZZ_CHECK(offsets->end >= base && offsets->end - base <= OFFSETS_RESTORED_MAX);
    FUZZ_CHECK(read || offsets->end == base);
    return read;
}

/* Only as far as the second knows anything: what did not fit is left out from the end. */
static void check_same(const struct offsets *one, const struct offsets *other)
{
    FUZZ_CHECK(other->end <= one->end);
    for (int64_t at = one->base, other_to; at < other->end; at = other_to) {
        bool finished, other_finished;
        int64_t to = offsets_run_end(one, at, &finished);
        other_to = offsets_run_end(other, at, &other_finished);
        FUZZ_CHECK(finished == other_finished && (to == other_to || other_to == other->end));
    }
}

static void check_round_trip(const struct offsets *offsets)
{
    char text[COMPLETIONS_TEXT_MAX + 1];
    struct offsets again;
    size_t length = completions_encode(offsets, text, sizeof text);
    FUZZ_CHECK(length < sizeof text && strlen(text) == length);
    FUZZ_CHECK((length == 0) == (offsets->end == offsets->base));
    FUZZ_CHECK(decode(text, length, offsets->base, &again));
    check_same(offsets, &again);
    offsets_cleanup(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_SIZE];
    struct offsets offsets;
    uint64_t base;
    if (size < FRONT)
        return 0;
    memcpy(&base, data, sizeof base);
    base &= INT64_MAX;
    size_t length = size - FRONT < sizeof text ? size - FRONT : sizeof text;
    if (data[8] % 3)
        length = forge((int64_t)base, data[8] % 3 == 1 ? 'r' : 'b', data + FRONT, length, text);
    else
        memcpy(text, data + FRONT, length);
    if (decode(text, length, (int64_t)base, &offsets))
        check_round_trip(&offsets);
    offsets_cleanup(&offsets);
    return 0;
}
