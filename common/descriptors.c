/* The standard descriptors, and how many there may be. Main thread, at the start. */
#include "common/descriptors.h"

#include <fcntl.h>
#include <unistd.h>

void descriptors_guard(void)
{
    /* Opened the wrong way round, so that reading input and writing output fail as they do on a closed
     * descriptor. */
    static const int modes[] = {
        [STDIN_FILENO] = O_WRONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_WRONLY};
    for (int wanted = STDIN_FILENO; wanted <= STDERR_FILENO; wanted++) {
        if (fcntl(wanted, F_GETFD) >= 0)
            continue;
        int held =
            open("/dev/null", modes[wanted]); /* gets the lowest free number, which is the wanted one */
        if (held > STDERR_FILENO)
            close(held);
    }
}

rlim_t descriptors_raise(rlim_t need)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need)
        return need;
    limit.rlim_cur = need < limit.rlim_max ? need : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : need;
}
