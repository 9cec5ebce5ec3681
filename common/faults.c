/* Everything wrong with the settings of a program. Whoever reads them. */
#include "common/faults.h"

#include <stdarg.h>
#include <stdlib.h>

void faults_init(struct faults *faults)
{
    *faults = (struct faults){0};
    faults->out = open_memstream(&faults->text, &faults->size);
}

void faults_cleanup(struct faults *faults)
{
    if (faults->out)
        fclose(faults->out);
    free(faults->text);
}

void faults_add(struct faults *faults, const char *name, const char *format, ...)
{
    faults->count++;
    if (!faults->out)
        return;
    va_list arguments;
    va_start(arguments, format);
    fprintf(faults->out, "  %s: ", name);
    vfprintf(faults->out, format, arguments);
    fputc('\n', faults->out);
    va_end(arguments);
}
