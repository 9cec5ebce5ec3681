/* Certificate and key, by GnuTLS, since libmicrohttpd's TLS is. Loop thread. Owns the newest pair; older ones
 * belong to the connections that began with them, and go with the last. */
#include "producer/gateway_certificate.h"

#include "common/clock.h"
#include "common/file_mark.h"
#include "common/log.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CERTIFICATES_LOOK (2 * CLOCK_S)

struct certificate {
    gnutls_certificate_credentials_t credentials;
    time_t ends;
    size_t holders; /* connections, and struct certificates while it is the newest */
};

struct marks {
    struct file_mark certificate, key;
};

struct certificates {
    const char *certificate_path, *key_path; /* of the settings */
    struct certificate *newest;
    struct marks read; /* when the pair was read last, good or not */
    int64_t look_ns;
};

/* A chain as it is read. */
struct chain {
    gnutls_x509_crt_t *list;
    unsigned count;
};

static void chain_cleanup(struct chain *chain)
{
    for (unsigned i = 0; i < chain->count; i++)
        gnutls_x509_crt_deinit(chain->list[i]);
    gnutls_free(chain->list);
}

static bool load(const char *path, gnutls_datum_t *content, struct error *error)
{
    errno = 0;
    if (gnutls_load_file(path, content) == GNUTLS_E_SUCCESS)
        return true;
    return error_set(error, "%s can't be read: %s", path, errno ? strerror(errno) : "out of memory");
}

static bool load_chain(const char *path, struct chain *chain, struct error *error)
{
    gnutls_datum_t content;
    *chain = (struct chain){NULL, 0};
    if (!load(path, &content, error))
        return false;
    int result = gnutls_x509_crt_list_import2(
        &chain->list, &chain->count, &content, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_SORT);
    gnutls_free(content.data);
    if (result >= 0)
        return true;
    return error_set(error,
        "%.300s holds no certificate in PEM form, or no chain (%s), expected the server's, then its issuers'",
        path, gnutls_strerror(result));
}

static bool load_key(const char *path, gnutls_x509_privkey_t *key, struct error *error)
{
    gnutls_datum_t content;
    if (gnutls_x509_privkey_init(key) < 0)
        return error_set(error, "out of memory");
    int result = GNUTLS_E_SUCCESS;
    bool loaded = load(path, &content, error);
    if (loaded) {
        result = gnutls_x509_privkey_import2(*key, &content, GNUTLS_X509_FMT_PEM, NULL, 0);
        gnutls_memset(content.data, 0, content.size);
        gnutls_free(content.data);
    }
    if (loaded && result >= 0)
        return true;
    gnutls_x509_privkey_deinit(*key);
    if (!loaded)
        return false;
    return error_set(error, "%s holds no private key in PEM form (%s), expected one without a password", path,
        gnutls_strerror(result));
}

