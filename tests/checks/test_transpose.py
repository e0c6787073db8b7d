"""The dot-product test: it needs no differences, and takes rounding for what it is."""

import numpy as np
import pytest

from gradlab.checks.claims import claims_of
from gradlab.checks.maps import FirstAnswer, backward_map, jvp_map
from gradlab.checks.tangent_claims import TangentClaims
from gradlab.checks.transpose import not_transposed
from gradlab.point.problem import Problem

RNG = np.random.default_rng(0)
A, X = RNG.normal(size=(4, 3)), RNG.normal(size=3)


def ask(forward, backward, jvp, x=X, rtol=1e-7):
    problem = Problem(forward, backward, x, jvp=jvp, seed=1)
    ours, theirs = map(FirstAnswer.ask, (backward_map(problem), jvp_map(problem, np.random.default_rng(2))))
    calls = problem.forward_calls
    claims, pushed = claims_of(problem, ours.answer), TangentClaims(problem, None, problem.wrt)
    message = not_transposed(ours, theirs, claims, pushed, rtol=rtol)
    assert problem.forward_calls == calls
    return message


def forward(x):
    return A @ np.sin(x)


def backward(dy, x):
    return np.cos(x) * (A.T @ dy)


def jvp(x_dot, x):
    return A @ (np.cos(x) * x_dot)


def test_transposes_agree():
    assert ask(forward, backward, jvp) is None


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0])
def test_one_that_is_off_is_seen_and_both_numbers_are_said(size):
    message = ask(forward, backward, lambda x_dot, x: (1 + size) * jvp(x_dot, x))
    assert message.startswith("jvp and backward are not each other's transpose")
    assert "⟨u, J v⟩ is" in message
    assert ask(forward, lambda dy, x: (1 - size) * backward(dy, x), jvp) is not None


def test_defect_below_rtol_is_none():
    assert ask(forward, backward, lambda x_dot, x: (1 + 1e-9) * jvp(x_dot, x)) is None
    assert ask(forward, backward, lambda x_dot, x: 1.01 * jvp(x_dot, x), rtol=0.1) is None


def test_terms_that_cancel_leave_rounding():
    # The sum of a softmax does not move: both sides are nothing but rounding.
    def softmax(z):
        e = np.exp(z - z.max())
        return e / e.sum()

    def apply(t, z):
        y = softmax(z)
        return y * (t - (t * y).sum())

    assert (
        ask(
            lambda z: np.sum(softmax(z)),
            lambda dy, z: apply(np.full_like(z, dy), z),
            lambda z_dot, z: np.sum(apply(z_dot, z)),
        )
        is None
    )
