/* The file of librdkafka's properties, IMPCERT_KAFKA_CONFIG. What is fixed stays as it is, and what is
 * refused names the line. */
#include "common/kafka.h"

#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct kafka_property defaults[] = {{"linger.ms", "1"}, {NULL, NULL}};
static const struct kafka_property fixed[] = {{"enable.auto.commit", "false"}, {"acks", "all"}, {NULL, NULL}};

static int file;
static struct settings *settings;

/* Once: the settings name a file in memory, which each run overwrites. */
static void open_settings(void)
{
    static const struct program program = {.id = PROGRAM_LIBRARY, .name = "fuzz"};
    char path[64];
    struct faults faults;
    file = memfd_create("properties", MFD_CLOEXEC);
    FUZZ_CHECK(file >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    const struct setting_given given[] = {
        {"IMPCERT_KAFKA_BROKERS", "localhost:9092"}, {"IMPCERT_KAFKA_CONFIG", path}, {NULL, NULL}};
    faults_init(&faults);
    settings = settings_open(&program, given, false, &faults);
    FUZZ_CHECK(settings);
    faults_cleanup(&faults);
}

static void check_property(const rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[64] = "";
    size_t size = sizeof text;
    FUZZ_CHECK(!rd_kafka_conf_get(conf, name, text, &size) && strcmp(text, value) == 0);
}

/* Loads a library, and is the operator's to do: not for any bytes. */
static bool loads_code(const uint8_t *data, size_t size)
{
    return memmem(data, size, "plugin.", 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error why = {.text = ""};
    if (loads_code(data, size))
        return 0;
    if (!settings)
        open_settings();
    FUZZ_CHECK(!ftruncate(file, 0) && pwrite(file, data, size, 0) == (ssize_t)size);
    rd_kafka_conf_t *conf = kafka_conf_new(settings, defaults, fixed, &why);
    if (conf) {
        check_property(conf, "enable.auto.commit", "false");
        check_property(conf, "bootstrap.servers", "localhost:9092");
        rd_kafka_conf_destroy(conf);
    } else
        FUZZ_CHECK(fuzz_says_why(why.text, sizeof why.text) && strstr(why.text, "/proc/self/fd/"));
    return 0;
}
