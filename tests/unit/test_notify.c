/* What the service manager is told, on real sockets that play it. */
#include "common/clock.h"
#include "common/log.h"
#include "common/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct health *health;
    struct health_part *kafka;
    char directory[32], path[64];
    int manager;
    char text[1024]; /* the last datagram */
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (!fixture || !(fixture->health = health_new()))
        return -1;
    fixture->kafka = health_add(fixture->health, "kafka");
    assert_non_null(fixture->kafka);
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/impcert-notify.XXXXXX");
    if (!mkdtemp(fixture->directory))
        return -1;
    snprintf(fixture->path, sizeof fixture->path, "%s/socket", fixture->directory);
    fixture->manager = -1;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_JSON);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->manager >= 0)
        close(fixture->manager);
    unlink(fixture->path);
    rmdir(fixture->directory);
    health_free(fixture->health);
    free(fixture);
    return 0;
}

/* Binds what the name says, with @ for the abstract namespace, and sets NOTIFY_SOCKET to it. */
static void listen_at(struct fixture *fixture, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, name, strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    size_t length = strlen(name) + (name[0] == '@' ? 0 : 1);
    fixture->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fixture->manager, (struct sockaddr *)&address,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
        0);
    setenv("NOTIFY_SOCKET", name, 1);
}

/* A datagram on a socket of the same machine is there once send has returned. */
static const char *told(struct fixture *fixture)
{
    ssize_t got = recv(fixture->manager, fixture->text, sizeof fixture->text - 1, MSG_DONTWAIT);
    fixture->text[got < 0 ? 0 : got] = '\0';
    return fixture->text;
}

static void set_watchdog(int64_t us, pid_t pid)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)us);
    setenv("WATCHDOG_USEC", text, 1);
    snprintf(text, sizeof text, "%d", (int)pid);
    setenv("WATCHDOG_PID", text, 1);
}

/* The next turn that has something to do. */
static void turn(struct fixture *fixture, struct notify *notify, bool alive)
{
    notify->due_ns = clock_ns();
    notify_turn(notify, alive, fixture->health);
}

static void notify_without_a_manager_tells_nothing_and_never_wakes(void **state)
{
    struct fixture *fixture = *state;
    struct notify notify;
    notify_open(&notify);
    notify_ready(&notify);
    turn(fixture, &notify, true);
    notify_stopping(&notify);
    assert_int_equal(notify.fd, -1);
    assert_int_equal(notify_wait_ms(&notify, -1), -1);
    assert_int_equal(notify_wait_ms(&notify, 7), 7);
    notify_close(&notify);
}

static void tells_start_and_stop(struct fixture *fixture, const char *name)
{
    struct notify notify;
    listen_at(fixture, name);
    notify_open(&notify);
    assert_string_equal(told(fixture), "");
    notify_ready(&notify);
    assert_string_equal(told(fixture), "READY=1");
    notify_stopping(&notify);
    assert_string_equal(told(fixture), "STOPPING=1");
    notify_close(&notify);
}

static void notify_tells_a_socket_with_a_path(void **state)
{
    struct fixture *fixture = *state;
    tells_start_and_stop(fixture, fixture->path);
}

static void notify_tells_an_abstract_socket(void **state)
{
    struct fixture *fixture = *state;
    char name[64];
    snprintf(name, sizeof name, "@%s", fixture->path + 1);
    tells_start_and_stop(fixture, name);
}

static void notify_feeds_the_watchdog_only_while_alive(void **state)
{
    struct fixture *fixture = *state;
    struct notify notify;
    listen_at(fixture, fixture->path);
    set_watchdog(3000000, getpid());
    health_assume(fixture->kafka);
    notify_open(&notify);
    turn(fixture, &notify, true);
    assert_string_equal(told(fixture), "WATCHDOG=1\nSTATUS=ready\n");
    turn(fixture, &notify, true);
    assert_string_equal(told(fixture), "WATCHDOG=1\n");
    turn(fixture, &notify, false);
    assert_string_equal(told(fixture), "");
    notify_close(&notify);
}

