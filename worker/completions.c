/* The codec of a commit's metadata. Loop thread. The text comes back from outside, and an offset wrongly
 * taken for finished would be an event lost: so all of it is checked, and any doubt means that nothing is
 * known. */
#include "worker/completions.h"

#include <assert.h>
#include <string.h>

enum {
    PREFIX_LENGTH = 3,
    CHECKSUM_LENGTH = 4,
    CODED_MAX = (COMPLETIONS_TEXT_MAX - PREFIX_LENGTH) * 3 / 4,
    VARINT_MAX = 5 /* 35 bits: more than any run within OFFSETS_RESTORED_MAX */
};

static const char kind_runs = 'r', kind_bitmap = 'b';

/* One encoding before it becomes text. */
struct coded {
    char kind;
    int64_t reach; /* one past the last offset that it says is finished; the position: none */
    size_t length; /* of bytes, with the checksum */
    unsigned char bytes[CODED_MAX];
};

static uint32_t completions_mix(uint32_t sum, unsigned char byte)
{
    return (sum ^ byte) * UINT32_C(16777619);
}

static uint32_t completions_checksum(const struct coded *coded, int64_t base)
{
    uint32_t sum = UINT32_C(2166136261);
    for (unsigned shift = 0; shift < 64; shift += 8)
        sum = completions_mix(sum, (unsigned char)((uint64_t)base >> shift));
    sum = completions_mix(sum, (unsigned char)coded->kind);
    for (size_t i = CHECKSUM_LENGTH; i < coded->length; i++)
        sum = completions_mix(sum, coded->bytes[i]);
    return sum;
}

/* ---- base64, as RFC 4648 has it, without padding ---- */

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t base64_write(const unsigned char *bytes, size_t length, char *out)
{
    const char *start = out;
    uint32_t held = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < length; i++) {
        held = held << 8 | bytes[i];
        for (bits += 8; bits >= 6; bits -= 6)
            *out++ = base64_digits[held >> (bits - 6) & 63];
    }
    if (bits)
        *out++ = base64_digits[held << (6 - bits) & 63];
    return (size_t)(out - start);
}

/* Out has room for length * 3 / 4 bytes. Of all texts only that is taken which base64_write makes. */
static bool base64_read(const char *text, size_t length, unsigned char *out)
{
    uint32_t held = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < length; i++) {
        const char *digit = memchr(base64_digits, text[i], sizeof base64_digits - 1);
        if (!digit)
            return false;
        held = held << 6 | (uint32_t)(digit - base64_digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *out++ = (unsigned char)(held >> bits);
        }
    }
    return bits < 6 && !(held & ((1U << bits) - 1));
}

/* ---- encoding ---- */

/* The next finished run at or after at, which may be the end. */
static bool completions_next_run(const struct offsets *offsets, int64_t at, int64_t *from, int64_t *to)
{
    bool finished = false;
    *to = at;
    while (!finished && *to < offsets->end) {
        *from = *to;
        *to = offsets_run_end(offsets, *from, &finished);
    }
    /* What would be passed over on the way back need not be sent. */
    return finished && *from - offsets->base < OFFSETS_RESTORED_MAX;
}

static size_t completions_put_varint(unsigned char *out, uint64_t value)
{
    size_t length = 0;
    for (; value >= 0x80; value >>= 7)
        out[length++] = (unsigned char)(value | 0x80);
    out[length++] = (unsigned char)value;
    return length;
}

static void completions_encode_runs(const struct offsets *offsets, struct coded *coded, size_t limit)
{
    coded->kind = kind_runs;
    coded->length = CHECKSUM_LENGTH;
    coded->reach = offsets->base;
    int64_t from, to;
    while (completions_next_run(offsets, coded->reach, &from, &to)) {
        if (to - offsets->base > OFFSETS_RESTORED_MAX)
            to = offsets->base + OFFSETS_RESTORED_MAX;
        unsigned char pair[2 * VARINT_MAX];
        size_t length = completions_put_varint(pair, (uint64_t)(from - coded->reach));
        length += completions_put_varint(pair + length, (uint64_t)(to - from));
        if (coded->length + length > limit)
            return;
        memcpy(coded->bytes + coded->length, pair, length);
        coded->length += length;
        coded->reach = to;
    }
}

static void completions_encode_bitmap(const struct offsets *offsets, struct coded *coded, size_t limit)
{
    unsigned char *bitmap = coded->bytes + CHECKSUM_LENGTH;
    size_t room = limit - CHECKSUM_LENGTH;
    int64_t base = offsets->base, from, to;
    coded->kind = kind_bitmap;
    coded->reach = base;
    memset(bitmap, 0, room);
    while (completions_next_run(offsets, coded->reach, &from, &to) && from - base < (int64_t)room * 8) {
        if (to - base > (int64_t)room * 8)
            to = base + (int64_t)room * 8;
        for (int64_t i = from - base; i < to - base; i++)
            bitmap[i / 8] |= (unsigned char)(1U << i % 8);
        coded->reach = to;
    }
    coded->length = CHECKSUM_LENGTH + (size_t)(coded->reach - base + 7) / 8;
}

