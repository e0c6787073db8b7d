"""Another process, in the same folder, gets what a snippet names from where the rule was."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import rosen

import gradlab
from gradlab import Rule
from gradlab._snippet import gradcheck_snippet, point_snippet, verify_call
from gradlab.report import snippet_of
from gradlab.runs.targets import find_rules

RULES = """
from gradlab import Rule
{helper}

def square(x):
    return x**2

def half(dy, x):
    return x * dy

def make(power):
    return Rule(f"power {{power}}", lambda x: x**power, lambda dy, x: x * dy, "(n)")

wrong = Rule("wrong", square, half, "(n)")
unnamed = [make(3), {{"four": make(4)}}]
by_name = {{"five": make(5)}}
made_by_a_decorator = Rule("bare", lambda x: x**2, half, "(n)")
"""

PASTE = """
import json, sys
from gradlab import GradientError
for snippet in json.loads(sys.argv[1]):
    try:
        exec(snippet, {})
    except GradientError as error:
        print(error.report.verdict)
"""

POINT = (np.array([1.0, 2.0]),)


@pytest.fixture
def rules(project, write, monkeypatch):
    """Rules of a package, of a file in a folder, and of one that cannot be imported by its name."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    write("package/__init__.py", "")
    write("package/helper.py", "")
    write("package/inner.py", RULES.format(helper="from . import helper"))
    write("folder/helper.py", "")
    write("folder/outer.py", RULES.format(helper="import helper"))
    write("folder/out-er.py", RULES.format(helper="import helper"))
    monkeypatch.syspath_prepend(str(project))
    return {
        "package": find_rules("package.inner"),
        "folder": find_rules("folder/outer.py"),
        "file": find_rules("folder/out-er.py"),
    }


def snippet(rule, explicit=False):
    written = point_snippet(rule, POINT, rtol=None, seed=0, explicit=explicit)
    return snippet_of(written.call, written.example)


def lines(text):
    return text.splitlines()[1:-2]  # without the import of gradlab, the point and the call


def test_each_is_found_by_another_process(rules):
    found = [snippet(rule) for of in rules.values() for rule in of]
    found += [snippet(of[0], explicit=True) for of in rules.values()]
    found += [snippet_of(verify_call(of[0], max_examples=1, rtol=None, seed=0)) for of in rules.values()]
    environment = {**os.environ, "PYTHONPATH": str(Path(gradlab.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", PASTE, json.dumps(found)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(found) == 21
    assert done.stdout.split() == ["fail"] * len(found), found


def test_rule_of_a_package_is_imported(rules):
    assert lines(snippet(rules["package"][0])) == ["from package.inner import wrong as rule"]


def test_file_in_a_folder_is_put_on_the_path(rules):
    assert lines(snippet(rules["folder"][0])) == [
        "import sys",
        "sys.path.insert(0, 'folder')",
        "from outer import wrong as rule",
    ]


def test_file_that_has_no_name_to_import_is_run(rules):
    assert lines(snippet(rules["file"][0])) == [
        "import runpy, sys",
        "sys.path.insert(0, 'folder')",
        "out_er = runpy.run_path('folder/out-er.py')",
        "rule = out_er['wrong']",
    ]


def test_rule_without_a_name_of_its_own_is_that_of_its_list(rules):
    module = sys.modules["package.inner"]
    assert lines(snippet(module.unnamed[0])) == ["from package.inner import unnamed", "rule = unnamed[0]"]
    assert lines(snippet(module.unnamed[1]["four"]))[-1] == "rule = unnamed[1]['four']"
    assert lines(snippet(module.by_name["five"]))[-1] == "rule = by_name['five']"


def test_rule_that_only_the_program_has_is_named_with_its_place(rules):
    rule = sys.modules["package.inner"].make(6)
    assert lines(snippet(rule)) == ["# define first: rule, the Rule 'power 6'"]


def test_rule_that_only_the_program_has_is_checked_by_its_functions_where_they_can_be_imported(rules):
    module = sys.modules["package.inner"]
    text = snippet(Rule("local", module.square, module.half, "(n)"))
    assert lines(text) == ["from package.inner import square, half"]
    assert text.endswith("gradlab.gradcheck(square, half, (x,), rng=0)")


def test_public_module_is_preferred_to_the_private_one_that_defines_a_function():
    written = gradcheck_snippet(rosen, np.cos, POINT, seed=0)
    assert written.call.startswith("from scipy.optimize import rosen\n")


def test_function_of_a_script_is_named_with_its_place(project, monkeypatch):
    script = project / "script.py"
    script.write_text("def square(x):\n    return x**2\n")
    names = {"__name__": "__main__"}
    exec(compile(script.read_text(), str(script), "exec"), names)
    written = gradcheck_snippet(names["square"], np.cos, POINT, seed=0)
    assert "# define first: square, a function at script.py:1\n" in written.call


def test_rule_of_a_framework_is_checked_by_its_call():
    def forward(x):
        return x

    asked = gradcheck_snippet(np.sin, np.cos, POINT, seed=0)
    forward.snippet = lambda inputs, *, seed: asked
    assert (
        point_snippet(Rule("own", forward, np.cos, "(n)"), POINT, rtol=None, seed=0, explicit=False) is asked
    )
