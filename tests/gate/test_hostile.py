"""Whatever a rule does to its process: every selected rule is reported, or the exit code says why not.

Rules that end their process cost two of them each; those of most tests here are copies of this one.
"""

import json
import subprocess
import sys
from importlib import util
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gradlab.cli import main

pytest_plugins = ["pytester"]
SOURCE = Path(__file__).with_name("hostile.py")
spec = util.spec_from_file_location("hostile", SOURCE)
hostile = util.module_from_spec(spec)
spec.loader.exec_module(hostile)

NAMES = [rule.name for rule in hostile.RULES]
SHALLOW = "small stack"  # leaves less of it than a copy of this process has in use
pytestmark = pytest.mark.skipif(not hasattr(hostile.os, "fork"), reason="the rules need POSIX")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "hostile.py").write_text(SOURCE.read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verify(*arguments):
    command = [sys.executable, "-m", "gradlab", "verify", *arguments, "--max-examples", "1"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def as_document(file):
    """Return what is said of each rule in the JSON document, after a look at whether it is complete."""
    document = json.loads(file.read_text())
    said = document["reports"] + document["errors"]
    assert document["selected"] == len(said) == len({one["name"] for one in said})
    assert document["problems"] == []
    return {one["name"]: one["gate"]["status"] for one in said}


def as_table(out):
    width = max(map(len, NAMES))
    rows = out.split("\n\n")[0].splitlines()[1:]
    return {row[:width].rstrip(): row.lower().split()[-4] for row in rows}


def expected(name):
    return hostile.HOSTILE[name][1] if name in hostile.HOSTILE else ("pass",)


def unlike(statuses):
    """Return the names whose status is not what it should be."""
    return {name: status for name, status in statuses.items() if status not in expected(name)}


def test_matrix_is_large_enough():
    assert len(hostile.HOSTILE) + len(hostile.HANGERS) >= 20
    assert len(NAMES) == len(set(NAMES))


def test_every_hostile_rule_is_reported_as_text_and_as_json(folder):
    done = verify("hostile:RULES", "--format", "json", "--output", "out.json")
    assert done.returncode == 2
    for statuses in (as_document(folder / "out.json"), as_table(done.stdout)):
        assert unlike(statuses) == {}
        assert sorted(statuses) == sorted(NAMES)


@pytest.mark.parametrize("options", [("--jobs", "2"), ("--timeout", "120")], ids=" ".join)
def test_every_hostile_rule_is_reported_with_several_processes_or_a_timeout_too(
    options, folder, forks, capfd
):
    command = ["verify", "hostile:RULES", "-k", "not small", "--format", "json", "--output", "out.json"]
    assert main([*command, *options, "--max-examples", "1"]) == 2
    for statuses in (as_document(folder / "out.json"), as_table(capfd.readouterr().out)):
        assert unlike(statuses) == {}
        assert sorted([*statuses, SHALLOW]) == sorted(NAMES)


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
def test_every_hostile_rule_has_its_test_in_pytest(processes, folder, forks, pytester):
    names = [name for name in NAMES if name != SHALLOW]
    (pytester.path / "hostile.py").write_text(SOURCE.read_text())
    pytester.makepyfile(
        "import hostile\nfrom gradlab.pytest_plugin import rule_tests\n"
        f"RULES = [rule for rule in hostile.RULES if rule.name in {names!r}]\n"
        "test_rules = rule_tests(RULES, max_examples=1)\n"
    )
    done = pytester.runpytest("-q", "-p", "no:cacheprovider", "-n", processes, "--junitxml=out.xml")
    assert done.ret == 1
    cases = list(ElementTree.parse(pytester.path / "out.xml").iter("testcase"))
    assert len(cases) == len(names)
    said = {
        entry.get("name").removeprefix("gradlab."): entry.get("value").partition(":")[0]
        for case in cases
        for entry in case.iter("property")
    }
    assert sorted(said) == sorted(names)
    assert unlike(said) == {}
    failed = {case.get("name") for case in cases if case.find("failure") is not None}
    assert failed == {f"test_rules[{name}]" for name in names if said[name] != "pass"}
    assert f"gradlab checked {len(names)} functions: " in done.stdout.str()
