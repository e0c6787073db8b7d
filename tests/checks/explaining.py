"""What is said of a wrong rule at one point: shared by the tests of causes."""

import numpy as np

from gradlab import gradcheck

_rng = np.random.default_rng(0)
X = _rng.normal(size=5)
Y = _rng.normal(size=5)
M = _rng.normal(size=(4, 5))
W = _rng.normal(size=(5, 3))
SQUARE = _rng.normal(size=(4, 4))


def explain(forward, backward, *inputs, **options):
    """Return the causes of a rule that is wrong at a point, the first first."""
    report = gradcheck(forward, backward, inputs, raise_exception=False, **options)
    assert report.failed, str(report)
    return report.causes


def first(forward, backward, *inputs, **options):
    """Return the first cause's code and message; two empty strings where there is none."""
    causes = explain(forward, backward, *inputs, **options)
    return (causes[0].code, causes[0].message) if causes else ("", "")


def codes(forward, backward, *inputs, **options):
    """Return the codes of all causes."""
    return [cause.code for cause in explain(forward, backward, *inputs, **options)]


def linear(x, w):
    return x @ w


def d_tanh(x):
    return 1 - np.tanh(x) ** 2


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
