#ifndef IMPCERT_PRODUCER_GATEWAY_BODY_H
#define IMPCERT_PRODUCER_GATEWAY_BODY_H

#include "common/error.h"
#include "common/event.h"

#include <stddef.h>

/* The body of a request for POST /certifications: JSON, as a page posts it, or a form, as Iamport's webhook
 * does. Only its imp_uid is taken: whatever else a browser sends ends here. Pure. Thread: any. */
enum body_type { BODY_JSON, BODY_FORM, BODY_OTHER };

/* The type that the header Content-Type tells; NULL: BODY_OTHER. */
enum body_type body_type(const char *content_type);

/* Reads the imp_uid; false with what is wrong, never quoting the body. A form that says it is JSON is read as
 * a form: the sample page of Iamport sends that. data is decoded in place and closed by a NUL behind size. */
bool body_read(
    enum body_type type, char *data, size_t size, char imp_uid[static EVENT_IMP_UID_SIZE], struct error *why);

#endif
