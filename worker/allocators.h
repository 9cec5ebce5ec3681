#ifndef IMPCERT_WORKER_ALLOCATORS_H
#define IMPCERT_WORKER_ALLOCATORS_H

/* Makes libbson (and with it libmongoc), libcurl and OpenSSL overwrite what they free: passwords, keys and
 * documents pass through their memory. Thread: main, before any of them is used. */
void allocators_set(void);

#endif