static struct coded *completions_better(struct coded *runs, struct coded *bitmap)
{
    if (runs->reach != bitmap->reach)
        return runs->reach > bitmap->reach ? runs : bitmap;
    return runs->length <= bitmap->length ? runs : bitmap;
}

static size_t completions_write(struct coded *coded, int64_t base, char *out)
{
    uint32_t sum = completions_checksum(coded, base);
    for (size_t i = 0; i < CHECKSUM_LENGTH; i++)
        coded->bytes[i] = (unsigned char)(sum >> 8 * i);
    memcpy(out, (char[]){'1', coded->kind, ':'}, PREFIX_LENGTH);
    size_t length = PREFIX_LENGTH + base64_write(coded->bytes, coded->length, out + PREFIX_LENGTH);
    out[length] = '\0';
    return length;
}

size_t completions_encode(const struct offsets *offsets, char *out, size_t size)
{
    *out = '\0';
    size_t most = size - 1 < COMPLETIONS_TEXT_MAX ? size - 1 : COMPLETIONS_TEXT_MAX;
    if (most <= PREFIX_LENGTH)
        return 0;
    size_t limit = (most - PREFIX_LENGTH) * 3 / 4;
    if (limit <= CHECKSUM_LENGTH)
        return 0;
    struct coded runs, bitmap;
    completions_encode_runs(offsets, &runs, limit);
    completions_encode_bitmap(offsets, &bitmap, limit);
    struct coded *better = completions_better(&runs, &bitmap);
    return better->reach > offsets->base ? completions_write(better, offsets->base, out) : 0;
}

/* ---- decoding ---- */

static bool completions_read(const char *text, size_t length, int64_t base, struct coded *coded)
{
    if (length <= PREFIX_LENGTH || length > COMPLETIONS_TEXT_MAX)
        return false;
    coded->kind = text[1];
    if (text[0] != '1' || text[2] != ':' || (coded->kind != kind_runs && coded->kind != kind_bitmap))
        return false;
    coded->length = (length - PREFIX_LENGTH) * 3 / 4;
    if (coded->length <= CHECKSUM_LENGTH ||
        !base64_read(text + PREFIX_LENGTH, length - PREFIX_LENGTH, coded->bytes))
        return false;
    uint32_t sum = 0;
    for (size_t i = 0; i < CHECKSUM_LENGTH; i++)
        sum |= (uint32_t)coded->bytes[i] << 8 * i;
    return sum == completions_checksum(coded, base);
}

static bool completions_take_varint(const struct coded *coded, size_t *at, int64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 7 * VARINT_MAX && *at < coded->length; shift += 7) {
        unsigned char byte = coded->bytes[(*at)++];
        *value |= (int64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return byte || !shift; /* a last byte of 0 is a longer way to write the same */
    }
    return false;
}

static bool completions_mark_runs(const struct coded *coded, struct offsets *offsets)
{
    int64_t end = offsets->base;
    for (size_t at = CHECKSUM_LENGTH; at < coded->length;) {
        int64_t unfinished, finished;
        if (!completions_take_varint(coded, &at, &unfinished) ||
            !completions_take_varint(coded, &at, &finished))
            return false;
        bool joins = !unfinished && end > offsets->base;
        if (!finished || joins || unfinished + finished > INT64_MAX - end)
            return false;
        end += unfinished + finished;
        if (!offsets_restore_finished(offsets, end - finished, end))
            return false;
    }
    return true;
}

static bool completions_mark_bitmap(const struct coded *coded, struct offsets *offsets)
{
    const unsigned char *bitmap = coded->bytes + CHECKSUM_LENGTH;
    int64_t bits = (int64_t)(coded->length - CHECKSUM_LENGTH) * 8;
    if (!coded->bytes[coded->length - 1] || offsets->base > INT64_MAX - bits)
        return false;
    for (int64_t i = 0; i < bits; i++) {
        bool finished = bitmap[i / 8] >> i % 8 & 1;
        if (finished && !offsets_restore_finished(offsets, offsets->base + i, offsets->base + i + 1))
            return false;
    }
    return true;
}

bool completions_decode(const char *text, size_t length, struct offsets *offsets)
{
    assert(offsets->base >= 0 && offsets->next == offsets->base);
    if (!length)
        return true;
    struct coded coded;
    if (!completions_read(text, length, offsets->base, &coded))
        return false;
    bool marked = coded.kind == kind_runs ? completions_mark_runs(&coded, offsets)
                                          : completions_mark_bitmap(&coded, offsets);
    if (!marked)
        offsets_restore(offsets, offsets->base); /* drops the marks made so far */
    return marked;
}
