/* The group's protocol. Main thread. The members are the broker's clients. */
#include "group.h"

#include "broker.h"
#include "client.h"
#include "common/clock.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

enum { HEARTBEAT_MS = 1000, SESSION_LEAST_MS = 3000, SESSION_MOST_MS = 8000 };

static void group_join_at(struct rd_kafka_s *client, int64_t at_ns)
{
    client->phase = PHASE_WANTS;
    client->at_ns = at_ns;
}

void group_rebalance(struct broker *broker, struct group *group)
{
    struct rd_kafka_s *client;
    group->rebalancing = true;
    TAILQ_FOREACH (client, &broker->clients, link) {
        if (client->group == group && client->member && !client->dead && client->phase == PHASE_STABLE)
            group_join_at(client, world_after_ms(broker->world, 0, HEARTBEAT_MS));
    }
}

static void group_init_one(
    struct broker *broker, struct group *group, const char *suffix, size_t first, size_t count)
{
    *group = (struct group){.first_shard = first, .shard_count = count, .round_ns = CLOCK_NEVER};
    snprintf(group->name, sizeof group->name, "%s%s",
        settings_text(broker->world->plan.settings, SETTING_GROUP), suffix);
}

void group_init(struct broker *broker)
{
    size_t partitions = (size_t)broker->world->plan.partitions;
    group_init_one(broker, &broker->groups[GROUP_MAIN], "", 0, partitions);
    group_init_one(
        broker, &broker->groups[GROUP_RETRY], ".retry", partitions, broker->consumed_count - partitions);
}

static bool group_has(const struct group *group, const struct shard *shard)
{
    return shard && shard->index - group->first_shard < group->shard_count;
}

void group_subscribe(
    struct broker *broker, struct rd_kafka_s *client, const rd_kafka_topic_partition_list_t *topics)
{
    for (struct group *group = broker->groups; group < broker->groups + GROUP_COUNT; group++)
        if (strcmp(group->name, client->conf.group) == 0)
            client->group = group;
    size_t shards = 0;
    for (int i = 0; client->group && i < topics->cnt; i++)
        if (group_has(client->group, broker_shard(broker, topics->elems[i].topic, 0)))
            shards += (size_t)broker->world->plan.partitions;
    if (!shards || shards != client->group->shard_count) {
        world_violate(
            broker->world, "subscribed to %d topics in the group %s", topics->cnt, client->conf.group);
        return;
    }
    group_join_at(client, world_after_ms(broker->world, 1, 300));
}

/* The i-th of the group. */
static struct shard *group_shard(const struct broker *broker, const struct group *group, size_t i)
{
    return &broker->shards[group->first_shard + i];
}

static void group_free_shards(struct broker *broker, const struct rd_kafka_s *client)
{
    for (size_t i = 0; i < client->group->shard_count; i++) {
        struct shard *shard = group_shard(broker, client->group, i);
        if (shard->owner == client)
            shard->owner = NULL;
    }
}

static void group_remove(struct broker *broker, struct rd_kafka_s *client)
{
    client->member = false;
    client->expel_ns = 0;
    group_free_shards(broker, client);
    group_rebalance(broker, client->group);
}

/* A static member does not say that it leaves: its place is kept until its session ends. */
void group_leave(struct broker *broker, struct rd_kafka_s *client)
{
    client->phase = PHASE_OUT;
    if (!client->member)
        return;
    if (client->conf.instance[0])
        client->expel_ns = world_after_ms(broker->world, SESSION_LEAST_MS, SESSION_MOST_MS);
    else
        group_remove(broker, client);
}

void group_expel(struct broker *broker, struct rd_kafka_s *client)
{
    if (!client->member)
        return;
    world_note(broker->world, "expelled", client->generation, 0, 0);
    group_remove(broker, client);
    client->generation = -1;
    client->tell_ns = world_after_ms(broker->world, 0, 4000);
}

void group_tell_lost(struct broker *broker, struct rd_kafka_s *client)
{
    if (!client->tell_ns)
        client->tell_ns = broker->world->now_ns;
}

/* ---- the application's answers ---- */

void group_assigned(struct broker *broker, struct rd_kafka_s *client)
{
    if (client->phase != PHASE_SERVING || !client->adding)
        return;
    client->phase = PHASE_STABLE;
    if (client->joins_again)
        group_join_at(client, broker->world->now_ns);
    else if (client->group->rebalancing)
        group_join_at(client, world_after_ms(broker->world, 0, HEARTBEAT_MS));
}

static void group_serve(struct rd_kafka_s *client, bool adding, rd_kafka_topic_partition_list_t *list)
{
    client->phase = PHASE_SERVING;
    client->adding = adding;
    client_answer(client, OPERATION_REBALANCE,
        adding ? RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS : RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, list, NULL, 0);
}

