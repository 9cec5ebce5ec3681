"""From a seed to what strikes when: the same for the same seed, on every machine."""

import math
import random
from collections import namedtuple

from .faults import LANES

# Seconds before it, the fault, the number of the worker that it hits or None, seconds that it is on.
Step = namedtuple("Step", "gap fault target hold")

WORKERS = 2
# By lane: least and most faults of a round, and least and most seconds before each. Between their deaths workers
# need time to get partitions and to meet the other faults.
Lane = namedtuple("Lane", "steps gap")
LANE_SIZES = {
    "workers": Lane((4, 5), (1.5, 4.0)),
    "kafka": Lane((1, 2), (1.0, 5.0)),
    "mongodb": Lane((2, 3), (1.0, 5.0)),
    "iamport": Lane((5, 6), (1.0, 3.0)),
}


# A round that is to have many kills -9 gets further steps with nothing else, dealt to the lanes by these shares.
KILL_SHARES = {"workers": 0.4, "kafka": 0.15, "mongodb": 0.25, "iamport": 0.2}


class Plan:
    def __init__(self, seed, kills=0):
        """kills: so many of the steps at least kill."""
        self.seed = seed
        rng = random.Random(seed)
        self.threads = [rng.choice((1, 2)) for _ in range(WORKERS)]  # IMPCERT_WORKERS of each
        self.token_life = rng.choice(("30m", "5s"))
        self.lanes = {name: _lane(rng, LANES[name], lane) for name, lane in LANE_SIZES.items()}
        for name, share in KILL_SHARES.items():
            self.lanes[name] += _kills(rng, name, math.ceil(kills * share))

    def random(self, purpose):
        """Numbers of its own for a purpose, so that they don't hang on the order of threads."""
        return random.Random(f"{self.seed} {purpose}")


def _lane(rng, faults, lane):
    return [_step(rng, fault, lane.gap) for fault in _drawn(rng, faults, rng.randint(*lane.steps))]


def _kills(rng, name, count):
    kills = [fault for fault in LANES[name] if fault.name.endswith("kill -9")]
    return [_step(rng, rng.choice(kills), LANE_SIZES[name].gap) for _ in range(count)]


def _drawn(rng, faults, count):
    """Every fault of the lane once before any comes again."""
    drawn = []
    while len(drawn) < count:
        drawn += rng.sample(faults, min(len(faults), count - len(drawn)))
    return drawn


def _step(rng, fault, gap):
    target = rng.randrange(WORKERS) if fault.of_one else None
    return Step(rng.uniform(*gap), fault, target, rng.uniform(fault.least, fault.most))
