#ifndef IMPCERT_WORKER_CERTIFICATION_H
#define IMPCERT_WORKER_CERTIFICATION_H

#include "worker/reader.h"

#include <stdbool.h>
#include <stdint.h>

/* What is kept of a verified certification: only the fields that will be stored, so that no other personal
 * data stays in memory beyond the answer it came in. Field names and types: PortOne V1 GET
 * /certifications/{imp_uid}. */
enum certification_field {
    CERTIFICATION_UNIQUE_KEY,
    CERTIFICATION_UNIQUE_IN_SITE,
    CERTIFICATION_NAME,
    CERTIFICATION_PHONE,
    CERTIFICATION_BIRTH,
    CERTIFICATION_BIRTHDAY,
    CERTIFICATION_GENDER,
    CERTIFICATION_CARRIER,
    CERTIFICATION_FOREIGNER,
    CERTIFICATION_FOREIGNER_V2,
    CERTIFICATION_MERCHANT_UID,
    CERTIFICATION_PG_PROVIDER,
    CERTIFICATION_PG_TID,
    CERTIFICATION_ORIGIN,
    CERTIFICATION_FIELD_COUNT
};

/* One bit per field. */
typedef uint32_t certification_fields;
#define CERTIFICATION_BIT(field) ((certification_fields)1 << (field))
#define CERTIFICATION_ALWAYS                                                                                 \
    (CERTIFICATION_BIT(CERTIFICATION_UNIQUE_KEY) | CERTIFICATION_BIT(CERTIFICATION_UNIQUE_IN_SITE))

enum certification_type { CERTIFICATION_NULL, CERTIFICATION_TEXT, CERTIFICATION_NUMBER, CERTIFICATION_BOOL };

struct certification_value {
    enum certification_type type; /* CERTIFICATION_NULL: null, absent, or of another type than documented */
    int64_t number;               /* NUMBER, and BOOL as 0 or 1; TEXT: where it starts in text */
};

struct certification {
    certification_fields fields; /* the ones below that were kept */
    int64_t certified_at_s;      /* seconds since 1970, by the provider; 0: not told */
    int64_t verified_at_ms;      /* milliseconds since 1970, by our clock */
    struct certification_value values[CERTIFICATION_FIELD_COUNT];
    struct buf text; /* the kept texts, each closed by a NUL */
};

/* The field's name in the answer, in IMPCERT_STORE_FIELDS and in the document; and its documented type. */
const char *certification_name(enum certification_field field);
enum certification_type certification_documented_type(enum certification_field field);

void certification_init(struct certification *certification);
/* Forgets everything, overwriting the texts. */
void certification_reset(struct certification *certification);
void certification_cleanup(struct certification *certification);

/* Keeps a text value; false when out of memory or beyond all measure. */
bool certification_keep_text(struct certification *certification, enum certification_field field,
    const struct reader_text *text) __attribute__((warn_unused_result));
/* The kept text; NULL where the field is not a text. Borrowed until the next keep or reset. */
const char *certification_text(const struct certification *certification, enum certification_field field);

#endif
