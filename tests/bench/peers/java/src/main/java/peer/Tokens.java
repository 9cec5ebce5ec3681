package peer;

import io.vertx.core.Vertx;
import io.vertx.core.json.JsonObject;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The access token, shared by all worker threads and asked for by one at a time.
 *
 * <p>It is refreshed inside its last minute, before which the API would only repeat it; the others go on with the old one
 * meanwhile, as long as it lives.
 */
final class Tokens {
    static final class Unavailable extends Exception {
        private static final long serialVersionUID = 1L;

        Unavailable(String message) {
            super(message);
        }
    }

    /** Times of System.nanoTime. */
    private record Token(String authorization, long refreshAt, long endsAt) {
        boolean isFresh() {
            return System.nanoTime() - refreshAt < 0;
        }

        boolean isAlive() {
            return System.nanoTime() - endsAt < 0;
        }
    }

    private static final long REFRESH_BEFORE_NS = TimeUnit.SECONDS.toNanos(30);
    /** A token that is repeated with a short life is not asked for in a loop. */
    private static final long REFRESH_APART_NS = TimeUnit.SECONDS.toNanos(1);

    private final Iamport iamport;
    private final String key;
    private final String secret;
    private final ReentrantLock asking = new ReentrantLock();
    private volatile Token token = new Token(null, System.nanoTime(), System.nanoTime());

    Tokens(Vertx vertx, Settings settings) {
        iamport = new Iamport(vertx, settings, 1);
        key = settings.iamportKey();
        secret = settings.iamportSecret();
    }

    /** The value of an Authorization header. */
    String get() throws Unavailable, InterruptedException {
        Token known = token;
        if (known.isFresh()) {
            return known.authorization;
        }
        if (known.isAlive()) {
            return refreshed(known);
        }
        return another(known.authorization);
    }

    /** For one that was refused: the one that has taken its place, or a new one. */
    String another(String refused) throws Unavailable, InterruptedException {
        asking.lockInterruptibly();
        try {
            Token known = token;
            if (known.isAlive() && !known.authorization.equals(refused)) {
                return known.authorization;
            }
            token = ask();
            return token.authorization;
        } finally {
            asking.unlock();
        }
    }

    private String refreshed(Token known) throws InterruptedException {
        if (!asking.tryLock()) {
            return known.authorization;
        }
        try {
            if (token == known) {
                token = ask();
            }
        } catch (Unavailable later) {
            // The old one is good yet; asked again in a second.
            token = new Token(known.authorization, System.nanoTime() + REFRESH_APART_NS, known.endsAt);
        } finally {
            asking.unlock();
        }
        return token.authorization;
    }

    private Token ask() throws Unavailable, InterruptedException {
        try {
            return read(iamport.await(() -> iamport.postToken(key, secret)));
        } catch (ExecutionException failure) {
            throw new Unavailable("no token: " + failure.getCause());
        }
    }

    private static Token read(Iamport.Answer answer) throws Unavailable {
        if (answer.status() != 200) {
            throw new Unavailable("no token: status " + answer.status());
        }
        long now = System.nanoTime();
        try {
            JsonObject response = answer.body().toJsonObject().getJsonObject("response");
            long seconds = response.getLong("expired_at") - response.getLong("now");
            long life = TimeUnit.SECONDS.toNanos(seconds);
            long fresh = Math.max(life - REFRESH_BEFORE_NS, REFRESH_APART_NS);
            String value = response.getString("access_token");
            if (value == null) {
                throw new Unavailable("no token: not in the answer");
            }
            return new Token("Bearer " + value, now + Math.min(fresh, life), now + life);
        } catch (RuntimeException notExpected) {
            throw new Unavailable("no token: not the JSON expected");
        }
    }
}
