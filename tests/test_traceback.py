"""What pytest shows of a failing check: the user's line and the report, nothing of gradlab's own code."""

import os
import subprocess
import sys

import pytest

TESTS = """
import numpy as np
import pytest

import gradlab

def forward(x, w):
    return x @ w

def wrong(dy, x, w):
    return dy @ w.T, -x.T @ dy

def raising(dy, x, w):
    raise KeyError("a message of the user's own")

POINT = (np.ones((2, 3)), np.ones((3, 2)))

def test_gradcheck():
    gradlab.gradcheck(forward, wrong, POINT)

def test_raising():
    gradlab.gradcheck(forward, raising, POINT)

def test_verify():
    gradlab.verify(gradlab.Rule("linear", forward, wrong, "(n,d),(d,m)"))

def test_verify_raising():
    gradlab.verify(gradlab.Rule("linear", forward, raising, "(n,d),(d,m)"))

def test_usage():
    gradlab.gradcheck(forward, wrong, ("a", 1))

def test_usage_of_verify():
    gradlab.verify(gradlab.Rule("nothing", lambda x: None, wrong, "(n,d)"))

def test_usage_of_oracle():
    gradlab.numerical_vjp(forward, ("a", 1))

def test_fault_of_gradlab(monkeypatch):
    monkeypatch.setattr("gradlab._question.assemble", lambda *args, **options: 1 / 0)
    gradlab.gradcheck(forward, wrong, POINT)
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Return pytest's long output for each of the tests above."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "test_user.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", "test_user.py"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 1, done.stderr
    parts = done.stdout.partition("= FAILURES =")[2].partition("= short test summary")[0].split("\n____")
    return {part.split()[1] if part.startswith("_") else part.split()[0]: part for part in parts[1:]}


@pytest.mark.parametrize(
    ("test", "line", "message"),
    [
        (
            "test_gradcheck",
            "gradlab.gradcheck(forward, wrong, POINT)",
            "FAIL forward: gradient of w is wrong",
        ),
        (
            "test_raising",
            "gradlab.gradcheck(forward, raising, POINT)",
            "FAIL forward: backward raised KeyError",
        ),
        ("test_verify", "gradlab.verify(", "FAIL linear: gradient of w is wrong"),
        ("test_verify_raising", "gradlab.verify(", "FAIL linear: backward raised KeyError"),
        ("test_usage", "gradlab.gradcheck(", "nothing to differentiate"),
        ("test_usage_of_verify", "gradlab.verify(", "rule 'nothing': forward returned None"),
        ("test_usage_of_oracle", "gradlab.numerical_vjp(", "nothing to differentiate"),
    ],
)
def test_users_line_and_the_report_are_all_that_is_shown(shown, test, line, message):
    text = shown[test]
    assert f">       {line}" in text
    assert message in text
    files = [row.split(":")[0] for row in text.splitlines() if ".py:" in row and not row.startswith("E")]
    assert files
    assert set(files) == {"test_user.py"}


def test_what_the_users_function_raised_is_shown(shown):
    for test in ("test_raising", "test_verify_raising"):
        assert '>       raise KeyError("a message of the user\'s own")' in shown[test]


def test_a_fault_of_gradlab_is_shown_in_full(shown):
    assert "_question.py:" in shown["test_fault_of_gradlab"]
    assert "ZeroDivisionError" in shown["test_fault_of_gradlab"]
