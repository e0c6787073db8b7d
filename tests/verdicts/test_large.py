"""Inputs of over 1,000 entries, which are probed along random directions."""

import numpy as np
import pytest

from gradlab import gradcheck

X, W = np.random.default_rng(0).normal(size=(2, 2000))


def verdict(forward, backward, *inputs, **options):
    with np.errstate(all="ignore"):
        return gradcheck(forward, backward, inputs, raise_exception=False, **options).verdict


@pytest.mark.parametrize("forward", [lambda x: 0 * x + 3, lambda x: np.sin(x) ** 2 + np.cos(x) ** 2])
def test_gradient_that_is_zero_throughout(forward):
    assert verdict(forward, lambda dy, x: 0 * x, X) == "pass"
    assert verdict(forward, lambda dy, x: 1e-3 * dy, X) == "fail"


@pytest.mark.parametrize("share", [1e-2, 1e-11])
def test_input_that_hardly_matters_beside_another_is_seen(share):
    def forward(x, w):
        return np.sin(x) + share * w**2

    def rule(factor):
        return lambda dy, x, w: (dy * np.cos(x), factor * dy * 2 * share * w)

    assert [verdict(forward, rule(factor), X, W) for factor in (1.0, -1.0, 2.0)] == ["pass", "fail", "fail"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relative_error_of_all_entries_of_one_input_does_not_cancel(dtype):
    """Along one direction of it alone, it would in some of these cases."""
    x, w, error = X.astype(dtype), W.astype(dtype), {np.float32: 2e-2, np.float64: 1e-5}[dtype]

    def wrong(dy, x, w):
        return (1 + error) * dy * np.cos(x), dtype(0.5) * dy * np.cos(w)

    for seed in range(40):
        assert verdict(lambda x, w: np.sin(x) + dtype(0.5) * np.sin(w), wrong, x, w, rng=seed) == "fail"


def test_sum_of_what_is_open_is_not_called_wrong():
    every = np.arange(1200)
    for seed in range(4, 8):
        rng = np.random.default_rng(seed)
        x = np.where(every % 2 == 0, 1.0, 1e6) * rng.normal(size=1200)
        w = np.where(every % 9 == 0, 0, rng.normal(size=1200))
        right = verdict(
            lambda x, w: np.log1p(x * x) * np.maximum(w, 0),
            lambda dy, x, w: (dy * 2 * x / (1 + x * x) * np.maximum(w, 0), dy * np.log1p(x * x) * (w > 0)),
            x,
            w,
            rng=seed,
        )
        assert right != "fail"


def test_budget_that_leaves_a_direction_out_is_told():
    for calls in range(4, 7):
        report = gradcheck(np.sin, lambda dy, x: dy * np.cos(x), X, max_calls=calls, raise_exception=False)
        assert f"max_calls={calls} left entries unprobed: 2000 in x" in report.reason


def test_wrong_direction_of_all_names_what_it_moves():
    def wrong(dy, x, small):
        return 1.01 * dy * np.cos(x), np.array([dy.sum()])

    report = gradcheck(lambda x, small: np.sin(x) + small, wrong, (X, W[:1]), raise_exception=False)
    assert report.failed
    assert "small" not in report.reason


def test_input_that_forward_writes_to_beside_the_point_is_named():
    most = (np.sin(X) * W).max()

    def forward(x, w):
        y = np.sin(x) * w
        if y.max() > most:
            np.clip(w, -0.1, 0.1, out=w)
        return y

    report = gradcheck(
        forward, lambda dy, x, w: (dy * np.cos(x) * w, dy * np.sin(x)), (X, W), raise_exception=False
    )
    assert report.findings[0].kind == "mutates-input"
    assert report.findings[0].input == "w"


@pytest.mark.parametrize("seed", [5, 11, 35])
def test_claim_that_closer_differences_contradict_is_not_right_within_a_wide_error_bar(seed):
    """Longer steps cross the kinks of many entries, and know little more than the size of all."""
    x = np.random.default_rng(seed).normal(size=1100)
    k = int(np.argmax(np.abs(x)))

    def backward(dl, x, factor):
        dx = dl * np.sign(x)
        dx[k] *= factor
        return dx

    def check(factor):
        return gradcheck(
            lambda x: np.sum(np.abs(x)), lambda dl, x: backward(dl, x, factor), x, raise_exception=False
        )

    assert check(1.0).passed
    assert check(1.01).failed


@pytest.mark.parametrize("entry", [205, 758, 1201, 1566])
def test_rounding_that_adds_up_is_no_kink(entry):
    """Of 1,800 outputs, some hundred seemed to have one; what was wrong passed between the slopes there."""
    x = 1 + 0.1 * X[:1800] / np.sqrt(1800)

    def rule(factor):
        def backward(dy, x):
            gradient = np.cumsum((dy * np.cumprod(x))[::-1])[::-1] / x
            gradient[entry] *= factor
            return gradient

        return backward

    assert verdict(np.cumprod, rule(1), x) == "pass"
    assert verdict(np.cumprod, rule(1.01), x) == "fail"


@pytest.mark.parametrize(("low", "high"), [(-8, 8), (-3, 3)])
@pytest.mark.parametrize(
    ("function", "derivative"),
    [
        (np.arctan, lambda x: 1 / (1 + x * x)),
        (np.arcsinh, lambda x: 1 / np.sqrt(1 + x * x)),
        (np.cbrt, lambda x: np.cbrt(x) / x / 3),
        (np.log, lambda x: 1 / x),
    ],
    ids=["arctan", "arcsinh", "cbrt", "log"],
)
@pytest.mark.parametrize("seed", [0, 2])
def test_numbers_of_all_magnitudes_are_told_each_on_its_own_scale(function, derivative, low, high, seed):
    x = 10 ** np.random.default_rng(seed).uniform(low, high, 1600)
    median = np.argsort(np.abs(derivative(x) * x))[800]

    def rule(factor):
        def backward(dy, x):
            gradient = dy * derivative(x)
            gradient[median] *= factor
            return gradient

        return backward

    right = gradcheck(function, rule(1), x, raise_exception=False)
    assert right.passed
    assert right.inputs[0].resolution < 1
    assert verdict(function, rule(1.5), x) == "fail"


@pytest.mark.parametrize(("factor", "state"), [(1, "pass"), (-1, None), (2, None), (100, None)])
def test_gradient_near_the_minimum_of_a_steep_quadratic_in_float32(factor, state):
    """Which is but roundings of what forward does farther away; close by, forward shows it in float64."""

    def backward(dy, u):
        return (factor * dy * np.convolve(2 * np.diff(u.astype(float), 2), [1, -2, 1])).astype(u.dtype)

    u = np.sin(np.linspace(0, 6, 2000)).astype(np.float32)
    found = verdict(lambda u: np.sum(np.diff(u, 2) ** 2), backward, u)
    assert found == state if state else found != "pass"


@pytest.mark.parametrize("weight", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_many_small_kinks_do_not_hide_what_is_wrong_elsewhere(weight, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(2000) * (rng.random(2000) < 0.3)

    def rule(factor):
        return lambda dy, x: factor * dy * (weight * np.sign(x) + 2 * (x - 1))

    def forward(x):
        return weight * np.abs(x).sum() + ((x - 1) ** 2).sum()

    assert verdict(forward, rule(1), x) == "pass"
    assert verdict(forward, rule(np.where(np.arange(2000) % 10 == 0, 1.1, 1)), x) == "fail"
    assert verdict(forward, rule(np.where(np.arange(2000) == np.flatnonzero(x)[5], -1, 1)), x) == "fail"


@pytest.mark.parametrize("seed", range(3))
def test_counts_over_six_decades(seed):
    rng = np.random.default_rng(seed)
    mean = 10 ** rng.uniform(0, 6, 1500)
    count = rng.poisson(mean)

    def rule(factor):
        return lambda dl, m: factor * dl * (1 - (count / m) ** 2)

    def forward(m):
        return ((m - count) ** 2 / m).sum()

    assert verdict(forward, rule(1), mean) == "pass"
    assert verdict(forward, rule(np.where(np.arange(1500) == 3, 1.1, 1)), mean) == "fail"
