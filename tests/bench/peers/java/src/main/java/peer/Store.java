package peer;

import com.mongodb.ConnectionString;
import com.mongodb.ErrorCategory;
import com.mongodb.MongoBulkWriteException;
import com.mongodb.MongoClientSettings;
import com.mongodb.MongoWriteConcernException;
import com.mongodb.WriteConcern;
import com.mongodb.bulk.BulkWriteError;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import com.mongodb.client.MongoCollection;
import com.mongodb.client.model.BulkWriteOptions;
import com.mongodb.client.model.Filters;
import com.mongodb.client.model.InsertManyOptions;
import com.mongodb.client.model.UpdateOneModel;
import com.mongodb.client.model.UpdateOptions;
import com.mongodb.client.model.WriteModel;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.bson.Document;

/**
 * Writes batches to MongoDB. Used by all worker threads.
 *
 * <p>A batch is inserted, and what is there already (a redelivery, an event published twice) then updated: an insert costs
 * MongoDB a fraction of an upsert, and duplicates are rare. Any MongoException but for a single document comes to the caller.
 */
final class Store implements AutoCloseable {
    /** Two upserts of one _id may collide; more often than this, another unique index of the collection is the cause. */
    private static final int COLLISIONS = 3;

    private static final InsertManyOptions INSERT = new InsertManyOptions().ordered(false);
    private static final BulkWriteOptions UPDATE = new BulkWriteOptions().ordered(false);
    private static final UpdateOptions UPSERT = new UpdateOptions().upsert(true);

    private final MongoClient client;
    private final MongoCollection<Document> collection;

    Store(Settings settings) {
        client = MongoClients.create(MongoClientSettings.builder()
                .applyConnectionString(new ConnectionString(settings.mongoUri()))
                .applyToConnectionPoolSettings(pool -> pool.maxSize(Math.max(100, settings.workers())))
                .build());
        client.getDatabase("admin").runCommand(new Document("ping", 1));
        collection = client.getDatabase(settings.mongoDatabase())
                .getCollection(settings.mongoCollection())
                .withWriteConcern(WriteConcern.MAJORITY);
    }

    /** Returns when all are acknowledged; those whose documents are refused are marked so. */
    void store(List<Job> jobs) {
        List<Job> duplicates = write(jobs, this::insert);
        for (int collisions = 0; !duplicates.isEmpty(); collisions++) {
            if (collisions == COLLISIONS) {
                duplicates.forEach(job -> job.refuse("store_rejected", "a unique index has its values already"));
                return;
            }
            duplicates = write(duplicates, this::upsert);
        }
    }

    @Override
    public void close() {
        client.close();
    }

    private void insert(List<Job> jobs) {
        collection.insertMany(jobs.stream().map(job -> job.document).toList(), INSERT);
    }

    private void upsert(List<Job> jobs) {
        List<? extends WriteModel<Document>> updates = jobs.stream().map(Store::update).toList();
        collection.bulkWrite(updates, UPDATE);
    }

    private static UpdateOneModel<Document> update(Job job) {
        Document fields = new Document(job.document);
        Object id = fields.remove("_id");
        return new UpdateOneModel<>(Filters.eq("_id", id), new Document("$set", fields), UPSERT);
    }

    /** The duplicates. */
    private static List<Job> write(List<Job> jobs, Consumer<List<Job>> command) {
        if (jobs.isEmpty()) {
            return List.of();
        }
        try {
            command.accept(jobs);
            return List.of();
        } catch (MongoBulkWriteException failure) {
            if (failure.getWriteConcernError() != null) {
                throw new MongoWriteConcernException(
                        failure.getWriteConcernError(), null, failure.getServerAddress(), failure.getErrorLabels());
            }
            return sort(jobs, failure.getWriteErrors());
        }
    }

    private static List<Job> sort(List<Job> jobs, List<BulkWriteError> errors) {
        List<Job> duplicates = new ArrayList<>();
        for (BulkWriteError error : errors) {
            Job job = jobs.get(error.getIndex());
            if (error.getCategory() == ErrorCategory.DUPLICATE_KEY) {
                duplicates.add(job);
            } else {
                job.refuse("store_rejected", "MongoDB refuses the document, code " + error.getCode());
            }
        }
        return duplicates;
    }
}
