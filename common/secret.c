/* Secrets in memory. Any thread; nothing is shared. */
#include "common/secret.h"

#include <fcntl.h>
#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

struct secret {
    size_t size; /* of the mapping */
    char text[];
};

/* Bit 4 alone: the first page of mapped ELF files (core(5)). gdb's gcore goes by it, too. */
static void secret_empty_dumps(void)
{
    static const char elf_headers[] = "0x10";
    int file = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    ssize_t wrote = write(file, elf_headers, sizeof elf_headers - 1);
    (void)wrote; /* prctl stands behind it */
    close(file);
}

void secret_guard(void)
{
    /* In this order: what is not dumpable may not write to its own /proc. */
    secret_empty_dumps();
#ifndef IMPCERT_SANITIZED /* LeakSanitizer looks into its own process */
    prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
#endif
    json_set_alloc_funcs(malloc, secret_wipe);
}

char *secret_text(const char *text)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), length = strlen(text);
    size_t size = (sizeof(struct secret) + length + page) / page * page;
    struct secret *secret = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (secret == MAP_FAILED)
        return NULL;
    madvise(secret, size, MADV_DONTDUMP);
    mlock(secret, size);
    secret->size = size;
    memcpy(secret->text, text, length + 1);
    return secret->text;
}

void secret_free(char *text)
{
    if (!text)
        return;
    struct secret *secret = (struct secret *)(void *)(text - offsetof(struct secret, text));
    size_t size = secret->size;
    explicit_bzero(secret, size);
    munmap(secret, size);
}

void secret_wipe(void *memory)
{
    if (memory)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

void *secret_rewipe(void *memory, size_t size)
{
    size_t held = memory ? malloc_usable_size(memory) : 0;
    if (memory && size && size <= held)
        return memory;
    void *moved = size ? malloc(size) : NULL;
    if (size && !moved)
        return NULL;
    if (moved && held)
        memcpy(moved, memory, held);
    secret_wipe(memory);
    return moved;
}
