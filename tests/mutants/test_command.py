import re

import pytest

from gradlab.cli import main

ALONG_ONES = """
import numpy as np

def along_ones(forward, backward, inputs):
    moved = [x + 1e-6 if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in inputs]
    slope = np.sum(forward(*moved) - forward(*inputs)) / 1e-6
    gradients = backward(np.ones_like(forward(*inputs)), *inputs)
    return np.isclose(slope, sum(map(np.sum, gradients)), rtol=1e-3)

def breaks(forward, backward, inputs):
    raise RuntimeError("out of order")

def leaves(forward, backward, inputs):
    raise SystemExit(0)

number = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "own_checks.py").write_text(ALONG_ONES)
    (tmp_path / "leaving.py").write_text("raise SystemExit(0)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_checks"


def numbers(out):
    """Return the numbers of the first rule, by the titles of their columns."""
    titles, row = (re.split(" {2,}", line) for line in out.splitlines()[:2])
    assert len(set(titles)) == len(titles)
    return dict(zip(titles, row, strict=True))


def test_gradlab_catches_the_defects_of_a_rule(capsys):
    assert main(["mutants", "-k", "bias_add"]) == 0
    header, row, total, *_ = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["rule", "defects", "caught", "missed"]
    assert row.split()[:4] == ["bias_add", "5", "5", "0"]
    assert total.split()[:4] == ["total", "5", "5", "0"]


def test_several_seeds_are_several_points(capsys):
    assert main(["mutants", "-k", "bias_add: averaged", "--seed", "0", "1", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:6] == ["bias_add", "3", "3", "0", "0", "3"]


def test_other_checker_misses_and_is_told_what(module, capsys):
    assert main(["mutants", "--checker", f"{module}:along_ones", "-k", "linear_square"]) == 1
    out = capsys.readouterr().out
    assert "\nmissed: 4\n" in out
    assert "  linear_square: in the wrong order, seed 0: gradients returned in the wrong order" in out
    assert "causes:" not in out


def test_checker_that_raises_is_told_apart(module, capsys):
    assert main(["mutants", "--checker", f"{module}:breaks", "-k", "bias_add"]) == 1
    out = capsys.readouterr().out
    assert "the checker raised: 6" in out
    assert "  bias_add, seed 0: the right rule (RuntimeError: out of order)" in out


def test_what_the_checker_did_not_decide_is_counted_apart_for_defects_and_for_right_rules(module, capsys):
    main(["mutants", "--checker", f"{module}:breaks", "-k", "bias_add"])
    undecided = numbers(capsys.readouterr().out)
    assert (undecided["defects"], undecided["defects undecided"]) == ("5", "5")
    assert (undecided["right"], undecided["right undecided"]) == ("1", "1")
    main(["mutants", "--checker", f"{module}:along_ones", "-k", "bias_add"])
    decided = numbers(capsys.readouterr().out)
    assert (decided["defects undecided"], decided["right undecided"]) == ("0", "0")


def test_defects_of_a_framework_are_shown_to_what_replaces_its_checker(capsys):
    assert main(["mutants", "-k", "scipy: rmatvec"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:6] == ["scipy", "1", "1", "0", "0", "1"]


@pytest.fixture
def without_torch(monkeypatch):
    installed = {"scipy"}
    monkeypatch.setattr("gradlab.mutants.frameworks.is_installed", lambda name: name in installed)


def test_frameworks_that_are_missing_are_said_to_be(without_torch, capsys):
    assert main(["mutants", "--list"]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("torch is not installed, and its planted defects are left out: pip install")
    assert main(["mutants", "-k", "torch"]) == 2
    assert "torch is not installed" in capsys.readouterr().err


def test_list_prints_the_catalogue(capsys):
    assert main(["mutants", "--list", "-k", "last-write-wins"]) == 0
    out = capsys.readouterr().out
    assert (
        "embedding\n  assigned [indexing, last-write-wins]: assigns instead of accumulating at duplicate"
        in out
    )
    assert "averaged" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-k", "no such rule"], "no rule and no defect has 'no such rule'"),
        (["--checker", "own_checks"], "expected package.module:function"),
        (["--checker", "own_checks:nothing"], "the module own_checks has no 'nothing'"),
        (["--checker", "own_checks:number"], "own_checks:number is 3; expected a function"),
        (["--checker", "own_checks:along_ones", "-k", "eigenvalues"], "its inputs may not move freely"),
        (
            ["--checker", "own_checks:leaves", "-k", "bias_add"],
            "the checker raised SystemExit: 0 at bias_add",
        ),
        (["--checker", "leaving:f"], "leaving cannot be imported: SystemExit: 0"),
        (["--checker", "no_such_module:f"], "no_such_module cannot be imported: ModuleNotFoundError"),
    ],
)
def test_wrong_call_gives_exit_2_and_says_why(module, capsys, arguments, message):
    assert main(["mutants", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_seed_must_be_a_number(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["mutants", "--seed", "many"])
    assert "expected a whole number" in capsys.readouterr().err
