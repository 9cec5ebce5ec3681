/* curl's sockets in an epoll set: what is left in it, and what is taken out. On a real connection of curl's
 * to a listener of the test. */
#include "worker/sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
    int epoll_fd;
    int listener;
    int peer; /* of the connection */
    CURL *easy;
    curl_socket_t fd;
    struct sockets *sockets;
};

static int listen_somewhere(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static int set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    struct error error;
    char url[64];
    uint16_t port;
    scene->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    scene->sockets = sockets_new(scene->epoll_fd, &error);
    scene->listener = listen_somewhere(&port);
    scene->easy = curl_easy_init();
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
    assert_true(sockets_serve(scene->sockets, scene->easy));
    curl_easy_setopt(scene->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(scene->easy, CURLOPT_URL, url);
    curl_easy_setopt(scene->easy, CURLOPT_CONNECT_ONLY, 1L);
    assert_int_equal(curl_easy_perform(scene->easy), CURLE_OK);
    curl_easy_getinfo(scene->easy, CURLINFO_ACTIVESOCKET, &scene->fd);
    scene->peer = accept4(scene->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(scene->peer >= 0);
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;
    curl_easy_cleanup(scene->easy);
    sockets_free(scene->sockets);
    close(scene->peer);
    close(scene->listener);
    close(scene->epoll_fd);
    free(scene);
    return 0;
}

/* The descriptor that is ready, or -1. */
static int ready(const struct scene *scene)
{
    struct epoll_event event;
    return epoll_wait(scene->epoll_fd, &event, 1, 0) == 1 ? event.data.fd : -1;
}

static void answer(const struct scene *scene)
{
    assert_int_equal(write(scene->peer, "x", 1), 1);
}

static void a_wanted_socket_is_told(void **state)
{
    const struct scene *scene = *state;
    assert_true(sockets_want(scene->sockets, scene->fd, CURL_POLL_IN));
    assert_int_equal(ready(scene), -1);
    answer(scene);
    assert_int_equal(ready(scene), scene->fd);
    assert_true(sockets_wanted(scene->sockets, scene->fd));
}

static void what_is_wanted_may_change(void **state)
{
    const struct scene *scene = *state;
    assert_true(sockets_want(scene->sockets, scene->fd, CURL_POLL_IN));
    assert_true(sockets_want(scene->sockets, scene->fd, CURL_POLL_INOUT));
    assert_int_equal(ready(scene), scene->fd);
    assert_true(sockets_want(scene->sockets, scene->fd, CURL_POLL_IN));
    assert_int_equal(ready(scene), -1);
}

static void one_that_nobody_wants_is_told_once(void **state)
{
    struct scene *scene = *state;
    assert_true(sockets_want(scene->sockets, scene->fd, CURL_POLL_IN));
    assert_true(sockets_want(scene->sockets, scene->fd, CURL_POLL_REMOVE));
    shutdown(scene->peer, SHUT_WR);
    assert_int_equal(ready(scene), scene->fd);
    assert_false(sockets_wanted(scene->sockets, scene->fd));
    assert_int_equal(ready(scene), -1);
}

static void one_taken_out_is_put_in_again(void **state)
{
    struct scene *scene = *state;
    one_that_nobody_wants_is_told_once(state);
    assert_true(sockets_want(scene->sockets, scene->fd, CURL_POLL_IN));
    assert_int_equal(ready(scene), scene->fd);
    assert_true(sockets_wanted(scene->sockets, scene->fd));
}

static void wanted_again_before_anything_came_it_is_told(void **state)
{
    const struct scene *scene = *state;
    assert_true(sockets_want(scene->sockets, scene->fd, CURL_POLL_IN));
    assert_true(sockets_want(scene->sockets, scene->fd, CURL_POLL_REMOVE));
    assert_true(sockets_want(scene->sockets, scene->fd, CURL_POLL_IN));
    answer(scene);
    assert_int_equal(ready(scene), scene->fd);
    assert_true(sockets_wanted(scene->sockets, scene->fd));
}

/* As of curl's resolver, which closes them by itself: their number may be another's next. */
static void one_not_opened_here_leaves_at_once(void **state)
{
    const struct scene *scene = *state;
    int fd = eventfd(1, EFD_CLOEXEC);
    assert_true(sockets_want(scene->sockets, fd, CURL_POLL_IN));
    assert_int_equal(ready(scene), fd);
    assert_true(sockets_want(scene->sockets, fd, CURL_POLL_REMOVE));
    assert_int_equal(ready(scene), -1);
    close(fd);
}

static void a_number_that_comes_again_is_watched_anew(void **state)
{
    struct scene *scene = *state;
    assert_true(sockets_want(scene->sockets, scene->fd, CURL_POLL_IN));
    assert_true(sockets_want(scene->sockets, scene->fd, CURL_POLL_REMOVE));
    curl_socket_t before = scene->fd;
    CURL *other = curl_easy_duphandle(scene->easy);
    curl_easy_cleanup(scene->easy);
    close(scene->peer);
    scene->easy = other;
    assert_int_equal(curl_easy_perform(other), CURLE_OK);
    curl_easy_getinfo(other, CURLINFO_ACTIVESOCKET, &scene->fd);
    scene->peer = accept4(scene->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_int_equal(scene->fd, before);
    a_wanted_socket_is_told(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_wanted_socket_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_wanted_may_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_nobody_wants_is_told_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_taken_out_is_put_in_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wanted_again_before_anything_came_it_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_not_opened_here_leaves_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_number_that_comes_again_is_watched_anew, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
