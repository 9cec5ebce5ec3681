/* The MongoDB driver's set-up. Main thread. */
#include "worker/mongo.h"

#include "common/log.h"

#include <string.h>

/* A write that hangs is repeated elsewhere sooner than with the driver's 5 minutes (socketTimeoutMS), and a
 * server that is away is named sooner than after 30 s; the URI's own values win. */
enum { SELECTION_TIMEOUT_MS = 3000, CONNECT_TIMEOUT_MS = 3000, SOCKET_TIMEOUT_MS = 20000 };

static void mongo_on_log(mongoc_log_level_t level, const char *domain, const char *message, void *context)
{
    (void)context;
    if (level <= MONGOC_LOG_LEVEL_CRITICAL)
        log_error("mongodb driver", LOG_TEXT("domain", domain), LOG_TEXT("detail", message));
    else if (level == MONGOC_LOG_LEVEL_WARNING)
        log_warn("mongodb driver", LOG_TEXT("domain", domain), LOG_TEXT("detail", message));
    else
        log_debug("mongodb driver", LOG_TEXT("domain", domain), LOG_TEXT("detail", message));
}

static void mongo_default(mongoc_uri_t *uri, const char *option, int32_t value)
{
    if (!mongoc_uri_has_option(uri, option))
        mongoc_uri_set_option_as_int32(uri, option, value);
}

static bool mongo_write_concern(mongoc_uri_t *uri, struct error *error)
{
    const mongoc_write_concern_t *given = mongoc_uri_get_write_concern(uri);
    if (!mongoc_write_concern_is_acknowledged(given))
        return error_set(error,
            "w=0 asks for writes without acknowledgement, which would lose events; expected w=majority");
    if (mongoc_write_concern_get_w(given) != MONGOC_WRITE_CONCERN_W_DEFAULT)
        return true;
    mongoc_write_concern_t *majority = mongoc_write_concern_copy(given); /* may say journal or wtimeoutMS */
    mongoc_write_concern_set_wmajority(majority, mongoc_write_concern_get_wtimeout(given));
    mongoc_uri_set_write_concern(uri, majority);
    mongoc_write_concern_destroy(majority);
    return true;
}

static mongoc_client_pool_t *mongo_pool(const mongoc_uri_t *uri, uint32_t threads, struct error *error)
{
    bson_error_t why;
    mongoc_client_pool_t *pool = mongoc_client_pool_new_with_error(uri, &why);
    if (!pool) {
        error_set(error, "MONGODB_URI: %s", why.message);
        return NULL;
    }
    /* Each store thread keeps a client for its life, whatever maxPoolSize says. */
    mongoc_client_pool_max_size(pool, threads);
    mongoc_client_pool_set_error_api(pool, MONGOC_ERROR_API_VERSION_2);
    mongoc_client_pool_set_appname(pool, "impcert-worker");
    return pool;
}

/* The driver's own words are passed on only where they can't quote a password. */
static mongoc_uri_t *mongo_uri(const struct settings *settings, struct error *error)
{
    bson_error_t why;
    const char *text = settings_text(settings, SETTING_MONGODB_URI);
    mongoc_uri_t *uri = mongoc_uri_new_with_error(text, &why);
    if (!uri) {
        error_set(error, "%s", strchr(text, '@') ? "not a URI that the MongoDB driver takes" : why.message);
        return NULL;
    }
    mongo_default(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, SELECTION_TIMEOUT_MS);
    mongo_default(uri, MONGOC_URI_CONNECTTIMEOUTMS, CONNECT_TIMEOUT_MS);
    mongo_default(uri, MONGOC_URI_SOCKETTIMEOUTMS, SOCKET_TIMEOUT_MS);
    if (mongo_write_concern(uri, error))
        return uri;
    mongoc_uri_destroy(uri);
    return NULL;
}

void mongo_check(const struct settings *settings, struct faults *faults)
{
    struct error error;
    mongoc_log_set_handler(mongo_on_log, NULL);
    mongoc_uri_t *uri = mongo_uri(settings, &error);
    if (uri)
        mongoc_uri_destroy(uri);
    else
        faults_add(faults, "MONGODB_URI", "%s", error.text);
}

mongoc_client_pool_t *mongo_open(const struct settings *settings, uint32_t threads, struct error *error)
{
    mongoc_init();
    mongoc_uri_t *uri = mongo_uri(settings, error);
    if (uri && !mongoc_write_concern_get_wmajority(mongoc_uri_get_write_concern(uri)))
        log_warn("MONGODB_URI asks for less than w=majority: a failover can lose stored documents");
    mongoc_client_pool_t *pool = uri ? mongo_pool(uri, threads, error) : NULL;
    if (uri)
        mongoc_uri_destroy(uri);
    return pool;
}

void mongo_close(mongoc_client_pool_t *pool)
{
    if (pool)
        mongoc_client_pool_destroy(pool);
    mongoc_cleanup();
}
