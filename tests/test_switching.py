"""The table of the page `switching`: what is typed today, and what replaces it."""

import re

import numpy as np
import pytest
import scipy.optimize

import gradlab
from gradlab import GradientError, gradcheck, numerical_vjp
from gradlab.cli.docs import pages

PAGE = pages()["switching"]


def replacements():
    """Give each row of the table as its two pieces of code; those of frameworks have their own tests."""
    rows = [line for line in PAGE.splitlines() if line.startswith("|")][2:]
    for row in rows:
        left, right = row.strip("|").split("|")
        if re.search(r"gradlab\.(torch|jax|autograd)\.", right):
            continue
        yield re.findall("`([^`]+)`", left)[0], re.findall("`([^`]+)`", right)[0]


# The functions of course notes, as they are handed out.


def eval_numerical_gradient_array(f, x, df, h=1e-5):
    grad = np.zeros_like(x)
    for ix in np.ndindex(x.shape):
        oldval = x[ix]
        x[ix] = oldval + h
        pos = np.copy(f(x))
        x[ix] = oldval - h
        neg = np.copy(f(x))
        x[ix] = oldval
        grad[ix] = np.sum((pos - neg) * df) / (2 * h)
    return grad


def eval_numerical_gradient(f, x):
    return eval_numerical_gradient_array(f, x, 1.0)


def names(*, defect=1.0):
    """Return what the table speaks of; a defect other than 1 is a factor of each hand-written gradient."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(3, 2))
    found = {
        "forward": lambda x, w, b: x @ w + b,
        "backward": lambda dy, x, w, b: (dy @ w.T, x.T @ dy, defect * dy.sum(axis=0)),
        "affine_forward": lambda x, w, b: (x @ w + b, (x, w)),
        "affine_backward": lambda dy, cache: (dy @ cache[1].T, cache[0].T @ dy, defect * dy.sum(axis=0)),
        "x": rng.normal(size=(5, 3)),
        "w": w,
        "b": rng.normal(size=2),
        "f": (lambda x: np.sum(np.tanh(x @ w))),
        "df": rng.normal(size=(5, 2)),
        "x0": rng.normal(size=4),
        "a": 3.0,
        "func": lambda x, a=1.0: float(np.sum(np.exp(a * x))),
        "grad": lambda x, a=1.0: defect * a * np.exp(a * x),
    }
    assert all(re.search(rf"\b{name}\b", PAGE) for name in found)
    return found | {
        "gradcheck": gradcheck,
        "gradlab": gradlab,
        "numerical_vjp": numerical_vjp,
        "scipy": scipy,
        "eval_numerical_gradient": eval_numerical_gradient,
        "eval_numerical_gradient_array": eval_numerical_gradient_array,
    }


def test_table_has_all_rows():
    assert len(list(replacements())) == 6


@pytest.mark.parametrize("code", [right for _, right in replacements() if "numerical_vjp" not in right])
def test_replacement_passes_a_right_gradient_and_catches_a_wrong_one(code):
    assert eval(code, names()).passed
    with pytest.raises(GradientError):
        eval(code, names(defect=1.001))


@pytest.mark.parametrize("today", [left for left, right in replacements() if "numerical_vjp" in right])
def test_replacement_gives_the_numbers_of_the_course_notes(today):
    scope = names()
    if "df" in today:
        scope["f"] = lambda x: np.tanh(x @ scope["w"])
    np.testing.assert_allclose(eval(dict(replacements())[today], scope), eval(today, scope), rtol=1e-7)


@pytest.mark.parametrize("today", [left for left, _ in replacements() if "check_grad" in left])
def test_what_scipy_has_today_runs(today):
    assert eval(today, names()) < 1e-3
