package peer;

import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.JsonObject;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.bson.Document;

/**
 * One event on its way. Its batch's worker thread owns it, but for the time of a call, when it is its event loop's.
 *
 * <p>In the end it has either a document or a reason for a dead letter.
 */
final class Job {
    enum State {
        /** To be asked for, the first time or again. */
        OPEN,
        /** The token was refused in the last call. */
        UNAUTHORIZED,
        VERIFIED,
        REFUSED
    }

    private static final Pattern IMP_UID = Pattern.compile("[A-Za-z0-9_-]{1,64}");

    final ConsumerRecord<byte[], byte[]> event;
    /** Null if the event has no valid one. */
    final String impUid;

    State state = State.OPEN;
    int attempts;
    Document document;
    /** Why it is refused, or why its last call failed. */
    String reason;
    String error;

    Job(ConsumerRecord<byte[], byte[]> event) {
        this.event = event;
        this.impUid = impUidOf(event.value());
        if (impUid == null) {
            refuse("invalid_event", "the event is not JSON with a valid imp_uid");
        }
    }

    void verified(Document found) {
        state = State.VERIFIED;
        document = found;
    }

    void refuse(String why, String words) {
        state = State.REFUSED;
        document = null;
        reason = why;
        error = words;
    }

    /** The call failed for now; what is said here counts if it was the last. */
    void failed(String why, String words) {
        state = State.OPEN;
        reason = why;
        error = words;
    }

    void unauthorized() {
        failed("unavailable", "the token is refused");
        state = State.UNAUTHORIZED;
    }

    boolean isOpen() {
        return state == State.OPEN || state == State.UNAUTHORIZED;
    }

    String origin() {
        return event.topic() + "/" + event.partition() + "/" + event.offset();
    }

    private static String impUidOf(byte[] value) {
        if (value == null) {
            return null;
        }
        try {
            Object found = new JsonObject(Buffer.buffer(value)).getValue("imp_uid");
            return found instanceof String text && IMP_UID.matcher(text).matches() ? text : null;
        } catch (RuntimeException notJson) {
            return null;
        }
    }
}
