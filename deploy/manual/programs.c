/* The programs that have pages and completions. Their options are only looked at here, never taken, so that
 * what they would be taken into is left out. Main thread. */
#include "deploy/manual/programs.h"

#include "producer/gateway_program.h"
#include "producer/publish_program.h"
#include "replay/options.h"
#include "worker/program.h"

#include <string.h>

static const struct program *programs_worker(void)
{
    static struct program program;
    static struct program_option options[TASKS_OPTIONS + 1];
    static struct tasks tasks;
    worker_program(&program, options, &tasks);
    return &program;
}

static const struct program *programs_publish(void)
{
    static struct program program;
    static struct program_option options[PUBLISH_OPTIONS + 1];
    publish_program(&program, options, NULL);
    return &program;
}

static const struct program *programs_replay(void)
{
    static struct program program;
    static struct options context;
    static struct program_option options[OPTIONS_COUNT + 1];
    options_list(&context, options);
    options_program(&program, options);
    return &program;
}

const struct program *programs_at(size_t number)
{
    switch (number) {
    case 0:
        return programs_worker();
    case 1:
        return &gateway_program;
    case 2:
        return programs_publish();
    case 3:
        return programs_replay();
    default:
        return NULL;
    }
}

const struct program *programs_find(const char *name)
{
    const struct program *program;
    for (size_t number = 0; (program = programs_at(number)); number++)
        if (strcmp(program->name, name) == 0)
            return program;
    return NULL;
}
