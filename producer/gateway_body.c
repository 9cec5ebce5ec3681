/* Bodies of requests. Pure, any thread. */
#include "producer/gateway_body.h"

#include <ctype.h>
#include <microhttpd.h>
#include <string.h>
#include <strings.h>

static bool body_type_is(const char *content_type, const char *wanted)
{
    size_t length = strlen(wanted);
    return strncasecmp(content_type, wanted, length) == 0 && strchr("; \t", content_type[length]);
}

enum body_type body_type(const char *content_type)
{
    if (content_type && body_type_is(content_type, "application/json"))
        return BODY_JSON;
    if (content_type && body_type_is(content_type, "application/x-www-form-urlencoded"))
        return BODY_FORM;
    return BODY_OTHER;
}

/* No JSON text begins with a letter and has an equals sign before anything else. */
static bool body_is_form(const char *data, size_t size)
{
    size_t name = 0;
    while (name < size && (isalnum((unsigned char)data[name]) || data[name] == '_'))
        name++;
    return name && name < size && data[name] == '=';
}

/* Decodes %XX and + in place (URL Living Standard, section 5.1); the length, which a %00 does not end. */
static size_t body_form_decode(char *text)
{
    for (char *plus = text; (plus = strchr(plus, '+'));)
        *plus = ' ';
    return MHD_http_unescape(text);
}

/* One name=value: whether it is an imp_uid, and which. */
static bool body_form_pair(char *pair, const char **value, size_t *length)
{
    static const char wanted[] = "imp_uid";
    char *equals = strchr(pair, '=');
    if (!equals)
        return false;
    *equals = '\0';
    if (body_form_decode(pair) != sizeof wanted - 1 || memcmp(pair, wanted, sizeof wanted) != 0)
        return false;
    *value = equals + 1;
    *length = body_form_decode(equals + 1);
    return true;
}

static bool body_read_form(char *data, char imp_uid[static EVENT_IMP_UID_SIZE], struct error *why)
{
    const char *found = NULL, *value;
    size_t length = 0;
    char *rest = NULL;
    for (char *pair = strtok_r(data, "&", &rest); pair; pair = strtok_r(NULL, "&", &rest)) {
        size_t decoded;
        if (!body_form_pair(pair, &value, &decoded))
            continue;
        if (found)
            return error_set(why, "imp_uid stands twice in the form");
        found = value;
        length = decoded;
    }
    if (!found)
        return error_set(why, "imp_uid is missing");
    if (!event_imp_uid_check(found, length, why))
        return false;
    memcpy(imp_uid, found, length + 1);
    return true;
}

bool body_read(
    enum body_type type, char *data, size_t size, char imp_uid[static EVENT_IMP_UID_SIZE], struct error *why)
{
    if (!size)
        return error_set(why, "the body is empty, expected imp_uid");
    if (type == BODY_FORM || body_is_form(data, size)) {
        if (memchr(data, '\0', size))
            return error_set(why, "the form holds a NUL byte");
        return body_read_form(data, imp_uid, why);
    }
    return event_parse(data, size, imp_uid, why);
}
