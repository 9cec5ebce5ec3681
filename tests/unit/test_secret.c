/* Secrets in memory: kept apart, and overwritten when they are given back. */
#include "common/secret.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <cmocka.h>

static void *watched;     /* the next free of it is looked at */
static bool freed_zeroed; /* whether all of it was zero then */

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
    if (memory && memory == watched) {
        size_t size = malloc_usable_size(memory);
        watched = NULL;
        freed_zeroed = true;
        for (size_t i = 0; i < size; i++)
            freed_zeroed = freed_zeroed && ((const char *)memory)[i] == '\0';
    }
    __real_free(memory);
}

/* The flags of the mapping that an address lies in (proc(5), smaps: VmFlags). */
static void flags_of(const void *address, char *flags, size_t size)
{
    char line[512];
    uintptr_t wanted = (uintptr_t)address, from, to;
    bool inside = false;
    FILE *file = fopen("/proc/self/smaps", "r");
    assert_non_null(file);
    flags[0] = '\0';
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = wanted >= from && wanted < to;
        if (inside && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(flags, size, "%s", line);
    }
    fclose(file);
}

static void secret_text_is_a_copy_that_no_dump_has(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 4000, 4088, 4096, 70000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char *text = malloc(lengths[i] + 1), flags[512];
        memset(text, 'x', lengths[i]);
        text[lengths[i]] = '\0';
        char *secret = secret_text(text);
        assert_non_null(secret);
        assert_string_equal(secret, text);
        flags_of(secret + lengths[i], flags, sizeof flags);
        if (!strstr(flags, " dd"))
            fail_msg("it is part of dumps: %s", flags);
        secret_free(secret);
        flags_of(secret, flags, sizeof flags);
        assert_null(strstr(flags, " dd"));
        free(text);
    }
}

static void secret_free_of_none_is_fine(void **state)
{
    (void)state;
    secret_free(NULL);
    secret_wipe(NULL);
}

static void secret_wipe_overwrites_all_of_it(void **state)
{
    (void)state;
    for (size_t size = 1; size < 5000; size += 61) {
        char *memory = malloc(size);
        memset(memory, 's', size);
        watched = memory;
        secret_wipe(memory);
        assert_null(watched);
        assert_true(freed_zeroed);
    }
}

static void secret_rewipe_moves_and_leaves_nothing(void **state)
{
    (void)state;
    char *memory = secret_rewipe(NULL, 24);
    memset(memory, 's', 24);
    watched = memory;
    memory = secret_rewipe(memory, 100000);
    assert_null(watched);
    assert_true(freed_zeroed);
    for (size_t i = 0; i < 24; i++)
        assert_int_equal(memory[i], 's');
    assert_ptr_equal(secret_rewipe(memory, 10), memory);
    watched = memory;
    assert_null(secret_rewipe(memory, 0));
    assert_true(freed_zeroed);
}

static void secret_guard_closes_the_process_to_dumps(void **state)
{
    (void)state;
    char filter[32] = "";
    secret_guard();
    FILE *file = fopen("/proc/self/coredump_filter", "r");
    if (file) {
        assert_non_null(fgets(filter, sizeof filter, file));
        fclose(file);
        assert_int_equal(strtoul(filter, NULL, 16), 0x10);
    }
#ifndef IMPCERT_SANITIZED
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secret_text_is_a_copy_that_no_dump_has),
        cmocka_unit_test(secret_free_of_none_is_fine),
        cmocka_unit_test(secret_wipe_overwrites_all_of_it),
        cmocka_unit_test(secret_rewipe_moves_and_leaves_nothing),
        cmocka_unit_test(secret_guard_closes_the_process_to_dumps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
