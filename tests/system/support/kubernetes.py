"""deploy/kubernetes as tests see it: rendered, held against schemas, and its pods' environments and files."""

import copy
import functools
import subprocess

import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator

from stack.kubectl import kubectl
from support.program import ROOT

DEPLOY = ROOT / "deploy/kubernetes"
OVERLAYS = ("cluster", "cluster-static", "cloud")
CUSTOM = yaml.safe_load((ROOT / "tests/kubernetes/custom-resources.yaml").read_text())
SECRETS = {
    secret["metadata"]["name"]: secret["stringData"]
    for secret in yaml.safe_load_all((DEPLOY / "secrets.example.yaml").read_text())
}


def render(directory):
    """The text of a kustomization."""
    done = subprocess.run([kubectl(), "kustomize", str(directory)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def _rendered(overlay):
    return list(yaml.safe_load_all(render(DEPLOY / "overlays" / overlay)))


def objects(overlay, kind=None, name=None):
    """Copies of an overlay's objects of that kind, or of that name."""
    found = [one for one in _rendered(overlay) if kind in (None, one["kind"])]
    return copy.deepcopy([one for one in found if name in (None, one["metadata"]["name"])])


def only(overlay, kind, name=None):
    [found] = objects(overlay, kind, name)
    return found


def faults(manifest, release):
    """What is wrong with an object by the schemas of a release of Kubernetes, or of its operator; unknown fields are."""
    custom = next((one for one in CUSTOM if _is(manifest, one)), None)
    if custom:
        return [error.message for error in Draft202012Validator(_closed(custom)).iter_errors(manifest)]
    try:
        kubernetes_validate.validate(manifest, release, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as failure:
        return [failure.message]
    return []


def _is(manifest, custom):
    return (manifest["apiVersion"], manifest["kind"]) == (f"{custom['group']}/{custom['version']}", custom["kind"])


def _closed(custom):
    metadata = {name: {"type": "object", "additionalProperties": {"type": "string"}} for name in ("labels", "annotations")}
    metadata |= {name: {"type": "string"} for name in ("name", "namespace")}
    top = {"apiVersion": {}, "kind": {}, "metadata": {"type": "object", "properties": metadata}, "spec": custom["spec"]}
    return _without_others({"type": "object", "required": ["metadata", "spec"], "properties": top})


def _without_others(schema):
    if isinstance(schema, list):
        return [_without_others(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    own = {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {}
    return own | {name: _without_others(value) for name, value in schema.items()}


def workloads(overlay):
    """What makes pods: [(object, pod template)]"""
    kinds = ("Deployment", "StatefulSet", "CronJob")
    return [(one, template(one)) for one in objects(overlay) if one["kind"] in kinds]


def template(workload):
    spec = workload["spec"]
    return (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]


def environment(overlay, pod):
    """{name: value} of the pod's one container, from its ConfigMaps and itself; what a field gives is made up."""
    [container] = pod["containers"]
    variables = {}
    for source in container["envFrom"]:
        variables |= only(overlay, "ConfigMap", source["configMapRef"]["name"])["data"]
    for variable in container.get("env", []):
        variables[variable["name"]] = variable.get("value", f"the-pods-{variable['name'].lower()}")
    return variables


def mounts(pod):
    """{path: name of the Secret that is mounted there}"""
    [container] = pod["containers"]
    secrets = {volume["name"]: volume["secret"]["secretName"] for volume in pod.get("volumes", [])}
    return {mount["mountPath"]: secrets[mount["name"]] for mount in container.get("volumeMounts", [])}


def put_in_place(pod, variables, directory, certificate):
    """The environment with the files of the Secrets below directory; made-up certificates become a real one."""
    for path, secret in mounts(pod).items():
        place = directory / path.strip("/")
        place.mkdir(parents=True)
        for key, value in SECRETS[secret].items():
            (place / key).write_text(certificate if key.endswith(".crt") else _moved(value, path, place))
        variables = {name: _moved(value, path, place) for name, value in variables.items()}
    return variables


def _moved(text, path, place):
    return text.replace(f"{path}/", f"{place}/")


def seconds(duration):
    """Of a setting such as 25s."""
    return int(duration.removesuffix("s"))
