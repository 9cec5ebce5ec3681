/* impcert-manual: makes the manual pages and completions of the programs, at build time. Main thread. */
#include "deploy/manual/completion.h"
#include "deploy/manual/page.h"
#include "deploy/manual/programs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2 };

static int usage(void)
{
    fputs("Usage: impcert-manual page FILE | bash PROGRAM | zsh PROGRAM | fish PROGRAM\n", stderr);
    return EXIT_USAGE;
}

static int make_page(const char *file)
{
    struct error error = {""};
    FILE *in = fopen(file, "r");
    if (!in)
        error_set(&error, "%s", strerror(errno));
    bool good = in && page_copy(in, stdout, &error);
    if (in)
        fclose(in);
    if (!good)
        fprintf(stderr, "impcert-manual: %s: %s\n", file, error.text);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int make_completion(const char *shell, const char *name)
{
    const struct program *program = programs_find(name);
    if (!program)
        return usage();
    if (strcmp(shell, "bash") == 0)
        completion_bash(stdout, program);
    else if (strcmp(shell, "zsh") == 0)
        completion_zsh(stdout, program);
    else if (strcmp(shell, "fish") == 0)
        completion_fish(stdout, program);
    else
        return usage();
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return usage();
    int exit_code = strcmp(argv[1], "page") == 0 ? make_page(argv[2]) : make_completion(argv[1], argv[2]);
    if (exit_code != EXIT_SUCCESS || (fflush(stdout) == 0 && !ferror(stdout)))
        return exit_code;
    fprintf(stderr, "impcert-manual: standard output: %s\n", strerror(errno));
    return EXIT_FAILURE;
}
