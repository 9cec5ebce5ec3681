"""deploy/monitoring as tests see it: the rules, the dashboard's queries, and the metrics that both name."""

import functools
import json
import re

import yaml

from support.program import ROOT

DIRECTORY = ROOT / "deploy/monitoring"
# What the dashboard's variables stand for, where all is chosen.
VARIABLES = {"$__rate_interval": "5m", "$namespace": ".*", "$job": ".*", "$topic": ".*"}
# What stands in an expression and is no metric, in the order in which it can be taken away.
NO_METRICS = (
    re.compile(r'"[^"]*"'),
    re.compile(r"\{[^}]*\}|\[[^]]*\]"),
    re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"),
    re.compile(r"\b[a-z_0-9]+\s*(?=\()"),  # functions
    re.compile(r"\b[0-9.]+(?:ms|[smhdwy])?\b"),
    re.compile(r"\b(?:and|or|unless|bool|offset|group_left|group_right)\b"),
)
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


@functools.cache
def rules():
    return yaml.safe_load((DIRECTORY / "rules.yaml").read_text())


def alerts():
    """{name: rule}"""
    return {rule["alert"]: rule for rule in _all_rules() if "alert" in rule}


def recorded():
    return {rule["record"] for rule in _all_rules() if "record" in rule}


def _all_rules():
    return [rule for group in rules()["groups"] for rule in group["rules"]]


def dashboard():
    return json.loads((DIRECTORY / "dashboard.json").read_text())


def panels():
    """Those that show something, each with the title of its row as `row`."""
    row = None
    for panel in dashboard()["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
        else:
            yield panel | {"row": row}


def expression(text, **variables):
    """A query of the dashboard as Prometheus takes it."""
    for name, value in (VARIABLES | {f"${name}": value for name, value in variables.items()}).items():
        text = text.replace(name, value)
    assert "$" not in text, f"a variable that the dashboard does not have: {text}"
    return text


def queries():
    """Every query of the panels, as Prometheus takes it."""
    return [expression(target["expr"]) for panel in panels() for target in panel["targets"]]


def selections():
    """What the dashboard's variables choose from, and its annotations."""
    content = dashboard()
    variables = [one["definition"] for one in content["templating"]["list"] if one["type"] == "query"]
    chosen = [re.fullmatch(r"label_values\((.+), \w+\)", definition)[1] for definition in variables]
    return [expression(text) for text in chosen + [one["expr"] for one in content["annotations"]["list"]]]


def metric_names(text):
    """The metrics that an expression selects."""
    for pattern in NO_METRICS:
        text = pattern.sub(" ", text)
    return set(NAME.findall(text))


def rule_metrics():
    return set().union(*(metric_names(rule["expr"]) for rule in _all_rules()))


def page_metrics(page):
    """The names of all samples of a /metrics page."""
    return {NAME.match(line)[0] for line in page.splitlines() if line and not line.startswith("#")}


def runbook_anchors():
    """The anchors of its headings, as Markdown makes them."""
    lines = (DIRECTORY / "runbook.md").read_text().splitlines()
    headings = [line.lstrip("#").strip() for line in lines if re.match("#+ ", line)]
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


@functools.cache
def cases():
    """[(name, alerts that fire in it at some time)]"""
    found = yaml.safe_load((DIRECTORY / "rules_test.yaml").read_text())["tests"]
    return [(case["name"], _fired(case)) for case in found]


def _fired(case):
    samples = [sample for test in case["promql_expr_test"] for sample in test.get("exp_samples") or ()]
    return set(re.findall(r'alertname="(\w+)"', " ".join(sample["labels"] for sample in samples)))


