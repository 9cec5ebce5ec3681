package peer;

import io.vertx.core.Context;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.http.PoolOptions;
import io.vertx.core.http.RequestOptions;
import io.vertx.core.json.JsonObject;
import io.vertx.core.net.PemTrustOptions;
import java.net.URI;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.Supplier;

/**
 * The HTTP client of one thread, with connections and an event loop of its own: a batch takes one hop to the loop and one
 * back, whatever its size, and no HTTP/2 connection gets more streams than a batch has events, which is fewer than servers allow.
 */
final class Iamport {
    private static final int CONNECT_TIMEOUT_MS = 3_000;
    private static final int TIMEOUT_MS = 10_000;
    /** Answers to a whole batch fit in without the server waiting for a window update. */
    private static final int HTTP2_WINDOW = 1 << 20;

    record Answer(int status, Buffer body) {}

    private final Context context;
    private final HttpClient client;
    private final String path;

    Iamport(Vertx vertx, Settings settings, int connections) {
        URI url = settings.iamportUrl();
        // Every connection holds as many calls as a batch has, so that one is enough where HTTP/2 is spoken.
        PoolOptions pool = new PoolOptions().setHttp1MaxSize(connections).setHttp2MaxSize(1);
        client = vertx.createHttpClient(options(url, settings.caFile()), pool);
        context = vertx.getOrCreateContext();
        path = url.getRawPath().replaceAll("/+$", "");
    }

    /** Makes `calls` on the event loop, in one go, and waits for what comes of them. */
    <T> T await(Supplier<Future<T>> calls) throws ExecutionException, InterruptedException {
        CompletableFuture<T> done = new CompletableFuture<>();
        context.runOnContext(start -> Future.succeededFuture()
                .compose(unused -> calls.get())
                .onComplete(done::complete, done::completeExceptionally));
        return done.get();
    }

    Future<Answer> getCertification(String impUid, String authorization) {
        RequestOptions options = request(HttpMethod.GET, "/certifications/" + impUid)
                .putHeader(HttpHeaders.AUTHORIZATION, authorization);
        return client.request(options).compose(HttpClientRequest::send).compose(Iamport::answer);
    }

    Future<Answer> postToken(String key, String secret) {
        Buffer body = new JsonObject().put("imp_key", key).put("imp_secret", secret).toBuffer();
        RequestOptions options = request(HttpMethod.POST, "/users/getToken")
                .putHeader(HttpHeaders.CONTENT_TYPE, "application/json");
        return client.request(options).compose(request -> request.send(body)).compose(Iamport::answer);
    }

    private RequestOptions request(HttpMethod method, String resource) {
        return new RequestOptions().setMethod(method).setURI(path + resource).setTimeout(TIMEOUT_MS);
    }

    private static Future<Answer> answer(HttpClientResponse response) {
        return response.body().map(body -> new Answer(response.statusCode(), body));
    }

    private static HttpClientOptions options(URI url, String caFile) {
        boolean tls = url.getScheme().equals("https");
        int port = url.getPort() >= 0 ? url.getPort() : tls ? 443 : 80;
        HttpClientOptions options = new HttpClientOptions()
                .setDefaultHost(url.getHost())
                .setDefaultPort(port)
                .setConnectTimeout(CONNECT_TIMEOUT_MS);
        if (tls) {
            options.setSsl(true)
                    .setUseAlpn(true)
                    .setProtocolVersion(HttpVersion.HTTP_2)
                    .setHttp2ConnectionWindowSize(HTTP2_WINDOW);
            if (caFile != null) {
                options.setTrustOptions(new PemTrustOptions().addCertPath(caFile));
            }
        }
        return options;
    }
}
