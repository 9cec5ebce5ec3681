#ifndef IMPCERT_PRODUCER_PUBLISH_LINE_H
#define IMPCERT_PRODUCER_PUBLISH_LINE_H

#include "common/event.h"

/* One line of input, or one operand, as a Kafka record. Pure. Thread: any. */
struct publish_event {
    char imp_uid[EVENT_IMP_UID_SIZE]; /* the key */
    size_t imp_uid_length;
    const char *value; /* the JSON given, borrowed from the line, or formatted below */
    size_t value_length;
    char formatted[EVENT_TEXT_SIZE];
};

enum publish_line { PUBLISH_EVENT, PUBLISH_BLANK, PUBLISH_REFUSED };

/* Reads an imp_uid, or the JSON object of an event, whose bytes become the value as they stand. White space
 * around either (a carriage return above all) does not count. Refused: why tells. */
enum publish_line publish_line_read(
    const char *line, size_t length, struct publish_event *event, struct error *why);

#endif
