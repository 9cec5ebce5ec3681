/* Certifications by a plain curl multi loop: reused easy handles, kept connections, nothing else. */
#include "tests/bench/floors/floor.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

enum { URL_SIZE = 512 };

struct get {
    CURLM *multi;
    struct curl_slist *headers;
    const char *url;
    size_t started, count;
    bool failed;
};

static size_t get_on_body(char *data, size_t one, size_t size, void *context)
{
    (void)data;
    (void)context;
    return one * size;
}

static void get_start(struct get *get, CURL *easy)
{
    char url[URL_SIZE];
    snprintf(url, sizeof url, "%s/certifications/imp_%012zu", get->url, get->started++);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_multi_add_handle(get->multi, easy);
}

static CURL *get_new(const struct get *get)
{
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, get->headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, get_on_body);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 30000L);
    return easy;
}

static void get_ended(struct get *get, CURL *easy, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK || status != 200) {
        fprintf(stderr, "impcert-floor: %s, HTTP %ld\n", curl_easy_strerror(code), status);
        get->failed = true;
    }
    curl_multi_remove_handle(get->multi, easy);
    if (get->started < get->count)
        get_start(get, easy);
    else
        curl_easy_cleanup(easy);
}

static void get_turn(struct get *get, int *running)
{
    int left;
    CURLMsg *message;
    curl_multi_perform(get->multi, running);
    while ((message = curl_multi_info_read(get->multi, &left)))
        get_ended(get, message->easy_handle, message->data.result);
}

bool floor_get_curl(const char *url, const char *token, size_t count, size_t at_once)
{
    char authorization[URL_SIZE];
    snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", token);
    struct get get = {.url = url, .count = count};
    get.headers = curl_slist_append(NULL, authorization);
    get.multi = curl_multi_init();
    curl_multi_setopt(get.multi, CURLMOPT_MAXCONNECTS, (long)at_once);
    for (size_t i = 0; i < at_once && i < count; i++)
        get_start(&get, get_new(&get));
    int running;
    do {
        get_turn(&get, &running);
        curl_multi_poll(get.multi, NULL, 0, 1000, NULL);
    } while (running || get.started < get.count);
    get_turn(&get, &running);
    curl_multi_cleanup(get.multi);
    curl_slist_free_all(get.headers);
    return !get.failed;
}
