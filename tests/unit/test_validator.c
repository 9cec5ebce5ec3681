/* The validator: the file that is built in, the commands that set it, and what is said of those that fail. */
#include "worker/certification.h"
#include "worker/validator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool find(const bson_t *bson, const char *path, bson_iter_t *found)
{
    bson_iter_t iter;
    return bson_iter_init(&iter, bson) && bson_iter_find_descendant(&iter, path, found);
}

static void text_is(const bson_t *bson, const char *path, const char *text)
{
    bson_iter_t found;
    assert_true(find(bson, path, &found));
    assert_string_equal(bson_iter_utf8(&found, NULL), text);
}

static void validator_is_json_of_one_line_end(void **state)
{
    (void)state;
    size_t length = strlen(validator_json);
    assert_int_equal(validator_json[0], '{');
    assert_int_equal(validator_json[length - 2], '}');
    assert_int_equal(validator_json[length - 1], '\n');
}

static void validator_commands_carry_it_with_level_and_action(void **state)
{
    (void)state;
    static const char *const commands[] = {"create", "collMod"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        bson_t *command = validator_command(commands[i], "shop.certifications");
        bson_iter_t first;
        assert_true(bson_iter_init(&first, command) && bson_iter_next(&first));
        assert_string_equal(bson_iter_key(&first), commands[i]);
        text_is(command, commands[i], "shop.certifications");
        text_is(command, "validator.$jsonSchema.bsonType", "object");
        text_is(command, "validationLevel", "moderate");
        text_is(command, "validationAction", "error");
        bson_destroy(command);
    }
}

/* So that a field that is added to the documents is thought of here, too. */
static void validator_knows_every_field_of_a_document(void **state)
{
    (void)state;
    bson_t *command = validator_command("create", "c");
    for (enum certification_field field = 0; field < CERTIFICATION_FIELD_COUNT; field++) {
        char path[128];
        bson_iter_t found;
        snprintf(
            path, sizeof path, "validator.$jsonSchema.properties.%s.bsonType", certification_name(field));
        if (!find(command, path, &found))
            fail_msg("no %s", path);
    }
    bson_destroy(command);
}

static void validator_says_what_a_user_needs_without_the_command(void **state)
{
    (void)state;
    struct error error;
    bson_error_t why;
    bson_set_error(&why, MONGOC_ERROR_SERVER, 13,
        "not authorized on impcert to execute command { create: \"certifications\", ... }");
    validator_explain(&why, "impcert", "certifications", &error);
    assert_non_null(strstr(error.text, "impcert.certifications"));
    assert_non_null(strstr(error.text, "dbAdmin"));
    assert_null(strstr(error.text, "execute command"));
}

static void validator_passes_on_other_reasons(void **state)
{
    (void)state;
    struct error error;
    bson_error_t why;
    /* The same number in another domain of the driver is another thing. */
    bson_set_error(&why, MONGOC_ERROR_SERVER_SELECTION, 13, "No suitable servers found");
    validator_explain(&why, "impcert", "certifications", &error);
    assert_string_equal(error.text,
        "the validator could not be set on impcert.certifications: No suitable servers found (code 13)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(validator_is_json_of_one_line_end),
        cmocka_unit_test(validator_commands_carry_it_with_level_and_action),
        cmocka_unit_test(validator_knows_every_field_of_a_document),
        cmocka_unit_test(validator_says_what_a_user_needs_without_the_command),
        cmocka_unit_test(validator_passes_on_other_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
