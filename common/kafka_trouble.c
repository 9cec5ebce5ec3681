/* Words for what librdkafka and OpenSSL tell in codes. Any thread. */
#include "common/kafka_trouble.h"

#include "common/utf8.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* OpenSSL names alerts, which the other side sends, and these are of our certificate. */
static bool is_alert_of_certificate(const char *reason)
{
    return strstr(reason, "SSL alert number") &&
           (strstr(reason, "certificate") || strstr(reason, "unknown ca"));
}

/* Until then librdkafka ends the exchange of SCRAM with a nonce that is too long, and newer brokers, of Kafka
 * 4.1 for one, take the password for a wrong one (librdkafka's issue 4895). */
enum { VERSION_OF_SCRAM = 0x02060100 };

static const char *explain(const char *reason)
{
    if (strstr(reason, "SASL authentication error") && strstr(reason, "SCRAM") &&
        rd_kafka_version() < VERSION_OF_SCRAM)
        return "a wrong user or password, or the librdkafka here, which needs to be 2.6.1 for SCRAM "
               "with newer brokers: ";
    if (strstr(reason, "certificate verify failed"))
        return "the broker's certificate is of an authority that is not trusted (ssl.ca.location), "
               "of another host name, or out of date: ";
    if (is_alert_of_certificate(reason))
        return "the broker refuses the client certificate (ssl.certificate.location), or misses one: ";
    if (strstr(reason, "SSL handshake failed"))
        return "the broker speaks no TLS there (security.protocol), or breaks it off: ";
    return "";
}

void kafka_trouble(const char *reason, char *out, size_t size)
{
    const char *varying = strstr(reason, " (after ");
    size_t length = varying ? (size_t)(varying - reason) : strlen(reason);
    int used = snprintf(out, size, "%s", explain(reason));
    if (used >= 0 && (size_t)used < size)
        utf8_escape(reason, length, out + used, size - (size_t)used);
}
