"""deploy/kubernetes: what the schemas of Kubernetes and of the operators allow, and what the programs understand."""

import os
import re
import subprocess

import pytest
import test_rollout
import yaml

from support import kubernetes, run_program
from support.http import fetch
from support.kubernetes import DEPLOY, OVERLAYS, SECRETS, environment, faults, objects, only, seconds, template, workloads
from support.program import ROOT
from support.simulator import KEY_PAIR
from support.tls import Authority

# The oldest release that has all that is used (the preStop sleep), and the newest that there are schemas of.
RELEASES = ("1.30", "1.34")
UNSAFE = {
    "as root": lambda pod: pod["securityContext"].pop("runAsNonRoot"),
    "any system call": lambda pod: pod["securityContext"].pop("seccompProfile"),
    "with capabilities": lambda pod: pod["containers"][0]["securityContext"].pop("capabilities"),
    "may gain privileges": lambda pod: pod["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
    "host's files": lambda pod: pod["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
}
every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def named(one):
    return f"{one['kind']}/{one['metadata']['name']}"


def pods(overlay):
    """[(name, pod spec)]"""
    return [(named(workload), made["spec"]) for workload, made in workloads(overlay)]


def container(pod):
    [found] = pod["containers"]
    return found


# What Kubernetes would take.


@every_overlay
@pytest.mark.parametrize("release", RELEASES)
def test_every_object_is_as_its_schema_says(overlay, release):
    found = {named(one): faults(one, release) for one in objects(overlay)}
    assert {name: of_it for name, of_it in found.items() if of_it} == {}


@pytest.mark.parametrize(
    "kind, name, spoil",
    [
        ("Deployment", "impcert-worker", lambda spec: container(spec["template"]["spec"]).update(livenesProbe={})),
        ("Deployment", "impcert-gateway", lambda spec: container(spec["template"]["spec"]).update(image=7)),
        ("PodDisruptionBudget", "impcert-worker", lambda spec: spec.update(maxUnavaliable=1)),
        ("ScaledObject", "impcert-worker", lambda spec: spec.update(maxReplicas=3)),
        ("ScaledObject", "impcert-worker", lambda spec: spec["triggers"][0]["metadata"].update(lagThreshold=100)),
        ("KafkaTopic", "certifications", lambda spec: spec.update(replicationFactor=3)),
        ("PodMonitor", "impcert-worker", lambda spec: spec.pop("selector")),
    ],
)
def test_a_misspelt_or_mistyped_field_is_a_fault(kind, name, spoil):
    one = only("cluster", kind, name)
    spoil(one["spec"])
    assert all(faults(one, release) for release in RELEASES)


def test_the_example_of_the_secrets_is_one():
    for secret in yaml.safe_load_all((DEPLOY / "secrets.example.yaml").read_text()):
        assert faults(secret, RELEASES[-1]) == []


@every_overlay
def test_everything_is_in_its_namespace(overlay):
    """And the namespace is made, with pod security that lets nothing but `restricted` in."""
    spaces = {one["metadata"].get("namespace") for one in objects(overlay) if one["kind"] not in ("Namespace", "KafkaTopic")}
    assert spaces == {"impcert"}
    labels = only(overlay, "Namespace", "impcert")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


# Pods.


def weaknesses(pod):
    """Why a pod is not `restricted`, as far as these pods can differ from it."""
    whole, inner = pod["securityContext"], container(pod).get("securityContext", {})
    wanted = {
        "runs as root": whole.get("runAsNonRoot") is True and whole.get("runAsUser"),
        "any system call": whole.get("seccompProfile") == {"type": "RuntimeDefault"},
        "capabilities": inner.get("capabilities") == {"drop": ["ALL"]},
        "may gain privileges": inner.get("allowPrivilegeEscalation") is False,
        "may write": inner.get("readOnlyRootFilesystem") is True,
        "volumes": all("secret" in volume for volume in pod.get("volumes", [])),
        "a token of the API server": pod.get("automountServiceAccountToken") is False,
        "the host": not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(),
    }
    return [what for what, is_so in wanted.items() if not is_so]


@every_overlay
def test_pods_are_restricted(overlay):
    assert {name: weaknesses(pod) for name, pod in pods(overlay)} == {name: [] for name, _ in pods(overlay)}


@pytest.mark.parametrize("what", UNSAFE)
def test_a_pod_that_is_not_restricted_is_found_out(what):
    pod = template(only("cluster", "Deployment", "impcert-worker"))["spec"]
    UNSAFE[what](pod)
    assert len(weaknesses(pod)) == 1


@every_overlay
def test_pods_see_no_services_in_their_environment(overlay):
    assert all(pod["enableServiceLinks"] is False for _, pod in pods(overlay))


@every_overlay
def test_memory_is_promised_in_full_and_time_is_not_limited(overlay):
    for name, pod in pods(overlay):
        limits = container(pod)["resources"]["limits"]
        assert limits == {"memory": container(pod)["resources"]["requests"]["memory"]}, name


@every_overlay
def test_the_grace_period_is_longer_than_the_drain(overlay):
    for name, pod in pods(overlay):
        drain = environment(overlay, pod).get("IMPCERT_DRAIN_TIMEOUT")
        if not drain:
            continue
        before = container(pod).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod["terminationGracePeriodSeconds"] >= before + seconds(drain) + 10, name
        if name.endswith("worker"):
            assert pod["terminationGracePeriodSeconds"] == test_rollout.GRACE
    assert container(template(only(overlay, "Deployment", "impcert-gateway"))["spec"])["lifecycle"]["preStop"]["sleep"]


@every_overlay
def test_the_image_is_of_this_version(overlay):
    version = re.search(r"project\(impcert VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    images = {container(pod)["image"] for _, pod in pods(overlay)}
    assert images == {f"registry.example/impcert:{version}"}


# What the programs are told.


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority")).file.read_text()


@every_overlay
def test_the_programs_understand_their_settings(overlay, tmp_path, certificate):
    """With the Secrets of the example in place: no unknown variable, no fault."""
    for number, (name, pod) in enumerate(pods(overlay)):
        variables = environment(overlay, pod)
        given = kubernetes.put_in_place(pod, variables, tmp_path / str(number), certificate)
        [program] = container(pod)["command"]
        done = run_program(program, "--check-config", settings=given)
        assert done.returncode == 0, f"{name}: {done.stderr}"


@every_overlay
def test_files_of_settings_are_keys_of_secrets(overlay):
    for name, pod in pods(overlay):
        secrets = kubernetes.mounts(pod)
        files = [value for value in environment(overlay, pod).values() if value.startswith("/run/secrets/")]
        for file in files:
            directory, _, key = file.rpartition("/")
            assert key in SECRETS[secrets[directory]], f"{name}: {file}"
        assert len(set(secrets.values())) == len(secrets)


def test_keda_reads_keys_of_secrets():
    for reference in only("cloud", "TriggerAuthentication")["spec"]["secretTargetRef"]:
        assert reference["key"] in SECRETS[reference["name"]]
    trigger = only("cloud", "ScaledObject")["spec"]["triggers"][0]
    assert trigger["authenticationRef"]["name"] == only("cloud", "TriggerAuthentication")["metadata"]["name"]


def test_no_secret_is_in_what_is_rendered():
    for overlay in OVERLAYS:
        assert objects(overlay, "Secret") == []


def test_a_static_member_is_named_after_its_pod():
    [variable] = [
        one
        for one in container(template(only("cluster-static", "StatefulSet"))["spec"])["env"]
        if one["name"] == "IMPCERT_INSTANCE_ID"
    ]
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_only_pods_that_keep_their_names_are_static_members():
    for overlay in OVERLAYS:
        for workload, made in workloads(overlay):
            is_static = "IMPCERT_INSTANCE_ID" in environment(overlay, made["spec"])
            assert is_static == (workload["kind"] == "StatefulSet")


# The script that replays.

KUBECTL = """#!/usr/bin/env bash
# Stands in for a cluster in which a pod has begun; END is how its Job ends.
case "${*:3}" in
*"--from cronjob/impcert-replay"*) echo '{}' ;;
"patch --local"*) cat ;;
"create --filename -"*) cat >"$JOB" ;;
"get pods"*) echo Running ;;
"logs --follow"*) echo 'nothing is unresolved' ;;
"get job/"*) echo "$END" ;;
esac
"""


@pytest.mark.parametrize("end, code", [("SuccessCriteriaMet Complete", 0), ("FailureTarget Failed", 1)])
def test_a_replay_shows_what_it_prints_and_ends_as_its_job_does(tmp_path, end, code):
    stand_in = tmp_path / "kubectl"
    stand_in.write_text(KUBECTL)
    stand_in.chmod(0o755)
    environment = os.environ | {"KUBECTL": str(stand_in), "END": end, "JOB": str(tmp_path / "job")}
    done = subprocess.run([DEPLOY / "replay", "list"], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stdout) == (code, "nothing is unresolved\n"), done.stderr
    assert (tmp_path / "job").read_text()


def test_a_replay_needs_to_be_told_what():
    done = subprocess.run([DEPLOY / "replay"], capture_output=True, text=True)
    assert (done.returncode, "replay list" in done.stderr) == (2, True)


# What refers to what.


def matches(selector, labels):
    return selector["matchLabels"].items() <= labels.items()


@every_overlay
def test_selectors_match_pods(overlay):
    """Each one that names an impcert program matches the pods of that program, and no others."""
    of_pods = [made["metadata"]["labels"] for _, made in workloads(overlay)]
    labels = {one["app.kubernetes.io/name"]: one for one in of_pods}
    assert set(labels) == {"impcert-worker", "impcert-gateway", "impcert-replay"}
    selectors = []
    for one in objects(overlay):
        spec = one.get("spec", {})
        if one["kind"] == "Service":
            selectors.append({"matchLabels": spec["selector"]})
        selectors += [spec[key] for key in ("selector", "podSelector") if spec.get(key) and one["kind"] != "Service"]
    for _, pod in pods(overlay):
        selectors += [spread["labelSelector"] for spread in pod.get("topologySpreadConstraints", [])]
    assert len(selectors) > 8
    for selector in selectors:
        assert [name for name, of_it in labels.items() if matches(selector, of_it)] == [
            selector["matchLabels"]["app.kubernetes.io/name"]
        ]


def ports(pod):
    return {port["name"]: port["containerPort"] for port in container(pod).get("ports", [])}


@every_overlay
def test_ports_are_those_that_the_programs_listen_on(overlay):
    """And whatever names a port names one of the pods that it selects."""
    by_name = {}
    for workload, made in workloads(overlay):
        by_name[workload["metadata"]["name"]] = ports(made["spec"])
        listen = environment(overlay, made["spec"]).get("IMPCERT_HTTP_LISTEN")
        assert [f"0.0.0.0:{port}" for port in ports(made["spec"]).values()] == ([listen] if listen else [])
    for service in objects(overlay, "Service"):
        assert all(port["targetPort"] in by_name[service["metadata"]["name"]] for port in service["spec"]["ports"])
    for monitor in objects(overlay, "PodMonitor"):
        [endpoint] = monitor["spec"]["podMetricsEndpoints"]
        assert (endpoint["port"] in by_name[monitor["metadata"]["name"]], endpoint["path"]) == (True, "/metrics")
    for policy in objects(overlay, "NetworkPolicy"):
        for way in policy["spec"].get("ingress", []):
            of_pods = by_name[policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"]]
            assert all(port["port"] in of_pods for port in way["ports"])


@every_overlay
def test_scalers_have_a_target_whose_replicas_are_theirs(overlay):
    scaled = [one["spec"]["scaleTargetRef"] for one in objects(overlay) if "scaleTargetRef" in one.get("spec", {})]
    assert len(scaled) == 2
    for target in scaled:
        workload = only(overlay, target["kind"], target["name"])
        assert target["apiVersion"] == workload["apiVersion"]
        assert "replicas" not in workload["spec"]


def test_without_keda_the_workers_have_a_number():
    text = kubernetes.render(DEPLOY / "base")
    [worker] = [one for one in yaml.safe_load_all(text) if named(one) == "Deployment/impcert-worker"]
    assert worker["spec"]["replicas"] >= 2


@every_overlay
def test_the_ways_out_are_those_that_the_settings_need(overlay):
    brokers = environment(overlay, dict(pods(overlay))["CronJob/impcert-replay"])["IMPCERT_KAFKA_BROKERS"]
    for broker in brokers.split(","):
        assert is_open(overlay, "to-kafka", int(broker.rpartition(":")[2])), broker
    assert is_open(overlay, "worker-to-mongodb", 27017)
    assert is_open(overlay, "worker-to-iamport", 443)
    [deny] = objects(overlay, "NetworkPolicy", "default-deny")
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def is_open(overlay, policy, port):
    ways = only(overlay, "NetworkPolicy", policy)["spec"]["egress"]
    return any(one["port"] <= port <= one.get("endPort", one["port"]) for way in ways for one in way["ports"])


# Topics.


def topics(settings):
    """Those that a worker with these settings uses, as it prints them."""
    needed = KEY_PAIR | {"MONGODB_URI": "mongodb://127.0.0.1"}
    printed = run_program("impcert-worker", "--print-config", settings=settings | needed).stdout
    main, delays, dlq = (
        re.search(rf"^IMPCERT_{name}=(\S+)", printed, re.M)[1] for name in ("TOPIC", "RETRY_DELAYS", "DLQ_TOPIC")
    )
    return [main, *(f"{main}.retry.{delay}" for delay in delays.split(",")), dlq]


def test_there_is_a_topic_for_each_that_the_worker_uses():
    settings = environment("cluster", template(only("cluster", "Deployment", "impcert-worker"))["spec"])
    files = {name for name in settings if name.endswith("_FILE")}
    used = topics({name: value for name, value in settings.items() if name not in files})
    made = objects("cluster", "KafkaTopic")
    assert len(used) == 5
    assert sorted(topic["metadata"]["name"] for topic in made) == sorted(used)
    for topic in made:
        assert topic["spec"]["replicas"] > topic["spec"]["config"]["min.insync.replicas"] >= 2
        assert topic["spec"]["partitions"] == made[0]["spec"]["partitions"]


def test_the_topics_are_those_of_the_readme():
    """Of its table of settings, and of its first picture."""
    text = (ROOT / "README.md").read_text()
    main, group = re.search(r"^\| `IMPCERT_TOPIC` / `IMPCERT_GROUP` \| `(\S+)` / `(\S+)`", text, re.M).groups()
    delays = re.search(r"^\| `IMPCERT_RETRY_DELAYS` \| `(\S+)`", text, re.M)[1]
    made = {topic["metadata"]["name"] for topic in objects("cluster", "KafkaTopic")}
    assert made == {main, f"{main}.dlq", *(f"{main}.retry.{delay}" for delay in delays.split(","))}
    assert only("cluster", "ScaledObject")["spec"]["triggers"][0]["metadata"]["consumerGroup"] == group
    assert all(name in text for name in (main, f"{main}.dlq", f"{main}.retry.{delays.split(',')[0]}"))


def test_a_worker_finds_its_topics_as_they_are_made(stack, names, simulator, worker):
    """None is missing, none is changed: what it would have made is what is there."""
    made = {topic["metadata"]["name"]: topic["spec"] for topic in objects("cluster", "KafkaTopic")}
    for name, spec in made.items():
        config = {key: str(value).lower() for key, value in spec["config"].items() if key != "min.insync.replicas"}
        stack.kafka.create_topic(name.replace("certifications", names.topic), spec["partitions"], config)
    one = worker(simulator, IMPCERT_RETRY_DELAYS=None).wait_until_ready()
    assert not one.log(message="topic created")
    rooms = {one: spec["config"]["max.message.bytes"] for one, spec in made.items()}
    main = rooms.pop("certifications")
    assert set(rooms.values()) == {main + 65536}  # as topics.c has it


@every_overlay
def test_scaling_is_by_the_main_topic_of_the_workers_group(overlay):
    scaled = only(overlay, "ScaledObject")["spec"]
    kind, name = scaled["scaleTargetRef"]["kind"], scaled["scaleTargetRef"]["name"]
    settings = environment(overlay, template(only(overlay, kind, name))["spec"])
    [trigger] = scaled["triggers"]
    asked = [trigger["metadata"][key] for key in ("topic", "consumerGroup", "bootstrapServers")]
    assert asked == [settings[key] for key in ("IMPCERT_TOPIC", "IMPCERT_GROUP", "IMPCERT_KAFKA_BROKERS")]
    assert 1 <= scaled["minReplicaCount"] <= scaled["fallback"]["replicas"] <= scaled["maxReplicaCount"]
    assert "idleReplicaCount" not in scaled
    if overlay == "cluster":
        assert scaled["maxReplicaCount"] < only(overlay, "KafkaTopic", "certifications")["spec"]["partitions"]


# Probes.


def probes(overlay, program):
    """{name: path}"""
    [pod] = [pod for _, pod in pods(overlay) if container(pod)["command"] == [program]]
    found = {name: container(pod)[name]["httpGet"] for name in ("livenessProbe", "readinessProbe", "startupProbe")}
    assert all(get["port"] in ports(pod) for get in found.values())
    return {name: get["path"] for name, get in found.items()}


def assert_probes(service, paths):
    """Of a program that has lost everything it depends on: alive, and not ready."""
    status = {name: fetch(f"http://{service.address}{path}")[0] for name, path in paths.items()}
    assert status == {"livenessProbe": 200, "readinessProbe": 503, "startupProbe": 200}


@every_overlay
def test_an_outage_takes_readiness_and_restarts_nothing(overlay, worker, gateway):
    nobody = {"IMPCERT_KAFKA_BROKERS": "127.0.0.1:1"}
    away = worker(MONGODB_URI="mongodb://127.0.0.1:1", IAMPORT_URL="http://127.0.0.1:1", **nobody)
    assert_probes(away, probes(overlay, "impcert-worker"))
    assert_probes(gateway(**nobody), probes(overlay, "impcert-gateway"))
