"""Gradients that are zero but for rounding: because forward is invariant, or because terms cancel."""

import numpy as np
import pytest
from scipy import special
from tables import Row, agree, each_of, normal

from gradlab import gradcheck


def mean_of(a, axis):
    return a.mean(axis=axis, keepdims=True)


def standardized(a, axis):
    c = a - mean_of(a, axis)
    s = np.sqrt(mean_of(c * c, axis) + 1e-5)
    return c / s, s


def d_standardized(dy, a, axis):
    y, s = standardized(a, axis)
    return (dy - mean_of(dy, axis) - y * mean_of(dy * y, axis)) / s


def d_softmax(dy, x):
    p = special.softmax(x, axis=-1)
    return p * (dy - (dy * p).sum(axis=-1, keepdims=True))


# y = x + b − mean(x + b): b has no influence


def centred(x, b):
    return x + b - mean_of(x + b, 0)


def d_centred(dy, x, b):
    d = dy - dy.mean(axis=0)
    return d, d.sum(axis=0)


# y = batch_norm(x w + b): likewise


def batch_norm(x, w, b):
    return standardized(x @ w + b, 0)[0]


def d_batch_norm(dy, x, w, b):
    d = d_standardized(dy, x @ w + b, 0)
    return d @ w.T, x.T @ d, d.sum(axis=0)


def d_batch_norm_without_variance(dy, x, w, b):
    d = (dy - dy.mean(axis=0)) / standardized(x @ w + b, 0)[1]
    return d @ w.T, x.T @ d, d.sum(axis=0)


# y = softmax(x + c), one c for each row


def shifted(x, c):
    return special.softmax(x + c, axis=-1)


def d_shifted(dy, x, c):
    d = d_softmax(dy, x + c)
    return d, d.sum(axis=-1, keepdims=True)


# y = z / |z| where z = exp(r) x: the radius has no influence


def direction(x, r):
    z = np.exp(r) * x
    return z / np.sqrt(z @ z)


def d_direction(dy, x, r):
    z = np.exp(r) * x
    n = np.sqrt(z @ z)
    dz = dy / n - z * (z @ dy) / n**3
    return np.exp(r) * dz, np.sum(dz * z, keepdims=True)


def d_direction_one_term(dy, x, r):
    z = np.exp(r) * x
    return np.exp(r) * dy / np.sqrt(z @ z), 0 * r


# y = logsumexp(log_softmax(x)) = 0


def d_constant(dy, x):
    d = dy[:, None] * special.softmax(special.log_softmax(x, axis=1), axis=1)
    return d - special.softmax(x, axis=1) * d.sum(axis=1, keepdims=True)


def through_logarithms(dy):
    """Return the same, as well as is known of the logarithm beside 1e4."""
    return np.sign(dy) * np.exp(np.log(np.abs(dy)) + 1e4 - 1e4)


def with_b(backward, b):
    """Replace the last gradient."""
    return lambda dy, *inputs: (*backward(dy, *inputs)[:-1], b(dy))


ON_THE_SECOND = np.array([0, 1])

INVARIANT = [
    Row(
        "bias before centring",
        centred,
        d_centred,
        normal((5, 3), 3),
        {
            "b without the mean": with_b(d_centred, lambda dy: dy.sum(axis=0)),
            "x with half the mean": lambda dy, x, b: (dy - 0.5 * dy.mean(axis=0), 0 * b),
        },
    ),
    *(
        Row(
            f"bias before batch normalization, {np.dtype(dtype)}",
            batch_norm,
            d_batch_norm,
            normal((6, 3), (3, 2), 2, dtype=dtype),
            {
                "b as without it": with_b(d_batch_norm, lambda dy: dy.sum(axis=0)),
                "variance forgotten": d_batch_norm_without_variance,
            },
        )
        for dtype in (np.float64, np.float32)
    ),
    *(
        Row(
            f"shift before softmax, {np.dtype(dtype)}",
            shifted,
            d_shifted,
            normal((3, 4), (3, 1), dtype=dtype),
            {
                "c as without it": with_b(d_shifted, lambda dy: dy.sum(axis=-1, keepdims=True)),
                "sum forgotten": lambda dy, x, c: (special.softmax(x + c, axis=-1) * dy, 0 * c),
            },
        )
        for dtype in (np.float64, np.float32)
    ),
    Row("radius of a unit vector", direction, d_direction, normal(4, 1), {"one term": d_direction_one_term}),
]

