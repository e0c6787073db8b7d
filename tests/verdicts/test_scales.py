"""Entries of all sizes in one input: saturated, flat, steep, at the edge of a domain, below all numbers."""

import numpy as np
import pytest
from scipy import special
from tables import NOT_FAIL, NOT_PASS, Row, agree, each_of, normal

from gradlab import gradcheck


def attention(q, k, v):
    return special.softmax(40 * q @ k.T, axis=-1) @ v


def d_attention(dy, q, k, v, *, of_v=1.0):
    p = special.softmax(40 * q @ k.T, axis=-1)
    dp = dy @ v.T
    d = 40 * p * (dp - (dp * p).sum(axis=-1, keepdims=True))
    return d @ k, d.T @ q, of_v * p.T @ dy


def d_softmax(dy, x):
    p = special.softmax(x, axis=-1)
    return p * (dy - (dy * p).sum(axis=-1, keepdims=True))


def d_sigmoid(x):
    return special.expit(x) * special.expit(-x)


def filtered(x):
    return np.fft.ifft(np.fft.fft(x) * np.fft.fft([1.0, 2.0, 0.0, 0.0, 0.0, 0.0]))


def filtered_back(dy, x):
    return np.real(dy) + 2 * np.roll(np.real(dy), -1)


def padded_transform(x):
    z = np.fft.fft(x, n=6)
    return np.stack([z.real, z.imag])


def only(k, factor, size):
    """Return a factor of one entry."""
    return np.where(np.arange(size) == k, factor, 1.0)


SATURATED = [
    Row(
        "tanh",
        np.tanh,
        lambda dy, x: dy / np.cosh(x) ** 2,
        (np.array([0.3, -0.7, 25.0]),),
        {"1 % of the first": lambda dy, x: dy / np.cosh(x) ** 2 * only(0, 1.01, 3)},
    ),
    Row(
        "tanh, float32",
        np.tanh,
        lambda dy, x: dy * (1 - np.tanh(x) ** 2),
        (np.array([0.3, -0.7, 12.0], np.float32),),
        {"linear": lambda dy, x: dy * (1 - np.tanh(x))},
    ),
    Row(
        "sigmoid",
        special.expit,
        lambda dy, x: dy * d_sigmoid(x),
        (np.array([0.3, -1.2, 40.0, 38.0]),),
        {
            "1 % of the first": lambda dy, x: dy * d_sigmoid(x) * only(0, 1.01, 4),
            "output forgotten": lambda dy, x: dy * special.expit(x),
        },
    ),
    Row(
        "cross-entropy of decided examples",
        lambda z: np.sum(np.logaddexp(0, -z)),
        lambda dl, z: -dl * special.expit(-z),
        (np.array([45.0, 0.2, -1.0, 80.0]),),
        {"sign": lambda dl, z: dl * special.expit(-z), "half": lambda dl, z: -0.5 * dl * special.expit(-z)},
    ),
    Row(
        "softmax of one decided row of two",
        lambda x: special.softmax(x, axis=-1),
        d_softmax,
        (np.array([[50.0, 0.0, 0.3], [0.5, 0.2, -0.4]]),),
        {
            "1 %": lambda dy, x: 1.01 * d_softmax(dy, x),
            "sum forgotten": lambda dy, x: special.softmax(x, axis=-1) * dy,
        },
    ),
    Row(
        "attention",
        attention,
        d_attention,
        normal((3, 4), (5, 4), (5, 2)),
        {"1 % of v": lambda dy, q, k, v: d_attention(dy, q, k, v, of_v=1.01)},
    ),
]

