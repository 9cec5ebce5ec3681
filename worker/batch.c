/* One batch into MongoDB. Store thread. */
#include "worker/batch.h"

#include "worker/document.h"

/* An upsert can race another writer's insert of the same _id and fail as a duplicate (MongoDB manual, "Upsert
 * with duplicate values"); twice in a row it is another unique index that refuses the document. */
enum { DUPLICATE_KEY = 11000, CONFLICTS_MAX = 1 };

/* Errors that are about the document itself (error_codes.yml of the server). Any other passes, or is
 * somebody's to mend: then the batch waits, and says why, instead of turning every event into a dead letter.
 */
static bool batch_code_refuses(int32_t code)
{
    static const int32_t refusing[] = {
        2,     /* BadValue */
        9,     /* FailedToParse */
        14,    /* TypeMismatch */
        15,    /* Overflow */
        22,    /* InvalidBSON */
        28,    /* PathNotViable */
        40,    /* ConflictingUpdateOperators */
        52,    /* DollarPrefixedFieldName */
        55,    /* InvalidDBRef */
        57,    /* DottedFieldName */
        66,    /* ImmutableField */
        121,   /* DocumentValidationFailure */
        10334, /* BSONObjectTooLarge */
        11000, /* DuplicateKey, of another unique index */
        17280, /* KeyTooLong */
    };
    for (size_t i = 0; i < sizeof refusing / sizeof refusing[0]; i++)
        if (code == refusing[i])
            return true;
    return false;
}

static void batch_refuse(struct batch *batch, size_t index, int32_t code)
{
    verdict_set(&batch->jobs[index]->verdict, OUTCOME_REJECTED, REASON_STORE_REJECTED,
        "MongoDB refused the document (code %d)", code);
    batch->states[index] = BATCH_REFUSED;
}

/* What one entry of writeErrors means for the job at index, whose document was being inserted or updated
 * (state). */
static void batch_apply_error(struct batch *batch, size_t index, enum batch_state state, int32_t code)
{
    if (code == DUPLICATE_KEY && state == BATCH_TO_INSERT)
        batch->states[index] = BATCH_TO_UPDATE;
    else if (code == DUPLICATE_KEY && batch->conflicts[index]++ < CONFLICTS_MAX)
        batch->states[index] = BATCH_TO_UPDATE;
    else if (batch_code_refuses(code))
        batch_refuse(batch, index, code);
    else {
        batch->states[index] = state;
        batch->waiting_code = code;
    }
}

/* The command's documents: their jobs' indexes in the batch, in the command's order. */
struct batch_part {
    enum batch_state state; /* of all of them before the command */
    size_t count;
    size_t indexes[BATCH_MAX];
};

static void batch_select(const struct batch *batch, enum batch_state state, struct batch_part *part)
{
    part->state = state;
    part->count = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->states[i] == state)
            part->indexes[part->count++] = i;
}

static bool batch_entry_number(const bson_iter_t *entry, const char *name, int32_t *number)
{
    bson_iter_t iter;
    if (!bson_iter_recurse(entry, &iter) || !bson_iter_find(&iter, name) || !BSON_ITER_HOLDS_INT32(&iter))
        return false;
    *number = bson_iter_int32(&iter);
    return true;
}

static bool batch_array(const bson_t *reply, const char *name, bson_iter_t *entries)
{
    bson_iter_t iter;
    return bson_iter_init_find(&iter, reply, name) && BSON_ITER_HOLDS_ARRAY(&iter) &&
           bson_iter_recurse(&iter, entries) && bson_iter_next(entries);
}

/* Whether the reply tells what became of each document: either all went well, or every failure is listed and
 * the others have reached the write concern. */
static bool batch_reply_complete(bool succeeded, const bson_t *reply)
{
    bson_iter_t entries;
    return succeeded || (batch_array(reply, "writeErrors", &entries) &&
                            !batch_array(reply, "writeConcernErrors", &entries));
}

static bool batch_settle(struct batch *batch, const struct batch_part *part, bool succeeded,
    const bson_t *reply, const bson_error_t *why, struct error *error)
{
    if (!batch_reply_complete(succeeded, reply))
        return error_set(error, "%s (code %u)", why->message, why->code);
    for (size_t i = 0; i < part->count; i++)
        batch->states[part->indexes[i]] = BATCH_TAKEN;
    bson_iter_t entries;
    if (!batch_array(reply, "writeErrors", &entries))
        return true;
    do {
        int32_t index, code;
        if (batch_entry_number(&entries, "index", &index) && batch_entry_number(&entries, "code", &code) &&
            index >= 0 && (size_t)index < part->count)
            batch_apply_error(batch, part->indexes[index], part->state, code);
    } while (bson_iter_next(&entries));
    return true;
}

