package peer;

import com.mongodb.MongoException;
import io.confluent.parallelconsumer.PCRetriableException;
import io.confluent.parallelconsumer.PollContext;
import io.vertx.core.Vertx;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Headers;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The function that Parallel Consumer's worker threads run, with a batch of events at a time. */
final class Batches {
    private static final Logger log = LoggerFactory.getLogger(Batches.class);

    private final Settings settings;
    private final Store store;
    private final ThreadLocal<Verifier> verifier;

    Batches(Vertx vertx, Settings settings, Tokens tokens, Store store) {
        this.settings = settings;
        this.store = store;
        this.verifier = ThreadLocal.withInitial(() -> new Verifier(vertx, settings, tokens));
    }

    /**
     * Returns the dead letters, which Parallel Consumer sends. Only when they are acknowledged do the events of the batch count
     * as done. If it throws, the batch is taken up again after a while.
     */
    List<ProducerRecord<byte[], byte[]>> process(PollContext<byte[], byte[]> context) {
        List<Job> jobs = context.streamConsumerRecords().map(Job::new).toList();
        try {
            verifier.get().verify(jobs);
            store.store(in(jobs, Job.State.VERIFIED));
        } catch (Tokens.Unavailable | MongoException away) {
            log.warn("{} events have to wait: {}", jobs.size(), away.getMessage());
            throw new PCRetriableException(away);
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
            throw new PCRetriableException(stopped);
        }
        return in(jobs, Job.State.REFUSED).stream().map(this::deadLetter).toList();
    }

    private static List<Job> in(List<Job> jobs, Job.State state) {
        return jobs.stream().filter(job -> job.state == state).toList();
    }

    private ProducerRecord<byte[], byte[]> deadLetter(Job job) {
        log.error("dead letter: imp_uid {}, reason {} ({}), origin {}", job.impUid, job.reason, job.error, job.origin());
        byte[] key = utf8(job.impUid != null ? job.impUid : job.origin());
        byte[] value = job.event.value() != null ? job.event.value() : new byte[0];
        ProducerRecord<byte[], byte[]> letter =
                new ProducerRecord<>(settings.deadLetterTopic(), null, key, value, job.event.headers());
        Headers headers = letter.headers();
        headers.add("impcert.reason", utf8(job.reason));
        headers.add("impcert.error", utf8(job.error));
        headers.add("impcert.attempts", utf8(Integer.toString(job.attempts)));
        headers.add("impcert.origin", utf8(job.origin()));
        return letter;
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
