#ifndef IMPCERT_COMMON_SECRET_H
#define IMPCERT_COMMON_SECRET_H

#include <stddef.h>

/* Where secrets are kept, and how they end. Thread: any, unless said otherwise. */

/* Shuts the process's memory off: no dump of it, by the kernel or a debugger, holds what it has allocated or
 * on its stacks, and only root may look into it; what jansson frees is overwritten. Without /proc the first
 * is left to prctl alone. Thread: main, before any secret is read. */
void secret_guard(void);

/* A copy of a text in pages of its own, which are left out of dumps and, as far as the limit of locked memory
 * allows, never written to swap. NULL when out of memory. */
char *secret_text(const char *text);
/* Overwrites it and gives it back. NULL is fine. */
void secret_free(char *secret);

/* For libraries that take such functions in place of free and realloc: memory of malloc is overwritten, all
 * of it, when it is given back. NULL is fine. */
void secret_wipe(void *memory);
void *secret_rewipe(void *memory, size_t size);

#endif
