import functools

import numpy as np
import pytest

from gradlab.point.problem import Problem
from gradlab.point.values import describe

X = np.array([1.0, 2.0])


@pytest.mark.parametrize(
    ("forward", "names"),
    [
        (lambda a, b: a + b, ("a", "b")),
        (lambda *args: args[0] + args[1], ("args[0]", "args[1]")),
        (lambda a, *rest: a + rest[0], ("a", "rest[0]")),
        (functools.partial(lambda k, a, b: k * a + b, 2.0), ("a", "b")),
    ],
)
def test_names_come_from_the_signature(forward, names):
    assert Problem(forward, forward, (X, X)).names == names


def test_calls_are_counted():
    problem = Problem(np.sin, lambda dy, x: dy, X)
    problem.evaluate({0: X})
    problem.call_backward()
    assert (problem.forward_calls, problem.backward_calls) == (2, 1)


@pytest.mark.parametrize("cached", [False, True])
def test_backward_gets_displaced_inputs_in_the_dtype_given_and_cannot_spoil_them(cached):
    seen = []

    def forward(x):
        return (np.sin(x), x) if cached else np.sin(x)

    def backward(dy, x):
        seen.append((x.dtype, x.tolist()))
        x[:] = 0
        return dy

    problem = Problem(forward, backward, X.astype(np.float32), cached=cached)
    displaced = {0: np.array([3.0, 4.0])}
    for _ in range(2):
        problem.call_backward(displaced=displaced)
    assert seen == [(np.float32, [3.0, 4.0])] * 2


def test_forward_that_raises_or_changes_shape_beside_the_point_has_no_value_there():
    def moody(x):
        if x[0] > 1:
            raise ValueError("outside")
        return x if x[0] == 1 else x[:1]

    problem = Problem(moody, moody, X)
    assert np.isnan(problem.evaluate({0: np.array([2.0, 0.0])})).all()
    assert np.isnan(problem.evaluate({0: np.array([0.0, 0.0])})).all()


def test_upstream_gradient_is_signed_and_not_uniform():
    u = Problem(np.sin, np.sin, np.linspace(1, 2, 50), seed=0).grad_output
    assert (u > 0).any()
    assert (u < 0).any()
    assert len(np.unique(np.abs(u))) == 50


def test_noise_is_rounding_for_a_plain_function_and_more_where_terms_cancel():
    x = np.linspace(0.5, 1.5, 6)
    plain = Problem(np.sin, np.sin, x).noise
    cancelling = Problem(lambda x: (1e8 + np.sin(x)) - 1e8, np.sin, x).noise
    assert plain.max() < 1e-14  # roundings of sin, three standard deviations
    assert cancelling.min() > 1e-9


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (3, "the int 3"),
        ((1, "a"), "a tuple (int, str)"),
        ({}, "a dict of length 0"),
        (object(), "an object"),
        ("a" * 100, "the str '" + "a" * 36 + "..."),
    ],
)
def test_descriptions(value, text):
    assert describe(value) == text
