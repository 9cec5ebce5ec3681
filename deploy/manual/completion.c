/* Completions for bash, zsh and fish. A value that is made of words is a list of them, separated by commas.
 * Main thread. */
#include "deploy/manual/completion.h"

#include "common/settings_print.h"

#include <string.h>

/* Calls put for the program's own options, then for those of every program. */
static void each_option(FILE *out, const struct program *program,
    void (*put)(FILE *out, const struct program *program, const struct program_option *option))
{
    for (const struct program_option *option = program->options; option && option->name; option++)
        put(out, program, option);
    for (const struct program_option *option = settings_common_options; option->name; option++)
        put(out, program, option);
}

static void put_words(FILE *out, const struct program_option *option)
{
    const char *word;
    for (size_t number = 0; (word = option->word(number)); number++)
        fprintf(out, "%s%s", number ? " " : "", word);
}

static void put_commands(FILE *out, const struct program *program)
{
    for (const char *const *command = program->commands; command && *command; command++)
        fprintf(out, "%s%s", command == program->commands ? "" : " ", *command);
}

/* "_impcert_worker" */
static void put_function(FILE *out, const struct program *program)
{
    fputc('_', out);
    for (const char *at = program->name; *at; at++)
        fputc(*at == '-' ? '_' : *at, out);
}

/* ---- bash ---- */

static void bash_value(FILE *out, const struct program *program, const struct program_option *option)
{
    (void)program;
    if (!option->argument)
        return;
    fprintf(out, "    --%s)\n", option->name);
    if (option->word) {
        fputs("        words='", out);
        put_words(out, option);
        /* What stands before the last comma stays. */
        fputs("'\n        before=\n        [[ $word != *,* ]] || before=${word%,*},\n"
              "        COMPREPLY=($(compgen -P \"$before\" -W \"$words\" -- \"${word##*,}\"))\n",
            out);
    }
    fputs("        return ;;\n", out);
}

static void bash_option(FILE *out, const struct program *program, const struct program_option *option)
{
    (void)program;
    fprintf(out, " --%s", option->name);
}

void completion_bash(FILE *out, const struct program *program)
{
    fprintf(out, "# bash completion of %s\n", program->name);
    put_function(out, program);
    fputs("()\n{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words before\n"
          "    # readline parts --option=value at the =.\n"
          "    if [[ $word == = ]]; then word=; fi\n"
          "    if [[ $previous == = ]]; then previous=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
          "    case $previous in\n",
        out);
    each_option(out, program, bash_value);
    fputs("    esac\n    if [[ $word == -* ]]; then\n        COMPREPLY=($(compgen -W '", out);
    each_option(out, program, bash_option);
    fputs("' -- \"$word\"))\n", out);
    if (program->commands) {
        fputs("    else\n        COMPREPLY=($(compgen -W '", out);
        put_commands(out, program);
        fputs("' -- \"$word\"))\n", out);
    }
    fputs("    fi\n}\ncomplete -F ", out);
    put_function(out, program);
    fprintf(out, " %s\n", program->name);
}

/* ---- zsh ---- */

/* Inside '...', where [ ] : have a meaning to _arguments. */
static void zsh_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\'", out);
        else if (strchr("[]:\\", *text))
            fputc('\\', out);
        fputc(*text, out);
    }
}

static void zsh_option(FILE *out, const struct program *program, const struct program_option *option)
{
    (void)program;
    fprintf(out, " \\\n    '%s--%s%s[", strstr(option->help, "may be repeated") ? "*" : "", option->name,
        option->argument ? "=" : "");
    zsh_text(out, option->help);
    fputc(']', out);
    if (option->argument) {
        fputc(':', out);
        zsh_text(out, option->argument);
        fputc(':', out);
    }
    if (option->word) {
        fputs("_sequence compadd - ", out);
        put_words(out, option);
    }
    fputc('\'', out);
}

void completion_zsh(FILE *out, const struct program *program)
{
    fprintf(out, "#compdef %s\n_arguments", program->name);
    each_option(out, program, zsh_option);
    if (program->commands) {
        fputs(" \\\n    '1:command:(", out);
        put_commands(out, program);
        fputs(")' \\\n    '*:imp_uid: '", out);
    } else if (program->operands) {
        fputs(" \\\n    '*:imp_uid: '", out);
    }
    fputc('\n', out);
}

/* ---- fish ---- */

/* Inside '...'. */
static void fish_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
}

static void fish_option(FILE *out, const struct program *program, const struct program_option *option)
{
    fprintf(out, "complete -c %s -l %s%s -d '", program->name, option->name, option->argument ? " -x" : "");
    fish_text(out, option->help);
    fputc('\'', out);
    if (option->word) {
        fputs(" -a '(__fish_append , ", out);
        put_words(out, option);
        fputs(")'", out);
    }
    fputc('\n', out);
}

void completion_fish(FILE *out, const struct program *program)
{
    fprintf(out, "# fish completion of %s\ncomplete -c %s -f\n", program->name, program->name);
    each_option(out, program, fish_option);
    if (!program->commands)
        return;
    fprintf(out, "complete -c %s -n 'not __fish_seen_subcommand_from ", program->name);
    put_commands(out, program);
    fputs("' -a '", out);
    put_commands(out, program);
    fputs("'\n", out);
}
