/* Listening sockets. Any thread. */
#include "common/listener.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void listener_address(int fd, char out[static LISTENER_ADDRESS_SIZE])
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    out[0] = '\0';
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 ||
        getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
            NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    bool ipv6 = address.ss_family == AF_INET6;
    snprintf(out, LISTENER_ADDRESS_SIZE, "%s%s%s:%s", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
}

static int listener_bind(const struct addrinfo *address, int backlog)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, backlog) == 0)
        return fd;
    if (fd >= 0) {
        int why = errno;
        close(fd);
        errno = why;
    }
    return -1;
}

int listener_open(const char *host, uint16_t port, int backlog, char address[static LISTENER_ADDRESS_SIZE],
    struct error *error)
{
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *addresses;
    int result = getaddrinfo(host, service, &hints, &addresses);
    if (result != 0) {
        error_set(error, "listening on %s:%s: %s", host, service, gai_strerror(result));
        return -1;
    }
    int fd = listener_bind(addresses, backlog);
    if (fd < 0)
        error_set(error, "listening on %s:%s: %s", host, service, strerror(errno));
    else
        listener_address(fd, address);
    freeaddrinfo(addresses);
    return fd;
}
