/* Reading the answer that brings a token. Pure; loop thread. */
#include "worker/token_answer.h"

#include <jansson.h>
#include <string.h>

/* It goes into a header as it is: a line's end in it would begin another header. */
static bool token_is_usable(const char *value)
{
    if (!value || !*value || strlen(value) >= TOKEN_SIZE)
        return false;
    for (; *value; value++)
        if (*value < '!' || *value > '~')
            return false;
    return true;
}

/* Returns what is wrong; NULL: nothing. */
static const char *token_take(const json_t *body, struct token_answer *answer)
{
    const json_t *response = json_object_get(body, "response"), *code = json_object_get(body, "code");
    const char *value = json_string_value(json_object_get(response, "access_token"));
    json_int_t now = json_integer_value(json_object_get(response, "now"));
    json_int_t end = json_integer_value(json_object_get(response, "expired_at"));
    if (!json_is_integer(code) || json_integer_value(code) != 0)
        return "the answer has no code 0";
    if (!token_is_usable(value))
        return "the answer has no usable access_token";
    if (now <= 0 || end <= now || end - now > INT32_MAX)
        return "expired_at is not after now";
    memcpy(answer->value, value, strlen(value) + 1);
    answer->life_s = end - now;
    return NULL;
}

bool token_answer_read(const char *body, size_t size, struct token_answer *answer, const char **why)
{
    *answer = (struct token_answer){.life_s = 0};
    size = body ? size : 0;
    /* jansson passes over a NUL behind a number. */
    bool text = size && !memchr(body, '\0', size);
    json_t *root = text ? json_loadb(body, size, 0, NULL) : NULL;
    *why = token_take(root, answer);
    json_decref(root);
    return !*why;
}
