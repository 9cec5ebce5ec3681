/* Out of memory, one allocation at a time: linked into the unit tests of the preset asan in place of the
 * functions that allocate, for the code that ships and for jansson below it, not for the tests themselves. It
 * does nothing unless run (tests/torture/run) says so in the environment:
 * - TORTURE_LIST=FILE: writes a line for each test and each way to an allocation in it: how often it
 * was gone, its key, and the test's name;
 * - TORTURE_FAIL=TEST:KEY:N: of all tests runs this one, where the Nth allocation that came that way
 * fails. A way is the last calls of our own code: their addresses, which are the same in every run. Any
 * thread. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { CALLS = 6, FRAMES = 24, WAYS = 4096 };

/* Where our own code begins and ends, by the linker. */
extern const char __executable_start[], etext[];

struct way {
    uint64_t key;
    unsigned long count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct way ways[WAYS]; /* of the test that runs */
static size_t way_count;
static FILE *list;
static char fail_test[256];
static uint64_t fail_key;
static unsigned long fail_at; /* 0: nothing fails */
static __thread bool inside;
static int told_to = -1; /* standard error, which tests put elsewhere for a while */

/* The calls of ours that led here, but for those of this file. */
static uint64_t way_here(void)
{
    void *frames[FRAMES];
    uint64_t key = UINT64_C(14695981039346656037);
    int count = backtrace(frames, FRAMES), calls = 0;
    for (int i = 3; i < count && calls < CALLS; i++) {
        const char *at = frames[i];
        if (at < __executable_start || at >= etext)
            continue;
        key = (key ^ (uint64_t)(at - __executable_start)) * UINT64_C(1099511628211);
        calls++;
    }
    return key;
}

static struct way *way_of(uint64_t key)
{
    size_t i = 0;
    while (i < way_count && ways[i].key != key)
        i++;
    if (i == WAYS)
        return NULL;
    if (i == way_count)
        ways[way_count++] = (struct way){.key = key};
    return &ways[i];
}

/* Whether this allocation is the one that fails. */
static bool fails(void)
{
    if ((!list && !fail_at) || inside)
        return false;
    inside = true;
    uint64_t key = way_here();
    bool failed = false;
    pthread_mutex_lock(&lock);
    if (list) {
        struct way *way = way_of(key);
        if (way)
            way->count++;
    } else if (key == fail_key)
        failed = --fail_at == 0;
    pthread_mutex_unlock(&lock);
    inside = false;
    if (failed)
        errno = ENOMEM;
    return failed;
}

#define WRAPPED(type, name, parameters, arguments)                                                           \
    type __real_##name parameters;                                                                           \
    type __wrap_##name parameters;                                                                           \
    type __wrap_##name parameters                                                                            \
    {                                                                                                        \
        return fails() ? NULL : __real_##name arguments;                                                     \
    }

WRAPPED(void *, malloc, (size_t size), (size))
WRAPPED(void *, calloc, (size_t count, size_t size), (count, size))
WRAPPED(void *, realloc, (void *block, size_t size), (block, size))
WRAPPED(void *, reallocarray, (void *block, size_t count, size_t size), (block, count, size))
WRAPPED(char *, strdup, (const char *text), (text))
WRAPPED(char *, strndup, (const char *text, size_t size), (text, size))
WRAPPED(FILE *, fopen, (const char *path, const char *mode), (path, mode))
WRAPPED(FILE *, open_memstream, (char **text, size_t *size), (text, size))
WRAPPED(DIR *, opendir, (const char *path), (path))

ssize_t __real_getline(char **line, size_t *size, FILE *file);
ssize_t __wrap_getline(char **line, size_t *size, FILE *file);
ssize_t __wrap_getline(char **line, size_t *size, FILE *file)
{
    return fails() ? -1 : __real_getline(line, size, file);
}

/* What getline becomes with optimisation. */
ssize_t __real___getdelim(char **line, size_t *size, int end, FILE *file);
ssize_t __wrap___getdelim(char **line, size_t *size, int end, FILE *file);
ssize_t __wrap___getdelim(char **line, size_t *size, int end, FILE *file)
{
    return fails() ? -1 : __real___getdelim(line, size, end, file);
}

int __real_vasprintf(char **text, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
int __wrap_vasprintf(char **text, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
int __wrap_vasprintf(char **text, const char *format, va_list arguments)
{
    return fails() ? -1 : __real_vasprintf(text, format, arguments);
}

int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **text, const char *format, ...)
{
    if (fails())
        return -1;
    va_list arguments;
    va_start(arguments, format);
    int length = __real_vasprintf(text, format, arguments);
    va_end(arguments);
    return length;
}

static void list_ways(const char *test)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; list && i < way_count; i++)
        fprintf(list, "%lu %016llx %s\n", ways[i].count, (unsigned long long)ways[i].key, test);
    way_count = 0;
    pthread_mutex_unlock(&lock);
}

