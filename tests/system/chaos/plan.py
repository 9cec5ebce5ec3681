"""From a seed to what strikes when: the same for the same seed, on every machine."""

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


class Plan:
    def __init__(self, seed):
        self.seed = seed
        rng = random.Random(seed)
        self.threads = [rng.choice((1, 2)) for _ in range(WORKERS)]  # IMPCERT_WORKERS of each
        self.token_life = rng.choice(("30m", "5s"))
        self.lanes = {name: _lane(rng, LANES[name], lane) for name, lane in LANE_SIZES.items()}

    def random(self, purpose):
        """Numbers of its own for a purpose, so that they don't hang on the order of threads."""
        return random.Random(f"{self.seed} {purpose}")


def _lane(rng, faults, lane):
    return [_step(rng, fault, lane.gap) for fault in _drawn(rng, faults, rng.randint(*lane.steps))]


def _drawn(rng, faults, count):
    """Every fault of the lane once before any comes again."""
    drawn = []
    while len(drawn) < count:
        drawn += rng.sample(faults, min(len(faults), count - len(drawn)))
    return drawn


def _step(rng, fault, gap):
    target = rng.randrange(WORKERS) if fault.of_one else None
    return Step(rng.uniform(*gap), fault, target, rng.uniform(fault.least, fault.most))