FLAT = [
    Row(
        "2 - exp(-x²) at 7.6",
        lambda x: 2 - np.exp(-x * x),
        lambda dy, x: dy * 2 * x * np.exp(-x * x),
        (np.array([0.5, 7.58]),),
        {"half": lambda dy, x: dy * x * np.exp(-x * x)},
    ),
    Row(
        "exp(-1/x²) at 0.02",
        lambda x: 1 + np.exp(-1 / (x * x)),
        lambda dy, x: dy * 2 / x**3 * np.exp(-1 / (x * x)),
        (np.array([0.9, 0.02, -1.5]),),
        {"half": lambda dy, x: dy / x**3 * np.exp(-1 / (x * x))},
    ),
    Row(
        "normal density at 9 and 39",
        lambda x: np.exp(-x * x / 2),
        lambda dy, x: -dy * x * np.exp(-x * x / 2),
        (np.array([0.5, -1.1, 9.0, 39.0]),),
        {
            "half": lambda dy, x: -0.5 * dy * x * np.exp(-x * x / 2),
            "sign": lambda dy, x: dy * x * np.exp(-x * x / 2),
        },
    ),
    Row(
        "Fourier transform of a padded signal",
        padded_transform,
        lambda dy, x: np.real(np.fft.fft(dy[0] - 1j * dy[1], n=6))[:4],
        normal(4),
        {"sign of the adjoint": lambda dy, x: np.real(np.fft.fft(dy[0] + 1j * dy[1], n=6))[:4]},
    ),
    Row(  # one imaginary part happens to rise twice as steeply as its error bar allows for
        "imaginary parts that are rounding beside 1e8",
        filtered,
        filtered_back,
        tuple(1e8 * x for x in normal(6, seed=37)),
        {"1 %": lambda dy, x: 1.01 * filtered_back(dy, x)},
    ),
    Row(
        "logarithm of a small entry beside 1",
        np.log,
        lambda dy, x: dy / x,
        (np.array([1e-4, 1.0]),),
        {"3 %": lambda dy, x: dy / x * [1.03, 1]},
    ),
    Row(
        "inverse square of a small entry beside 1/2",
        lambda x: x**-2.0,
        lambda dy, x: -2 * dy * x**-3.0,
        (np.array([1e-4, 0.5]),),
        {"5 %": lambda dy, x: -2 * dy * x**-3.0 * [1.05, 1]},
    ),
    Row(  # of a hundred outputs, noise is told of all together
        "zero padding to a hundred outputs",
        lambda x: np.fft.irfft(np.fft.rfft(x, n=104), n=104),
        lambda dy, x: dy[:4],
        normal(4),
        {"1 %": lambda dy, x: 1.01 * dy[:4]},
    ),
]

UNDERFLOW = [
    Row(
        "erfc at 27",
        special.erfc,
        lambda dy, x: -dy * 2 / np.sqrt(np.pi) * np.exp(-x * x),
        (np.array([0.5, 1.0, 27.0]),),
        {"2 forgotten": lambda dy, x: -dy / np.sqrt(np.pi) * np.exp(-x * x)},
    ),
    Row(
        "exp(-x) at 95 and 110, float32",
        lambda x: np.exp(-x),
        lambda dy, x: -dy * np.exp(-x),
        (np.array([0.5, 1.5, 95, 110], np.float32),),
        {"sign": lambda dy, x: dy * np.exp(-x), "half": lambda dy, x: np.float32(-0.5) * dy * np.exp(-x)},
    ),
]


def edge(name, forward, slope, x):
    """Return a row of an elementwise function next to the edge of its domain: not wrong, at least."""
    wrong = {
        f"first times {factor:g}": lambda dy, x, f=factor: dy * slope(x) * only(0, f, x.size)
        for factor in (0.5, 0.0, -1.0)
    }
    return Row(name, forward, lambda dy, x: dy * slope(x), (np.array(x),), wrong, NOT_FAIL, NOT_PASS)


EDGES = [
    edge("arccos", lambda x: np.arccos(np.clip(x, -1, 1)), lambda x: -1 / np.sqrt(1 - x * x), [1 - 1e-8]),
    edge("arcsin", np.arcsin, lambda x: 1 / np.sqrt(1 - x * x), [-1 + 1e-9, 0.3]),
    edge("arccosh", np.arccosh, lambda x: 1 / np.sqrt(x * x - 1), [1 + 1e-8, 2.0]),
    edge("arctanh", np.arctanh, lambda x: 1 / ((1 - x) * (1 + x)), [1 - 1e-9, -0.5]),
    edge("root", np.sqrt, lambda x: 0.5 / np.sqrt(x), [1e-10, 1.0]),
    edge("clipped root", lambda x: np.sqrt(np.maximum(x, 0)), lambda x: 0.5 / np.sqrt(x), [1e-8, 0.7]),
    edge("logarithm", lambda x: np.log(np.clip(x, 1e-12, None)), lambda x: 1 / x, [1e-9, 0.5, 2.0]),
    edge("exponential, of which an influence overflows", np.exp, np.exp, [709.0]),
]


