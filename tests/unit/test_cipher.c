/* Where libmongoc can't encrypt: cipher_check.c is built here as with such a one. What encryption does is
 * seen by the system's tests, with a MongoDB. */
#include "worker/cipher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct program worker = {.id = PROGRAM_WORKER, .name = "impcert-worker", .check = cipher_check};

static const struct setting_given required[] = {{"IMPCERT_KAFKA_BROKERS", "kafka:9092"}, {"IAMPORT_KEY", "k"},
    {"IAMPORT_SECRET", "s"}, {"MONGODB_URI", "mongodb://db/"}, {NULL, NULL}};

static const struct setting_given encrypted[] = {{"IMPCERT_KAFKA_BROKERS", "kafka:9092"},
    {"IAMPORT_KEY", "k"}, {"IAMPORT_SECRET", "s"}, {"MONGODB_URI", "mongodb://db/"},
    {"IMPCERT_ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                               "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"},
    {NULL, NULL}};

static void cipher_is_no_fault_where_nobody_asks_for_it(void **state)
{
    (void)state;
    struct faults faults;
    faults_init(&faults);
    struct settings *settings = settings_open(&worker, required, false, &faults);
    assert_non_null(settings);
    assert_false(cipher_wanted(settings));
    settings_free(settings);
    faults_cleanup(&faults);
}

static void cipher_that_libmongoc_does_not_have_is_a_fault_without_the_key(void **state)
{
    (void)state;
    struct faults faults;
    faults_init(&faults);
    assert_null(settings_open(&worker, encrypted, false, &faults));
    assert_int_equal(faults.count, 1);
    fflush(faults.out);
    assert_non_null(strstr(faults.text, "IMPCERT_ENCRYPTION_KEY: set, but libmongoc is built without"));
    assert_null(strstr(faults.text, "BBBB"));
    faults_cleanup(&faults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cipher_is_no_fault_where_nobody_asks_for_it),
        cmocka_unit_test(cipher_that_libmongoc_does_not_have_is_a_fault_without_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
