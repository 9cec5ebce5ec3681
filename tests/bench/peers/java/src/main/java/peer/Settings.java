package peer;

import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;

/** The settings, from environment variables with the names that impcert-worker uses. */
record Settings(
        String brokers,
        String topic,
        String group,
        int inFlight,
        URI iamportUrl,
        String iamportKey,
        String iamportSecret,
        String caFile,
        String mongoUri,
        String mongoDatabase,
        String mongoCollection) {

    /** A bulk write of this many is worth its round trip; a batch also waits for its slowest verification. */
    private static final int MAX_BATCH = 64;
    /** So many batches at least, that some are with Iamport while others are with MongoDB. */
    private static final int MIN_WORKERS = 8;

    static Settings fromEnvironment() {
        return new Settings(
                required("IMPCERT_KAFKA_BROKERS"),
                optional("IMPCERT_TOPIC", "certifications"),
                optional("IMPCERT_GROUP", "impcert"),
                positive("IMPCERT_IN_FLIGHT", "1024"),
                httpUrl("IAMPORT_URL", "https://api.iamport.kr"),
                required("IAMPORT_KEY"),
                required("IAMPORT_SECRET"),
                readable("IMPCERT_CA_FILE"),
                required("MONGODB_URI"),
                optional("MONGODB_DATABASE", "impcert"),
                optional("MONGODB_COLLECTION", "certifications"));
    }

    String deadLetterTopic() {
        return topic + ".dlq";
    }

    int batchSize() {
        return Math.max(1, Math.min(MAX_BATCH, inFlight / MIN_WORKERS));
    }

    /** Each has one batch under way: together never more than inFlight verifications. */
    int workers() {
        return inFlight / batchSize();
    }

    private static String optional(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    private static String required(String name) {
        String value = optional(name, null);
        if (value == null) {
            throw new IllegalArgumentException(name + " is required");
        }
        return value;
    }

    private static int positive(String name, String otherwise) {
        String value = optional(name, otherwise);
        try {
            int number = Integer.parseInt(value);
            if (number > 0) {
                return number;
            }
        } catch (NumberFormatException notOne) {
            // said below
        }
        throw new IllegalArgumentException(name + " is no positive number: " + value);
    }

    /** Null if it is not set. */
    private static String readable(String name) {
        String path = optional(name, null);
        if (path != null && !Files.isReadable(Path.of(path))) {
            throw new IllegalArgumentException(name + " cannot be read: " + path);
        }
        return path;
    }

    private static URI httpUrl(String name, String otherwise) {
        URI url = URI.create(optional(name, otherwise));
        boolean known = "http".equals(url.getScheme()) || "https".equals(url.getScheme());
        if (!known || url.getHost() == null) {
            throw new IllegalArgumentException(name + " is no http or https URL: " + url);
        }
        return url;
    }
}
