"""Inputs far from zero, or of large condition: forward varies over far less than the size of its inputs.

What is subtracted from what leaves more rounding than that of the outputs, and where differences are taken
over the size of the inputs, nothing of the slope is seen.
"""

import numpy as np
import pytest
from tables import FAIL, NOT_PASS, Row, agree, each_of

from gradlab import gradcheck


def batch_norm(x):
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)


def d_batch_norm(dy, x):
    scale = 1 / np.sqrt(x.var(0) + 1e-5)
    y = (x - x.mean(0)) * scale
    return scale * (dy - dy.mean(0) - y * (dy * y).mean(0))


def cross_entropy(x):
    largest = x.max(axis=1)
    return np.mean(largest + np.log(np.exp(x - largest[:, np.newaxis]).sum(axis=1)) - x[:, 0])


def d_cross_entropy(dl, x):
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[:, 0] -= 1
    return dl * p / len(x)


def kernel(x):
    return np.exp(-np.square(x[:, np.newaxis] - x).sum(-1)).sum()


def d_kernel(dl, x):
    apart = x[:, np.newaxis] - x
    return -4 * dl * (np.exp(-np.square(apart).sum(-1))[..., np.newaxis] * apart).sum(1)


def pairs(x):
    squared = np.square(x[:, np.newaxis] - x).sum(-1) + np.eye(len(x))
    return np.triu(squared**-6 - squared**-3, 1).sum()


def d_pairs(dl, x):
    apart = x[:, np.newaxis] - x
    squared = np.square(apart).sum(-1) + np.eye(len(x))
    slope = (3 * squared**-4 - 6 * squared**-7) * (1 - np.eye(len(x)))
    return 2 * dl * (slope[..., np.newaxis] * apart).sum(1)


OFFSETS = [
    Row(
        f"{forward.__name__} at {offset:g} {seed}",
        forward,
        right,
        (offset + spread * np.random.default_rng(seed).normal(size=shape),),
        {
            "1 %": lambda dy, x, b=right: 1.01 * b(dy, x),
            "sign": lambda dy, x, b=right: -b(dy, x),
            "nothing": lambda dy, x: 0 * x,
        },
        wrong_is=wrong,
    )
    for forward, right, shape, spread, wrong in (
        (batch_norm, d_batch_norm, (6, 3), 1.0, FAIL),
        (cross_entropy, d_cross_entropy, (5, 4), 1.0, FAIL),
        (kernel, d_kernel, (4, 2), 1.0, FAIL),
        (pairs, d_pairs, (4, 2), 2.0, NOT_PASS),
    )
    for offset in (1e3, 1e4, 1e5, 1e6)
    for seed in (0, 3)
]


@each_of(OFFSETS)
def test_offset(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@pytest.mark.parametrize("seed", range(4))
def test_negated_entry_of_a_badly_conditioned_solve_is_wrong(seed):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(4, 4)) @ np.diag(10.0 ** -np.linspace(0, 6, 4)) @ rng.normal(size=(4, 4))
    b, upstream = rng.normal(size=(2, 4))

    def backward(dy, a, b, *, negated=None):
        db = np.linalg.solve(a.T, dy)
        da = -np.outer(db, np.linalg.solve(a, b))
        if negated is not None:
            da.flat[negated] *= -1
        return da, db

    def verdict(negated):
        rule = lambda dy, a, b: backward(dy, a, b, negated=negated)  # noqa: E731
        check = gradcheck(np.linalg.solve, rule, (a, b), grad_output=upstream, raise_exception=False)
        return check.verdict

    assert verdict(None) == "pass"
    assert {verdict(negated) for negated in (0, 5, 10, 15)} == {"fail"}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("low", [2e7, 1e8, 2e8])
def test_phases_far_from_zero_are_at_no_kink(low, seed):
    x = np.random.default_rng(seed).uniform(low, 2 * low, 8)
    report = gradcheck(lambda x: np.cos(x).sum(), lambda dl, x: -dl * np.sin(x), x, raise_exception=False)
    assert report.passed
    assert not report.notes
