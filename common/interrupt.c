/* The signals that end a command early. Main thread; librdkafka's threads have all signals blocked. */
#include "common/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t requested;

static void on_signal(int number)
{
    (void)number;
    requested = 1;
}

void interrupt_install(void)
{
    /* No SA_RESTART: a read that waits for input is to return. */
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    /* A closed standard error must not cost what is on its way. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
}

bool interrupt_requested(void)
{
    return requested;
}
