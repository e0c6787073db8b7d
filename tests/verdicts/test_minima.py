"""Beside a minimum the gradient is small, and the terms that it is the difference of are not."""

import numpy as np
import pytest
from scipy import special

from gradlab import gradcheck


@pytest.mark.parametrize("distance", [1e-9, 1e-11])
@pytest.mark.parametrize("size", [6, 2000])
@pytest.mark.parametrize("seed", range(6))
def test_points_across_a_power_of_two_are_as_far_away_as_those_on_the_other_side(size, seed, distance):
    """Else their middle is beside the point, by a rounding: that is much of a slope that is so small."""
    x = 1 + distance * np.random.default_rng(seed).standard_normal(size)

    def verdict(factor):
        backward = lambda dl, x: factor * dl * 2 * (x - 1)  # noqa: E731
        return gradcheck(lambda x: ((x - 1) ** 2).sum(), backward, x, raise_exception=False).verdict

    assert [verdict(factor) for factor in (1.0, 1.01)] == ["pass", "fail"]


@pytest.mark.parametrize("residual", [1e-8, 1e-10])
@pytest.mark.parametrize("seed", range(6))
def test_beside_a_minimum_rounding_of_terms_is_much_of_a_gradient(seed, residual):
    rng = np.random.default_rng(seed)
    a, w = rng.standard_normal((8, 3)), rng.standard_normal(3)
    y = a @ w + residual * rng.standard_normal(8)

    def backward(dl, a, w, y, factor=1.0):
        r = dl * (a @ w - y)
        return np.outer(r, w), factor * a.T @ r, -r

    def forward(a, w, y):
        return 0.5 * ((a @ w - y) ** 2).sum()

    assert gradcheck(forward, backward, (a, w, y), raise_exception=False).passed
    wrong = lambda *given: backward(*given, factor=1.01)  # noqa: E731
    assert gradcheck(forward, wrong, (a, w, y), raise_exception=False).failed


@pytest.mark.parametrize(("factor", "expected"), [(1.0, {"pass", "inconclusive"}), (1.5, {"fail"})])
def test_divergence_of_nearly_equal_distributions_does_not_depend_on_the_layout(factor, expected):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((4, 33))
    b = a + 1e-6 * rng.standard_normal(a.shape)

    def terms(a, b):
        return special.softmax(a, axis=1), special.log_softmax(a, axis=1) - special.log_softmax(b, axis=1)

    def backward(dl, a, b):
        p, apart = terms(a, b)
        return dl * p * (apart - (p * apart).sum(axis=1, keepdims=True)), factor * dl * (
            special.softmax(b, axis=1) - p
        )

    report = gradcheck(
        lambda a, b: np.sum(np.prod(terms(a, b), axis=0)), backward, (a, b), raise_exception=False
    )
    assert report.verdict in expected, str(report)
    assert not any(finding.check == "contract" for finding in report.findings)


def test_at_a_minimum_rounding_that_agrees_is_no_scale():
    """Of the gradients of w and v, both sides see a few roundings alike."""
    rng = np.random.default_rng(0)
    w = np.linalg.qr(rng.standard_normal((3, 3)))[0]

    def backward(dl, x, w, v):
        d = 2 * dl * (x @ w @ v - x)
        return d @ v.T @ w.T - d, x.T @ d @ v.T, w.T @ x.T @ d

    def verdict(backward):
        inputs = rng.standard_normal((5, 3)), w, w.T.copy()
        forward = lambda x, w, v: ((x @ w @ v - x) ** 2).sum()  # noqa: E731
        return gradcheck(forward, backward, inputs, raise_exception=False).verdict

    assert verdict(backward) == "pass"
    assert verdict(lambda dl, x, w, v: (0 * x, x.T @ x @ v.T, w.T @ x.T @ x)) == "fail"


def reconstruct(x, w, v):
    return ((x @ w @ v - x) ** 2).sum()


def d_reconstruct(dl, x, w, v, factor=1.0):
    d = 2 * dl * (x @ w @ v - x)
    return d @ v.T @ w.T - d, factor * x.T @ d @ v.T, w.T @ x.T @ d


@pytest.mark.parametrize("error", [1e-8, 1e-10])
@pytest.mark.parametrize("seed", range(4))
def test_slope_that_rounding_hides_at_short_steps_is_seen_over_long_ones(seed, error):
    """A loss of squares rises by squares: an autoencoder that is right but for so much."""
    rng = np.random.default_rng(seed)
    w = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    inputs = rng.standard_normal((5, 3)), w, w.T + error * rng.standard_normal((3, 3))
    wrong = lambda *given: d_reconstruct(*given, factor=1.2)  # noqa: E731
    assert gradcheck(reconstruct, d_reconstruct, inputs, raise_exception=False).passed
    assert gradcheck(reconstruct, wrong, inputs, raise_exception=False).failed


@pytest.mark.parametrize("shape", [(3, 4), (10, 12)])
@pytest.mark.parametrize("seed", range(3))
def test_claims_of_which_none_was_seen_do_not_pass_beside_a_minimum(shape, seed):
    m = shape[1]
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal(shape), np.eye(m) + 1e-9 * rng.standard_normal((m, m)), 1e-9 * np.ones(m)

    def backward(dl, x, w, b):
        d = 2 * dl * (x @ w + b - x)
        return d @ w.T - d, x.T @ d, d.mean(axis=0)  # and not the sum

    report = gradcheck(lambda x, w, b: ((x @ w + b - x) ** 2).sum(), backward, inputs, raise_exception=False)
    assert not report.passed


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [3, 30])
def test_gradient_of_none_at_a_minimum_passes_in_any_dtype(dtype, size):
    """Though what it is beside the minimum, by a rounding of float32, is more than it may be off by."""
    target = np.random.default_rng(0).normal(size=size).astype(dtype)

    def verdict(offset):
        return gradcheck(
            lambda x: np.mean((x - target.astype(x.dtype)) ** 2),
            lambda dl, x: (2 * dl / x.size * (x - target.astype(x.dtype)) + offset * dl).astype(x.dtype),
            target,
            raise_exception=False,
        ).verdict

    assert [verdict(0), verdict(1e-2)] == ["pass", "fail"]
