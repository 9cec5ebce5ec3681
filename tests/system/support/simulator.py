"""The Iamport stand-in with its control endpoint (tests/simulator/README.md)."""

import json

from stack import wait_for
from support.http import fetch
from support.program import Program

LISTENING = "listening on "
RECORDS_AT_ONCE = 100000
KEY_PAIR = {"IAMPORT_KEY": "simulator-key", "IAMPORT_SECRET": "simulator-secret"}


class Simulator(Program):
    def __init__(self, *arguments, environment=None):
        pair = ("--key", KEY_PAIR["IAMPORT_KEY"], "--secret", KEY_PAIR["IAMPORT_SECRET"])
        super().__init__(
            "impcert-simulator", "--listen", "127.0.0.1:0", *pair, *arguments, settings=environment
        )
        wait_for(lambda: self.stdout or self.exit_code is not None, 30, f"first line of {self}")
        assert self.stdout and self.stdout[0].startswith(LISTENING), (
            f"{self} did not start:\n{self.log_tail()}"
        )
        self.url = self.stdout[0].removeprefix(LISTENING)

    def counters(self):
        return self._control("GET", "counters")

    def calls(self):
        """{imp_uid: calls}"""
        return self._control("GET", "calls")

    def certifications(self, imp_uids):
        """{imp_uid: its true record, None where there is none}"""
        imp_uids, found = list(imp_uids), {}
        for start in range(0, len(imp_uids), RECORDS_AT_ONCE):
            found |= self._control("POST", "certifications", imp_uids[start : start + RECORDS_AT_ONCE])
        return found

    def faults(self, faults):
        return self._control("PUT", "faults", faults)

    def settings(self, **settings):
        """settings(latency="100ms", token_life="5s"); settings() tells them."""
        if not settings:
            return self._control("GET", "settings")
        return self._control("PUT", "settings", {name: str(value) for name, value in settings.items()})

    def expire_token(self):
        return self._control("POST", "expire-token")

    def reset(self):
        return self._control("POST", "reset")

    def _control(self, method, path, body=None):
        status, text = fetch(f"{self.url}/_control/{path}", method, body, deadline=60)
        assert status < 300, f"{method} /_control/{path}: {status} {text}"
        return json.loads(text) if text else None
