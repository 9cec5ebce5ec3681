/* The options and words of impcert-worker. Main thread. */
#include "worker/program.h"

#include "worker/validator.h"

#include <string.h>

static bool take_flag(void *context, const char *value, struct error *why)
{
    (void)value, (void)why;
    *(bool *)context = true;
    return true;
}

void worker_program(struct program *program, struct program_option options[static WORKER_OPTIONS + 1],
    bool *applies, const struct program *validator)
{
    const struct program_option list[WORKER_OPTIONS + 1] = {
        {.name = "print-validator",
            .help = "print the MongoDB validator of the documents, and exit",
            .print = validator_print},
        {.name = "apply-validator",
            .help = "set it on the collection, by the settings of MongoDB alone, and exit",
            .take = take_flag,
            .context = applies,
            .instead = validator},
        {.name = NULL}};
    memcpy(options, list, sizeof list);
    *program = (struct program){
        .id = PROGRAM_WORKER,
        .name = "impcert-worker",
        .summary =
            "Consumes certification events from Kafka, verifies them against Iamport and stores the\n"
            "certifications in MongoDB. Runs until SIGTERM or SIGINT, then finishes what is in flight.",
        .options = options,
    };
}
