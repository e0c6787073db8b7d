"""Six defects that people really make, each caught beside the right rule passing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, settings

from gradlab import Rule, gradcheck, verify
from gradlab.networks import language_model, neuron
from gradlab.rules import cross_entropy, embedding, linear, square_loss, tanh


def missing_transpose(dy, x, w):
    return dy @ w if w.shape[0] == w.shape[1] else dy @ w.T, x.T @ dy


def missing_mean(dl, o, y):
    return square_loss.backward(dl, o, y)


def dropped_slope(dl, v):
    delta = dl * -(v.y - v.o)  # the factor (1 − o²) is dropped
    db = delta * v.w2 * (1 - v.h**2)
    return db * v.x, delta * v.h, db * v.w1, dl * (v.y - v.o)


def wrong_sign(dl, o, y):
    do, dy = square_loss.backward(dl, o, y)
    return -do, dy


def probabilities_for_errors(dl, cache):
    p, target = cache
    return dl * p / len(target)


def duplicate_word_overwritten(dy, table, index):
    dtable = np.zeros_like(table)
    dtable[index] = dy
    return dtable


PLANTED = [
    (linear.RULE, missing_transpose),
    (square_loss.MEAN, missing_mean),
    (neuron.RULE, dropped_slope),
    (square_loss.SUM, wrong_sign),
    (cross_entropy.LOGITS, probabilities_for_errors),
    (embedding.RULE, duplicate_word_overwritten),
]


FEW = settings(
    max_examples=30,
    phases=[Phase.generate],
    database=None,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.parametrize(("right", "defect"), PLANTED, ids=[defect.__name__ for _, defect in PLANTED])
def test_defect_is_caught_and_the_right_rule_passes(right, defect):
    assert verify(right, max_examples=5)

    def is_caught(point):
        report = gradcheck(right.forward, defect, point, cached=right.cached, raise_exception=False)
        return report.failed and report.findings[0].kind == "wrong-gradient"

    # As `verify` does, but for the shrinking, which takes the longest.
    find(right.inputs, is_caught, settings=FEW)


def test_defect_in_one_part_of_the_language_model_is_caught_in_the_whole(monkeypatch):
    monkeypatch.setattr(embedding, "backward", duplicate_word_overwritten)
    rng = np.random.default_rng(0)
    parameters = (rng.normal(size=shape) for shape in [(4, 2), (6, 3), (3, 4)])
    context, target = np.array([[1, 2, 0], [3, 1, 1]]), np.array([0, 2])  # words occur more than once
    report = gradcheck(
        language_model.forward,
        language_model.backward,
        (*parameters, context, target),
        cached=True,
        raise_exception=False,
    )
    verdicts = {result.name: result.verdict for result in report.inputs}
    assert verdicts == {"table": "fail", "w1": "pass", "w2": "pass"}


@pytest.mark.parametrize("size", [1e-3, 1e-5, 1e-6])
def test_small_relative_defect_is_caught(size):
    x = np.linspace(0.1, 2, 7)

    def slightly_wrong(dy, y):
        return tanh.backward(dy, y) * (1 + size)

    assert not gradcheck(tanh.forward, slightly_wrong, x, cached=True, raise_exception=False)


def test_defect_below_rtol_passes():
    x = np.linspace(0.1, 2, 7)
    rule = Rule("tanh", tanh.forward, lambda dy, y: tanh.backward(dy, y) * (1 + 1e-9), (x,), cached=True)
    assert verify(rule)
    assert verify(replace(rule, backward=lambda dy, y: tanh.backward(dy, y) * 1.01), rtol=0.02)


def test_one_swapped_pair_among_many_entries_is_caught():
    x = np.random.default_rng(0).normal(size=5000)

    def swapped(dy, y):
        dx = tanh.backward(dy, y)
        dx[[10, 4000]] = dx[[4000, 10]]
        return dx

    assert not gradcheck(tanh.forward, swapped, x, cached=True, raise_exception=False)
