"""Settings of the worker: every fault in one message, exit 2, and no secret shown."""

import re

import pytest

from support import run_program
from support.simulator import KEY_PAIR

COMPLETE = KEY_PAIR | {
    "IMPCERT_KAFKA_BROKERS": "127.0.0.1:9092",
    "MONGODB_URI": "mongodb://impcert:hunter2secret@127.0.0.1/?replicaSet=rs",
}


def run(*arguments, **settings):
    return run_program("impcert-worker", *arguments, settings=settings)


def named(output):
    """The settings that a list of faults names, with what is said of each."""
    return dict(re.findall(r"^  ([A-Z]\w+): (.*)$", output, re.M))


def test_all_missing_settings_are_named_at_once():
    done = run()
    assert done.returncode == 2
    faults = named(done.stderr)
    assert sorted(faults) == ["IAMPORT_KEY", "IAMPORT_SECRET", "IMPCERT_KAFKA_BROKERS", "MONGODB_URI"]
    assert done.stdout == ""


def test_all_bad_settings_are_named_at_once():
    bad = {
        "IMPCERT_KAFKA_BROKERS": "kafka:99999",
        "IMPCERT_KAFKA_CONFIG": "/nowhere/kafka.properties",
        "IMPCERT_TOPIC": "a topic",
        "IMPCERT_DLQ_TOPIC": "..",
        "IMPCERT_WORKERS": "0",
        "IMPCERT_IN_FLIGHT": "many",
        "IMPCERT_ATTEMPTS": "-1",
        "IMPCERT_BACKOFF": "200",
        "IMPCERT_BACKOFF_MAX": "10 s",
        "IMPCERT_TIMEOUT": "1d",
        "IMPCERT_CONNECT_TIMEOUT": "0ms",
        "IMPCERT_DRAIN_TIMEOUT": "",
        "IMPCERT_STORE_FIELDS": "name,shoe_size",
        "IMPCERT_HTTP_LISTEN": "localhost",
        "IMPCERT_LOG_LEVEL": "loud",
        "IMPCERT_LOG_FORMAT": "xml",
        "IAMPORT_URL": "api.iamport.kr",
        "MONGODB_URI": "mysql://127.0.0.1",
        "MONGODB_DATABASE": "a/b",
        "MONGODB_COLLECTION": "$x",
    }
    done = run(**COMPLETE | bad)
    assert done.returncode == 2
    faults = named(done.stderr)
    missed = set(bad) - set(faults) - {"IMPCERT_DRAIN_TIMEOUT"}  # an empty variable is an unset one
    assert not missed, f"not named: {missed}\n{done.stderr}"
    assert set(faults) <= set(bad), "a good setting is named"


@pytest.mark.parametrize(
    "wrong, right",
    [
        ("IMPCERT_INFLIGHT", "IMPCERT_IN_FLIGHT"),
        ("IMPCERT_KAFKA_BROKER", "IMPCERT_KAFKA_BROKERS"),
        ("IMPCERT_DQL_TOPIC", "IMPCERT_DLQ_TOPIC"),
        ("IMPCERT_STORE_FIELD", "IMPCERT_STORE_FIELDS"),
    ],
)
def test_a_misspelt_name_is_reported_with_the_nearest(wrong, right):
    done = run(**COMPLETE | {wrong: "1"})
    assert done.returncode == 2
    assert re.search(rf"\b{right}\b", named(done.stderr)[wrong])


def test_a_good_configuration_passes_the_check():
    done = run("--check-config", **COMPLETE)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_check_finds_the_faults_of_a_start():
    settings = {"IMPCERT_ATTEMPTS": "x", "IMPCERT_TIMEOUT": "x"}
    checked, started = run("--check-config", **settings), run(**settings)
    assert checked.returncode == started.returncode == 2
    assert named(checked.stderr) == named(started.stderr)
    assert len(named(checked.stderr)) == 6


def test_print_config_shows_values_and_defaults_and_no_secret():
    done = run("--print-config", **COMPLETE, IMPCERT_TOPIC="events")
    assert done.returncode == 0
    shown = done.stdout
    assert re.search(r"IMPCERT_DLQ_TOPIC\b.*events\.dlq", shown)
    assert re.search(r"IMPCERT_IN_FLIGHT\b.*1024", shown)
    assert re.search(r"IMPCERT_TIMEOUT\b.*10s", shown)
    for secret in (*KEY_PAIR.values(), "hunter2secret"):
        assert secret not in shown + done.stderr


def test_a_secret_may_be_a_file(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("file-secret\n")
    settings = COMPLETE | {"IAMPORT_SECRET": None, "IAMPORT_SECRET_FILE": secret}
    done = run("--print-config", **settings)
    assert done.returncode == 0
    assert "file-secret" not in done.stdout


def test_a_file_that_is_not_there_and_both_ways_at_once_are_faults(tmp_path):
    key = tmp_path / "key"
    key.write_text("file-key")
    files = {"IAMPORT_SECRET": None, "IAMPORT_SECRET_FILE": tmp_path / "nowhere", "IAMPORT_KEY_FILE": key}
    done = run(**COMPLETE | files)
    assert done.returncode == 2
    assert all(name.startswith(("IAMPORT_KEY", "IAMPORT_SECRET")) for name in named(done.stderr))
    assert len(named(done.stderr)) == 2
    assert "nowhere" in done.stderr


def test_no_fault_shows_a_secret():
    secrets = {"IAMPORT_KEY": "key\x01hunter1", "IAMPORT_SECRET": "hunter2\n\nx", "MONGODB_URI": "mongo://u:hunter3@x"}
    done = run(**COMPLETE | secrets)
    assert done.returncode == 2
    assert set(secrets) <= set(named(done.stderr))
    assert "hunter" not in done.stderr


def test_help_lists_every_setting_and_the_version_is_told():
    done = run("--help")
    assert done.returncode == 0
    for name in (*COMPLETE, "IMPCERT_IN_FLIGHT", "IMPCERT_DRAIN_TIMEOUT", "IMPCERT_STORE_FIELDS", "IAMPORT_URL"):
        assert name in done.stdout
    version = run("--version")
    assert version.returncode == 0
    assert re.fullmatch(r"impcert-worker \d+\.\d+\.\d+\n", version.stdout)


@pytest.mark.parametrize("argument", ["--nonsense", "-x", "operand"])
def test_other_arguments_are_refused(argument):
    done = run(argument, **COMPLETE)
    assert done.returncode == 2
    assert argument.lstrip("-") in done.stderr


def test_a_bad_kafka_property_is_named(tmp_path):
    file = tmp_path / "kafka.properties"
    file.write_text("# ok\nsasl.pasword=hunter4\n")
    done = run(**COMPLETE, IMPCERT_KAFKA_CONFIG=file)
    assert done.returncode == 2
    assert f"{file}:2" in done.stderr and "sasl.pasword" in done.stderr
    assert "hunter4" not in done.stderr


@pytest.mark.parametrize("arguments", [[], ["--check-config"]], ids=["start", "check"])
@pytest.mark.parametrize(
    "line", ["enable.auto.commit=true", "group.id=another", "partition.assignment.strategy=range", "acks=1"]
)
def test_what_delivery_depends_on_cannot_be_configured_away(tmp_path, line, arguments):
    file = tmp_path / "kafka.properties"
    file.write_text(line + "\n")
    done = run(*arguments, **COMPLETE, IMPCERT_KAFKA_CONFIG=file)
    assert done.returncode == 2
    assert done.stderr.count(line.split("=")[0]) == 1