/* The documents to insert; returns how many are built, all but where the reason is given. */
static size_t batch_build(const struct batch *batch, const struct batch_part *part, struct cipher *cipher,
    bson_t *documents, struct error *error)
{
    size_t count = 0;
    bool built = true;
    while (built && count < part->count) {
        const struct job *job = batch->jobs[part->indexes[count]];
        bson_init(&documents[count]);
        built = document_insert(&documents[count++], job->imp_uid, &job->certification, cipher, error);
    }
    if (!built)
        bson_destroy(&documents[--count]);
    return count;
}

static bool batch_insert(struct batch *batch, const struct batch_part *part,
    const struct batch_target *target, struct error *error)
{
    bson_t documents[BATCH_MAX];
    const bson_t *pointers[BATCH_MAX];
    size_t count = batch_build(batch, part, target->cipher, documents, error);
    for (size_t i = 0; i < count; i++)
        pointers[i] = &documents[i];
    bson_t options = BSON_INITIALIZER, reply;
    bson_error_t why = {0};
    BSON_APPEND_BOOL(&options, "ordered", false);
    bool settled = false;
    if (count == part->count) {
        bool succeeded =
            mongoc_collection_insert_many(target->collection, pointers, count, &options, &reply, &why);
        settled = batch_settle(batch, part, succeeded, &reply, &why, error);
        bson_destroy(&reply);
    }
    bson_destroy(&options);
    for (size_t i = 0; i < count; i++)
        bson_destroy(&documents[i]);
    return settled;
}

static bool batch_add_update(mongoc_bulk_operation_t *bulk, const struct job *job, const bson_t *options,
    struct cipher *cipher, struct error *error)
{
    bson_t selector = BSON_INITIALIZER, update = BSON_INITIALIZER;
    bson_error_t why;
    bool added = document_update(&update, &job->certification, cipher, error);
    if (added)
        added = (document_selector(&selector, job->imp_uid) &&
                    mongoc_bulk_operation_update_one_with_opts(bulk, &selector, &update, options, &why)) ||
                error_set(error, "a document is too large");
    bson_destroy(&selector);
    bson_destroy(&update);
    return added;
}

static bool batch_update(struct batch *batch, const struct batch_part *part,
    const struct batch_target *target, struct error *error)
{
    bson_t unordered = BSON_INITIALIZER, upsert = BSON_INITIALIZER, reply;
    BSON_APPEND_BOOL(&unordered, "ordered", false);
    BSON_APPEND_BOOL(&upsert, "upsert", true);
    mongoc_bulk_operation_t *bulk =
        mongoc_collection_create_bulk_operation_with_opts(target->collection, &unordered);
    bool added = true;
    for (size_t i = 0; added && i < part->count; i++)
        added = batch_add_update(bulk, batch->jobs[part->indexes[i]], &upsert, target->cipher, error);
    bool settled = false;
    if (added) {
        bson_error_t why = {0};
        bool succeeded = mongoc_bulk_operation_execute(bulk, &reply, &why);
        settled = batch_settle(batch, part, succeeded, &reply, &why, error);
        bson_destroy(&reply);
    }
    mongoc_bulk_operation_destroy(bulk);
    bson_destroy(&unordered);
    bson_destroy(&upsert);
    return settled;
}

bool batch_write(struct batch *batch, const struct batch_target *target, struct error *error)
{
    struct batch_part part;
    if (target->cipher && !cipher_ready(target->cipher, error))
        return false;
    batch_select(batch, BATCH_TO_INSERT, &part);
    if (part.count && !batch_insert(batch, &part, target, error))
        return false;
    /* A duplicate key can come back a bounded number of times: see CONFLICTS_MAX. */
    for (int round = 0; round <= CONFLICTS_MAX + 1; round++) {
        batch_select(batch, BATCH_TO_UPDATE, &part);
        if (!part.count)
            break;
        if (!round)
            metrics_add(target->metrics, METRIC_STORE_UPDATES, part.count);
        if (!batch_update(batch, &part, target, error))
            return false;
    }
    for (size_t i = 0; i < batch->count; i++)
        if (batch->states[i] != BATCH_TAKEN && batch->states[i] != BATCH_REFUSED)
            return error_set(error, "MongoDB does not take documents now (code %d)", batch->waiting_code);
    return true;
}
