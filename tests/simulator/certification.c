// Certification records as the service sends them, with every oddity that its documentation and its users
// know of: members null or absent, names in any script, a whole data: URL for an origin, members nobody
// knows. Each member is its own draw from the imp_uid's hash. Runs on the main thread; owns nothing.
#include "certification.h"

#include <stdio.h>
#include <string.h>

#include "birthday.h"
#include "hash.h"
#include "json_text.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

// One for each independent draw; append only, or every record changes.
enum draw {
    DRAW_STYLE,
    DRAW_PROVIDER,
    DRAW_APPROVED,
    DRAW_SCRIPT,
    DRAW_FAMILY_NAME,
    DRAW_GIVEN_NAME,
    DRAW_BIRTHDAY,
    DRAW_GENDER,
    DRAW_FOREIGNER,
    DRAW_PHONE,
    DRAW_CARRIER,
    DRAW_SITE_KEY,
    DRAW_MERCHANT_UID,
    DRAW_MERCHANT_NUMBER,
    DRAW_PG_TID,
    DRAW_ORIGIN,
    DRAW_CERTIFIED_AT,
    DRAW_EXTRA,
    DRAW_UNIQUE_KEY = 32,     // and the next 7
    DRAW_UNIQUE_IN_SITE = 48, // and the next 5
    DRAW_DATA_URL = 64,       // and as many as the URL is long
};

enum provider { DANAL, INICIS, INICIS_UNIFIED, KCP };

struct record {
    struct buf *out;
    uint64_t seed;
    uint64_t person; // whose unique_key it is; others' seeds are their own
    unsigned style;  // JSON_STYLE_*
    enum provider provider;
    bool approved; // the carriers let this merchant see phone and carrier
    bool finished;
};

static uint64_t draw(const struct record *record, uint64_t index)
{
    return hash_draw(record->seed, index);
}

static unsigned percent(const struct record *record, uint64_t index)
{
    return (unsigned)(draw(record, index) % 100);
}

static void add_key(struct record *record, const char *name)
{
    buf_add_text(record->out, ",\"");
    buf_add_text(record->out, name);
    buf_add_text(record->out, "\":");
}

static void add_plain(struct record *record, const char *name, const char *json)
{
    add_key(record, name);
    buf_add_text(record->out, json);
}

static void add_number(struct record *record, const char *name, int64_t value)
{
    add_key(record, name);
    buf_add_int(record->out, value);
}

static void add_string(struct record *record, const char *name, const char *value)
{
    add_key(record, name);
    json_text_add(record->out, value, strlen(value), record->style);
}

// `size` is a multiple of 8; the text has no line breaks.
static void base64_of_draws(const struct record *record, uint64_t first, size_t size, char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char bytes[66] = {0};
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(draw(record, first + i / 8) >> (i % 8 * 8));
    size_t at = 0;
    for (size_t i = 0; i < size; i += 3) {
        unsigned three = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];
        text[at++] = digits[three >> 18];
        text[at++] = digits[three >> 12 & 63];
        text[at++] = i + 1 < size ? digits[three >> 6 & 63] : '=';
        text[at++] = i + 2 < size ? digits[three & 63] : '=';
    }
    text[at] = '\0';
}

static void add_birth(struct record *record)
{
    if (!record->finished) {
        add_plain(record, "birth", "null");
        add_plain(record, "birthday", "null");
        return;
    }
    struct birthday birthday = birthday_of(draw(record, DRAW_BIRTHDAY));
    add_number(record, "birth", birthday.midnight);
    add_string(record, "birthday", birthday.date);
}

static void add_carrier(struct record *record)
{
    static const char *const carriers[] = {"SKT", "KT", "LGT", "SKT_MVNO", "KT_MVNO", "LGT_MVNO"};
    if (record->finished && record->approved && record->provider != INICIS_UNIFIED)
        add_string(record, "carrier", carriers[draw(record, DRAW_CARRIER) % COUNT(carriers)]);
}

static void add_certified(struct record *record)
{
    if (record->finished) {
        add_plain(record, "certified", "true");
        add_number(
            record, "certified_at", 1700000000 + (int64_t)(draw(record, DRAW_CERTIFIED_AT) % 31536000));
        return;
    }
    add_plain(record, "certified", "false");
    add_plain(record, "certified_at", percent(record, DRAW_CERTIFIED_AT) < 50 ? "0" : "null");
}