CANCELLING = [
    Row(
        "sign by division",
        lambda x: x / np.abs(x),
        lambda dy, x: dy / np.abs(x) - dy * x * x / np.abs(x) ** 3,
        normal(8),
        {"one term": lambda dy, x: dy / np.abs(x)},
    ),
    Row(
        "log-sum-exp of a log-softmax",
        lambda x: special.logsumexp(special.log_softmax(x, axis=1), axis=1),
        d_constant,
        normal((3, 4)),
        {"outer function alone": lambda dy, x: dy[:, None] * special.softmax(x, axis=1)},
    ),
    Row(
        "1e-17 beside 3",
        lambda x, z: 3.0 * x,
        lambda dy, x, z: (3 * dy, 1e-17 * dy),
        (np.ones(2), np.ones(2)),
        {"1e-3": lambda dy, x, z: (3 * dy, 1e-3 * dy), "1e-6": lambda dy, x, z: (3 * dy, 1e-6 * dy)},
    ),
    Row(
        "what logarithms leave of the upstream gradient, beside 3",
        lambda x, z: 3.0 * x,
        lambda dy, x, z: (3 * dy, through_logarithms(dy) - dy),
        (np.ones(20), np.ones(20)),
        {"1e-10": lambda dy, x, z: (3 * dy, through_logarithms(dy) - (1 + 1e-10) * dy)},
    ),
    Row(
        "1e-8 beside 3, float32",
        lambda x, z: 3 * x,
        lambda dy, x, z: (3 * dy, np.float32(1e-8) * dy),
        (np.ones(2, np.float32), np.ones(2, np.float32)),
        {"0.1": lambda dy, x, z: (3 * dy, np.float32(0.1) * dy)},
    ),
]

STATIONARY = [
    Row(
        "one residual of almost zero",
        lambda x: np.mean((x - 1) ** 2),
        lambda dl, x: dl * 2 * (x - 1) / x.size,
        (np.append(normal(20)[0], 1 + 1e-9),),
        {"2 forgotten": lambda dl, x: dl * (x - 1) / x.size},
    ),
    Row(
        "all residuals zero",
        lambda x: np.mean((x - 1) ** 2),
        lambda dl, x: dl * 2 * (x - 1) / x.size,
        (np.ones(3),),
        {"x": lambda dl, x: dl * x, "a thousandth of it": lambda dl, x: 1e-3 * dl * x},
    ),
    Row(
        "cosine at zero beside others",
        np.cos,
        lambda dy, x: -dy * np.sin(x),
        (np.array([0.0, 0.7, -1.1]),),
        {
            "a hundredth there": lambda dy, x: -dy * np.sin(x) + np.array([0.01, 0, 0]),
            "sign": lambda dy, x: dy * np.sin(x),
        },
    ),
    Row(
        "saddle",
        lambda x, y: np.sum(x * y) + np.sum(y[1:]),
        lambda dl, x, y: (dl * y, dl * (x + ON_THE_SECOND)),
        (np.zeros(2), np.zeros(2)),
        {
            "x": lambda dl, x, y: (dl * (y + 0.5), dl * (x + ON_THE_SECOND)),
            "y": lambda dl, x, y: (dl * y, dl * np.ones(2)),
        },
    ),
    Row(
        "ninth power at zero",
        lambda x: x**9,
        lambda dy, x: 9 * dy * x**8,
        (np.array([0.0, 0.7, 1.1]),),
        {"eight": lambda dy, x: 8 * dy * x**8},
    ),
]


