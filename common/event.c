/* The event: reading and writing the record that asks for one verification. Pure, any thread; the one place
 * of common/ that knows its JSON. */
#include "common/event.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static bool is_imp_uid_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool event_imp_uid_valid(const char *text, size_t length)
{
    if (length < 1 || length >= EVENT_IMP_UID_SIZE)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!is_imp_uid_char(text[i]))
            return false;
    return true;
}

bool event_imp_uid_check(const char *text, size_t length, struct error *why)
{
    if (length == 0)
        return error_set(why, "imp_uid is empty, expected 1 to 64 of A-Z a-z 0-9 _ -");
    if (length >= EVENT_IMP_UID_SIZE)
        return error_set(why, "imp_uid is %zu bytes long, expected 1 to 64", length);
    for (size_t i = 0; i < length; i++)
        if (!is_imp_uid_char(text[i]))
            return error_set(why, "imp_uid has a character other than A-Z a-z 0-9 _ - at byte %zu", i + 1);
    return true;
}

/* jansson's own text quotes the input, which may hold personal data: only its code and position are told. */
static bool set_syntax_error(const json_error_t *error, struct error *why)
{
    const char *what = "not valid JSON";
    switch (json_error_code(error)) {
    case json_error_premature_end_of_input:
        what = "JSON ends too early";
        break;
    case json_error_end_of_input_expected:
        what = "something follows the JSON object";
        break;
    case json_error_invalid_utf8:
        what = "not valid UTF-8";
        break;
    case json_error_duplicate_key:
        what = "a member name stands twice";
        break;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        what = "a text holds a NUL character";
        break;
    case json_error_stack_overflow:
        what = "JSON is nested too deeply";
        break;
    case json_error_numeric_overflow:
        what = "a number is out of range";
        break;
    case json_error_out_of_memory:
        what = "out of memory";
        break;
    default:
        break;
    }
    return error_set(why, "%s, at byte %d", what, error->position);
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

static bool take_imp_uid(const json_t *root, char imp_uid[static EVENT_IMP_UID_SIZE], struct error *why)
{
    if (!json_is_object(root))
        return error_set(why, "value is %s, expected a JSON object with imp_uid", type_name(root));
    const json_t *member = json_object_get(root, "imp_uid");
    if (!member)
        return error_set(why, "imp_uid is missing");
    if (!json_is_string(member))
        return error_set(why, "imp_uid is %s, expected a string", type_name(member));
    const char *text = json_string_value(member);
    size_t length = json_string_length(member);
    if (!event_imp_uid_check(text, length, why))
        return false;
    memcpy(imp_uid, text, length + 1);
    return true;
}

bool event_parse(const void *value, size_t length, char imp_uid[static EVENT_IMP_UID_SIZE], struct error *why)
{
    if (!value || length == 0)
        return error_set(why, "value is empty, expected a JSON object with imp_uid");
    const char *nul = memchr(value, '\0', length); /* jansson passes over one behind a number */
    if (nul)
        return error_set(why, "a NUL byte, at byte %td", nul - (const char *)value + 1);
    /* Further members are carried along, so a large integer in one of them is no fault. */
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL;
    json_error_t error;
    json_t *root = json_loadb(value, length, flags, &error);
    if (!root)
        return set_syntax_error(&error, why);
    bool ok = take_imp_uid(root, imp_uid, why);
    json_decref(root);
    return ok;
}

size_t event_format(const char *imp_uid, char out[static EVENT_TEXT_SIZE])
{
    return (size_t)snprintf(out, EVENT_TEXT_SIZE, "{\"imp_uid\": \"%s\"}", imp_uid);
}
