#ifndef IMPCERT_PRODUCER_PUBLISH_PROGRAM_H
#define IMPCERT_PRODUCER_PUBLISH_PROGRAM_H

#include "common/settings.h"

#include <librdkafka/rdkafka.h>

/* How impcert-publish presents itself: in --help, and in its manual page and completions. Thread: main. */
enum { PUBLISH_OPTIONS = 1 };

/* options become the program's; each --header is added to headers, which is borrowed. The check of the
 * settings is the caller's. */
void publish_program(struct program *program, struct program_option options[static PUBLISH_OPTIONS + 1],
    rd_kafka_headers_t *headers);

#endif
