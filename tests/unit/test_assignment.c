/* The partitions of a worker through assignment, revocation and return: what may be committed at each point,
 * and that late ends of an old assignment never touch a new one. */
#include "worker/assignment.h"
#include "worker/completions.h"

#include <librdkafka/rdkafka_mock.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOPIC "certifications"

static int set_up(void **state)
{
    struct assignment *assignment = malloc(sizeof *assignment);
    if (!assignment)
        return -1;
    assignment_init(assignment);
    *state = assignment;
    return 0;
}

static int tear_down(void **state)
{
    struct assignment *assignment = *state;
    assignment_cleanup(assignment);
    bool empty = TAILQ_EMPTY(&assignment->partitions) && !assignment->held;
    free(assignment);
    return empty ? 0 : -1;
}

static void add(struct assignment *assignment, int32_t id)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, TOPIC, id);
    assert_true(assignment_add(assignment, list));
    rd_kafka_topic_partition_list_destroy(list);
}

static void set(struct assignment *assignment, int32_t id, enum partition_state to)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, TOPIC, id);
    assignment_set(assignment, list, to);
    rd_kafka_topic_partition_list_destroy(list);
}

static struct partition *find(const struct assignment *assignment, int32_t id)
{
    return assignment_find(assignment, TOPIC, id);
}

static void begin(struct partition *partition, int64_t first, int64_t last)
{
    for (int64_t offset = first; offset <= last; offset++)
        assert_int_equal(offsets_begin(&partition->offsets, offset), OFFSETS_BEGUN);
}

static void end(struct assignment *assignment, struct partition *partition, int64_t first, int64_t last)
{
    for (int64_t offset = first; offset <= last; offset++)
        assignment_end(assignment, partition, offset, true);
}

static size_t remembered(const struct assignment *assignment)
{
    const struct partition *partition;
    size_t count = 0;
    TAILQ_FOREACH (partition, &assignment->partitions, link)
        count++;
    return count;
}

/* How many offsets the metadata of a commit says are finished beyond the position. */
static int64_t finished_beyond(const rd_kafka_topic_partition_t *sent)
{
    struct offsets offsets;
    offsets_init(&offsets);
    assert_true(offsets_restore(&offsets, sent->offset));
    assert_true(completions_decode(sent->metadata, sent->metadata_size, &offsets));
    int64_t count = 0;
    for (int64_t at = offsets.base, end; at < offsets.end; at = end) {
        bool finished;
        end = offsets_run_end(&offsets, at, &finished);
        count += finished ? end - at : 0;
    }
    offsets_cleanup(&offsets);
    return count;
}

/* What is to be committed, as "id=position+beyond id=position" (beyond: how many are finished beyond it),
 * taken as sent. */
static void commits(struct assignment *assignment, const char *wanted)
{
    char text[200] = "";
    assert_int_equal(assignment_has_moved(assignment), *wanted != '\0');
    rd_kafka_topic_partition_list_t *list = assignment_to_commit(assignment);
    for (int i = 0; list && i < list->cnt; i++) {
        assert_string_equal(list->elems[i].topic, TOPIC);
        size_t length = strlen(text);
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%d=%lld", length ? " " : "",
            list->elems[i].partition, (long long)list->elems[i].offset);
        int64_t beyond = finished_beyond(&list->elems[i]);
        if (beyond)
            snprintf(text + length, sizeof text - length, "+%lld", (long long)beyond);
    }
    assert_int_equal(list != NULL, *text != '\0');
    if (list)
        rd_kafka_topic_partition_list_destroy(list);
    assert_string_equal(text, wanted);
    assert_false(assignment_has_moved(assignment));
}

static void assignment_empty_holds_nothing(void **state)
{
    struct assignment *assignment = *state;
    assert_null(find(assignment, 0));
    assert_null(assignment_list(assignment));
    assert_false(assignment_revoked_busy(assignment));
    commits(assignment, "");
}