static bool certificate_fill(struct certificate *certificate, const struct certificates *certificates,
    const struct chain *chain, gnutls_x509_privkey_t key, struct error *error)
{
    int result =
        gnutls_certificate_set_x509_key(certificate->credentials, chain->list, (int)chain->count, key);
    certificate->ends = gnutls_x509_crt_get_expiration_time(chain->list[0]);
    if (result >= 0)
        return true;
    if (result == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return error_set(error, "%s is not the key of the certificate in %s", certificates->key_path,
            certificates->certificate_path);
    return error_set(error, "%s: %s", certificates->certificate_path, gnutls_strerror(result));
}

/* NULL with the reason, and with the setting that is wrong. */
static struct certificate *certificate_new(
    const struct certificates *certificates, enum setting *wrong, struct error *error)
{
    struct certificate *certificate = calloc(1, sizeof *certificate);
    struct chain chain = {NULL, 0};
    gnutls_x509_privkey_t key;
    if (!certificate || gnutls_certificate_allocate_credentials(&certificate->credentials) < 0) {
        free(certificate);
        error_set(error, "out of memory");
        return NULL;
    }
    certificate->holders = 1;
    bool filled = false;
    *wrong = SETTING_TLS_CERT_FILE;
    if (load_chain(certificates->certificate_path, &chain, error)) {
        *wrong = SETTING_TLS_KEY_FILE;
        if (load_key(certificates->key_path, &key, error)) {
            filled = certificate_fill(certificate, certificates, &chain, key, error);
            gnutls_x509_privkey_deinit(key);
        }
        chain_cleanup(&chain);
    }
    if (filled)
        return certificate;
    certificate_drop(certificate);
    return NULL;
}

void certificate_drop(struct certificate *certificate)
{
    if (--certificate->holders)
        return;
    gnutls_certificate_free_credentials(certificate->credentials);
    free(certificate);
}

gnutls_certificate_credentials_t certificate_credentials(const struct certificate *certificate)
{
    return certificate->credentials;
}

static void certificate_tell(const struct certificate *certificate, const char *path)
{
    char ends[32] = "";
    struct tm parts;
    if (gmtime_r(&certificate->ends, &parts))
        strftime(ends, sizeof ends, "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (certificate->ends < time(NULL))
        log_warn("the TLS certificate has expired", LOG_TEXT("file", path), LOG_TEXT("not_after", ends));
    else
        log_info("TLS certificate read", LOG_TEXT("file", path), LOG_TEXT("not_after", ends));
}

static struct marks certificates_marks(const struct certificates *certificates)
{
    return (struct marks){file_mark(certificates->certificate_path), file_mark(certificates->key_path)};
}

/* The marks are of before the reading: what changes meanwhile is read once more. */
static struct certificate *certificates_read(
    struct certificates *certificates, const struct marks *marks, struct error *error)
{
    enum setting wrong;
    certificates->read = *marks;
    return certificate_new(certificates, &wrong, error);
}

static void certificates_init(struct certificates *certificates, const struct settings *settings)
{
    *certificates = (struct certificates){
        .certificate_path = settings_text(settings, SETTING_TLS_CERT_FILE),
        .key_path = settings_text(settings, SETTING_TLS_KEY_FILE),
    };
}

bool certificates_wanted(const struct settings *settings)
{
    return settings_text(settings, SETTING_TLS_CERT_FILE) || settings_text(settings, SETTING_TLS_KEY_FILE);
}

void certificates_check(const struct settings *settings, struct faults *faults)
{
    struct certificates certificates;
    struct error error;
    certificates_init(&certificates, settings);
    if (!certificates_wanted(settings))
        return;
    if (!certificates.certificate_path || !certificates.key_path) {
        bool certificate = certificates.certificate_path;
        faults_add(faults, certificate ? "IMPCERT_TLS_KEY_FILE" : "IMPCERT_TLS_CERT_FILE",
            "not set, but %s is; expected both or none",
            certificate ? "IMPCERT_TLS_CERT_FILE" : "IMPCERT_TLS_KEY_FILE");
        return;
    }
    enum setting wrong;
    struct certificate *certificate = certificate_new(&certificates, &wrong, &error);
    if (certificate)
        certificate_drop(certificate);
    else
        faults_add(faults, wrong == SETTING_TLS_KEY_FILE ? "IMPCERT_TLS_KEY_FILE" : "IMPCERT_TLS_CERT_FILE",
            "%s", error.text);
}

struct certificates *certificates_open(const struct settings *settings, struct error *error)
{
    struct certificates *certificates = calloc(1, sizeof *certificates);
    if (!certificates) {
        error_set(error, "out of memory");
        return NULL;
    }
    certificates_init(certificates, settings);
    struct marks marks = certificates_marks(certificates);
    certificates->newest = certificates_read(certificates, &marks, error);
    if (certificates->newest) {
        certificate_tell(certificates->newest, certificates->certificate_path);
        return certificates;
    }
    free(certificates);
    return NULL;
}

void certificates_close(struct certificates *certificates)
{
    if (!certificates)
        return;
    certificate_drop(certificates->newest);
    free(certificates);
}

void certificates_turn(struct certificates *certificates, int64_t now_ns)
{
    if (now_ns < certificates->look_ns)
        return;
    certificates->look_ns = now_ns + CERTIFICATES_LOOK;
    struct marks marks = certificates_marks(certificates);
    if (file_mark_same(&marks.certificate, &certificates->read.certificate) &&
        file_mark_same(&marks.key, &certificates->read.key))
        return;
    struct error error;
    struct certificate *certificate = certificates_read(certificates, &marks, &error);
    if (!certificate) {
        log_warn(
            "the TLS certificate can't be read again, the one before stays", LOG_TEXT("error", error.text));
        return;
    }
    certificate_drop(certificates->newest);
    certificates->newest = certificate;
    certificate_tell(certificate, certificates->certificate_path);
}

struct certificate *certificates_take(struct certificates *certificates)
{
    certificates->newest->holders++;
    return certificates->newest;
}
