"""Forward mode, by Hypothesis: the contract's promises, every rule's jvp, and random compositions."""

import contextlib
import itertools

import numpy as np
import pytest
from compositions import composition
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from nonsense import FUNCTIONS, X, unsteady

from gradlab import UsageError, gradcheck, networks, numerical_jacobian, rules
from gradlab.point.problem import Problem
from gradlab.point.returned import read_tangents
from gradlab.point.tangents import joined, parted

RULES = (*rules.RULES, *networks.RULES)
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from(["float64", "float32"])


def random_tangents(problem, seed):
    rng = np.random.default_rng(seed)
    return {i: rng.normal(size=problem.value(i).shape) for i in problem.wrt}


def pushed(problem, tangents):
    found, findings = read_tangents(problem, problem.call_jvp(tangents))
    assert not findings
    return np.concatenate([found[k].ravel() for k in range(len(found))])


@each_rule
@given(data=st.data(), seed=seeds)
@examples(10)
def test_jvp_agrees_with_central_differences_and_with_backward(rule, data, seed):
    point = data.draw(rule.inputs)
    report = gradcheck(
        rule.forward, rule.backward, point, jvp=rule.jvp, cached=rule.cached, rng=seed, raise_exception=False
    )
    assert not report.failed, str(report)


@each_rule
@given(data=st.data(), seed=seeds)
@examples(10)
def test_jvp_is_the_product_with_the_closed_form_jacobian(rule, data, seed):
    point = data.draw(rule.inputs)
    problem = Problem(rule.forward, None, point, jvp=rule.jvp, cached=rule.cached)
    tangents = random_tangents(problem, seed)
    expected, size = 0.0, 0.0
    for i, jacobian in zip(problem.wrt, rule.jacobian(*point), strict=True):
        explicit = jacobian.reshape(problem.form.size, -1)
        expected = expected + explicit @ tangents[i].ravel()
        size = size + np.abs(explicit) @ np.abs(tangents[i].ravel())
    assert (np.abs(pushed(problem, tangents) - expected) <= 1e-12 * size + 1e-14).all()


def jvp_of(c):
    """Return the jvp of a composition with one output and another, from its exact gradient."""

    def jvp(x_dot, x):
        m = np.size(c.forward(x))
        rows = [c.backward(np.eye(m)[k].reshape(np.shape(c.forward(x))), x) for k in range(m)]
        return np.reshape([np.vdot(row, x_dot) for row in rows], np.shape(c.forward(x)))

    return jvp


@given(seed=seeds)
@examples(60)
def test_right_jvp_never_fails(seed):
    c = composition(seed)
    report = gradcheck(c.forward, c.backward, c.x, jvp=jvp_of(c), raise_exception=False)
    assert not report.failed, str(report)


@given(seed=seeds, data=st.data())
@examples(25)
def test_output_changed_by_more_than_the_resolution_fails_and_by_less_than_rtol_never(seed, data):
    c = composition(seed)
    right = jvp_of(c)
    report = gradcheck(c.forward, None, c.x, jvp=right, raise_exception=False)
    resolution = report.inputs[0].resolution
    if resolution is None or resolution > 1e6 or not report.passed:
        return
    entry = data.draw(st.integers(0, c.x.size - 1))

    def changed(by):
        def jvp(x_dot, x):
            x_dot = x_dot.copy()
            x_dot[entry] *= 1 + by
            return right(x_dot, x)

        return gradcheck(c.forward, None, c.x, jvp=jvp, raise_exception=False)

    column = right(np.eye(c.x.size)[entry].reshape(c.x.shape), c.x)
    if np.abs(column).max(initial=0.0) > 0 and not report.inputs[0].too_small:
        # In one of both directions a change may happen to be the truncation of the first difference.
        assert changed(1.01 * resolution).failed or changed(-1.01 * resolution).failed
    assert not changed(0.99e-7).failed
    assert not changed(-0.99e-7).failed


values = array_shapes(min_dims=0, max_dims=2, max_side=3).flatmap(
    lambda shape: dtypes.flatmap(lambda dtype: arrays(dtype, shape, elements=st.floats(0.5, 2, width=32)))
)