static void assignment_finds_by_topic_and_number(void **state)
{
    struct assignment *assignment = *state;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(3);
    rd_kafka_topic_partition_list_add(list, "a", 0);
    rd_kafka_topic_partition_list_add(list, "a", 1);
    rd_kafka_topic_partition_list_add(list, "b", 0);
    assert_true(assignment_add(assignment, list));
    rd_kafka_topic_partition_list_destroy(list);
    assert_int_equal(assignment->held, 3);
    struct partition *partition = assignment_find(assignment, "b", 0);
    assert_string_equal(partition->topic, "b");
    assert_int_equal(partition->id, 0);
    assert_int_equal(partition->state, PARTITION_ASSIGNED);
    assert_int_equal(assignment_find(assignment, "a", 1)->id, 1);
    assert_null(assignment_find(assignment, "b", 1));
    assert_null(assignment_find(assignment, "c", 0));
}

static void assignment_list_names_all_that_is_held(void **state)
{
    struct assignment *assignment = *state;
    for (int32_t id = 0; id < 4; id++)
        add(assignment, id);
    struct partition *gone = find(assignment, 3);
    begin(gone, 0, 0);
    set(assignment, 1, PARTITION_REVOKED);
    set(assignment, 2, PARTITION_GONE);
    set(assignment, 3, PARTITION_GONE);
    rd_kafka_topic_partition_list_t *list = assignment_list(assignment);
    assert_int_equal(list->cnt, 2);
    assert_non_null(rd_kafka_topic_partition_list_find(list, TOPIC, 0));
    assert_non_null(rd_kafka_topic_partition_list_find(list, TOPIC, 1));
    rd_kafka_topic_partition_list_destroy(list);
    assert_int_equal(assignment->held, 2);
    end(assignment, gone, 0, 0);
}

static void assignment_commits_only_the_finished_run(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    add(assignment, 1);
    begin(find(assignment, 0), 10, 14);
    begin(find(assignment, 1), 70, 71);
    end(assignment, find(assignment, 0), 10, 11);
    end(assignment, find(assignment, 0), 13, 14);
    end(assignment, find(assignment, 1), 70, 71);
    commits(assignment, "0=12+2 1=72");
    end(assignment, find(assignment, 0), 12, 12);
    commits(assignment, "0=15");
}

static void assignment_commits_a_position_once(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    begin(find(assignment, 0), 10, 12);
    end(assignment, find(assignment, 0), 10, 10);
    commits(assignment, "0=11");
    commits(assignment, "");
    begin(find(assignment, 0), 13, 13);
    commits(assignment, "");
    end(assignment, find(assignment, 0), 11, 11);
    commits(assignment, "0=12");
    commits(assignment, "");
}

static void assignment_commits_what_ends_behind_a_slow_one(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    begin(find(assignment, 0), 10, 14);
    commits(assignment, "0=10");
    end(assignment, find(assignment, 0), 12, 12);
    commits(assignment, "0=10+1");
    commits(assignment, "");
    end(assignment, find(assignment, 0), 13, 14);
    commits(assignment, "0=10+3");
    end(assignment, find(assignment, 0), 10, 10);
    commits(assignment, "0=11+3");
    end(assignment, find(assignment, 0), 11, 11);
    commits(assignment, "0=15");
    commits(assignment, "");
}

static void assignment_commits_nothing_of_an_untouched_partition(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    add(assignment, 1);
    begin(find(assignment, 1), 5, 5);
    end(assignment, find(assignment, 1), 5, 5);
    commits(assignment, "1=6");
}

static void assignment_sends_a_failed_commit_again(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    add(assignment, 1);
    begin(find(assignment, 0), 10, 10);
    begin(find(assignment, 1), 20, 20);
    end(assignment, find(assignment, 0), 10, 10);
    end(assignment, find(assignment, 1), 20, 20);
    rd_kafka_topic_partition_list_t *sent = assignment_to_commit(assignment);
    assert_int_equal(sent->cnt, 2);
    assert_true(rd_kafka_topic_partition_list_del(sent, TOPIC, 0));
    assert_int_equal(assignment_commit_answered(assignment, sent, RD_KAFKA_RESP_ERR__TRANSPORT),
        RD_KAFKA_RESP_ERR__TRANSPORT);
    rd_kafka_topic_partition_list_destroy(sent);
    commits(assignment, "1=21");
    commits(assignment, "");
}

