"""Whatever a rule does to its process: every selected rule is reported, or the exit code says why not."""

import json
import subprocess
import sys
from importlib import util
from pathlib import Path
from xml.etree import ElementTree

import pytest

SOURCE = Path(__file__).with_name("hostile.py")
spec = util.spec_from_file_location("hostile", SOURCE)
hostile = util.module_from_spec(spec)
spec.loader.exec_module(hostile)

NAMES = [rule.name for rule in hostile.RULES]
MODES = {"plain": [], "jobs": ["--jobs", "2"], "timeout": ["--timeout", "120"]}
pytestmark = pytest.mark.skipif(not hasattr(hostile.os, "fork"), reason="the rules need POSIX")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "hostile.py").write_text(SOURCE.read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verify(*arguments):
    command = [sys.executable, "-m", "gradlab", "verify", *arguments, "--max-examples", "1"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def expected(name):
    return hostile.HOSTILE[name][1] if name in hostile.HOSTILE else ("pass",)


def unlike(statuses):
    """Return the names whose status is not what it should be."""
    return {name: status for name, status in statuses.items() if status not in expected(name)}


def test_matrix_is_large_enough():
    assert len(hostile.HOSTILE) + len(hostile.HANGERS) >= 20
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("mode", MODES)
def test_every_hostile_rule_is_reported_as_text_and_as_json(mode, folder):
    done = verify("hostile:RULES", *MODES[mode], "--format", "json", "--output", "out.json")
    assert done.returncode == 2
    document = json.loads((folder / "out.json").read_text())
    assert document["selected"] == len(document["reports"]) + len(document["errors"]) == len(NAMES)
    statuses = {one["name"]: one["gate"]["status"] for one in document["reports"] + document["errors"]}
    assert unlike(statuses) == {}
    assert sorted(statuses) == sorted(NAMES)
    rows = done.stdout.split("\n\n")[0].splitlines()[1:]
    assert sorted(row[: max(map(len, NAMES))].rstrip() for row in rows) == sorted(NAMES)
    assert unlike({row[: max(map(len, NAMES))].rstrip(): row.lower().split()[-4] for row in rows}) == {}
    assert document["problems"] == []


def test_rules_that_hang_are_errors_with_the_place(folder):
    done = verify("hostile:HANGERS", "hostile:GOOD", "--timeout", "10", "--jobs", "3", "--format", "json")
    assert done.returncode == 2
    document = json.loads(done.stdout)
    assert [one["name"] for one in document["errors"]] == [rule.name for rule in hostile.HANGERS]
    assert {one["kind"] for one in document["errors"]} == {"timeout"}
    places = [one["stack"] for one in document["errors"]]
    assert "in _hang" in places[0]
    assert "in _hang_in_c" in places[1]
    assert document["counts"]["pass"] == len(hostile.GOOD)


def test_document_is_alone_on_standard_output_whatever_rules_write_there(folder):
    done = verify("hostile:RULES", "-k", "prints or closes or writes or good", "--format", "json")
    assert done.returncode == 2
    document = json.loads(done.stdout)
    assert document["selected"] == len(document["reports"]) + len(document["errors"])
    assert "printed by Python" in done.stderr
    assert "by C" in done.stderr


@pytest.mark.parametrize("processes", ["0", "2"])
def test_every_hostile_rule_has_its_test_in_pytest(processes, folder):
    (folder / "test_hostile.py").write_text(
        "import hostile\nfrom gradlab.pytest_plugin import rule_tests\n"
        "test_rules = rule_tests(hostile.RULES, max_examples=1)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", processes]
    done = subprocess.run(
        [*command, "--junitxml=out.xml", "--rootdir=."], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    cases = list(ElementTree.parse(folder / "out.xml").iter("testcase"))
    assert len(cases) == len(NAMES)
    said = {
        entry.get("name").removeprefix("gradlab."): entry.get("value").partition(":")[0]
        for case in cases
        for entry in case.iter("property")
    }
    assert sorted(said) == sorted(NAMES)
    assert unlike(said) == {}
    failed = {case.get("name") for case in cases if case.find("failure") is not None}
    assert failed == {f"test_rules[{name}]" for name in NAMES if said[name] != "pass"}
    assert f"gradlab checked {len(NAMES)} functions: " in done.stdout
