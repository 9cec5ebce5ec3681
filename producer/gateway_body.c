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

/* One name=value, decoded in place (URL Living Standard, section 5.1). */
static bool body_form_pair(char *pair, const char **value)
{
    char *equals = strchr(pair, '=');
    if (!equals)
        return false;
    *equals = '\0';
    for (char *plus = equals + 1; (plus = strchr(plus, '+'));)
        *plus = ' ';
    MHD_http_unescape(pair);
    MHD_http_unescape(equals + 1);
    *value = equals + 1;
    return true;
}

static bool body_read_form(char *data, char imp_uid[static EVENT_IMP_UID_SIZE], struct error *why)
{
    const char *found = NULL, *value;
    char *rest = NULL;
    for (char *pair = strtok_r(data, "&", &rest); pair; pair = strtok_r(NULL, "&", &rest)) {
        if (!body_form_pair(pair, &value) || strcmp(pair, "imp_uid") != 0)
            continue;
        if (found)
            return error_set(why, "imp_uid stands twice in the form");
        found = value;
    }
    if (!found)
        return error_set(why, "imp_uid is missing");
    if (!event_imp_uid_check(found, strlen(found), why))
        return false;
    memcpy(imp_uid, found, strlen(found) + 1);
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
