/* The words of impcert-gateway. Read-only; any thread. */
#include "producer/gateway_program.h"

const struct program gateway_program = {
    .id = PROGRAM_GATEWAY,
    .name = "impcert-gateway",
    .summary =
        "Takes events over HTTP, POST /certifications with {\"imp_uid\": \"...\"}, and answers 202 once\n"
        "all in-sync replicas have the event. Runs until SIGTERM or SIGINT, then answers what it took.",
};