static void add_foreigner(struct record *record)
{
    unsigned part = percent(record, DRAW_FOREIGNER);
    add_plain(record, "foreigner", part == 99 ? "true" : "false");
    if (part >= 50)
        add_plain(record, "foreigner_v2", part == 99 ? "true" : part >= 70 ? "null" : "false");
}

static void add_gender(struct record *record)
{
    unsigned part = percent(record, DRAW_GENDER);
    unsigned nulls = record->provider == INICIS_UNIFIED ? 80 : 5;
    if (!record->finished || part < nulls)
        add_plain(record, "gender", "null");
    else
        add_string(record, "gender", part % 2 == 0 ? "female" : "male");
}

static void add_merchant_uid(struct record *record)
{
    unsigned part = percent(record, DRAW_MERCHANT_UID);
    uint64_t number = draw(record, DRAW_MERCHANT_NUMBER);
    char text[64];
    if (part < 5) {
        add_plain(record, "merchant_uid", "null");
        return;
    }
    if (part < 60)
        snprintf(text, sizeof text, "order-%u", (unsigned)(number % 1000000));
    else if (part < 90)
        snprintf(text, sizeof text, "%08x-%04x-4%03x-8%03x-%012llx", (unsigned)(number >> 32),
            (unsigned)(number >> 16 & 0xFFFF), (unsigned)(number >> 4 & 0xFFF), (unsigned)(number & 0xFFF),
            (unsigned long long)(number & 0xFFFFFFFFFFFFU));
    else
        snprintf(text, sizeof text, "회원가입 본인인증 %u", (unsigned)(number % 1000000));
    add_string(record, "merchant_uid", text);
}

static void add_name(struct record *record)
{
    static const char *const families[] = {
        "김", "이", "박", "최", "정", "강", "조", "윤", "장", "임", "한", "오"};
    static const char *const givens[] = {
        "길동", "민수", "서연", "지우", "하늘", "영희", "철수", "준", "슬기", "보람"};
    static const char *const others[] = {"남궁 민수", "황보 아름", "독고 준", "José García", "Nguyễn Văn An",
        "Иван Петров", "محمد علي", "山田 太郎", "𠮷田 一郎", "Seán O'Brien", "ANNA-MARIA \"AMI\" MÜLLER",
        "สมชาย ใจดี"};
    if (!record->finished) {
        add_plain(record, "name", "null");
        return;
    }
    if (percent(record, DRAW_SCRIPT) >= 85) {
        add_string(record, "name", others[draw(record, DRAW_GIVEN_NAME) % COUNT(others)]);
        return;
    }
    char name[32];
    snprintf(name, sizeof name, "%s%s", families[draw(record, DRAW_FAMILY_NAME) % COUNT(families)],
        givens[draw(record, DRAW_GIVEN_NAME) % COUNT(givens)]);
    add_string(record, "name", name);
}

static void add_data_url(struct record *record)
{
    char url[1024] = "data:text/html;charset=utf-8;base64,";
    size_t len = strlen(url);
    size_t full = 300 + (size_t)(draw(record, DRAW_ORIGIN) % 600);
    for (uint64_t i = 0; len < full; i++, len += 8)
        base64_of_draws(record, DRAW_DATA_URL + i, 8, url + len);
    add_string(record, "origin", url);
}

static void add_origin(struct record *record)
{
    static const char *const urls[] = {
        "https://shop.example/join",
        "https://m.shop.example/my/verify?from=app&step=2",
        "https://www.example.co.kr/회원/본인인증",
        "http://localhost:3000/",
    };
    uint64_t number = draw(record, DRAW_ORIGIN);
    unsigned part = percent(record, DRAW_ORIGIN);
    if (part < 80)
        add_string(record, "origin", urls[number / 100 % COUNT(urls)]);
    else if (part < 88)
        add_string(record, "origin", "about:blank");
    else if (part < 95)
        add_data_url(record);
    else if (part < 98)
        add_plain(record, "origin", "null");
}

