/*
 * A worker that does what impcert-worker does, to measure that beside: Java 17 with Confluent's Parallel Consumer, the
 * official MongoDB driver (sync) and the HTTP client of Vert.x.
 *
 * Parallel Consumer polls, hands batches of events to its worker threads in no particular order, keeps account of what is
 * done and commits the contiguous prefix of each partition. A worker thread verifies the events of its batch all at once,
 * writes their documents with one unordered insertMany, and blocks for both: batches times their size is never more than
 * IMPCERT_IN_FLIGHT. A thread and a write per event, the other way to use the library, would cost a context switch for each step
 * and MongoDB a command for each document.
 *
 * Vert.x rather than java.net.http, because it keeps a batch's calls and their connections on one event loop, and because
 * java.net.http fails calls ("too many concurrent streams") where an HTTP/2 server allows no more of them.
 */
package peer;

import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.CommitMode;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import io.confluent.parallelconsumer.internal.DrainingCloseable.DrainingMode;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import sun.misc.Signal;

public final class Worker {
    private static final Duration COMMIT_INTERVAL = Duration.ofSeconds(1);
    private static final Duration DRAIN_TIMEOUT = Duration.ofSeconds(25);
    private static final Duration SEND_TIMEOUT = Duration.ofSeconds(30);
    /** In records, by IMPCERT_IN_FLIGHT: what waits in the library, so that its threads never do. */
    private static final int BUFFER_FACTOR = 2;

    private Worker() {}

    public static void main(String[] arguments) {
        try {
            run(Settings.fromEnvironment());
            // Parallel Consumer leaves threads behind that would keep the process alive.
            System.exit(0);
        } catch (Throwable failure) {
            String cause = failure.getCause() == null ? "" : ", because of " + failure.getCause();
            System.err.println("worker: " + failure + cause);
            System.exit(1);
        }
    }

    private static void run(Settings settings) throws Exception {
        CountDownLatch stopping = new CountDownLatch(1);
        for (String name : List.of("TERM", "INT")) {
            Signal.handle(new Signal(name), signal -> stopping.countDown());
        }
        Vertx vertx = vertx();
        Tokens tokens = new Tokens(vertx, settings);
        try (Store store = new Store(settings)) {
            ParallelStreamProcessor<byte[], byte[]> processor =
                    ParallelStreamProcessor.createEosStreamProcessor(options(settings));
            processor.subscribe(List.of(settings.topic()));
            processor.pollAndProduceMany(new Batches(vertx, settings, tokens, store)::process);
            while (!stopping.await(1, TimeUnit.SECONDS) && !processor.isClosedOrFailed()) {}
            // Throws if the processor has failed.
            processor.close(DrainingMode.DONT_DRAIN);
        }
    }

    /** As many event loops as cores: they are what spends most of the time. */
    private static Vertx vertx() {
        int cores = Runtime.getRuntime().availableProcessors();
        return Vertx.vertx(new VertxOptions().setEventLoopPoolSize(cores).setPreferNativeTransport(true));
    }

    private static ParallelConsumerOptions<byte[], byte[]> options(Settings settings) {
        return ParallelConsumerOptions.<byte[], byte[]>builder()
                .consumer(new KafkaConsumer<>(consumerConfig(settings)))
                .producer(new KafkaProducer<>(producerConfig(settings)))
                .ordering(ProcessingOrder.UNORDERED)
                .maxConcurrency(settings.workers())
                .batchSize(settings.batchSize())
                .messageBufferSize(BUFFER_FACTOR * settings.inFlight())
                .commitMode(CommitMode.PERIODIC_CONSUMER_ASYNCHRONOUS)
                .commitInterval(COMMIT_INTERVAL)
                .sendTimeout(SEND_TIMEOUT)
                .shutdownTimeout(DRAIN_TIMEOUT)
                .build();
    }

    private static Map<String, Object> consumerConfig(Settings settings) {
        return Map.of(
                ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, settings.brokers(),
                ConsumerConfig.GROUP_ID_CONFIG, settings.group(),
                ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest",
                ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false,
                // A poll is dealt out in batches: this many fill them.
                ConsumerConfig.MAX_POLL_RECORDS_CONFIG, settings.inFlight(),
                ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class,
                ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
    }

    private static Map<String, Object> producerConfig(Settings settings) {
        return Map.of(
                ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, settings.brokers(),
                ProducerConfig.ACKS_CONFIG, "all",
                ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class,
                ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class);
    }
}