void group_unassigned(struct broker *broker, struct rd_kafka_s *client)
{
    if (client->phase != PHASE_SERVING || client->adding)
        return;
    if (client->lost) {
        client->lost = false;
        group_join_at(client, world_after_ms(broker->world, 0, 100));
        return;
    }
    rd_kafka_topic_partition_list_t *list = client->to_add;
    client->to_add = NULL;
    group_serve(client, true, list);
}

/* ---- rounds ---- */

static size_t group_members(
    const struct broker *broker, const struct group *group, struct rd_kafka_s **members)
{
    size_t count = 0;
    struct rd_kafka_s *client;
    TAILQ_FOREACH (client, &broker->clients, link) {
        if (client->group == group && client->member)
            members[count++] = client;
    }
    return count;
}

static size_t group_share(const struct broker *broker, const struct rd_kafka_s *client)
{
    size_t share = 0;
    for (size_t i = 0; i < client->group->shard_count; i++)
        share += group_shard(broker, client->group, i)->target == client;
    return share;
}

/* Whoever has a partition keeps it up to the fair share; what is left goes to those that have least. */
static void group_deal(
    struct broker *broker, const struct group *group, struct rd_kafka_s **members, size_t count)
{
    struct dice *dice = &broker->world->dice;
    bool anew = dice_permille(dice, 200);
    size_t most = (group->shard_count + count - 1) / count;
    for (size_t i = 0; i < group->shard_count; i++)
        group_shard(broker, group, i)->target = anew ? members[dice_below(dice, count)] : NULL;
    for (size_t i = 0; i < group->shard_count && !anew; i++) {
        struct shard *shard = group_shard(broker, group, i);
        struct rd_kafka_s *owner = shard->owner;
        if (owner && owner->member && group_share(broker, owner) < most)
            shard->target = owner;
    }
    for (size_t i = 0; i < group->shard_count; i++) {
        struct shard *shard = group_shard(broker, group, i);
        if (shard->target)
            continue;
        struct rd_kafka_s *least = members[dice_below(dice, count)];
        for (size_t m = 0; m < count; m++)
            if (group_share(broker, members[m]) < group_share(broker, least))
                least = members[m];
        shard->target = least;
    }
}

static bool group_complete(const struct broker *broker, const struct group *group)
{
    const struct rd_kafka_s *client;
    bool any = false;
    TAILQ_FOREACH (client, &broker->clients, link) {
        if (client->group != group || !client->member)
            continue;
        if (client->phase != PHASE_JOINED)
            return false;
        any = true;
    }
    return any;
}

static void group_round(struct broker *broker, struct group *group)
{
    struct rd_kafka_s *members[256];
    group->round_ns = CLOCK_NEVER;
    if (!group->rebalancing || !group_complete(broker, group))
        return;
    size_t count = group_members(broker, group, members);
    group->rebalancing = false;
    group->generation++;
    group_deal(broker, group, members, count);
    for (size_t m = 0; m < count; m++) {
        members[m]->phase = PHASE_SYNCING;
        members[m]->at_ns = world_after_ms(broker->world, 1, 30);
    }
    /* What nobody says that it has is its new owner's from now on; the rest once it is given up. */
    for (size_t i = 0; i < group->shard_count; i++) {
        struct shard *shard = group_shard(broker, group, i);
        if (!shard->owner || !shard->owner->toppars[shard->index].assigned)
            shard->owner = shard->target;
        shard->dealt = shard->owner == shard->target ? shard->target : NULL;
    }
    world_note(broker->world, "round", group->generation, (int64_t)count, 0);
}

/* ---- what is due of one member ---- */

/* Static: it takes the place of the member of the same name, and nothing else changes. False where there is
 * none, or where partitions were being given up, which nobody would be given without a rebalance. */
static bool group_take_place(struct broker *broker, struct rd_kafka_s *client)
{
    struct rd_kafka_s *before;
    TAILQ_FOREACH (before, &broker->clients, link) {
        if (before == client || before->group != client->group || !before->member ||
            !client->conf.instance[0] || strcmp(before->conf.instance, client->conf.instance) != 0)
            continue;
        before->member = false;
        before->expel_ns = 0;
        bool settled = true;
        for (size_t i = 0; i < client->group->shard_count; i++) {
            struct shard *shard = group_shard(broker, client->group, i);
            settled = settled && (shard->target == before || (shard->owner && shard->owner != before));
            if (shard->target == before)
                shard->target = client;
            if (shard->dealt == before)
                shard->dealt = client;
            if (shard->owner == before || (!shard->owner && shard->dealt == client))
                shard->owner = client;
        }
        return settled;
    }
    return false;
}