@st.composite
def points(draw):
    """Draw an array, and a tree of others."""
    return draw(values), {"a": draw(values), "more": [draw(values), "constant"]}


def squares(x, p):
    return np.sum(x**2) + np.sum(p["a"] ** 2), p["more"][0] ** 2


def squares_jvp(tangents, x, p):
    x_dot, p_dot = tangents
    assert p_dot["more"][1] is None
    return 2 * np.sum(x * x_dot) + 2 * np.sum(p["a"] * p_dot["a"]), 2 * p["more"][0] * p_dot["more"][0]


def wrong_jvp(tangents, x, p):
    first, second = squares_jvp(tangents, x, p)
    return first, 1.5 * second


@pytest.mark.parametrize("jvp", [squares_jvp, wrong_jvp])
@given(point=points(), seed=st.integers(0, 100))
@examples(12)
def test_no_array_of_the_caller_is_written_to_and_the_same_call_gives_an_equal_report(jvp, point, seed):
    x, p = point
    before = [np.copy(array) for array in (x, p["a"], p["more"][0])]
    first, second = (
        gradcheck(squares, None, point, jvp=jvp, rng=seed, raise_exception=False) for _ in range(2)
    )
    assert first == second
    assert first.passed == (jvp is squares_jvp)
    assert all(map(np.array_equal, before, (x, p["a"], p["more"][0])))


@given(seed=seeds, most=st.integers(1, 60))
@examples(40)
def test_budget_is_kept_and_makes_no_right_jvp_fail(seed, most):
    c = composition(seed)
    calls = 0

    def forward(x):
        nonlocal calls
        calls += 1
        return c.forward(x)

    report = gradcheck(
        forward, c.backward, c.x, jvp=jvp_of(c), max_calls=most, rng=seed, raise_exception=False
    )
    assert not report.failed, str(report)
    assert calls <= most


@given(point=points())
@examples(25)
def test_tangents_as_one_vector_and_back(point):
    problem = Problem(squares, None, point, jvp=squares_jvp)
    tangents = random_tangents(problem, 0)
    back = parted(problem, joined(problem, tangents))
    assert back.keys() == tangents.keys()
    assert all(np.array_equal(back[i], tangents[i]) for i in tangents)


@each_rule
@given(data=st.data())
@examples(3)
def test_jvp_column_by_column_is_the_numerical_jacobian(rule, data):
    point = data.draw(rule.inputs)
    problem = Problem(rule.forward, None, point, jvp=rule.jvp, cached=rule.cached)

    def forward(*inputs):
        return rule.forward(*inputs)[0] if rule.cached else rule.forward(*inputs)

    numeric = [jacobian for jacobian in numerical_jacobian(forward, point) if jacobian is not None]
    for i, shown in zip(problem.wrt, numeric, strict=True):
        for index in np.ndindex(problem.value(i).shape):
            unit = np.zeros(problem.value(i).shape)
            unit[index] = 1.0
            column = shown[(..., *index)].ravel()
            np.testing.assert_allclose(pushed(problem, {i: unit}), column, rtol=1e-6, atol=1e-8)


def nonsense():
    """Yield forward functions, backward rules and jvps, the last of which is nonsense."""
    twice, backward = (lambda x: 2 * x), (lambda dy, x: 2 * dy)
    yield from itertools.product([twice], [None, backward], FUNCTIONS)
    for k in range(len(unsteady())):
        yield twice, backward, unsteady()[k]
        yield unsteady()[k], None, unsteady()[k]


def test_garbage_for_a_jvp_yields_a_finding_or_a_usage_error_and_nothing_else():
    for forward, backward, jvp in nonsense():
        for cached in (False, True):
            x = X.copy()
            with np.errstate(all="ignore"), contextlib.suppress(UsageError):
                report = gradcheck(forward, backward, x, jvp=jvp, cached=cached, raise_exception=False)
                assert report.findings
                assert report.failed
                assert str(report)
            np.testing.assert_array_equal(x, X)
