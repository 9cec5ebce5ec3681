"""deploy/kubernetes before a real API server: every overlay is taken, and what is not restricted is not."""

import copy
import os
import subprocess

import pytest
import yaml

from support import golang
from support.apiserver import ApiServer
from support.kubernetes import CUSTOM, DEPLOY, OVERLAYS, objects, only, template, workloads
from test_kubernetes import UNSAFE

pytestmark = pytest.mark.long
every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)

KEDA = ("github.com/kedacore/keda/v2", "v2.20.2", "h1:SR60v8uIcelbveS8n/1jcl8tLdBBIbHMxmdOHw8tKqA=", "config/crd/bases")
PROMETHEUS_OPERATOR = (
    "github.com/prometheus-operator/prometheus-operator",
    "v0.85.0",
    "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
    "example/prometheus-operator-crd",
)
# Of these there is a definition in a package registry.
DEFINED = {
    "ScaledObject": (KEDA, "keda.sh_scaledobjects.yaml"),
    "TriggerAuthentication": (KEDA, "keda.sh_triggerauthentications.yaml"),
    "PodMonitor": (PROMETHEUS_OPERATOR, "monitoring.coreos.com_podmonitors.yaml"),
    "PrometheusRule": (PROMETHEUS_OPERATOR, "monitoring.coreos.com_prometheusrules.yaml"),
}


def definition(custom):
    """The CustomResourceDefinition: the operator's own, or one of our own schema."""
    if custom["kind"] in DEFINED:
        module, file = DEFINED[custom["kind"]]
        with open(f"{golang.module(*module)}/{file}") as text:
            return yaml.safe_load(text)
    names = {"kind": custom["kind"], "plural": custom["plural"]}
    schema = {"type": "object", "properties": {"spec": custom["spec"]}}
    version = {"name": custom["version"], "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{custom['plural']}.{custom['group']}"},
        "spec": {"group": custom["group"], "names": names, "scope": "Namespaced", "versions": [version]},
    }


@pytest.fixture(scope="module")
def server():
    """With the operators' definitions, the namespaces, and the account that the pods have."""
    with ApiServer() as server:
        definitions = [definition(custom) for custom in CUSTOM]
        apply(server, definitions, "--server-side")
        names = [f"crd/{one['metadata']['name']}" for one in definitions]
        server.kubectl("wait", "--for", "condition=Established", "--timeout", "60s", *names)
        server.kubectl("create", "namespace", "kafka")
        apply(server, objects("cluster", "Namespace") + objects("cluster", "ServiceAccount"), "--server-side")
        yield server


def apply(server, manifests, *options, check=True):
    text = yaml.safe_dump_all(manifests)
    return server.kubectl("apply", "--filename", "-", *options, stdin=text, check=check)


def pod_of(made, name):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "impcert"}, "spec": made["spec"]}


@every_overlay
def test_every_object_is_accepted(server, overlay, report):
    done = apply(server, objects(overlay), "--server-side", "--dry-run=server", "--validate=strict")
    lines = done.stdout.splitlines()
    assert len(lines) == len(objects(overlay))
    assert "Warning" not in done.stderr, done.stderr
    report(f"{overlay}: {len(lines)} objects accepted")


def test_a_misspelt_field_is_refused(server):
    for kind in ("Deployment", "ScaledObject", "KafkaTopic"):
        one = objects("cluster", kind)[0]
        one["spec"]["nosuch"] = 1
        done = apply(server, [one], "--dry-run=server", "--validate=strict", check=False)
        assert (done.returncode, "unknown field" in done.stderr) == (1, True), done.stderr


@every_overlay
def test_every_pod_is_admitted(server, overlay):
    pods = [pod_of(made, f"pod-{number}") for number, (_, made) in enumerate(workloads(overlay))]
    assert len(apply(server, pods, "--dry-run=server").stdout.splitlines()) == 3


@pytest.mark.parametrize("what", UNSAFE)
def test_a_pod_that_is_not_restricted_is_rejected(server, what, report):
    made = template(only("cluster", "Deployment", "impcert-worker"))
    UNSAFE[what](made["spec"])
    done = apply(server, [pod_of(made, "unsafe")], "--dry-run=server", check=False)
    assert done.returncode == 1
    assert 'violates PodSecurity "restricted:latest"' in done.stderr
    report(done.stderr.strip().partition("violates ")[2])


def test_a_replay_is_a_job_with_these_arguments(server):
    apply(server, objects("cloud", "CronJob"), "--server-side")
    environment = os.environ | {"KUBECTL": " ".join(server.command), "DRY_RUN": "server"}
    arguments = ["run", "--reason", "not_found", "--why", 'said "so" \\ twice']
    done = subprocess.run([DEPLOY / "replay", *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    job = yaml.safe_load(done.stdout)
    wanted = template(only("cloud", "CronJob"))["spec"]
    wanted["containers"][0]["args"] = arguments
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert (job["kind"], container["args"]) == ("Job", arguments)
    assert {key: container[key] for key in wanted["containers"][0]} == wanted["containers"][0]
    assert job["spec"]["backoffLimit"] == 2


# What the tests of each run go by is what the operators say.


def contradictions(own, real, path=""):
    """Where our schema allows what the operator's does not."""
    if real.get("x-kubernetes-preserve-unknown-fields") or real.get("x-kubernetes-int-or-string"):
        return []
    found = [f"{path}: {own['type']}, not {real.get('type')}"] if own.get("type") != real.get("type") else []
    found += [f"{path}: {name} is required" for name in real.get("required", []) if name not in own.get("required", [])]
    found += [f"{path}: {value} is not allowed" for value in own.get("enum", []) if value not in real.get("enum", [value])]
    for name, inner in own.get("properties", {}).items():
        if name not in real.get("properties", {}):
            found.append(f"{path}.{name} is unknown")
        else:
            found += contradictions(inner, real["properties"][name], f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if part in own:
            found += contradictions(own[part], real.get(part, {}), f"{path}[]")
    return found


@pytest.mark.parametrize("custom", [one for one in CUSTOM if one["kind"] in DEFINED], ids=lambda one: one["kind"])
def test_our_schema_is_a_part_of_the_operators(custom):
    [real] = [one for one in definition(custom)["spec"]["versions"] if one["name"] == custom["version"]]
    spec = real["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert contradictions(custom["spec"], spec) == []
    spoilt = copy.deepcopy(custom["spec"])
    spoilt["properties"]["nosuch"] = {"type": "string"}
    assert contradictions(spoilt, spec) == [".nosuch is unknown"]
