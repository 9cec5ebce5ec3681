#ifndef IMPCERT_TESTS_FLOOR_H
#define IMPCERT_TESTS_FLOOR_H

#include <stdbool.h>
#include <stddef.h>

/* One part of the worker's job each, done as cheaply as a client can, without any of what makes it safe. Each
 * does `count` events and returns whether all went well; what went wrong is on standard error. */

/* GET {url}/certifications/imp_N with a plain curl multi loop (curl_multi_poll), `at_once` at a time. */
bool floor_get_curl(const char *url, const char *token, size_t count, size_t at_once);
/* The same on bare sockets and epoll: http://127.0.0.1:PORT only. */
bool floor_get_epoll(const char *url, const char *token, size_t count, size_t at_once);
/* Unordered bulk inserts of `at_once` documents with w:majority, one after another. */
bool floor_insert(const char *uri, const char *database, size_t count, size_t at_once);
/* The first `count` records of the topic, in batches of up to `at_once`; nothing is committed. */
bool floor_consume(const char *brokers, const char *topic, size_t count, size_t at_once);

#endif
