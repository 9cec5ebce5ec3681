"""A start, 1,000 events of all kinds and a stop leave nothing allocated that nobody knows of."""

import shutil

import pytest

from support.flow import imp_uids

LEAK = 23


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_nothing_leaks_over_a_start_1000_events_and_a_stop(flow, simulator, worker):
    simulator.faults([{"kind": "missing", "match": "late", "times": 1}])
    good = imp_uids(900) + imp_uids(50, "late")
    bad = imp_uids(20, "refused") + imp_uids(10, "other") + imp_uids(10, "nokey")
    flow.publish([*good, *bad, *((b"", b"no JSON") for _ in range(10))])
    valgrind = ["valgrind", "-q", "--leak-check=full", f"--error-exitcode={LEAK}", "--errors-for-leak-kinds=definite"]
    one = worker(simulator, wrapper=valgrind, IMPCERT_RETRY_DELAYS="1s", IMPCERT_BACKOFF="50ms")
    flow.wait_for_documents(950, deadline=120)
    flow.wait_until_done(one, deadline=120)
    assert one.stop(deadline=120) == 0, one.log_tail()
    assert len(flow.letters()) == 50
