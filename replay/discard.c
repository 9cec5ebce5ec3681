/* impcert-replay discard: events that are given up. Main thread. */
#include "replay/move.h"

#include <unistd.h>

int discard_run(struct replay *replay)
{
    const struct options *options = &replay->options;
    if (!options->why) {
        progress_message(&replay->progress, "discard needs --why TEXT, which is kept with each event");
        return EXIT_USAGE;
    }
    if (!options->yes && !options->dry_run && !isatty(STDIN_FILENO)) {
        progress_message(
            &replay->progress, "discard asks before it gives up events; without a terminal it needs --yes");
        return EXIT_USAGE;
    }
    struct move move = {.replay = replay, .doing = "discarded", .discard = true};
    return move_run(&move);
}