static void add_pg(struct record *record)
{
    static const char *const providers[] = {"danal", "inicis", "inicis_unified", "kcp_v2"};
    add_string(record, "pg_provider", providers[record->provider]);
    uint64_t number = draw(record, DRAW_PG_TID);
    if (!record->finished || number % 20 == 0) {
        add_plain(record, "pg_tid", "null");
        return;
    }
    char text[32];
    snprintf(text, sizeof text, "%020llu", (unsigned long long)number);
    add_string(record, "pg_tid", text);
}

static void add_phone(struct record *record)
{
    if (!record->finished || !(record->approved || record->provider == INICIS_UNIFIED))
        return;
    char text[16];
    snprintf(text, sizeof text, "010%08u", (unsigned)(draw(record, DRAW_PHONE) % 100000000));
    add_string(record, "phone", text);
}

static void add_unique_in_site(struct record *record)
{
    unsigned part = percent(record, DRAW_SITE_KEY);
    if (record->finished && part < 5)
        return;
    if (!record->finished || record->provider == INICIS_UNIFIED || part < 10) {
        add_plain(record, "unique_in_site", "null");
        return;
    }
    char text[72];
    base64_of_draws(record, DRAW_UNIQUE_IN_SITE, 48, text);
    add_string(record, "unique_in_site", text);
}

static void add_unique_key(struct record *record, enum certification_variant variant)
{
    if (variant == CERTIFICATION_ABSENT_KEY)
        return;
    if (variant == CERTIFICATION_NULL_KEY || !record->finished) {
        add_plain(record, "unique_key", "null");
        return;
    }
    char text[96] = "";
    struct record person = *record;
    person.seed = record->person;
    if (variant != CERTIFICATION_EMPTY_KEY)
        base64_of_draws(&person, DRAW_UNIQUE_KEY, 64, text);
    add_string(record, "unique_key", text);
}

static void add_extra(struct record *record)
{
    switch (draw(record, DRAW_EXTRA) % 25) {
    case 0:
        add_plain(record, "verification",
            "{\"steps\":[1,2.5,null,{\"done\":true}],\"unique_key\":\"not this one\"}");
        break;
    case 1:
        add_plain(record, "channel_key", "\"channel-key-0b5d\"");
        break;
    case 2:
        add_plain(record, "sequence", "9007199254740993");
        break;
    default:
        break;
    }
}

static void add_imp_uid(struct record *record, struct span imp_uid, enum certification_variant variant)
{
    buf_add_text(record->out, "{\"imp_uid\":");
    if (variant == CERTIFICATION_OTHER_UID)
        json_text_add(record->out, "imp_000000000000", 16, record->style);
    else
        json_text_add(record->out, imp_uid.data, imp_uid.len, record->style);
}

static enum provider provider_of(const struct record *record)
{
    unsigned part = percent(record, DRAW_PROVIDER);
    return part < 55 ? DANAL : part < 75 ? INICIS_UNIFIED : part < 80 ? INICIS : KCP;
}

// person_<who>_<which>: each of somebody's certifications has the same unique_key.
static uint64_t person_of(struct span imp_uid)
{
    static const char prefix[] = "person_";
    size_t length = imp_uid.len, least = sizeof prefix - 1;
    if (length <= least || memcmp(imp_uid.data, prefix, least) != 0)
        return hash_name(imp_uid.data, imp_uid.len);
    while (length > least && imp_uid.data[length - 1] != '_')
        length--;
    return hash_name(imp_uid.data, length);
}

void certification_write(struct buf *out, struct span imp_uid, enum certification_variant variant)
{
    struct record record = {
        .out = out,
        .seed = hash_name(imp_uid.data, imp_uid.len),
        .person = person_of(imp_uid),
        .finished = variant != CERTIFICATION_UNFINISHED,
    };
    record.style = (unsigned)(draw(&record, DRAW_STYLE) % 4);
    record.provider = provider_of(&record);
    record.approved = percent(&record, DRAW_APPROVED) < (record.provider == DANAL ? 30 : 60);

    add_imp_uid(&record, imp_uid, variant);
    add_birth(&record);
    add_carrier(&record);
    add_certified(&record);
    add_foreigner(&record);
    add_gender(&record);
    add_merchant_uid(&record);
    add_name(&record);
    add_origin(&record);
    add_pg(&record);
    add_phone(&record);
    add_unique_in_site(&record);
    add_unique_key(&record, variant);
    add_extra(&record);
    buf_add(out, "}", 1);
}
