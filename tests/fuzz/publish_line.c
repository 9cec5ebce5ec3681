/* A line of impcert-publish's input. What becomes a record is an event with that key. */
#include "producer/publish_line.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct publish_event event;
    struct error why = {.text = ""};
    char imp_uid[EVENT_IMP_UID_SIZE];
    switch (publish_line_read((const char *)data, size, &event, &why)) {
    case PUBLISH_EVENT:
        FUZZ_CHECK(event_parse(event.value, event.value_length, imp_uid, &why));
        FUZZ_CHECK(strcmp(imp_uid, event.imp_uid) == 0 && strlen(imp_uid) == event.imp_uid_length);
        FUZZ_CHECK(event.value == event.formatted ||
                   (event.value >= (const char *)data &&
                       event.value + event.value_length <= (const char *)data + size));
        break;
    case PUBLISH_BLANK:
        for (size_t i = 0; i < size; i++)
            FUZZ_CHECK(strchr(" \t\r\n", data[i]) && data[i]);
        break;
    case PUBLISH_REFUSED:
        FUZZ_CHECK(fuzz_says_why(why.text, sizeof why.text));
    }
    return 0;
}
