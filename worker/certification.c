/* The kept part of a verified certification. Owned by its job; whoever holds the job may touch it. */
#include "worker/certification.h"

#include <string.h>

/* Far above what the whole documented record may hold; the answer itself is bounded by the HTTP room. */
enum { CERTIFICATION_TEXT_LIMIT = 64 * 1024, CERTIFICATION_TEXT_KEEP = 1024 };

static const struct {
    const char *name;
    enum certification_type type;
} certification_table[CERTIFICATION_FIELD_COUNT] = {
    [CERTIFICATION_UNIQUE_KEY] = {"unique_key", CERTIFICATION_TEXT},
    [CERTIFICATION_UNIQUE_IN_SITE] = {"unique_in_site", CERTIFICATION_TEXT},
    [CERTIFICATION_NAME] = {"name", CERTIFICATION_TEXT},
    [CERTIFICATION_PHONE] = {"phone", CERTIFICATION_TEXT},
    [CERTIFICATION_BIRTH] = {"birth", CERTIFICATION_NUMBER},
    [CERTIFICATION_BIRTHDAY] = {"birthday", CERTIFICATION_TEXT},
    [CERTIFICATION_GENDER] = {"gender", CERTIFICATION_TEXT},
    [CERTIFICATION_CARRIER] = {"carrier", CERTIFICATION_TEXT},
    [CERTIFICATION_FOREIGNER] = {"foreigner", CERTIFICATION_BOOL},
    [CERTIFICATION_FOREIGNER_V2] = {"foreigner_v2", CERTIFICATION_BOOL},
    [CERTIFICATION_MERCHANT_UID] = {"merchant_uid", CERTIFICATION_TEXT},
    [CERTIFICATION_PG_PROVIDER] = {"pg_provider", CERTIFICATION_TEXT},
    [CERTIFICATION_PG_TID] = {"pg_tid", CERTIFICATION_TEXT},
    [CERTIFICATION_ORIGIN] = {"origin", CERTIFICATION_TEXT},
};

const char *certification_name(enum certification_field field)
{
    return certification_table[field].name;
}

enum certification_type certification_documented_type(enum certification_field field)
{
    return certification_table[field].type;
}

void certification_init(struct certification *certification)
{
    memset(certification, 0, sizeof *certification);
    buf_init(&certification->text, CERTIFICATION_TEXT_LIMIT);
}

void certification_reset(struct certification *certification)
{
    struct buf text = certification->text;
    buf_wipe(&text, CERTIFICATION_TEXT_KEEP);
    memset(certification, 0, sizeof *certification);
    certification->text = text;
}

void certification_cleanup(struct certification *certification)
{
    certification_reset(certification);
    buf_cleanup(&certification->text);
}

bool certification_keep_text(
    struct certification *certification, enum certification_field field, const struct reader_text *text)
{
    size_t start = certification->text.size;
    if (!reader_text_append(text, &certification->text) || !buf_append(&certification->text, "", 1))
        return false;
    certification->values[field] =
        (struct certification_value){.type = CERTIFICATION_TEXT, .number = (int64_t)start};
    return true;
}

const char *certification_text(const struct certification *certification, enum certification_field field)
{
    const struct certification_value *value = &certification->values[field];
    return value->type == CERTIFICATION_TEXT ? certification->text.data + value->number : NULL;
}
