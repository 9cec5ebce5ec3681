"""Whatever is killed, frozen or answers nonsense under load: every event comes to its right end, by itself."""

import pytest

from .round import Round

pytestmark = pytest.mark.chaos


def test_no_event_is_lost_or_falsely_certified(request, seeds, kills, stack, keeper, tmp_path, report):
    for seed in seeds:
        report(f"seed {seed} (again with --chaos-seed {seed} --chaos-kills {kills})")
        one = Round(seed, kills, stack, keeper.environment(), tmp_path)
        try:
            report(one.run())
        except BaseException:
            request.node.programs = [one.diary, *one.system.programs]
            report(f"seed {seed} failed; all logs are in {one.keep_logs()}")
            raise