@each_of(INVARIANT)
def test_input_without_influence(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@each_of(CANCELLING)
def test_terms_that_cancel(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@each_of(STATIONARY)
def test_stationary_point(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@pytest.mark.parametrize("factor", [1.0, -1.0, 3.0])
def test_what_scatters_as_much_as_all_that_there_is_is_not_called_zero(factor):
    def forward(a, b):
        return np.sin(a) + np.exp(np.sin(b))

    def backward(dy, a, b):  # of b, every difference is longer than a period, or nothing but rounding
        return dy * np.cos(a), factor * dy * np.cos(b) * np.exp(np.sin(b))

    report = gradcheck(forward, backward, (np.array(0.5), np.array(5.6e9)), raise_exception=False)
    assert report.inconclusive
    if factor != 1:
        assert "no rtol would decide" in report.reason


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_outputs_that_are_rounding_may_depend_on_the_order_of_sums(dtype):
    def backward(dy, x, a):
        return 0 * x, dy * (np.outer(x, x) - np.outer(x, x).T)

    for seed in range(8):
        rng = np.random.default_rng(seed)
        inputs = rng.normal(size=4).astype(dtype), rng.normal(size=(4, 4)).astype(dtype)
        report = gradcheck(lambda x, a: x @ (a - a.T) @ x, backward, inputs, raise_exception=False)
        assert not report.failed


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gradient_that_is_rounding_of_terms_that_cancel_is_linear(dtype):
    def of_mean(dy, x):
        g = dtype(1e8) * dy / dtype(6)
        return (g - (g * np.ones((6, 1), dtype)).sum(0) / dtype(6)) * np.ones((6, 1), dtype)

    for seed in range(8):
        x = np.random.default_rng(seed).normal(size=(6, 3)).astype(dtype)
        right = gradcheck(lambda x: dtype(1e8) * (x - x.mean(0)).mean(0), of_mean, x, raise_exception=False)
        assert not right.failed
        right = gradcheck(
            lambda x: np.log(np.exp(x)) - x,
            lambda dy, x: dy * np.exp(x) / np.exp(x) - dy,
            x,
            raise_exception=False,
        )
        assert not right.failed


@pytest.mark.parametrize(("left", "passes"), [(1e-21, True), (1e-12, False)])
def test_what_is_left_now_and_then_is_nothing_where_it_cannot_matter(left, passes):
    """Terms that cancel, most often exactly, leave a rounding of what no output shows."""
    rng = np.random.default_rng(0)
    x, z = 1e-8 * rng.normal(size=4), 1e4 * rng.normal(size=4)

    def backward(dy, x, z):
        return dy[:4], left * (np.abs(dy[4:]) > 2.2)  # at no upstream gradient that is drawn

    report = gradcheck(lambda x, z: np.r_[x, z - z], backward, (x, z), raise_exception=False)
    assert report.passed == passes


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e2, 1e4])
def test_rounding_of_the_steepest_gradient_is_zero_whatever_the_size_of_the_input(scale):
    def verdict(left):
        return gradcheck(
            lambda x, z: 3 * x,
            lambda dy, x, z: (3 * dy, left * dy),
            (np.ones(2), scale * np.ones(2)),
            raise_exception=False,
        ).verdict

    assert [verdict(left) for left in (1e-17, 1e-15, 1e-6)] == ["pass", "pass", "fail"]


def test_product_of_several_zeros_has_no_gradient():
    x = np.array([0.0, 2.0, 0.0])

    def verdict(gradient):
        return gradcheck(np.prod, lambda dy, x: dy * np.array(gradient), x, raise_exception=False).verdict

    assert verdict([0.0, 0.0, 0.0]) == "pass"
    assert verdict([0.0, 1.0, 0.0]) == "fail"
