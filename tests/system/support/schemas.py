"""The files of schemas/, and what they say of records and documents."""

import json
from functools import cache

import yaml
from bson import json_util
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from support.program import ROOT

SCHEMAS = ROOT / "schemas"
SUFFIX = ".schema.json"
ASYNCAPI = "asyncapi.yaml"


def names():
    """event, document, ..."""
    return sorted(path.name.removesuffix(SUFFIX) for path in SCHEMAS.glob(f"*{SUFFIX}"))


def schema(name):
    return json.loads((SCHEMAS / f"{name}{SUFFIX}").read_text())


def validator_text():
    return (SCHEMAS / "validator.json").read_text()


def asyncapi():
    return yaml.safe_load((SCHEMAS / ASYNCAPI).read_text())


def samples(name, side):
    """{file name: sample}; side: "good" or "bad"."""
    return {path.stem: json.loads(path.read_text()) for path in (SCHEMAS / "samples" / name / side).glob("*.json")}


def faults(name, value):
    """What is wrong with a value by the schema of this name, in words."""
    validator = Draft202012Validator({"$ref": f"{name}{SUFFIX}"}, registry=registry())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def resolve(reference):
    """What a $ref of asyncapi.yaml points to; one that points to nothing is an error of `referencing`."""
    return registry().resolver(base_uri=ASYNCAPI).lookup(reference).contents


def document_json(document):
    """A document as relaxed Extended JSON."""
    return json.loads(json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS))


def document_bson(sample):
    return json_util.loads(json.dumps(sample))


def record_json(record):
    """Key, value and headers as dead-letter.schema.json sees them."""
    headers = {name: None if value is None else value.decode(errors="replace") for name, value in record.headers}
    value = None if record.value is None else record.value.decode(errors="replace")
    return {"key": record.key and record.key.decode(), "value": value, "headers": headers}


@cache
def registry():
    """All files by their names, as they refer to each other."""
    found = [(f"{name}{SUFFIX}", schema(name)) for name in names()] + [(ASYNCAPI, asyncapi())]
    return Registry().with_resources(
        (name, Resource(contents=contents, specification=DRAFT202012)) for name, contents in found
    )
