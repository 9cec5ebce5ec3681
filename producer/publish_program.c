/* The options and words of impcert-publish. Main thread. */
#include "producer/publish_program.h"

#include <string.h>

/* Headers with these names are written by impcert itself on retry and DLQ records. */
#define RESERVED_HEADERS "impcert."

static bool take_header(void *context, const char *text, struct error *why)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return error_set(why, "expected NAME=VALUE");
    if (strncmp(text, RESERVED_HEADERS, strlen(RESERVED_HEADERS)) == 0)
        return error_set(why, "names that begin with " RESERVED_HEADERS " are impcert's own");
    if (rd_kafka_header_add(context, text, equals - text, equals + 1, -1) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return error_set(why, "out of memory");
    return true;
}

void publish_program(struct program *program, struct program_option options[static PUBLISH_OPTIONS + 1],
    rd_kafka_headers_t *headers)
{
    const struct program_option list[PUBLISH_OPTIONS + 1] = {
        {.name = "header",
            .argument = "NAME=VALUE",
            .help = "header of every record, such as traceparent=...; may be repeated",
            .take = take_header,
            .context = headers},
        {.name = NULL}};
    memcpy(options, list, sizeof list);
    *program = (struct program){
        .id = PROGRAM_PUBLISH,
        .name = "impcert-publish",
        .summary = "Publishes events that ask impcert-worker to verify certifications.\n"
                   "Exits with 0 only when every event was acknowledged by all in-sync replicas.",
        .operands = "[IMP_UID|-]...",
        .details =
            "Without operands, or for -, events are read from standard input: one imp_uid per line, or\n"
            "JSON objects, one per line, which become the records as they stand ({\"imp_uid\": ...}).\n"
            "Lines that are neither are reported by number and passed over.\n"
            "\n"
            "Exit status: 0 all acknowledged; 1 some refused or not acknowledged; 2 usage or settings.",
        .options = options,
    };
}