/* The tests of the program, each of which is begun by begin_test, to know which of them allocates. */
enum { TESTS = 256 };
static const struct CMUnitTest *tests_of;
static size_t next_test;

static int begin_test(void **state)
{
    if (next_test)
        list_ways(tests_of[next_test - 1].name);
    const struct CMUnitTest *test = &tests_of[next_test++];
    if (fail_at)
        while (strcmp(test->name, fail_test) != 0)
            test = &tests_of[next_test++];
    return test->setup_func ? test->setup_func(state) : 0;
}

/* What cmocka's macro for a main() calls. */
int __real__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
    CMFixtureFunction setup, CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
    CMFixtureFunction setup, CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
    CMFixtureFunction setup, CMFixtureFunction teardown)
{
    struct CMUnitTest listed[TESTS];
    bool watched = (list || fail_at) && count <= TESTS;
    tests_of = tests;
    for (size_t i = 0; watched && i < count; i++) {
        listed[i] = tests[i];
        listed[i].setup_func = begin_test;
    }
    /* The same way to the tests for both, since its addresses are a part of the keys. */
    int failed = __real__cmocka_run_group_tests(name, watched ? listed : tests, count, setup, teardown);
    if (watched)
        list_ways(tests[count - 1].name);
    if (fail_at)
        dprintf(told_to, "torture: that allocation never came\n");
    if (failed)
        dprintf(told_to, "torture: a test failed\n");
    return failed;
}

/* With CMOCKA_TEST_ABORT=1 cmocka calls it for an assertion that fails: nothing more is to be learnt then,
 * and the test's threads may look at what it has left. Everybody else's abort is one. */
void abort(void)
{
    Dl_info caller;
    if (dladdr(__builtin_return_address(0), &caller) && strstr(caller.dli_fname, "libcmocka")) {
        dprintf(told_to, "torture: a test failed\n");
        _exit(1);
    }
    raise(SIGABRT);
    _exit(1);
}

/* UndefinedBehaviorSanitizer calls it before it writes, and knows no other place for that. */
void __ubsan_on_report(void);
void __ubsan_on_report(void)
{
    if (told_to >= 0)
        dup2(told_to, STDERR_FILENO);
}

/* TEST:KEY:N */
static void fail_as_told(const char *told)
{
    size_t length = strcspn(told, ":");
    unsigned long long key;
    if (length >= sizeof fail_test || sscanf(told + length, ":%llx:%lu", &key, &fail_at) != 2) {
        fprintf(stderr, "TORTURE_FAIL: expected TEST:KEY:N, not %s\n", told);
        exit(2);
    }
    memcpy(fail_test, told, length);
    fail_key = key;
    cmocka_set_test_filter(fail_test);
}

__attribute__((constructor)) static void torture_begin(void)
{
    const char *path = getenv("TORTURE_LIST"), *told = getenv("TORTURE_FAIL");
    void *warm[1];
    if (!path && !told)
        return;
    told_to = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
    backtrace(warm, 1); /* loads what it needs, once */
    json_set_alloc_funcs(__wrap_malloc, free);
    if (told)
        fail_as_told(told);
    else if (!(list = __real_fopen(path, "we"))) {
        perror(path);
        exit(2);
    }
}
