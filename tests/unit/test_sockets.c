/* Watched sockets: whose each is, and which events epoll tells of it. */
#include "worker/sockets.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* What the table begins with, and what makes it grow more than once. */
enum { HIGH = 64, HIGHER = 700 };

struct fixture {
    int epoll_fd;
    int pair[2]; /* connected with each other: both can be written to, neither can be read from */
    struct sockets *sockets;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct error error;
    if (!fixture || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fixture->pair) != 0)
        return -1;
    fixture->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    fixture->sockets = sockets_new(fixture->epoll_fd, &error);
    *state = fixture;
    return fixture->sockets ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    sockets_free(fixture->sockets);
    close(fixture->pair[0]);
    close(fixture->pair[1]);
    close(fixture->epoll_fd);
    free(fixture);
    return 0;
}

/* What epoll tells of a socket; no other has anything to tell. */
static uint32_t told(const struct fixture *fixture, int fd)
{
    struct epoll_event events[4];
    int count = epoll_wait(fixture->epoll_fd, events, 4, 0);
    assert_in_range(count, 0, 1);
    if (!count)
        return 0;
    assert_int_equal(events[0].data.fd, fd);
    return events[0].events;
}

static void nobody_owns_what_is_not_watched(void **state)
{
    struct fixture *fixture = *state;
    assert_null(sockets_owner(fixture->sockets, fixture->pair[0]));
    assert_null(sockets_owner(fixture->sockets, -1));
    assert_null(sockets_owner(fixture->sockets, 1 << 20));
    sockets_forget(fixture->sockets, fixture->pair[0], NULL);
    sockets_forget(fixture->sockets, -1, NULL);
    sockets_forget(fixture->sockets, 1 << 20, NULL);
    sockets_free(NULL);
}

static void what_is_watched_has_an_owner_and_is_told_of(void **state)
{
    struct fixture *fixture = *state;
    int fd = fixture->pair[0], owner;
    assert_true(sockets_watch(fixture->sockets, fd, EPOLLIN, &owner));
    assert_ptr_equal(sockets_owner(fixture->sockets, fd), &owner);
    assert_null(sockets_owner(fixture->sockets, fixture->pair[1]));
    assert_int_equal(told(fixture, fd), 0);
    assert_int_equal(write(fixture->pair[1], "x", 1), 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(told(fixture, fd), EPOLLIN);
}

static void events_and_owner_change_with_each_call(void **state)
{
    struct fixture *fixture = *state;
    int fd = fixture->pair[0], owner, other;
    assert_true(sockets_watch(fixture->sockets, fd, EPOLLIN, &owner));
    assert_true(sockets_watch(fixture->sockets, fd, EPOLLIN | EPOLLOUT, &owner));
    assert_int_equal(told(fixture, fd), EPOLLOUT);
    assert_true(sockets_watch(fixture->sockets, fd, EPOLLIN, &owner));
    assert_int_equal(told(fixture, fd), 0);
    assert_true(sockets_watch(fixture->sockets, fd, EPOLLIN, &other));
    assert_ptr_equal(sockets_owner(fixture->sockets, fd), &other);
}

static void what_is_forgotten_is_not_told_of(void **state)
{
    struct fixture *fixture = *state;
    int fd = fixture->pair[0], owner;
    assert_true(sockets_watch(fixture->sockets, fd, EPOLLOUT, &owner));
    sockets_forget(fixture->sockets, fd, &owner);
    assert_null(sockets_owner(fixture->sockets, fd));
    assert_int_equal(told(fixture, fd), 0);
    sockets_forget(fixture->sockets, fd, &owner);
    assert_true(sockets_watch(fixture->sockets, fd, EPOLLOUT, &owner));
    assert_int_equal(told(fixture, fd), EPOLLOUT);
}

static void a_descriptor_used_again_is_another_socket(void **state)
{
    struct fixture *fixture = *state;
    int fd = fixture->pair[0], owner, other;
    assert_true(sockets_watch(fixture->sockets, fd, EPOLLOUT, &owner));
    sockets_forget(fixture->sockets, fd, &owner);
    assert_int_equal(dup2(fixture->pair[1], fd), fd);
    assert_true(sockets_watch(fixture->sockets, fd, EPOLLIN, &other));
    assert_ptr_equal(sockets_owner(fixture->sockets, fd), &other);
    assert_int_equal(told(fixture, fd), EPOLLIN | EPOLLHUP); /* nobody holds the other end any more */
}

static void high_descriptors_leave_the_others_as_they_are(void **state)
{
    struct fixture *fixture = *state;
    int owners[3], fds[3] = {fixture->pair[0]};
    assert_true(sockets_watch(fixture->sockets, fds[0], EPOLLIN, &owners[0]));
    fds[1] = fcntl(fixture->pair[0], F_DUPFD_CLOEXEC, HIGH);
    fds[2] = fcntl(fixture->pair[0], F_DUPFD_CLOEXEC, HIGHER);
    for (int i = 1; i < 3; i++) {
        assert_true(fds[i] >= HIGH);
        assert_true(sockets_watch(fixture->sockets, fds[i], EPOLLIN, &owners[i]));
    }
    for (int fd = 0; fd < 2 * HIGHER; fd++) {
        int *owner = sockets_owner(fixture->sockets, fd);
        for (int i = 0; i < 3; i++)
            assert_true((fd == fds[i]) == (owner == &owners[i]));
    }
    for (int i = 1; i < 3; i++) {
        sockets_forget(fixture->sockets, fds[i], &owners[i]);
        close(fds[i]);
    }
}

static void what_epoll_does_not_take_is_not_watched(void **state)
{
    struct fixture *fixture = *state;
    int owner, closed = fcntl(fixture->pair[0], F_DUPFD_CLOEXEC, HIGH);
    close(closed);
    assert_false(sockets_watch(fixture->sockets, closed, EPOLLIN, &owner));
    assert_null(sockets_owner(fixture->sockets, closed));
}

#define SOCKETS_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* curl may have closed a socket by itself, whose number another has by now. */
static void sockets_of_another_are_not_forgotten(void **state)
{
    struct fixture *fixture = *state;
    int fd = fixture->pair[0], owner, other;
    assert_true(sockets_watch(fixture->sockets, fd, EPOLLOUT, &owner));
    assert_int_equal(dup2(fixture->pair[1], fd), fd);
    assert_true(sockets_watch(fixture->sockets, fd, EPOLLOUT, &other));
    sockets_forget(fixture->sockets, fd, &owner);
    assert_ptr_equal(sockets_owner(fixture->sockets, fd), &other);
    assert_true(told(fixture, fd) & EPOLLOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SOCKETS_TEST(nobody_owns_what_is_not_watched),
        SOCKETS_TEST(what_is_watched_has_an_owner_and_is_told_of),
        SOCKETS_TEST(events_and_owner_change_with_each_call),
        SOCKETS_TEST(what_is_forgotten_is_not_told_of),
        SOCKETS_TEST(a_descriptor_used_again_is_another_socket),
        SOCKETS_TEST(sockets_of_another_are_not_forgotten),
        SOCKETS_TEST(high_descriptors_leave_the_others_as_they_are),
        SOCKETS_TEST(what_epoll_does_not_take_is_not_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
