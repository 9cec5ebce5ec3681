/* Tasks of an operator, who reads the answer: no log, but lines on standard output or error. Main thread. */
#include "worker/tasks.h"

#include "common/utf8.h"
#include "worker/erase.h"
#include "worker/mongo.h"
#include "worker/validator.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2 };

static bool tasks_take(struct tasks *tasks, enum task task, struct error *why)
{
    if (tasks->asked && tasks->asked != task)
        return error_set(why, "another task is asked for, too; expected one at a time");
    tasks->asked = task;
    return true;
}

static bool tasks_take_validator(void *context, const char *value, struct error *why)
{
    (void)value;
    return tasks_take(context, TASK_APPLY_VALIDATOR, why);
}

static bool tasks_take_erase(void *context, const char *value, struct error *why)
{
    struct tasks *tasks = context;
    if (tasks->imp_uid[0])
        return error_set(why, "given twice; expected one imp_uid");
    struct error shape;
    if (!event_imp_uid_check(value, strlen(value), &shape)) {
        char shown[128];
        utf8_escape(value, strlen(value), shown, sizeof shown);
        return error_set(why, "\"%s\": %.300s", shown, shape.text);
    }
    memcpy(tasks->imp_uid, value, strlen(value) + 1);
    return tasks_take(tasks, TASK_ERASE, why);
}

void tasks_list(struct tasks *tasks, struct program_option options[static TASKS_OPTIONS + 1])
{
    static const struct program validator = {
        .id = PROGRAM_VALIDATOR, .name = "impcert-worker", .check = mongo_check};
    static const struct program eraser = {
        .id = PROGRAM_ERASE, .name = "impcert-worker", .check = erase_check};
    *tasks = (struct tasks){.asked = TASK_NONE};
    *options++ = (struct program_option){.name = "print-validator",
        .help = "print the MongoDB validator of the documents, and exit",
        .print = validator_print};
    *options++ = (struct program_option){.name = "apply-validator",
        .help = "set it on the collection, by the settings of MongoDB alone, and exit",
        .take = tasks_take_validator,
        .context = tasks,
        .instead = &validator};
    *options++ = (struct program_option){.name = "erase",
        .argument = "IMP_UID",
        .help = "erase its document, mark its dead letter, and exit",
        .take = tasks_take_erase,
        .context = tasks,
        .instead = &eraser};
    *options = (struct program_option){.name = NULL};
}

static int tasks_apply_validator(const struct settings *settings)
{
    struct error error = {""};
    int exit_code = EXIT_FAILURE;
    mongoc_client_pool_t *clients = mongo_open(settings, 1, &error);
    if (!clients)
        exit_code = EXIT_USAGE;
    else if (validator_apply(settings, clients, &error)) {
        printf("the validator is set on %s.%s\n", settings_text(settings, SETTING_MONGODB_DATABASE),
            settings_text(settings, SETTING_MONGODB_COLLECTION));
        if (fflush(stdout) == 0)
            exit_code = EXIT_SUCCESS;
        else
            error_set(&error, "the validator is set, but standard output: %s", strerror(errno));
    }
    if (exit_code != EXIT_SUCCESS)
        fprintf(stderr, "%s: %s\n", settings_program(settings), error.text);
    mongo_close(clients);
    return exit_code;
}

int tasks_run(const struct tasks *tasks, const struct settings *settings)
{
    assert(tasks->asked);
    if (tasks->asked == TASK_ERASE)
        return erase_run(settings, tasks->imp_uid);
    return tasks_apply_validator(settings);
}
