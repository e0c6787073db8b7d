import numpy as np

from gradlab import gradcheck
from gradlab.reporters.text import render, summary, table
from gradlab.rules import linear

X = np.array([[0.5, -1.0], [2.0, 1.5]])
W = np.array([[1.0, -2.0], [0.5, 3.0]])


def check(backward, **options):
    return gradcheck(linear.forward, backward, (X, W), name="linear", raise_exception=False, **options)


RIGHT = check(linear.backward)
WRONG = check(lambda dy, x, w: (dy @ w, x.T @ dy))


def test_passing_report_is_one_line():
    assert render(RIGHT) == (
        "PASS linear: x and w right at all 8 entries; a relative error above 2e-07 would have shown"
    )


def test_failing_report_says_where_with_both_numbers_and_the_seed():
    first, *rest = render(WRONG).splitlines()
    worst = WRONG.inputs[0].worst
    assert first.startswith("FAIL linear: gradient of x is wrong at 4 of 4 entries; worst x[")
    assert f"backward gives {worst.analytic:.6g}, central differences give {worst.numeric:.6g} ± " in first
    assert any(line.startswith("  x: wrong at 4 of 4 entries") for line in rest)
    assert any(line.startswith("  w: right") for line in rest)
    assert rest[-1] == "  reproduce with rng=0"


def test_every_finding_is_said():
    report = check(lambda dy, x, w: (-dy @ w.T, -x.T @ dy))
    assert "gradient of x is wrong" in render(report)
    assert "also: gradient of w is wrong" in render(report)


def test_columns_of_the_table_are_aligned():
    header, right, wrong = table([RIGHT, WRONG]).splitlines()
    assert header.index("points") + len("points") == right.index(" 1 ") + 2
    assert len(right) == len(header) == len(wrong)


def test_summary_counts_verdicts():
    assert summary([RIGHT, WRONG, RIGHT]) == "3 rules: 2 pass, 1 fail"
    assert summary([]) == "0 rules: none checked"


def test_one_line_and_truth():
    assert repr(WRONG) == "<Report linear: fail at 1 point>"
    assert bool(RIGHT)
    assert not bool(WRONG)
