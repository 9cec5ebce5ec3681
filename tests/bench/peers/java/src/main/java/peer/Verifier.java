package peer;

import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.json.JsonObject;
import java.util.Date;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import org.bson.Document;

/**
 * Verifies the events of a batch at once; one worker thread's. What fails for now is tried again in rounds, with a backoff
 * between them: the batch is written as a whole, so it would have to wait for its last event anyway.
 */
final class Verifier {
    private static final int ATTEMPTS = 4;
    private static final long BACKOFF_MS = 200;
    private static final long BACKOFF_MAX_MS = 10_000;

    private final Iamport iamport;
    private final Tokens tokens;

    Verifier(Vertx vertx, Settings settings, Tokens tokens) {
        this.iamport = new Iamport(vertx, settings, settings.batchSize());
        this.tokens = tokens;
    }

    /** Leaves each job verified or refused. Without a token none can be blamed: then it throws. */
    void verify(List<Job> jobs) throws Tokens.Unavailable, InterruptedException {
        List<Job> open = open(jobs);
        for (int attempt = 1; !open.isEmpty(); attempt++) {
            ask(open);
            open = open(open);
            if (attempt == ATTEMPTS) {
                open.forEach(job -> job.refuse(job.reason, job.error));
                return;
            }
            if (!open.isEmpty()) {
                Thread.sleep(backoff(attempt));
            }
        }
    }

    private static List<Job> open(List<Job> jobs) {
        return jobs.stream().filter(Job::isOpen).toList();
    }

    /** Exponential, with full jitter. */
    private static long backoff(int attempt) {
        long limit = Math.min(BACKOFF_MAX_MS, BACKOFF_MS << (attempt - 1));
        return ThreadLocalRandom.current().nextLong(limit + 1);
    }

    private void ask(List<Job> jobs) throws Tokens.Unavailable, InterruptedException {
        String authorization = tokens.get();
        callAll(jobs, authorization);
        List<Job> unauthorized = jobs.stream().filter(job -> job.state == Job.State.UNAUTHORIZED).toList();
        if (!unauthorized.isEmpty()) {
            callAll(unauthorized, tokens.another(authorization));
        }
    }

    private void callAll(List<Job> jobs, String authorization) throws InterruptedException {
        try {
            iamport.await(() -> Future.join(jobs.stream().map(job -> call(job, authorization)).toList()));
        } catch (ExecutionException fault) {
            throw new IllegalStateException(fault.getCause());
        }
    }

    private Future<?> call(Job job, String authorization) {
        job.attempts++;
        return iamport.getCertification(job.impUid, authorization).transform(result -> {
            if (result.succeeded()) {
                judge(job, result.result());
            } else {
                job.failed("unavailable", result.cause().toString());
            }
            return Future.succeededFuture();
        });
    }

    private static void judge(Job job, Iamport.Answer answer) {
        int status = answer.status();
        if (status == 200) {
            judgeBody(job, answer);
        } else if (status == 401) {
            job.unauthorized();
        } else if (status == 429 || status >= 500) {
            job.failed("unavailable", "status " + status);
        } else {
            job.refuse(status == 404 ? "not_found" : "refused", "status " + status);
        }
    }

    private static void judgeBody(Job job, Iamport.Answer answer) {
        try {
            JsonObject envelope = answer.body().toJsonObject();
            if (envelope.getInteger("code") != 0) {
                job.refuse("refused", "code " + envelope.getInteger("code"));
                return;
            }
            judgeCertification(job, envelope.getJsonObject("response"));
        } catch (RuntimeException notExpected) {
            job.failed("bad_response", "not the JSON expected");
        }
    }

    private static void judgeCertification(Job job, JsonObject found) {
        if (!job.impUid.equals(found.getValue("imp_uid"))) {
            job.failed("bad_response", "the answer is for another imp_uid");
        } else if (!Boolean.TRUE.equals(found.getValue("certified"))) {
            job.refuse("not_certified", "not certified");
        } else if (!(found.getValue("unique_key") instanceof String key) || key.isEmpty()) {
            job.refuse("no_unique_key", "certified without a unique_key");
        } else {
            job.verified(new Document("_id", job.impUid)
                    .append("unique_key", key)
                    .append("unique_in_site", found.getString("unique_in_site"))
                    .append("certified", true)
                    .append("certified_at", date(found.getLong("certified_at")))
                    .append("verified_at", new Date()));
        }
    }

    private static Date date(Long seconds) {
        return seconds == null || seconds <= 0 ? null : new Date(seconds * 1000);
    }
}