static void group_on_join(struct broker *broker, struct rd_kafka_s *client)
{
    broker_flush_commits(broker, client);
    bool took_place = !client->member && group_take_place(broker, client);
    client_sent(client, API_JOIN_GROUP);
    client->member = true;
    client->phase = PHASE_JOINED;
    if (took_place && !client->group->rebalancing) {
        client->phase = PHASE_SYNCING;
        client->at_ns = world_after_ms(broker->world, 1, 30);
        return;
    }
    group_rebalance(broker, client->group);
}

static void group_on_sync(struct broker *broker, struct rd_kafka_s *client)
{
    client_received(client, API_SYNC_GROUP, RD_KAFKA_RESP_ERR_NO_ERROR);
    if (!client->member) {
        client->phase = PHASE_STABLE;
        client->tell_ns = broker->world->now_ns;
        return;
    }
    client->generation = client->group->generation;
    rd_kafka_topic_partition_list_t *added = rd_kafka_topic_partition_list_new(4),
                                    *revoked = rd_kafka_topic_partition_list_new(4);
    for (size_t i = 0; i < client->group->shard_count; i++) {
        const struct shard *shard = group_shard(broker, client->group, i);
        bool has = client->toppars[shard->index].assigned;
        if (has != (shard->dealt == client && shard->owner == client))
            rd_kafka_topic_partition_list_add(has ? revoked : added, broker->names[shard->topic], shard->id);
    }
    client->joins_again = revoked->cnt;
    if (revoked->cnt) {
        client->to_add = added;
        group_serve(client, false, revoked);
        return;
    }
    rd_kafka_topic_partition_list_destroy(revoked);
    group_serve(client, true, added);
}

/* The application hears of it by a revocation, where it holds anything. */
static void group_on_lost(struct broker *broker, struct rd_kafka_s *client)
{
    if (client->phase == PHASE_JOINED)
        client_received(client, API_JOIN_GROUP, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
    client->tell_ns = 0;
    rd_kafka_topic_partition_list_t *list = client_assignment(client);
    world_note(broker->world, "lost", client->generation, list->cnt, 0);
    if (list->cnt) {
        client->lost = true;
        group_serve(client, false, list);
        return;
    }
    rd_kafka_topic_partition_list_destroy(list);
    group_join_at(client, world_after_ms(broker->world, 0, 100));
}

/* A member that has a rebalance to serve, or to hear of, does that first. */
static bool group_may_hear(const struct rd_kafka_s *client)
{
    return client->phase == PHASE_STABLE || client->phase == PHASE_WANTS ||
           (client->phase == PHASE_JOINED && !client->member);
}

static int64_t group_client_due_ns(const struct rd_kafka_s *client)
{
    if (client->expel_ns)
        return client->expel_ns;
    if (client->dead || client->phase == PHASE_OUT)
        return CLOCK_NEVER;
    int64_t due =
        client->phase == PHASE_WANTS || client->phase == PHASE_SYNCING ? client->at_ns : CLOCK_NEVER;
    return client->tell_ns && group_may_hear(client) && client->tell_ns < due ? client->tell_ns : due;
}

static void group_client_turn(struct broker *broker, struct rd_kafka_s *client)
{
    if (client->expel_ns)
        group_remove(broker, client);
    else if (client->tell_ns && group_may_hear(client) &&
             (client->tell_ns <= broker->world->now_ns || !client->member))
        group_on_lost(broker, client);
    else if (client->phase == PHASE_WANTS)
        group_on_join(broker, client);
    else
        group_on_sync(broker, client);
}

int64_t group_due_ns(const struct broker *broker)
{
    int64_t due = CLOCK_NEVER;
    for (size_t i = 0; i < GROUP_COUNT; i++)
        if (broker->groups[i].round_ns < due)
            due = broker->groups[i].round_ns;
    const struct rd_kafka_s *client;
    TAILQ_FOREACH (client, &broker->clients, link) {
        int64_t own = group_client_due_ns(client);
        if (own < due)
            due = own;
    }
    return due;
}

void group_turn(struct broker *broker)
{
    struct rd_kafka_s *client;
    int64_t now = broker->world->now_ns;
    TAILQ_FOREACH (client, &broker->clients, link) {
        if (group_client_due_ns(client) <= now)
            group_client_turn(broker, client);
    }
    for (struct group *group = broker->groups; group < broker->groups + GROUP_COUNT; group++) {
        if (group->round_ns <= now)
            group_round(broker, group);
        if (group->rebalancing && group->round_ns == CLOCK_NEVER && group_complete(broker, group))
            group->round_ns = world_after_ms(broker->world, 1, 200);
    }
}
