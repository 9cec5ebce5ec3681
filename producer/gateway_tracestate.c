/* A look at tracestate, which comes from outside and goes far. Pure, any thread. */
#include "producer/gateway_tracestate.h"

#include <string.h>

#define LOWER_DIGITS "abcdefghijklmnopqrstuvwxyz0123456789"
#define TEXT_MOST 512

/* One key=value, with nothing around it. */
static bool tracestate_member(const char *text, size_t length)
{
    enum { KEY_MOST = 256, VALUE_MOST = 256 };
    size_t key = strspn(text, LOWER_DIGITS "_-*/@");
    if (key == 0 || key > KEY_MOST || !strchr(LOWER_DIGITS, text[0]) || key >= length || text[key] != '=')
        return false;
    size_t value = length - key - 1;
    for (const char *at = text + key + 1; at < text + length; at++)
        if (*at < ' ' || *at > '~' || *at == '=')
            return false;
    return value > 0 && value <= VALUE_MOST;
}

bool tracestate_valid(const char *text, size_t length)
{
    static const char blank[] = " \t";
    char copy[TEXT_MOST + 1];
    size_t members = 0;
    if (length > TEXT_MOST || memchr(text, '\0', length))
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    for (const char *at = copy, *end; *at; at = *end ? end + 1 : end) {
        end = at + strcspn(at, ",");
        at += strspn(at, blank);
        const char *last = end;
        while (last > at && strchr(blank, last[-1]))
            last--;
        if (last <= at)
            continue; /* empty ones are allowed */
        if (!tracestate_member(at, (size_t)(last - at)))
            return false;
        members++;
    }
    return members > 0;
}
