/* The allow-list of origins. Pure, any thread. */
#include "producer/gateway_cors.h"

#include "common/settings_check.h"

#include <string.h>

const char *cors_allow(const char *allowed, const char *origin)
{
    if (!allowed || !origin)
        return NULL;
    if (strcmp(allowed, "*") == 0)
        return "*";
    /* A comma would be read as the end of an entry of the list. */
    return !strpbrk(origin, ", ") && settings_list_has(allowed, origin) ? origin : NULL;
}
