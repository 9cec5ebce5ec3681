/* From a certification to BSON. Any thread. */
#include "worker/document.h"

static bool document_value(
    bson_t *bson, const struct certification *certification, enum certification_field field)
{
    const char *name = certification_name(field);
    const struct certification_value *value = &certification->values[field];
    switch (value->type) {
    case CERTIFICATION_TEXT:
        return bson_append_utf8(bson, name, -1, certification_text(certification, field), -1);
    case CERTIFICATION_NUMBER:
        return bson_append_int64(bson, name, -1, value->number);
    case CERTIFICATION_BOOL:
        return bson_append_bool(bson, name, -1, value->number != 0);
    case CERTIFICATION_NULL:
        break;
    }
    return bson_append_null(bson, name, -1);
}

static bool document_fields(bson_t *bson, const struct certification *certification)
{
    for (enum certification_field field = 0; field < CERTIFICATION_FIELD_COUNT; field++)
        if ((certification->fields & CERTIFICATION_BIT(field)) && !document_value(bson, certification, field))
            return false;
    return BSON_APPEND_BOOL(bson, "certified", true) &&
           (certification->certified_at_s
                   ? BSON_APPEND_DATE_TIME(bson, "certified_at", certification->certified_at_s * 1000)
                   : BSON_APPEND_NULL(bson, "certified_at")) &&
           BSON_APPEND_DATE_TIME(bson, "verified_at", certification->verified_at_ms);
}

bool document_selector(bson_t *bson, const char *imp_uid)
{
    return BSON_APPEND_UTF8(bson, "_id", imp_uid);
}

bool document_insert(bson_t *bson, const char *imp_uid, const struct certification *certification)
{
    return document_selector(bson, imp_uid) && document_fields(bson, certification);
}

bool document_update(bson_t *bson, const struct certification *certification)
{
    bson_t set;
    return BSON_APPEND_DOCUMENT_BEGIN(bson, "$set", &set) && document_fields(&set, certification) &&
           bson_append_document_end(bson, &set);
}
