// Reads the key pair out of a JSON or form-encoded body; see credentials.h. Runs on the main thread; keeps
// nothing.
#include "credentials.h"

#include <jansson.h>

// A value that is longer than any key is kept as a wrong one.
struct pair {
    char key[SETTINGS_TEXT], secret[SETTINGS_TEXT];
    bool has_key, has_secret;
};

static void keep(char *field, bool *has, const char *text, size_t len)
{
    *has = len > 0;
    if (len >= SETTINGS_TEXT)
        len = 0;
    memcpy(field, text, len);
    field[len] = '\0';
}

static bool read_json(struct span body, struct pair *pair)
{
    json_t *root = json_loadb(body.data, body.len, 0, NULL);
    const json_t *key = json_object_get(root, "imp_key");
    const json_t *secret = json_object_get(root, "imp_secret");
    if (json_is_string(key))
        keep(pair->key, &pair->has_key, json_string_value(key), json_string_length(key));
    if (json_is_string(secret))
        keep(pair->secret, &pair->has_secret, json_string_value(secret), json_string_length(secret));
    bool object = json_is_object(root);
    json_decref(root);
    return object;
}

static bool read_field(struct span field, struct pair *pair)
{
    const char *equals = memchr(field.data, '=', field.len);
    if (equals == NULL)
        return field.len == 0;
    struct span name = {field.data, (size_t)(equals - field.data)};
    struct span value = {equals + 1, field.len - name.len - 1};
    char text[3 * SETTINGS_TEXT];
    size_t len = 0;
    if (!http_decode(value, true, text, sizeof text, &len))
        return false;
    if (http_equal(name, "imp_key"))
        keep(pair->key, &pair->has_key, text, len);
    else if (http_equal(name, "imp_secret"))
        keep(pair->secret, &pair->has_secret, text, len);
    return true;
}

static bool read_form(struct span body, struct pair *pair)
{
    while (body.len > 0) {
        const char *end = memchr(body.data, '&', body.len);
        struct span field = {body.data, end == NULL ? body.len : (size_t)(end - body.data)};
        if (!read_field(field, pair))
            return false;
        size_t used = end == NULL ? body.len : field.len + 1;
        body = (struct span){body.data + used, body.len - used};
    }
    return true;
}

enum credentials credentials_check(const struct http_request *request, const struct settings *settings)
{
    struct pair pair = {0};
    bool form = http_starts(request->content_type, "application/x-www-form-urlencoded");
    if (!(form ? read_form(request->body, &pair) : read_json(request->body, &pair)))
        return CREDENTIALS_UNREADABLE;
    if (!pair.has_key)
        return CREDENTIALS_NO_KEY;
    if (!pair.has_secret)
        return CREDENTIALS_NO_SECRET;
    bool right = strcmp(pair.key, settings->key) == 0 && strcmp(pair.secret, settings->secret) == 0;
    return right ? CREDENTIALS_RIGHT : CREDENTIALS_WRONG;
}
