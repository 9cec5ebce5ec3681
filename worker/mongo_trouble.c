/* Words for what the MongoDB driver and OpenSSL tell in codes. Pure; any thread. */
#include "worker/mongo_trouble.h"

#include <string.h>

const char *mongo_trouble(const char *message)
{
    if (strstr(message, "certificate verify failed"))
        return "MongoDB's certificate is of an authority that is not trusted (tlsCAFile), of another "
               "host name, or out of date: ";
    if (strstr(message, "TLS handshake failed"))
        return "MongoDB speaks no TLS there (tls=true), or breaks it off: ";
    /* A server with TLS hangs up on who speaks none, or has no certificate that it knows. */
    if (strstr(message, "Failed to read 4 bytes"))
        return "MongoDB hangs up or is away; it may want TLS (tls=true) or another client certificate "
               "(tlsCertificateKeyFile): ";
    return "";
}
