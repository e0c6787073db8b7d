"""Every rule, by Hypothesis: backward against central differences, and against the explicit Jacobian."""

import numpy as np
import pytest
from examples import examples
from hypothesis import find, given, settings
from hypothesis import strategies as st

from gradlab import gradcheck, networks, numerical_jacobian, rules
from gradlab.point.problem import Problem
from gradlab.rules import linear
from gradlab.strategies import inputs

RULES = (*rules.RULES, *networks.RULES)
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
seeds = st.integers(0, 2**32 - 1)


def backward_at(rule, point, seed):
    """Return the upstream gradient and what backward makes of it."""
    problem = Problem(rule.forward, rule.backward, point, cached=rule.cached, seed=seed)
    returned = problem.call_backward()
    return problem.grad_output, returned if isinstance(returned, tuple) else (returned,)


def contraction(u, jacobian, gradient):
    return (u @ jacobian.reshape(u.size, -1)).reshape(np.shape(gradient))


@each_rule
@given(data=st.data(), seed=seeds)
@examples(10)
def test_backward_agrees_with_central_differences(rule, data, seed):
    # What cannot be told (a gradient below the rounding of the loss) is no failure; a wrong one is.
    point = data.draw(rule.inputs)
    report = gradcheck(
        rule.forward, rule.backward, point, cached=rule.cached, rng=seed, raise_exception=False
    )
    assert not report.failed, str(report)


@each_rule
@given(data=st.data(), seed=seeds)
@examples(10)
def test_backward_is_the_contraction_of_the_closed_form_jacobian(rule, data, seed):
    point = data.draw(rule.inputs)
    u, gradients = backward_at(rule, point, seed)
    for gradient, jacobian in zip(gradients, rule.jacobian(*point), strict=True):
        # Terms of both signs cancel: the rounding is relative to the sum of their magnitudes.
        size = np.abs(u) @ np.abs(jacobian.reshape(u.size, -1))
        np.testing.assert_array_less(
            np.abs(contraction(u, jacobian, gradient) - gradient).ravel(), 1e-12 * size + 1e-14
        )


@each_rule
@given(data=st.data())
@examples(5)
def test_closed_form_jacobian_agrees_with_the_numerical_one(rule, data):
    point = data.draw(rule.inputs)

    def forward(*values):
        return rule.forward(*values)[0] if rule.cached else rule.forward(*values)

    numeric = [jacobian for jacobian in numerical_jacobian(forward, point) if jacobian is not None]
    for closed, shown in zip(rule.jacobian(*point), numeric, strict=True):
        np.testing.assert_allclose(closed, shown, rtol=1e-6, atol=1e-8)


@given(point=inputs("(n,d),(d,m)"), seed=seeds)
@examples(25)
def test_gradient_of_a_linear_map_is_the_product_with_the_transpose(point, seed):
    x, w = point
    u, _ = backward_at(linear.RULE, point, seed)
    dy = u.reshape(len(x), w.shape[1])
    dy_dx, dy_dw = numerical_jacobian(linear.forward, point)
    np.testing.assert_allclose(np.tensordot(dy, dy_dx, axes=2), dy @ w.T, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(np.tensordot(dy, dy_dw, axes=2), x.T @ dy, rtol=1e-8, atol=1e-9)


@each_rule
def test_gradient_a_thousandth_too_large_is_caught(rule):
    def too_large(*arguments):
        returned = rule.backward(*arguments)
        return tuple(1.001 * g for g in returned) if isinstance(returned, tuple) else 1.001 * returned

    def is_caught(point):
        return gradcheck(rule.forward, too_large, point, cached=rule.cached, raise_exception=False).failed

    find(rule.inputs, is_caught, settings=settings(examples(20), database=None, derandomize=True))
