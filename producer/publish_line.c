/* Lines of input turned into events. Pure, any thread. */
#include "producer/publish_line.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

enum publish_line publish_line_read(
    const char *line, size_t length, struct publish_event *event, struct error *why)
{
    while (length && is_space(*line)) {
        line++;
        length--;
    }
    while (length && is_space(line[length - 1]))
        length--;
    if (length == 0)
        return PUBLISH_BLANK;
    if (*line == '{') {
        if (!event_parse(line, length, event->imp_uid, why))
            return PUBLISH_REFUSED;
        event->imp_uid_length = strlen(event->imp_uid);
        event->value = line;
        event->value_length = length;
        return PUBLISH_EVENT;
    }
    if (!event_imp_uid_check(line, length, why))
        return PUBLISH_REFUSED;
    memcpy(event->imp_uid, line, length);
    event->imp_uid[length] = '\0';
    event->imp_uid_length = length;
    event->value = event->formatted;
    event->value_length = event_format(event->imp_uid, event->formatted);
    return PUBLISH_EVENT;
}
