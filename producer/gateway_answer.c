/* Answers and problems. Loop thread. */
#include "producer/gateway_answer.h"

#include <jansson.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ANSWER_LIMIT = 1024 * 1024 };

void answer_init(struct answer *answer)
{
    *answer = (struct answer){.status = MHD_HTTP_OK};
    buf_init(&answer->body, ANSWER_LIMIT);
}

void answer_cleanup(struct answer *answer)
{
    buf_cleanup(&answer->body);
}

/* Out of memory the status still says what became of the request. */
void answer_queued(struct answer *answer, const char *imp_uid)
{
    answer->status = MHD_HTTP_ACCEPTED;
    if (buf_format(&answer->body, "{\"imp_uid\": \"%s\", \"status\": \"queued\"}\n", imp_uid))
        answer->content_type = "application/json";
}

void answer_problem(struct answer *answer, unsigned status, const char *field, const char *format, ...)
{
    char detail[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    answer->status = status;
    json_t *problem = json_pack("{s:s, s:s, s:i, s:s, s:s*}", "type", "about:blank", "title",
        MHD_get_reason_phrase_for(status), "status", (int)status, "detail", detail, "field", field);
    char *text = json_dumps(problem, 0);
    if (text && buf_format(&answer->body, "%s\n", text))
        answer->content_type = "application/problem+json";
    free(text);
    json_decref(problem);
}
