"""A real Prometheus, and promtool: on PATH, or where deploy/local/install unpacks them."""

import json
import os
import re
import shutil
import subprocess
import urllib.parse

import yaml

from stack import cache, wait_for
from support.http import fetch
from support.program import Program

LISTENING = re.compile(r'msg="Listening on".* address=(\S+)')


def binary(name):
    found = shutil.which(name, path=os.pathsep.join((os.environ["PATH"], str(cache.root() / "prometheus"))))
    assert found, f"there is no {name}: deploy/local/install tests"
    return found


def promtool(*arguments, stdin=""):
    """The CompletedProcess, with both outputs as one text."""
    command = [binary("promtool"), *map(str, arguments)]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.run(command, input=stdin, timeout=300, **output)


class Prometheus(Program):
    """Scrapes {job: {instance: address}} and evaluates `rules`, both each second."""

    def __init__(self, directory, targets, rules, environment):
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [
                {
                    "job_name": job,
                    "static_configs": [
                        {"targets": [address], "labels": {"instance": name}} for name, address in instances.items()
                    ],
                }
                for job, instances in targets.items()
            ],
        }
        file = directory / "prometheus.yaml"
        file.write_text(yaml.safe_dump(configuration))
        super().__init__(
            "prometheus",
            f"--config.file={file}",
            f"--storage.tsdb.path={directory / 'prometheus'}",
            "--web.listen-address=127.0.0.1:0",
            command=[binary("prometheus")],
            settings=environment,
        )
        self._address = wait_for(self._listening, 30, f"address of {self}")

    def query(self, expression):
        """[{"metric": labels, "value": [time, text]}]"""
        return self._ask("query", query=expression)["result"]

    def query_range(self, expression, start, end, step):
        return self._ask("query_range", query=expression, start=start, end=end, step=step)["result"]

    def rules(self):
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def _ask(self, path, **parameters):
        status, text = fetch(f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        assert status == 200, f"{path} {parameters}: {status} {text}"
        return json.loads(text)["data"]

    def _listening(self):
        assert self.exit_code is None, f"{self} ended with {self.exit_code}:\n{self.log_tail()}"
        return next((found[1] for line in self.stderr if (found := LISTENING.search(line))), None)
