/* Listening sockets: the address told, and why one can't be had. */
#include "common/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static uint16_t port_of(const char *address)
{
    return (uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10);
}

static void listener_tells_the_port_that_it_got(void **state)
{
    (void)state;
    char address[LISTENER_ADDRESS_SIZE];
    struct error error = {.text = ""};
    int fd = listener_open("127.0.0.1", 0, 4, address, &error);
    assert_true(fd >= 0);
    assert_memory_equal(address, "127.0.0.1:", 10);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    struct sockaddr_in there = {.sin_family = AF_INET,
        .sin_port = htons(port_of(address)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&there, sizeof there), 0);
    close(client);
    close(fd);
}

static void listener_puts_ipv6_in_brackets(void **state)
{
    (void)state;
    char address[LISTENER_ADDRESS_SIZE];
    struct error error;
    int fd = listener_open("::1", 0, 4, address, &error);
    if (fd < 0)
        skip(); /* there is no IPv6 here */
    assert_memory_equal(address, "[::1]:", 6);
    close(fd);
}

static void listener_names_the_address_that_is_in_use(void **state)
{
    (void)state;
    char address[LISTENER_ADDRESS_SIZE], again[LISTENER_ADDRESS_SIZE];
    struct error error;
    int fd = listener_open("127.0.0.1", 0, 4, address, &error);
    assert_true(fd >= 0);
    assert_int_equal(listener_open("127.0.0.1", port_of(address), 4, again, &error), -1);
    assert_non_null(strstr(error.text, address));
    assert_non_null(strstr(error.text, "in use"));
    close(fd);
}

static void listener_names_an_address_that_is_not_its_own(void **state)
{
    (void)state;
    char address[LISTENER_ADDRESS_SIZE];
    struct error error;
    assert_int_equal(listener_open("192.0.2.1", 0, 4, address, &error), -1);
    assert_non_null(strstr(error.text, "192.0.2.1:0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listener_tells_the_port_that_it_got),
        cmocka_unit_test(listener_puts_ipv6_in_brackets),
        cmocka_unit_test(listener_names_the_address_that_is_in_use),
        cmocka_unit_test(listener_names_an_address_that_is_not_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
