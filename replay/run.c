/* impcert-replay run: events back to their topic. Main thread. */
#include "replay/move.h"

int run_run(struct replay *replay)
{
    struct move move = {.replay = replay, .doing = "replayed"};
    return move_run(&move);
}