static void notify_keeps_the_time_of_the_watchdog(void **state)
{
    struct fixture *fixture = *state;
    struct notify notify;
    listen_at(fixture, fixture->path);
    set_watchdog(3000000, getpid());
    notify_open(&notify);
    turn(fixture, &notify, true);
    assert_string_not_equal(told(fixture), "");
    notify_turn(&notify, true, fixture->health);
    assert_string_equal(told(fixture), ""); /* not before its time */
    int wait_ms = notify_wait_ms(&notify, -1);
    assert_in_range(wait_ms, 1, 1001);
    assert_int_equal(notify_wait_ms(&notify, 60000), wait_ms);
    assert_int_equal(notify_wait_ms(&notify, 0), 0);
    notify_close(&notify);
}

static void notify_leaves_the_watchdog_of_another_process_alone(void **state)
{
    struct fixture *fixture = *state;
    struct notify notify;
    listen_at(fixture, fixture->path);
    set_watchdog(3000000, getpid() + 1);
    health_assume(fixture->kafka);
    notify_open(&notify);
    turn(fixture, &notify, true);
    assert_string_equal(told(fixture), "STATUS=ready\n");
    notify_close(&notify);
}

static void notify_takes_no_nonsense_for_a_watchdog(void **state)
{
    struct fixture *fixture = *state;
    static const char *const values[] = {"", "0", "-3", "soon", "3s", "99999999999999999999"};
    listen_at(fixture, fixture->path);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct notify notify;
        setenv("WATCHDOG_USEC", values[i], 1);
        notify_open(&notify);
        assert_false(notify.watchdog);
        notify_close(&notify);
    }
}

static void notify_tells_readiness_when_it_changes(void **state)
{
    struct fixture *fixture = *state;
    struct notify notify;
    listen_at(fixture, fixture->path);
    notify_open(&notify);
    turn(fixture, &notify, true);
    assert_string_equal(told(fixture), "STATUS=not ready: kafka: not known yet\n");
    turn(fixture, &notify, true);
    assert_string_equal(told(fixture), "");
    health_fail(fixture->kafka, "no broker\nWATCHDOG=trigger");
    turn(fixture, &notify, true);
    assert_string_equal(told(fixture), "STATUS=not ready: kafka: no broker\\u000aWATCHDOG=trigger\n");
    health_ok(fixture->kafka);
    turn(fixture, &notify, true);
    assert_string_equal(told(fixture), "STATUS=ready\n");
    notify_close(&notify);
}

static void notify_goes_on_where_the_socket_is_no_good(void **state)
{
    struct fixture *fixture = *state;
    char longest[200];
    memset(longest, 'x', sizeof longest - 1);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    const char *const names[] = {"relative", "vsock:2:1234", "/", "@", longest, fixture->path};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct notify notify;
        setenv("NOTIFY_SOCKET", names[i], 1);
        notify_open(&notify);
        assert_int_equal(notify.fd, -1);
        notify_ready(&notify);
        assert_int_equal(notify_wait_ms(&notify, -1), -1);
        notify_close(&notify);
    }
}

static void notify_does_not_wait_for_a_manager_that_reads_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct notify notify;
    listen_at(fixture, fixture->path);
    notify_open(&notify);
    struct timeval soon = {.tv_usec = 1000};
    setsockopt(notify.fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
    for (int i = 0; i < 5000; i++) /* more than a socket keeps unread */
        if (send(notify.fd, "x", 1, MSG_DONTWAIT) < 0)
            break;
    notify_ready(&notify); /* comes back */
    assert_string_equal(told(fixture), "x");
    notify_close(&notify);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(notify_without_a_manager_tells_nothing_and_never_wakes),
        TEST(notify_tells_a_socket_with_a_path),
        TEST(notify_tells_an_abstract_socket),
        TEST(notify_feeds_the_watchdog_only_while_alive),
        TEST(notify_keeps_the_time_of_the_watchdog),
        TEST(notify_leaves_the_watchdog_of_another_process_alone),
        TEST(notify_takes_no_nonsense_for_a_watchdog),
        TEST(notify_tells_readiness_when_it_changes),
        TEST(notify_goes_on_where_the_socket_is_no_good),
        TEST(notify_does_not_wait_for_a_manager_that_reads_nothing),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
