/* Memory of the libraries. Main thread. */
#include "worker/allocators.h"

#include "common/secret.h"

#include <bson/bson.h>
#include <curl/curl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return size ? malloc(size) : NULL;
}

static void *openssl_realloc(void *memory, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return secret_rewipe(memory, size);
}

static void openssl_free(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    secret_wipe(memory);
}

void allocators_set(void)
{
    static const bson_mem_vtable_t bson = {
        .malloc = malloc, .calloc = calloc, .realloc = secret_rewipe, .free = secret_wipe};
    bson_mem_set_vtable(&bson);
    CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free);
    curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, secret_wipe, secret_rewipe, strdup, calloc);
}
