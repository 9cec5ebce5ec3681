"""The alert rules fire when they should, and rules and dashboard name what there is to see."""

import subprocess

import pytest
import yaml

from stack import wait_for
from support import monitoring
from support.flow import imp_uids
from support.prometheus import Prometheus, promtool

# Of Prometheus itself and of kube-state-metrics.
OTHERS = {"up", "kube_pod_container_resource_limits"}
# On the pages and, on purpose, on no panel: impcert_events_* and the histograms' counts tell as much.
NOT_SHOWN = {
    "impcert_event_seconds_sum",
    "impcert_event_seconds_count",
    "impcert_event_stored_seconds_sum",
    "impcert_event_stored_seconds_count",
    "impcert_http_seconds_sum",
    "impcert_store_seconds_sum",
    "impcert_store_seconds_count",
    "impcert_gateway_publish_seconds_sum",
    "impcert_gateway_publish_seconds_count",
}


def test_rules_and_their_cases_pass():
    for arguments in (("check", "rules", "rules.yaml"), ("test", "rules", "rules_test.yaml")):
        *words, file = arguments
        result = promtool(*words, monitoring.DIRECTORY / file)
        assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("alert", sorted(monitoring.alerts()))
def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent(alert):
    firing = [name for name, _ in monitoring.cases() if f"{alert} fires" in name]
    silent = [name for name, _ in monitoring.cases() if f"{alert} is silent" in name]
    assert firing and silent
    for name, fired in monitoring.cases():
        assert name not in firing or alert in fired, name
        assert name not in silent or alert not in fired, name


@pytest.mark.parametrize("alert", sorted(monitoring.alerts()))
def test_each_alert_tells_what_it_is_about_and_what_to_do(alert):
    rule = monitoring.alerts()[alert]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"] and rule["annotations"]["description"]
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == "deploy/monitoring/runbook.md"
    assert anchor in monitoring.runbook_anchors()


def test_the_runbook_knows_no_alert_that_is_gone():
    anchors = [anchor for anchor in monitoring.runbook_anchors() if anchor.startswith("impcert")]
    assert set(anchors) - {alert.lower() for alert in monitoring.alerts()} == set()
    assert len(anchors) == len(set(anchors))


def test_the_operators_rules_are_the_rules():
    written = (monitoring.DIRECTORY / "prometheus-rule.yaml").read_text()
    assert written == render(), "run deploy/monitoring/prometheus-rule > deploy/monitoring/prometheus-rule.yaml"
    resource = yaml.safe_load(written)
    assert resource["kind"] == "PrometheusRule"
    assert resource["spec"] == monitoring.rules()


def test_the_operators_rules_link_to_a_runbook_of_ones_own():
    spec = yaml.safe_load(render("https://wiki.example/runbook?of=impcert&page=1"))["spec"]
    rules = [rule for group in spec["groups"] for rule in group["rules"]]
    links = {rule["annotations"]["runbook_url"] for rule in rules if "alert" in rule}
    assert links == {f"https://wiki.example/runbook?of=impcert&page=1#{alert.lower()}" for alert in monitoring.alerts()}


def render(*arguments):
    command = [monitoring.DIRECTORY / "prometheus-rule", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_every_query_of_the_dashboard_parses(tmp_path):
    queries = monitoring.queries() + monitoring.selections()
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    assert len(rules) > 50
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    result = promtool("check", "rules", file)
    assert result.returncode == 0, result.stdout


def test_panels_stand_side_by_side_and_say_what_they_show():
    taken, ids = set(), set()
    for panel in monitoring.dashboard()["panels"]:
        left, top, width, height = (panel["gridPos"][name] for name in "xywh")
        cells = {(x, y) for x in range(left, left + width) for y in range(top, top + height)}
        assert left + width <= 24 and not cells & taken, panel["title"]
        assert panel["id"] not in ids, panel["title"]
        taken |= cells
        ids.add(panel["id"])
    for panel in monitoring.panels():
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert len(panel["targets"]) == 1 or all(target["legendFormat"] for target in panel["targets"]), panel["title"]
    assert list(dict.fromkeys(panel["row"] for panel in monitoring.panels())) == [
        "Flow", "Upstream: Iamport", "Store: MongoDB", "Kafka", "Gateway", "Process"]  # fmt: skip


def test_rules_and_dashboard_name_what_real_pages_have(
    stack, simulator, worker, gateway, flow, keeper, programs, tmp_path
):
    """A real Prometheus scrapes a worker and a gateway at work: no query of the dashboard stays empty, the rules are
    evaluated without a fault, and nobody is woken."""
    working = worker(simulator, IMPCERT_RETRY_DELAYS="1s", IMPCERT_ATTEMPTS=1).wait_until_ready()
    front = gateway().wait_until_ready()
    targets = {"impcert-worker": {"worker": working.address}, "impcert-gateway": {"gateway": front.address}}
    rules = monitoring.DIRECTORY / "rules.yaml"
    prometheus = Prometheus(tmp_path, targets, rules, keeper.environment())
    programs.append(prometheus)
    # Rates need a value from before.
    wait_for(lambda: prometheus.query("impcert_workers and on () impcert_gateway_connections"), 30, "a first scrape")

    failing = ["missing_1", "flaky1_1", "html_1"]
    flow.publish([*imp_uids(200), *failing])
    assert front.post("imp_of_the_gateway").status == 202
    flow.wait_until_done(working)

    def empty():
        return [query for query in (*monitoring.queries(), *monitoring.recorded()) if not prometheus.query(query)]

    def evaluated():
        return all(rule["health"] != "unknown" for rule in prometheus.rules())

    wait_for(lambda: not empty(), 60, "every query and every recording rule to find something", interval=0.5)
    wait_for(evaluated, 30, "every rule to be evaluated")
    assert {rule["name"]: rule["lastError"] for rule in prometheus.rules() if rule["health"] != "ok"} == {}
    assert prometheus.query('ALERTS{alertstate="firing", severity="page"}') == []

    pages = [one.get("/metrics")[1] for one in (working, front)]
    for page in pages:
        assert (lint := promtool("check", "metrics", stdin=page)).returncode == 0, lint.stdout
    there = set().union(*map(monitoring.page_metrics, pages))
    shown = set().union(*map(monitoring.metric_names, monitoring.queries()))
    assert shown - there == set(), "on the dashboard, and on no page"
    selected = set().union(*map(monitoring.metric_names, monitoring.selections()))
    assert selected - there == {"ALERTS"}
    assert monitoring.rule_metrics() - there - OTHERS - monitoring.recorded() == set(), "in the rules, and on no page"
    assert there - shown == NOT_SHOWN, "on a page, and not on the dashboard"
