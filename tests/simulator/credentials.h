// The body of POST /users/getToken. Pure functions.
#ifndef SIMULATOR_CREDENTIALS_H
#define SIMULATOR_CREDENTIALS_H

#include "http.h"
#include "settings.h"

enum credentials {
    CREDENTIALS_RIGHT,
    CREDENTIALS_WRONG,
    CREDENTIALS_NO_KEY,     // imp_key is missing, or not text
    CREDENTIALS_NO_SECRET,  // the same of imp_secret
    CREDENTIALS_UNREADABLE, // neither a JSON object nor a form
};

// Reads a JSON or form-encoded body and compares it with the pair in settings.
enum credentials credentials_check(const struct http_request *request, const struct settings *settings);

#endif
