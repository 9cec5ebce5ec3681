#ifndef IMPCERT_WORKER_TOKEN_ANSWER_H
#define IMPCERT_WORKER_TOKEN_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an answer of POST /users/getToken says. Pure. Thread: loop. */
enum { TOKEN_SIZE = 512 };

struct token_answer {
    char value[TOKEN_SIZE]; /* a secret: whoever holds it wipes it */
    int64_t life_s;         /* at least 1 */
};

/* Reads the body of an answer with status 200. False: why says what is wrong, without anything out of the
 * body, and answer holds nothing. */
bool token_answer_read(const char *body, size_t size, struct token_answer *answer, const char **why);

#endif
