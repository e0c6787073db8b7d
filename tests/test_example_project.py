"""A project as a new user writes it: its gates are red for a planted defect, say why, green once mended."""

import os
import re
import subprocess
import sys
from functools import cache

import pytest

PYPROJECT = """
[project]
name = "layers"
version = "0.1"

[tool.gradlab]
targets = ["layers.rules"]
expect-rules = 4
max-examples = 20

[tool.pytest.ini_options]
addopts = ["--strict-markers", "--strict-config"]
filterwarnings = ["error"]
pythonpath = ["."]
"""

AFFINE = """
def affine(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dy, cache):
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)
"""

# Right, unless an index occurs twice.
LOOKUP = """
import numpy as np


def lookup(table, index):
    return table[index]


def lookup_backward(dy, table, index):
    dtable = np.zeros_like(table)
    dtable[index] = dy
    return dtable
"""
LOOKUP_MENDED = LOOKUP.replace("dtable[index] = dy", "np.add.at(dtable, index, dy)")

LOSSES = """
import numpy as np


def squared_error(y, target):
    return 0.5 * np.sum((y - target) ** 2)


def squared_error_backward(dloss, y, target):
    return dloss * (y - target), dloss * (target - y)


def masked_mean(x, mask):
    return np.mean(x * mask)


def masked_mean_backward(dloss, x, mask):
    return np.full_like(x, dloss / x.size)
"""

RULES = """
from gradlab import Rule
from gradlab.strategies import inputs, labels, reals

from layers.affine import affine, affine_backward
from layers.losses import masked_mean, masked_mean_backward, squared_error, squared_error_backward
from layers.lookup import lookup, lookup_backward

RULES = [
    Rule("affine", affine, affine_backward, "(n,d),(d,m),(m)", cached=True),
    Rule("lookup", lookup, lookup_backward, inputs("(v,e),(n)", elements=(reals, labels("v")))),
    Rule("squared_error", squared_error, squared_error_backward, "(n,d),(n,d)"),
    Rule(
        "masked_mean",
        masked_mean,
        masked_mean_backward,
        inputs("(n),(n)", elements=(reals, labels("2"))),
        known_failure=("wrong-gradient", "the mask is left out"),
    ),
]
"""

TESTS = """
import gradlab
import numpy as np
from layers.affine import affine, affine_backward
from layers.rules import RULES

test_rules = gradlab.pytest_plugin.rule_tests(RULES)


def test_affine_on_a_batch(gradcheck):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(5, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    gradcheck(affine, affine_backward, inputs, cached=True)
"""

TESTS_WITHOUT_PLUGIN = """
import numpy as np
from gradlab import gradcheck
from layers.lookup import lookup, lookup_backward

TABLE = np.array([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.25]])


def test_different_indices():
    gradcheck(lookup, lookup_backward, (TABLE, np.array([2, 0])))


def test_equal_indices():
    gradcheck(lookup, lookup_backward, (TABLE, np.array([2, 0, 2])))
"""

FILES = {
    "pyproject.toml": PYPROJECT,
    "layers/__init__.py": "",
    "layers/affine.py": AFFINE,
    "layers/losses.py": LOSSES,
    "layers/rules.py": RULES,
    "checks/test_layers.py": TESTS,
    "checks/test_without_plugin.py": TESTS_WITHOUT_PLUGIN,
}

# The interpreter of this run has gradlab installed, so that pytest finds the plugin by its entry point.
PYTEST = ("pytest", "-p", "no:cacheprovider")
RULE_TESTS = (*PYTEST, "--gradlab-max-examples=20", "checks/test_layers.py")
IN_PROCESSES = (*RULE_TESTS, "-n", "1")
WITHOUT_PLUGIN = (*PYTEST, "-p", "no:gradlab", "checks/test_without_plugin.py")
VERIFY = ("gradlab", "verify", "--format", "github", "--max-examples", "50")


def build(folder, lookup):
    for path, text in {**FILES, "layers/lookup.py": lookup}.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text.lstrip())
    return folder


@cache
def run(project, module, *arguments):
    """Run a module as a user of the project does, whatever the environment says of this run."""
    told = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GITHUB_"))}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=project,
        env={**told, "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    return build(tmp_path_factory.mktemp("wrong"), LOOKUP)


@pytest.fixture(scope="module")
def mended(tmp_path_factory):
    return build(tmp_path_factory.mktemp("mended"), LOOKUP_MENDED)


@pytest.fixture(scope="module", params=[IN_PROCESSES, VERIFY], ids=["pytest -n 1", "gradlab verify"])
def red(request, wrong):
    """Give what a gate says of the project with the defect."""
    return run(wrong, *request.param)


def test_gate_is_red_for_a_wrong_rule(red):
    assert red.returncode == 1, red.stdout + red.stderr


def test_example_is_shrunk_to_two_equal_indices(red):
    assert "\ntable = np.array([[1.0]])\nindex = np.array([0, 0])\n" in red.stdout


def test_cause_is_named(red):
    assert "cause (last-write-wins): gradient of table " in red.stdout


def test_rules_that_are_right_or_known_to_fail_are_not_blamed(red):
    blamed = {line.split()[1].rstrip(":") for line in red.stdout.splitlines() if line.startswith("FAIL ")}
    assert blamed == {"lookup"}


def test_annotation_is_at_the_backward_function(wrong):
    lines = (wrong / "layers/lookup.py").read_text().splitlines()
    line = 1 + lines.index("def lookup_backward(dy, table, index):")
    output = run(wrong, *VERIFY).stdout
    (annotation,) = [text for text in output.splitlines() if text.startswith("::")]
    assert annotation.startswith(f"::error file=layers/lookup.py,line={line},title=gradlab%3A lookup::")


@pytest.mark.parametrize("gate", [RULE_TESTS, VERIFY], ids=["pytest", "gradlab verify"])
def test_gate_is_green_for_the_mended_rule(gate, mended):
    done = run(mended, *gate)
    assert done.returncode == 0, done.stdout + done.stderr


def test_gradcheck_needs_no_plugin(wrong):
    done = run(wrong, *WITHOUT_PLUGIN)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "gradlab" not in next(line for line in done.stdout.splitlines() if line.startswith("plugins:"))
    assert re.findall(r"^FAILED .*?::(\w+)", done.stdout, flags=re.MULTILINE) == ["test_equal_indices"]
    assert "1 failed, 1 passed" in done.stdout
