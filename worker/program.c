/* The words of impcert-worker. Main thread. */
#include "worker/program.h"

void worker_program(
    struct program *program, struct program_option options[static TASKS_OPTIONS + 1], struct tasks *tasks)
{
    tasks_list(tasks, options);
    *program = (struct program){
        .id = PROGRAM_WORKER,
        .name = "impcert-worker",
        .summary =
            "Consumes certification events from Kafka, verifies them against Iamport and stores the\n"
            "certifications in MongoDB. Runs until SIGTERM or SIGINT, then finishes what is in flight.",
        .options = options,
    };
}