static void assignment_sends_only_the_partition_again_whose_commit_failed(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    add(assignment, 1);
    for (int32_t id = 0; id < 2; id++) {
        begin(find(assignment, id), 10, 10);
        end(assignment, find(assignment, id), 10, 10);
    }
    rd_kafka_topic_partition_list_t *sent = assignment_to_commit(assignment);
    rd_kafka_topic_partition_list_find(sent, TOPIC, 1)->err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    assert_int_equal(assignment_commit_answered(assignment, sent, RD_KAFKA_RESP_ERR_NO_ERROR),
        RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    rd_kafka_topic_partition_list_destroy(sent);
    commits(assignment, "1=11");
}

static void assignment_ignores_a_failed_commit_of_what_is_gone(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    begin(find(assignment, 0), 10, 10);
    end(assignment, find(assignment, 0), 10, 10);
    rd_kafka_topic_partition_list_t *sent = assignment_to_commit(assignment);
    set(assignment, 0, PARTITION_GONE);
    assignment_commit_answered(assignment, sent, RD_KAFKA_RESP_ERR__TRANSPORT);
    rd_kafka_topic_partition_list_destroy(sent);
    commits(assignment, "");
}

static void assignment_revoked_commits_what_ends_meanwhile(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    add(assignment, 1);
    struct partition *revoked = find(assignment, 0);
    begin(revoked, 10, 12);
    set(assignment, 0, PARTITION_REVOKED);
    assert_int_equal(revoked->state, PARTITION_REVOKED);
    assert_true(assignment_revoked_busy(assignment));
    end(assignment, revoked, 10, 11);
    assert_true(assignment_revoked_busy(assignment));
    end(assignment, revoked, 12, 12);
    assert_false(assignment_revoked_busy(assignment));
    assert_ptr_equal(find(assignment, 0), revoked);
    commits(assignment, "0=13");
}

static void assignment_busy_is_about_revoked_partitions_alone(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    add(assignment, 1);
    struct partition *gone = find(assignment, 0);
    begin(gone, 0, 0);
    begin(find(assignment, 1), 0, 0);
    set(assignment, 0, PARTITION_GONE);
    assert_false(assignment_revoked_busy(assignment));
    end(assignment, gone, 0, 0);
    end(assignment, find(assignment, 1), 0, 0);
    set(assignment, 1, PARTITION_REVOKED);
    assert_false(assignment_revoked_busy(assignment));
}

static void assignment_forgets_an_idle_partition_at_once(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    begin(find(assignment, 0), 10, 10);
    end(assignment, find(assignment, 0), 10, 10);
    set(assignment, 0, PARTITION_GONE);
    assert_int_equal(assignment->held, 0);
    assert_int_equal(remembered(assignment), 0);
    commits(assignment, "");
}

static void assignment_keeps_a_gone_partition_until_its_last_job_ends(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    struct partition *gone = find(assignment, 0);
    begin(gone, 10, 12);
    set(assignment, 0, PARTITION_GONE);
    assert_null(find(assignment, 0));
    assert_int_equal(assignment->held, 0);
    end(assignment, gone, 11, 11);
    assignment_end(assignment, gone, 10, false);
    assert_int_equal(remembered(assignment), 1);
    assert_string_equal(gone->topic, TOPIC);
    assignment_end(assignment, gone, 12, false);
    assert_int_equal(remembered(assignment), 0);
}

static void assignment_gone_is_never_committed(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    struct partition *gone = find(assignment, 0);
    begin(gone, 10, 12);
    set(assignment, 0, PARTITION_REVOKED);
    set(assignment, 0, PARTITION_GONE);
    end(assignment, gone, 10, 11);
    commits(assignment, "");
    end(assignment, gone, 12, 12);
    commits(assignment, "");
}

static void assignment_that_comes_back_is_a_new_one(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    struct partition *old = find(assignment, 0);
    begin(old, 10, 13);
    end(assignment, old, 10, 11);
    commits(assignment, "0=12");
    set(assignment, 0, PARTITION_GONE);
    add(assignment, 0);
    struct partition *new = find(assignment, 0);
    assert_ptr_not_equal(new, old);
    assert_int_equal(new->state, PARTITION_ASSIGNED);
    assert_int_equal(new->offsets.base, -1);
    assert_int_equal(new->committed, -1);
    assert_int_equal(assignment->held, 1);
    begin(new, 12, 12);
    end(assignment, new, 12, 12);
    commits(assignment, "0=13");
    end(assignment, old, 12, 13);
}

static void assignment_late_ends_never_touch_the_new_offsets(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    struct partition *old = find(assignment, 0);
    begin(old, 10, 14);
    set(assignment, 0, PARTITION_GONE);
    add(assignment, 0);
    struct partition *new = find(assignment, 0);
    begin(new, 10, 14);
    end(assignment, new, 10, 10);
    end(assignment, old, 10, 13);
    assert_int_equal(new->offsets.base, 11);
    assert_int_equal(new->offsets.in_flight, 4);
    commits(assignment, "0=11");
    assignment_end(assignment, old, 14, false);
    assert_int_equal(remembered(assignment), 1);
    assert_ptr_equal(find(assignment, 0), new);
    end(assignment, new, 11, 14);
    commits(assignment, "0=15");
}

static void assignment_set_ignores_partitions_it_does_not_hold(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    set(assignment, 7, PARTITION_REVOKED);
    set(assignment, 7, PARTITION_GONE);
    set(assignment, 0, PARTITION_GONE);
    set(assignment, 0, PARTITION_GONE);
    assert_int_equal(assignment->held, 0);
    assert_int_equal(remembered(assignment), 0);
}

/* What a crash leaves at the broker comes to the next owner, another assignment. */
static struct partition *restored(
    struct assignment *assignment, const rd_kafka_topic_partition_t *committed, bool understood)
{
    add(assignment, committed->partition);
    struct partition *partition = find(assignment, committed->partition);
    assert_int_equal(assignment_restore(partition, committed), understood);
    return partition;
}

static void assignment_restored_goes_on_where_it_was_left(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    begin(find(assignment, 0), 10, 16);
    end(assignment, find(assignment, 0), 10, 11);
    end(assignment, find(assignment, 0), 13, 15);
    rd_kafka_topic_partition_list_t *sent = assignment_to_commit(assignment);
    struct partition *lost = find(assignment, 0);
    set(assignment, 0, PARTITION_GONE);
    struct partition *partition = restored(assignment, &sent->elems[0], true);
    rd_kafka_topic_partition_list_destroy(sent);
    commits(assignment, "");
    begin(partition, 12, 12);
    for (int64_t offset = 13; offset <= 15; offset++)
        assert_int_equal(offsets_begin(&partition->offsets, offset), OFFSETS_FINISHED);
    begin(partition, 16, 17);
    commits(assignment, "");
    end(assignment, partition, 17, 17);
    commits(assignment, "0=12+4");
    end(assignment, partition, 12, 12);
    commits(assignment, "0=16+1");
    end(assignment, lost, 12, 12);
    end(assignment, lost, 16, 16);
}

static void assignment_restored_keeps_what_it_has_not_seen_again(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    begin(find(assignment, 0), 10, 16);
    end(assignment, find(assignment, 0), 13, 16);
    rd_kafka_topic_partition_list_t *sent = assignment_to_commit(assignment);
    add(assignment, 1);
    sent->elems[0].partition = 1;
    struct partition *partition = find(assignment, 1);
    assert_true(assignment_restore(partition, &sent->elems[0]));
    rd_kafka_topic_partition_list_destroy(sent);
    begin(partition, 10, 11);
    end(assignment, partition, 10, 10);
    commits(assignment, "1=11+4");
    end(assignment, find(assignment, 0), 10, 12);
    end(assignment, partition, 11, 11);
    commits(assignment, "0=17 1=12+4");
}

static void assignment_without_a_committed_position_begins_anywhere(void **state)
{
    struct assignment *assignment = *state;
    rd_kafka_topic_partition_t none = {.offset = RD_KAFKA_OFFSET_INVALID};
    struct partition *partition = restored(assignment, &none, true);
    assert_int_equal(partition->offsets.base, -1);
    assert_int_equal(partition->committed, -1);
    begin(partition, 3, 3);
    commits(assignment, "0=3");
    rd_kafka_topic_partition_t failed = {.partition = 1, .offset = 5, .err = RD_KAFKA_RESP_ERR__TIMED_OUT};
    assert_int_equal(restored(assignment, &failed, true)->offsets.base, -1);
    end(assignment, partition, 3, 3);
}

static void assignment_restores_the_position_alone_where_its_metadata_is_foreign(void **state)
{
    struct assignment *assignment = *state;
    char text[] = "1r:F1v7dQEc"; /* of position 1000 */
    rd_kafka_topic_partition_t own = {.offset = 1000, .metadata = text, .metadata_size = strlen(text)};
    rd_kafka_topic_partition_t moved = own, none = own;
    moved.partition = 1;
    moved.offset = 990;
    none.partition = 2;
    none.metadata = NULL;
    none.metadata_size = 0;
    assert_int_equal(offsets_span(&restored(assignment, &own, true)->offsets), 29);
    assert_int_equal(offsets_span(&restored(assignment, &moved, false)->offsets), 0);
    assert_int_equal(offsets_span(&restored(assignment, &none, true)->offsets), 0);
    commits(assignment, "");
    begin(find(assignment, 1), 990, 990);
    end(assignment, find(assignment, 1), 990, 990);
    commits(assignment, "1=991");
}

static void answer(struct assignment *assignment, rd_kafka_resp_err_t error)
{
    rd_kafka_topic_partition_list_t *sent = assignment_to_commit(assignment);
    assert_non_null(sent);
    sent->elems[0].err = error;
    assert_int_equal(assignment_commit_answered(assignment, sent, RD_KAFKA_RESP_ERR_NO_ERROR), error);
    rd_kafka_topic_partition_list_destroy(sent);
}

static void assignment_sends_failed_completions_again(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    begin(find(assignment, 0), 10, 12);
    answer(assignment, RD_KAFKA_RESP_ERR_NO_ERROR);
    end(assignment, find(assignment, 0), 12, 12);
    answer(assignment, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    commits(assignment, "0=10+1");
    end(assignment, find(assignment, 0), 10, 11);
}

/* Else the position would stand still for as long as the broker refuses its metadata. */
static void assignment_sends_less_where_metadata_is_too_large(void **state)
{
    static const rd_kafka_resp_err_t errors[] = {
        RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, RD_KAFKA_RESP_ERR_INVALID_COMMIT_OFFSET_SIZE};
    struct assignment *assignment = *state;
    for (int32_t id = 0; id < 2; id++) {
        assignment->metadata_max = COMPLETIONS_TEXT_MAX;
        add(assignment, id);
        struct partition *partition = find(assignment, id);
        begin(partition, 1, 2000);
        for (int64_t offset = 2; offset <= 2000; offset += 2)
            end(assignment, partition, offset, offset);
        answer(assignment, errors[id]);
        commits(assignment, id ? "1=1+1000" : "0=1+1000");
        for (int round = 0; round < 12; round++) {
            partition->committed = -1;
            answer(assignment, errors[id]);
        }
        commits(assignment, id ? "1=1" : "0=1");
        for (int64_t offset = 1; offset <= 2000; offset += 2)
            end(assignment, partition, offset, offset);
        commits(assignment, id ? "1=2001" : "0=2001");
    }
}

static void assignment_keeps_the_commit_of_many_partitions_small(void **state)
{
    struct assignment *assignment = *state;
    enum { COUNT = 400 };
    for (int32_t id = 0; id < COUNT; id++) {
        add(assignment, id);
        begin(find(assignment, id), 0, 10000);
        for (int64_t offset = 1; offset <= 10000; offset += 2)
            end(assignment, find(assignment, id), offset, offset);
    }
    size_t sum = 0;
    rd_kafka_topic_partition_list_t *list = assignment_to_commit(assignment);
    for (int i = 0; i < list->cnt; i++) {
        sum += list->elems[i].metadata_size;
        assert_in_range(finished_beyond(&list->elems[i]), 3000, 5000);
    }
    rd_kafka_topic_partition_list_destroy(list);
    assert_in_range(sum, 400 * 1024, 512 * 1024);
    for (int32_t id = 0; id < COUNT; id++)
        for (int64_t offset = 0; offset <= 10000; offset += 2)
            end(assignment, find(assignment, id), offset, offset);
}

static rd_kafka_t *open_client(rd_kafka_type_t type, const char *servers)
{
    char error[128];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", error, sizeof error);
    rd_kafka_conf_set(conf, "group.id", "impcert", error, sizeof error);
    rd_kafka_conf_set(conf, "bootstrap.servers", servers, error, sizeof error);
    rd_kafka_t *client = rd_kafka_new(type, conf, error, sizeof error);
    assert_non_null(client);
    return client;
}

/* Metadata has no end mark when it comes back; that librdkafka keeps it at all is seen here. */
static void assignment_restores_what_librdkafka_brings_back(void **state)
{
    struct assignment *assignment = *state;
    rd_kafka_t *host = open_client(RD_KAFKA_PRODUCER, "");
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(host, 1);
    assert_non_null(cluster);
    assert_int_equal(rd_kafka_mock_topic_create(cluster, TOPIC, 1, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_t *consumer = open_client(RD_KAFKA_CONSUMER, rd_kafka_mock_cluster_bootstraps(cluster));
    add(assignment, 0);
    begin(find(assignment, 0), 10, 16);
    end(assignment, find(assignment, 0), 13, 16);
    rd_kafka_topic_partition_list_t *list = assignment_to_commit(assignment);
    assert_int_equal(rd_kafka_commit(consumer, list, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    end(assignment, find(assignment, 0), 10, 12);
    set(assignment, 0, PARTITION_GONE);
    list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, TOPIC, 0);
    assert_int_equal(rd_kafka_committed(consumer, list, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    struct partition *partition = restored(assignment, &list->elems[0], true);
    rd_kafka_topic_partition_list_destroy(list);
    begin(partition, 10, 12);
    assert_int_equal(offsets_begin(&partition->offsets, 13), OFFSETS_FINISHED);
    end(assignment, partition, 10, 12);
    rd_kafka_destroy(consumer);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(host);
}

static void assignment_restarted_is_what_it_was_with_new_offsets(void **state)
{
    struct assignment *assignment = *state;
    add(assignment, 0);
    struct partition *before = find(assignment, 0);
    before->tier = 2;
    before->started = true;
    before->paused = true;
    begin(before, 10, 11);
    struct partition *fresh = assignment_restart(assignment, before);
    assert_ptr_equal(find(assignment, 0), fresh);
    assert_int_equal(fresh->tier, 2);
    assert_true(fresh->started);
    assert_true(fresh->paused);
    begin(fresh, 0, 1);
    end(assignment, before, 10, 11);
    end(assignment, fresh, 0, 1);
    commits(assignment, "0=2");
}

#define ASSIGNMENT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ASSIGNMENT_TEST(assignment_empty_holds_nothing),
        ASSIGNMENT_TEST(assignment_finds_by_topic_and_number),
        ASSIGNMENT_TEST(assignment_list_names_all_that_is_held),
        ASSIGNMENT_TEST(assignment_commits_only_the_finished_run),
        ASSIGNMENT_TEST(assignment_commits_a_position_once),
        ASSIGNMENT_TEST(assignment_commits_what_ends_behind_a_slow_one),
        ASSIGNMENT_TEST(assignment_commits_nothing_of_an_untouched_partition),
        ASSIGNMENT_TEST(assignment_sends_a_failed_commit_again),
        ASSIGNMENT_TEST(assignment_sends_only_the_partition_again_whose_commit_failed),
        ASSIGNMENT_TEST(assignment_ignores_a_failed_commit_of_what_is_gone),
        ASSIGNMENT_TEST(assignment_revoked_commits_what_ends_meanwhile),
        ASSIGNMENT_TEST(assignment_busy_is_about_revoked_partitions_alone),
        ASSIGNMENT_TEST(assignment_forgets_an_idle_partition_at_once),
        ASSIGNMENT_TEST(assignment_keeps_a_gone_partition_until_its_last_job_ends),
        ASSIGNMENT_TEST(assignment_gone_is_never_committed),
        ASSIGNMENT_TEST(assignment_that_comes_back_is_a_new_one),
        ASSIGNMENT_TEST(assignment_late_ends_never_touch_the_new_offsets),
        ASSIGNMENT_TEST(assignment_set_ignores_partitions_it_does_not_hold),
        ASSIGNMENT_TEST(assignment_restored_goes_on_where_it_was_left),
        ASSIGNMENT_TEST(assignment_restored_keeps_what_it_has_not_seen_again),
        ASSIGNMENT_TEST(assignment_without_a_committed_position_begins_anywhere),
        ASSIGNMENT_TEST(assignment_restores_the_position_alone_where_its_metadata_is_foreign),
        ASSIGNMENT_TEST(assignment_sends_failed_completions_again),
        ASSIGNMENT_TEST(assignment_sends_less_where_metadata_is_too_large),
        ASSIGNMENT_TEST(assignment_keeps_the_commit_of_many_partitions_small),
        ASSIGNMENT_TEST(assignment_restores_what_librdkafka_brings_back),
        ASSIGNMENT_TEST(assignment_restarted_is_what_it_was_with_new_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
