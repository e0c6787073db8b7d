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


def as_document(text):
    """Return what is said of each rule in the JSON document, after a look at whether it is complete."""
    document = json.loads(text)
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


def test_every_hostile_rule_is_in_a_document_that_is_alone_on_standard_output(folder):
    command = [sys.executable, "-m", "gradlab", "verify", "hostile:RULES", "--format", "json"]
    done = subprocess.run([*command, "--max-examples", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    statuses = as_document(done.stdout)
    assert unlike(statuses) == {}
    assert sorted(statuses) == sorted(NAMES)
    assert "printed by Python" in done.stderr
    assert "by C" in done.stderr


def test_every_hostile_rule_is_in_text_and_file_of_several_processes_with_a_timeout(folder, forks, capfd):
    command = ["verify", "hostile:RULES", "-k", "not small", "--format", "json", "--output", "out.json"]
    assert main([*command, "--jobs", "2", "--timeout", "120", "--max-examples", "1"]) == 2
    for statuses in (as_document((folder / "out.json").read_text()), as_table(capfd.readouterr().out)):
        assert unlike(statuses) == {}
        assert sorted([*statuses, SHALLOW]) == sorted(NAMES)


def test_rules_that_hang_are_errors_with_the_place(folder, forks, capfd):
    command = ["verify", "hostile:HANGERS", "hostile:GOOD", "--timeout", "5", "--jobs", "3"]
    assert main([*command, "--format", "json", "--max-examples", "1"]) == 2
    document = json.loads(capfd.readouterr().out)
    assert [one["name"] for one in document["errors"]] == [rule.name for rule in hostile.HANGERS]
    assert {one["kind"] for one in document["errors"]} == {"timeout"}
    places = [one["stack"] for one in document["errors"]]
    assert "in _hang" in places[0]
    assert "in _hang_in_c" in places[1]
    assert document["counts"]["pass"] == len(hostile.GOOD)


@pytest.mark.parametrize("processes", ["0", "2"])
def test_every_hostile_rule_has_its_test_in_pytest(processes, folder, forks, conftest_that_forks, pytester):
    names = [name for name in NAMES if name != SHALLOW]
    if processes != "0":
        pytester.makeconftest(conftest_that_forks)
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
