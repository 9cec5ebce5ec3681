/* Bytes over TCP or TLS. Loop thread. Owns nothing: a wire belongs to its connection. */
#include "worker/wire.h"

#include <errno.h>
#include <sys/socket.h>

static enum wire_result wire_result(CURLcode code)
{
    if (code == CURLE_OK)
        return WIRE_OK;
    return code == CURLE_AGAIN ? WIRE_AGAIN : WIRE_FAILED;
}

static enum wire_result wire_errno(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? WIRE_AGAIN : WIRE_FAILED;
}

enum wire_result wire_send(struct wire *wire, const char *data, size_t size, size_t *sent)
{
    *sent = 0;
    if (wire->easy)
        return wire_result(curl_easy_send(wire->easy, data, size, sent));
    ssize_t done = send(wire->fd, data, size, MSG_NOSIGNAL);
    if (done < 0)
        return wire_errno();
    *sent = (size_t)done;
    return WIRE_OK;
}

enum wire_result wire_receive(struct wire *wire, char *data, size_t size, size_t *received)
{
    *received = 0;
    if (wire->easy) {
        enum wire_result result = wire_result(curl_easy_recv(wire->easy, data, size, received));
        return result == WIRE_OK && !*received ? WIRE_ENDED : result;
    }
    ssize_t done = recv(wire->fd, data, size, 0);
    if (done < 0)
        return wire_errno();
    *received = (size_t)done;
    return done ? WIRE_OK : WIRE_ENDED;
}

bool wire_drained(const struct wire *wire, size_t received, size_t asked)
{
    return !wire->easy && received < asked;
}
