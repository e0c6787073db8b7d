"""The points of a rule as `verify` checks them: its domain, and what they depend on."""

import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis.internal.conjecture import providers

from gradlab import Rule, verify
from gradlab._points import hypothesis_reads_nothing
from gradlab.strategies import inputs, positive


def raising_log(x):
    return np.vectorize(math.log)(x)


class TestDomain:
    def test_degenerate_points_outside_of_it_are_left_out(self):
        report = verify(Rule("reciprocal", lambda x: 1 / x, lambda dy, x: -dy / x**2, "(n)"))
        assert report.passed
        assert report.points == 100
        assert any("degenerate points were left out" in note for note in report.notes)

    def test_plain_points_outside_of_it_are_not(self):
        with np.errstate(all="ignore"):
            report = verify(
                Rule("log", np.log, lambda dy, x: dy / x, inputs("(n)", degenerate=False)),
                raise_exception=False,
            )
        assert report.failed

    @pytest.mark.parametrize(("forward", "signature"), [(np.log, "(n)"), (raising_log, "()")])
    def test_positive_numbers_are_proposed_where_negative_ones_are_outside_of_it(self, forward, signature):
        rule = Rule("log", forward, lambda dy, x: dy / x, signature)
        with np.errstate(all="ignore"):
            report = verify(rule, raise_exception=False)
        assert report.example == ("x = np.array([-1.0])" if signature == "(n)" else "x = np.array(-1.0)")
        (note,) = report.notes
        assert note == (
            "forward has a value at abs(x): if x has to be positive, say so by "
            "gradlab.strategies.inputs(..., elements=gradlab.strategies.positive)"
        )
        assert verify(replace(rule, inputs=inputs(signature, elements=positive))).passed

    def test_input_for_which_positive_numbers_are_proposed_is_the_one_concerned(self):
        rule = Rule(
            "scaled log",
            lambda scale, of: scale * np.log(of),
            lambda dy, scale, of: (dy * np.log(of), dy * scale / of),
            "(n),(n)",
        )
        with np.errstate(all="ignore"):
            (note,) = verify(rule, raise_exception=False).notes
        assert note.startswith("forward has a value at abs(of): if of has to be positive")

    @pytest.mark.parametrize(
        ("forward", "inputs"),
        [
            (lambda x: x / 0, "(n)"),
            (lambda x: np.log(-np.abs(x)), "(n)"),
            (np.log, (np.array([-1.0]),)),
            (np.log, lambda rng: (-rng.random(2),)),
        ],
        ids=["nowhere", "for no sign", "example", "function"],
    )
    def test_nothing_is_said_of_positive_numbers_where_they_would_not_help(self, forward, inputs):
        with np.errstate(all="ignore"):
            report = verify(Rule("rule", forward, lambda dy, x: dy, inputs), raise_exception=False)
        assert report.failed
        assert "positive" not in str(report)

    def test_gradient_without_a_value_inside_of_it_fails(self):
        norm = Rule(
            "norm",
            lambda x: np.sqrt((x**2).sum()),
            lambda dy, x: dy * x / np.sqrt((x**2).sum()),
            "(1)",
        )
        report = verify(norm, raise_exception=False)
        assert report.findings[0].kind == "not-finite"
        assert report.example == "x = np.array([0.0])"


def test_example_arrays_are_checked_as_they_are():
    seen = []

    def forward(x, index):
        seen.append(index.tolist())
        return x[index]

    def backward(dy, x, index):
        dx = np.zeros_like(x)
        np.add.at(dx, index, dy)
        return dx

    report = verify(Rule("gather", forward, backward, (np.array([1.0, 2.0]), np.array([1, 1]))))
    assert report.points == 1
    assert {tuple(index) for index in seen} == {(1, 1)}


VERIFY = """
import sys
import numpy as np
import hypothesis
import local_module
from gradlab import Rule, verify

if len(sys.argv) > 1:
    hypothesis.settings.register_profile("hasty", max_examples=1, derandomize=True, verbosity=hypothesis.Verbosity.debug)
    hypothesis.settings.load_profile("hasty")
seen = []
def forward(x):
    seen.append(x.tolist())
    return np.abs(x)
for inputs in ("(n)", lambda rng: (rng.normal(size=3),)):
    print(verify(Rule("abs", forward, lambda dy, x: dy * np.where(x == 0, 3, np.sign(x)), inputs), rng=5,
                 raise_exception=False))
verify(Rule("right", forward, lambda dy, x: dy * np.sign(x), "(16)"), rng=5, max_examples=20)
print(seen)
"""  # noqa: E501


def test_points_depend_on_the_seed_alone_and_nothing_is_written(tmp_path):
    answers = []
    for number, (constants, arguments, environment) in enumerate(
        [("", [], {}), (f"X = {[*range(101, 300)]}", ["hasty"], {"CI": "true", "HYPOTHESIS_X": "1"})]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "local_module.py").write_text(constants)
        done = subprocess.run(
            [sys.executable, "-B", "-c", VERIFY, *arguments],
            capture_output=True,
            text=True,
            check=True,
            cwd=folder,
            env={"PATH": "", **environment},
        )
        answers.append(done.stdout)
        assert [path.name for path in folder.iterdir()] == ["local_module.py"]
    assert answers[0] == answers[1]
    assert "FAIL abs" in answers[0]


@pytest.mark.parametrize("name", ["_get_local_constants", "CONSTANTS_CACHE"])
def test_hypothesis_without_what_keeps_it_from_reading_draws_points_as_well(name, monkeypatch):
    square = Rule("square", lambda x: x**2, lambda dy, x: 2 * x * dy, "(n)")
    monkeypatch.delattr(providers, name)  # a later version may not have it
    with hypothesis_reads_nothing():
        assert not hasattr(providers, name)
    monkeypatch.undo()
    before = getattr(providers, name)
    assert verify(square, max_examples=3).passed
    assert getattr(providers, name) is before


def test_hypothesis_writes_where_it_did_before():
    from hypothesis import configuration

    before = vars(configuration)["__hypothesis_home_directory"]
    verify(Rule("square", lambda x: x**2, lambda dy, x: 2 * x * dy, "(n)"), max_examples=5)
    assert vars(configuration)["__hypothesis_home_directory"] == before


def test_process_that_is_killed_leaves_no_files_behind(tmp_path):
    code = (
        "import os; from gradlab import Rule, verify; "
        "verify(Rule('leaver', lambda x: os._exit(3), lambda dy, x: dy, '(n)'))"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 3
    assert list(tmp_path.iterdir()) == []
