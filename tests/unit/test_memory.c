/* Settings and the file of Kafka properties when memory runs out: what was not read must never count as not
 * given. The tokens that the gateway asks for are such a setting, and TLS is such a property. */
#include "common/kafka.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int fails_at; /* the so-manieth call from now on; 0: none */

static bool fails(void)
{
    bool now = fails_at && --fails_at == 0;
    if (now)
        errno = ENOMEM;
    return now;
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

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

static struct settings *open_with(const struct setting_given *given, struct faults *faults)
{
    static const struct program gateway = {.id = PROGRAM_GATEWAY, .name = "impcert-gateway"};
    faults_init(faults);
    struct settings *settings = settings_open(&gateway, given, false, faults);
    fflush(faults->out);
    return settings;
}

static void a_setting_without_memory_is_a_fault(void **state)
{
    (void)state;
    static const struct setting_given given[] = {{"IMPCERT_KAFKA_BROKERS", "kafka-1:9092"},
        {"IMPCERT_BEARER_TOKENS", "0123456789abcdef"}, {NULL, NULL}};
    struct settings *settings = NULL;
    int tries = 0;
    while (!settings) {
        struct faults faults;
        fails_at = ++tries;
        settings = open_with(given, &faults);
        if (!settings && !strstr(faults.text, "out of memory"))
            fail_msg("%s", faults.text);
        faults_cleanup(&faults);
        assert_true(tries < 1000);
    }
    assert_true(tries > 10);
    assert_string_equal(settings_text(settings, SETTING_BEARER_TOKENS), "0123456789abcdef");
    settings_free(settings);
}

static void a_property_without_memory_is_an_error(void **state)
{
    (void)state;
    char path[] = "/tmp/impcert-memory.XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    static const char properties[] = "security.protocol=ssl\nlinger.ms=5\n";
    assert_int_equal(write(file, properties, sizeof properties - 1), sizeof properties - 1);
    close(file);
    const struct setting_given given[] = {
        {"IMPCERT_KAFKA_BROKERS", "kafka-1:9092"}, {"IMPCERT_KAFKA_CONFIG", path}, {NULL, NULL}};
    struct faults faults;
    fails_at = 0;
    struct settings *settings = open_with(given, &faults);
    assert_non_null(settings);
    for (int i = 1; i <= 4; i++) {
        struct error error = {.text = ""};
        fails_at = i;
        rd_kafka_conf_t *conf = kafka_conf_new(settings, NULL, NULL, &error);
        assert_int_equal(conf != NULL, i == 4); /* the third is the end of the file */
        if (conf)
            rd_kafka_conf_destroy(conf);
        else
            assert_non_null(strstr(error.text, strerror(ENOMEM)));
    }
    settings_free(settings);
    faults_cleanup(&faults);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_setting_without_memory_is_a_fault),
        cmocka_unit_test(a_property_without_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
