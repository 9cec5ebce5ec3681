/* Certifications on bare sockets: one connection for each that is under way, one epoll, and just enough HTTP
 * to find the end of an answer. */
#include "tests/bench/floors/floor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_SIZE = 8192, REQUEST_SIZE = 1024, EVENTS_MAX = 256 };

struct connection {
    int fd;
    size_t have;
    char answer[ANSWER_SIZE];
};

struct sockets {
    const char *host, *token;
    struct sockaddr_in address;
    int epoll_fd;
    size_t started, ended, count;
};

static bool sockets_send(struct sockets *sockets, struct connection *connection)
{
    char request[REQUEST_SIZE];
    int size = snprintf(request, sizeof request,
        "GET /certifications/imp_%012zu HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n",
        sockets->started++, sockets->host, sockets->token);
    connection->have = 0;
    return send(connection->fd, request, (size_t)size, MSG_NOSIGNAL) == size;
}

static bool sockets_connect(struct sockets *sockets, struct connection *connection)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connection->fd >= 0 &&
           connect(connection->fd, (struct sockaddr *)&sockets->address, sizeof sockets->address) == 0 &&
           epoll_ctl(sockets->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) == 0 &&
           sockets_send(sockets, connection);
}

/* Whether the answer is complete. */
static bool connection_complete(struct connection *connection)
{
    connection->answer[connection->have] = '\0';
    const char *body = strstr(connection->answer, "\r\n\r\n");
    const char *length = strcasestr(connection->answer, "\r\nContent-Length:");
    if (!body || !length)
        return false;
    size_t head = (size_t)(body + 4 - connection->answer);
    return connection->have >= head + strtoul(length + 17, NULL, 10);
}

static bool sockets_receive(struct sockets *sockets, struct connection *connection)
{
    ssize_t got = recv(connection->fd, connection->answer + connection->have,
        sizeof connection->answer - 1 - connection->have, MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    connection->have += (size_t)got;
    if (!connection_complete(connection))
        return true;
    if (strncmp(connection->answer, "HTTP/1.1 200", 12) != 0)
        return false;
    sockets->ended++;
    return sockets->started == sockets->count || sockets_send(sockets, connection);
}

static bool sockets_run(struct sockets *sockets)
{
    struct epoll_event events[EVENTS_MAX];
    while (sockets->ended < sockets->count) {
        int count = epoll_wait(sockets->epoll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++)
            if (!sockets_receive(sockets, events[i].data.ptr))
                return false;
    }
    return true;
}

bool floor_get_epoll(const char *url, const char *token, size_t count, size_t at_once)
{
    struct sockets sockets = {.token = token, .count = count, .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    sockets.host = strstr(url, "//");
    const char *port = sockets.host ? strchr(sockets.host += 2, ':') : NULL;
    struct connection *connections = calloc(at_once, sizeof *connections);
    bool fine = port && connections;
    if (fine) {
        sockets.address.sin_family = AF_INET;
        sockets.address.sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10));
        sockets.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    for (size_t i = 0; fine && i < at_once && i < count; i++)
        fine = sockets_connect(&sockets, &connections[i]);
    fine = fine && sockets_run(&sockets);
    if (!fine)
        fprintf(stderr, "impcert-floor: %s does not answer as it should\n", url);
    free(connections);
    return fine;
}
