/* From a certification to BSON. Any thread. */
#include "worker/document.h"

#include <string.h>

/* The value as BSON has it; what it points to is the certification's. */
static bson_value_t document_value(const struct certification *certification, enum certification_field field)
{
    const struct certification_value *value = &certification->values[field];
    bson_value_t result = {.value_type = BSON_TYPE_NULL};
    switch (value->type) {
    case CERTIFICATION_TEXT:
        result.value_type = BSON_TYPE_UTF8;
        result.value.v_utf8.str = (char *)(uintptr_t)certification_text(certification, field);
        result.value.v_utf8.len = (uint32_t)strlen(result.value.v_utf8.str);
        break;
    case CERTIFICATION_NUMBER:
        result.value_type = BSON_TYPE_INT64;
        result.value.v_int64 = value->number;
        break;
    case CERTIFICATION_BOOL:
        result.value_type = BSON_TYPE_BOOL;
        result.value.v_bool = value->number != 0;
        break;
    case CERTIFICATION_NULL:
        break;
    }
    return result;
}

static bool document_too_large(struct error *error)
{
    return error_set(error, "a document is too large");
}

/* A null can't be encrypted (MongoDB's specification of client-side encryption): it stays one. */
static bool document_field(bson_t *bson, const struct certification *certification,
    enum certification_field field, struct cipher *cipher, struct error *error)
{
    bson_value_t value = document_value(certification, field);
    if (cipher && value.value_type != BSON_TYPE_NULL)
        return cipher_append(cipher, bson, field, &value, error);
    return bson_append_value(bson, certification_name(field), -1, &value) || document_too_large(error);
}

static bool document_fields(
    bson_t *bson, const struct certification *certification, struct cipher *cipher, struct error *error)
{
    for (enum certification_field field = 0; field < CERTIFICATION_FIELD_COUNT; field++)
        if ((certification->fields & CERTIFICATION_BIT(field)) &&
            !document_field(bson, certification, field, cipher, error))
            return false;
    bool appended = BSON_APPEND_BOOL(bson, "certified", true) &&
                    (certification->certified_at_s ? BSON_APPEND_DATE_TIME(bson, "certified_at",
                                                         certification->certified_at_s * 1000)
                                                   : BSON_APPEND_NULL(bson, "certified_at")) &&
                    BSON_APPEND_DATE_TIME(bson, "verified_at", certification->verified_at_ms);
    return appended || document_too_large(error);
}

bool document_selector(bson_t *bson, const char *imp_uid)
{
    return BSON_APPEND_UTF8(bson, "_id", imp_uid);
}

bool document_insert(bson_t *bson, const char *imp_uid, const struct certification *certification,
    struct cipher *cipher, struct error *error)
{
    if (!document_selector(bson, imp_uid))
        return document_too_large(error);
    return document_fields(bson, certification, cipher, error);
}

bool document_update(
    bson_t *bson, const struct certification *certification, struct cipher *cipher, struct error *error)
{
    bson_t set;
    if (!BSON_APPEND_DOCUMENT_BEGIN(bson, "$set", &set))
        return document_too_large(error);
    bool filled = document_fields(&set, certification, cipher, error);
    bool ended = bson_append_document_end(bson, &set);
    return filled && (ended || document_too_large(error));
}
