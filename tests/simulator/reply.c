// Ready-made answers; see reply.h. Runs on the main thread; the reply owns its body.
#include "reply.h"

#include "http.h"

void reply_clear(struct reply *reply)
{
    struct buf body = reply->body;
    buf_clear(&body);
    *reply = (struct reply){.status = 200, .content_type = "application/json; charset=utf-8", .body = body};
}

void reply_error(struct reply *reply, int status, int code, const char *message)
{
    buf_clear(&reply->body);
    reply->status = status;
    buf_add_text(&reply->body, "{\"code\":");
    buf_add_int(&reply->body, code);
    buf_add_text(&reply->body, ",\"message\":\"");
    buf_add_text(&reply->body, message);
    buf_add_text(&reply->body, "\",\"response\":null}");
}

void reply_html(struct reply *reply, int status)
{
    buf_clear(&reply->body);
    reply->status = status;
    reply->content_type = "text/html; charset=utf-8";
    buf_add_text(&reply->body, "<!DOCTYPE html>\n<html><head><title>");
    buf_add_text(&reply->body, http_reason(status));
    buf_add_text(&reply->body, "</title></head><body><h1>");
    buf_add_text(&reply->body, http_reason(status));
    buf_add_text(&reply->body, "</h1></body></html>\n");
}

void reply_nothing(struct reply *reply, enum reply_manner manner)
{
    buf_clear(&reply->body);
    reply->manner = manner;
    reply->status = 0;
}