@each_of(SATURATED)
def test_saturated_entries_decide_nothing(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@pytest.mark.parametrize("seed", [88, 114, 126, 235, 286, 310])
def test_what_is_left_of_cancelled_terms_is_zero_though_it_was_multiplied(seed):
    q, k, v = normal((3, 4), (5, 4), (5, 2), seed=seed)
    assert gradcheck(attention, d_attention, (2.5 * q, k, v), raise_exception=False).passed


@pytest.mark.parametrize("seed", [1, 4])
def test_digits_that_both_sides_lose_where_nothing_is_seen_are_no_defect(seed):
    x = (5 + np.random.default_rng(seed).random(4)).astype(np.float32)

    def backward(dy, x):
        return dy * 2 * np.cosh(x) * np.sinh(x) + -dy * 2 * np.sinh(x) * np.cosh(x)

    report = gradcheck(lambda x: np.cosh(x) ** 2 - np.sinh(x) ** 2, backward, x, raise_exception=False)
    assert not report.failed, str(report)


@each_of(FLAT)
def test_flat_entries_decide_nothing(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@each_of(UNDERFLOW)
def test_below_the_smallest_normal_number_is_zero(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@each_of(EDGES)
def test_next_to_the_edge_of_the_domain(forward, backward, row, expected):
    agree(forward, backward, row, expected)


def test_slope_beyond_all_numbers_agrees_with_none():
    report = gradcheck(
        lambda x: 1e308 * np.tanh(1e9 * x), lambda dy, x: dy, [np.zeros(1)], raise_exception=False
    )
    assert not report.passed


NARROW = {
    "edge of a root": (
        lambda x, e: np.sqrt(np.maximum(1 - x * x, 0)),
        lambda x, e: -x / np.sqrt((1 - x) * (1 + x)),
        -1.0,
    ),
    "pole": (lambda x, e: 1 / (1 - x), lambda x, e: 1 / (1 - x) ** 2, -1.0),
    "arctanh": (lambda x, e: np.arctanh(x), lambda x, e: 1 / (1 - x * x), -1.0),
    "bell": (
        lambda x, e: np.exp(-(((x - 1) / e) ** 2)),
        lambda x, e: -2 * (x - 1) / e**2 * np.exp(-(((x - 1) / e) ** 2)),
        0.7,
    ),
}


@pytest.mark.parametrize("e", [1e-6, 1e-8, 1e-10, 1e-11, 1e-12])
@pytest.mark.parametrize(("forward", "slope", "at"), NARROW.values(), ids=NARROW)
def test_what_varies_over_less_than_any_step_is_neither_wrong_nor_flat(forward, slope, at, e):
    x = np.array([1 + at * e])

    def verdict(factor):
        backward = lambda dy, x: dy * factor * slope(x, e)  # noqa: E731
        with np.errstate(all="ignore"):
            return gradcheck(lambda x: forward(x, e), backward, x, raise_exception=False).verdict

    assert verdict(1) != "fail"
    assert verdict(0) != "pass"


@pytest.mark.parametrize("w", [1e-10, 1e-11, 1e-12])
@pytest.mark.parametrize("seed", range(5))
def test_slope_of_a_sine_that_no_step_follows_is_not_wrong(w, seed):
    x = 1 + w * np.random.default_rng(seed).uniform(-2, 2, 3)
    report = gradcheck(
        lambda x: np.sin((x - 1) / w), lambda dy, x: dy * np.cos((x - 1) / w) / w, x, raise_exception=False
    )
    assert not report.failed, str(report)


@pytest.mark.parametrize("factor", [1.0, -1.0, 10.0])
def test_claims_that_scatter_as_much_as_they_are_large_are_not_zero(factor):
    """Every step is many periods long, and every difference noise."""
    w = 1e-11
    x = 1 + w * np.array([0.7, 1.3, 0.4])
    report = gradcheck(
        lambda x: np.sin((x - 1) / w),
        lambda dy, x: factor * dy * np.cos((x - 1) / w) / w,
        x,
        raise_exception=False,
    )
    assert not (report.failed if factor == 1 else report.passed)


@pytest.mark.parametrize("waves", [512, 2048])
@pytest.mark.parametrize("size", [1e-4, 1e-3])
def test_what_a_ladder_steps_over_is_told_by_shorter_differences(size, waves):
    """All steps of a ladder are multiples of the wavelength, and the first difference is not."""
    k = 2 * np.pi * waves

    def verdict(wave):
        backward = lambda dy, x: dy * (1 + wave * size * k * np.cos(k * x))  # noqa: E731
        return gradcheck(
            lambda x: x + size * np.sin(k * x), backward, np.ones(1), raise_exception=False
        ).verdict

    assert verdict(wave=1) == "pass"
    assert verdict(wave=0) != "pass"


@pytest.mark.parametrize("w", [1e-8, 1e-9, 1e-10])
def test_steps_on_both_sides_of_what_is_narrow_show_no_kink(w):
    """Half the jump between both sides happens to be the same at two steps, and their slopes are not."""
    x = np.array([1 + 0.7 * w])

    def verdict(factor):
        backward = lambda dy, x: factor * dy / w / np.cosh((x - 1) / w) ** 2  # noqa: E731
        return gradcheck(lambda x: np.tanh((x - 1) / w), backward, x, raise_exception=False).verdict

    assert verdict(1) != "fail"
    assert {verdict(factor) for factor in (0, 1.1, 10)} == {"fail"}
    assert verdict(-1) != "pass"
