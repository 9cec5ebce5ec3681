#ifndef IMPCERT_PRODUCER_GATEWAY_CERTIFICATE_H
#define IMPCERT_PRODUCER_GATEWAY_CERTIFICATE_H

#include "common/error.h"
#include "common/settings.h"

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>

/* The gateway's certificate and key for TLS, of IMPCERT_TLS_CERT_FILE and IMPCERT_TLS_KEY_FILE. The files are
 * looked at every few seconds, and read again when they have changed: a connection keeps the certificate that
 * it began with. Thread: loop. */
struct certificates;

/* A certificate in use. */
struct certificate;

/* Whether the settings ask for TLS. */
bool certificates_wanted(const struct settings *settings);
/* Adds to faults what is wrong with the two settings and what their files hold. */
void certificates_check(const struct settings *settings, struct faults *faults);

/* settings: borrowed for its life. NULL with the reason, which names the file, when they hold no pair. */
struct certificates *certificates_open(const struct settings *settings, struct error *error);
/* All that were taken have to be dropped before. NULL is fine. */
void certificates_close(struct certificates *certificates);

/* Reads the files again when it is time to, and they have changed. A pair that is no good is told in the log,
 * and the one before stays. */
void certificates_turn(struct certificates *certificates, int64_t now_ns);

/* The newest one, for a new connection; to be dropped when that has ended. */
struct certificate *certificates_take(struct certificates *certificates);
void certificate_drop(struct certificate *certificate);
/* What GnuTLS takes; as long as the certificate is held. */
gnutls_certificate_credentials_t certificate_credentials(const struct certificate *certificate);

#endif
