"""Verdicts over random compositions of smooth functions whose gradients are known exactly."""

import contextlib
import itertools

import numpy as np
import pytest
from compositions import composition
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st
from nonsense import FUNCTIONS, VALUES, X, unsteady

from gradlab import GradientError, UsageError, gradcheck

seeds = st.integers(0, 2**32 - 1)
powers = st.integers(-40, 40)


def check(c, backward=None, **options):
    return gradcheck(c.forward, backward or c.backward, c.x, raise_exception=False, **options)


@pytest.mark.parametrize("rng", range(2))
@given(seed=seeds)
@examples(150)
def test_right_gradient_never_fails(rng, seed):
    report = check(composition(seed), rng=rng)
    assert not report.failed, str(report)


@example(seed=537305, sign=1, entry=0)  # whose third derivative was once taken for noise
@example(seed=1855, sign=-1, entry=48)  # whose ladder knows it no better than the first difference
@example(seed=104037, sign=1, entry=10)  # of which it tells which side is right no better than to 0.3
@given(seed=seeds, sign=st.sampled_from([-1, 1]), entry=st.integers(0, 59))
@examples(60)
def test_entry_changed_by_more_than_the_resolution_fails_and_by_less_than_rtol_never(seed, sign, entry):
    c = composition(seed)
    entry %= c.x.size
    resolution = check(c).inputs[0].resolution
    if resolution is None or resolution > 1e6:
        return

    def changed(by):
        def backward(dy, x):
            dx = c.backward(dy, x)
            dx[entry] *= 1 + by
            return dx

        return backward

    def gradient_is_zero(dy, x):
        return c.backward(dy, x)[entry] == 0

    if not gradient_is_zero(np.ones(c.forward(c.x).shape), c.x):
        assert check(c, changed(sign * 1.01 * resolution)).failed
    assert not check(c, changed(sign * 0.99e-7)).failed


@given(seed=seeds, inputs=powers, outputs=powers, upstream=powers)
@examples(30)
def test_scaling_by_powers_of_two_changes_no_verdict(seed, inputs, outputs, upstream):
    c = composition(seed)
    a, b = 2.0**inputs, 2.0**outputs
    u = np.random.default_rng(seed).uniform(1, 2, c.forward(c.x).shape)

    def forward(x):
        return b * c.forward(x / a)

    def backward(dy, x):
        return c.backward(b * dy, x / a) / a

    def wrong(dy, x):
        return 1.001 * backward(dy, x)

    for scaled, plain in ((backward, c.backward), (wrong, lambda dy, x: 1.001 * c.backward(dy, x))):
        expected = check(c, plain, grad_output=u)
        found = gradcheck(forward, scaled, a * c.x, grad_output=2.0**upstream * u, raise_exception=False)
        assert found.verdict is expected.verdict


def garbage():
    right = (lambda x: 2 * x), (lambda dy, x: 2 * dy)
    yield from itertools.product([right[0], *FUNCTIONS], FUNCTIONS)
    yield from itertools.product(FUNCTIONS, [right[1]])
    for k in range(len(unsteady())):
        yield unsteady()[k], right[1]
        yield right[0], unsteady()[k]
        yield unsteady()[k], unsteady()[k]


def test_garbage_yields_a_finding_or_a_usage_error_and_nothing_else():
    tried = 0
    verdicts = dict.fromkeys(("fail", "inconclusive", "pass"), 0)
    # Each function in both forms, though not with each other one.
    for (forward, backward), cached in zip(garbage(), itertools.cycle([False, True]), strict=False):
        x = X.copy()
        tried += 1
        with np.errstate(all="ignore"), contextlib.suppress(UsageError):
            report = gradcheck(forward, backward, x, cached=cached, raise_exception=False)
            verdicts[str(report.verdict)] += 1
            assert str(report)
            assert report.findings or not report.failed
        np.testing.assert_array_equal(x, X)
    assert tried > 1250
    # A constant forward has a gradient of zeros, and there are zeros among the garbage.
    assert verdicts["pass"] < 0.01 * tried


@example(value=None)
@given(value=st.sampled_from(VALUES))
@examples(30)
def test_garbage_inputs(value):
    with contextlib.suppress(UsageError, GradientError):
        gradcheck(lambda x: x, lambda dy, x: dy, value)
