/* Whether this build can encrypt. Main thread. */
#include "worker/cipher.h"

/* libmongoc's header has it where the library was built with libmongocrypt. */
#ifndef CIPHER_ABLE
#ifdef MONGOC_ENABLE_CLIENT_SIDE_ENCRYPTION
#define CIPHER_ABLE true
#else
#define CIPHER_ABLE false
#endif
#endif

bool cipher_wanted(const struct settings *settings)
{
    return settings_text(settings, SETTING_ENCRYPTION_KEY);
}

void cipher_check(const struct settings *settings, struct faults *faults)
{
    if (cipher_wanted(settings) && !CIPHER_ABLE)
        faults_add(faults, "IMPCERT_ENCRYPTION_KEY",
            "set, but libmongoc is built without libmongocrypt here; expected a libmongoc that is built with "
            "ENABLE_CLIENT_SIDE_ENCRYPTION, or no encryption");
}
