"""Where an output swallows what moves, or jumps at the point, nothing may pass that was not seen."""

import numpy as np
import pytest
from tables import FAIL, NOT_FAIL, NOT_PASS, Row, agree, each_of, normal

from gradlab import gradcheck

ONES = np.ones(3)


def ones(d, x):
    return d * np.ones_like(x)


def d_tanh(x):
    return 1 - np.tanh(x) ** 2


BESIDE_AN_OFFSET = [
    *(
        Row(
            f"sum beside {c:.0e}",
            lambda x, c=c: c + np.sum(x),
            ones,
            (ONES,),
            {
                "zero": lambda d, x: 0 * x,
                "twice": lambda d, x: 2 * ones(d, x),
                "sign": lambda d, x: -ones(d, x),
            },
            NOT_FAIL,
            FAIL if c < 1e12 else NOT_PASS,
            {"rtol": rtol},
        )
        for c, rtol in ((1e10, 1e-7), (1e12, 1e-7), (1e14, 1e-7), (1e16, 3e-3), (1e17, 0.1), (1e18, 1e-7))
    ),
    Row(
        "one output swallowed, the other free",
        lambda x, z: np.stack([1e14 + z.sum(), x.sum()]),
        lambda dy, x, z: (ones(dy[1], x), ones(dy[0], z)),
        (ONES, ONES),
        {
            "swallowed": lambda dy, x, z: (ones(dy[1], x), 0 * z),
            "free": lambda dy, x, z: (0 * x, ones(dy[0], z)),
        },
        NOT_FAIL,
        NOT_PASS,
    ),
    Row(
        "offset that is subtracted again",
        lambda x: (1e8 + np.sin(x)) - 1e8,
        lambda dy, x: dy * np.cos(x),
        normal(5),
        {
            "zero": lambda dy, x: 0 * x,
            "twice": lambda dy, x: 2 * dy * np.cos(x),
            "5 %": lambda dy, x: 1.05 * dy * np.cos(x),
        },
    ),
]

NARROW = [
    *(
        Row(
            f"{np.dtype(dtype)} behind float64",
            lambda x, dtype=dtype: np.tanh(x.astype(dtype)).astype(float),
            lambda dy, x: dy * d_tanh(x),
            (np.array([0.3, -0.7, 0.9]),),
            {
                "sign": lambda dy, x: -dy * d_tanh(x),
                "zero": lambda dy, x: 0 * x,
                "1.5": lambda dy, x: 1.5 * dy * d_tanh(x),
            },
            NOT_FAIL,
            FAIL if dtype is np.float32 else NOT_PASS,
        )
        for dtype in (np.float32, np.float16)
    ),
    *(
        Row(
            f"sum in {np.dtype(dtype)} beside {c:g}",
            lambda x, dtype=dtype, c=c: np.float64(dtype(c) + x.astype(dtype).sum(dtype=dtype)),
            ones,
            (ONES,),
            {"zero": lambda d, x: 0 * x},
            NOT_FAIL,
            NOT_PASS,
        )
        for dtype, c in ((np.float32, 1e6), (np.float16, 1e3))
    ),
    Row(
        "float32 beside 1e7",
        lambda x: np.float32(1e7) + np.sum(x),
        ones,
        (ONES.astype(np.float32),),
        {"zero": lambda d, x: 0 * x},
        NOT_FAIL,
        NOT_PASS,
    ),
    *(
        Row(
            f"tanh in float32 beside {c:g}",
            lambda x, c=c: (np.float32(c) + np.tanh(x.astype(np.float32))).astype(float),
            lambda dy, x: dy * d_tanh(x),
            normal((2, 3)),
            {"zero": lambda dy, x: 0 * x},
            NOT_FAIL,
            NOT_PASS,
        )
        for c in (1e5, 1e6, 1e7)
    ),
]

JUMPS = [
    *(
        Row(
            f"angle on its branch cut, rtol {rtol:g}",
            np.arctan2,
            lambda dy, y, x: (dy * x / (x * x + y * y), -dy * y / (x * x + y * y)),
            (np.zeros(1), -np.ones(1)),
            {
                "ten times": lambda dy, y, x: (10 * dy * x / (x * x + y * y), 0 * x),
                "sign": lambda dy, y, x: (-5 * dy * x / (x * x + y * y), 0 * x),
            },
            NOT_FAIL,
            NOT_PASS,
            {"rtol": rtol},
        )
        for rtol in (1e-3, 3e-2, 0.3)
    ),
    *(
        Row(
            f"{name} at its jump, rtol {rtol:g}",
            lambda x, function=function: function(x) + 2 * x,
            lambda dy, x: 2 * dy,
            (np.array([at, 0.4]),),
            {
                "twenty": lambda dy, x: dy * np.array([20.0, 2]),
                "sign": lambda dy, x: dy * np.array([-2.0, 2]),
            },
            NOT_FAIL,
            NOT_PASS,
            {"rtol": rtol},
        )
        for name, function, at in (("floor", np.floor, 2.0), ("sign", np.sign, 0.0))
        for rtol in (1e-3, 0.1)
    ),
]


@each_of(BESIDE_AN_OFFSET)
def test_output_that_swallows_what_moves(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@each_of(NARROW)
def test_narrow_dtype_inside(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@each_of(JUMPS)
def test_jump_at_the_point(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@pytest.mark.parametrize("backward", [lambda d, x: 10 * ones(d, x), lambda d, x: 0 * x])
def test_whatever_rtol_a_report_suggests_a_wrong_rule_does_not_pass_with_it(backward):
    for c in (1e13, 1e15):
        for rtol in 10.0 ** np.arange(-6, 0):
            assert not gradcheck(lambda x, c=c: c + x.sum(), backward, ONES, rtol=rtol, raise_exception=False)


def test_reason_says_that_nothing_moves():
    rng = np.random.default_rng(0)
    x, z = ((s * rng.normal(size=2000)).astype(np.float32) for s in (1e-7, 1.0))
    report = gradcheck(
        lambda x, z: x + np.tanh(z),
        lambda dy, x, z: (dy, dy * (1 - np.tanh(z) ** 2)),
        (x, z),
        raise_exception=False,
    )
    assert report.reason == "whatever the gradient of x is, too little moves to see it"


@pytest.mark.parametrize("x", [[0.5, -100.0], np.linspace(-60, 1, 30)])
@pytest.mark.parametrize("offset", [-1.0, 1.0])
def test_what_forward_does_far_away_is_no_scale_for_what_it_does_here(x, offset):
    """Over a long step an exponential is 1e300 times as large, and a multiple of any number."""

    def verdict(factor):
        backward = lambda dy, x: factor * dy * np.exp(x)  # noqa: E731
        return gradcheck(lambda x: np.exp(x) + offset, backward, np.asarray(x), raise_exception=False).verdict

    assert [verdict(factor) for factor in (1, 2, -1, 0)] == ["pass", "fail", "fail", "fail"]


@pytest.mark.parametrize("factor", [1, 10, -5])
def test_across_a_jump_nothing_is_seen_whatever_rtol_is(factor):
    def backward(dy, y, x):
        r = x * x + y * y
        return factor * dy * x / r, -dy * y / r

    inputs = np.array([0.0]), np.array([-1e8])
    assert gradcheck(np.arctan2, backward, inputs, rtol=1e-3, raise_exception=False).inconclusive


def test_what_overflows_on_one_side_moves():
    x = np.array([1.5, 1.7, 1.2])
    assert not gradcheck(lambda x: 1e16 + np.exp(x), lambda dy, x: 0 * x, x, raise_exception=False).passed


@pytest.mark.parametrize("x", [[1000.007], [1000.007, 999.996, 1000.012]])
def test_top_of_a_narrow_bell_is_not_flat(x):
    def bell(x):
        return np.exp(-(((x - 1000) / 0.01) ** 2) / 2)

    def backward(dy, x):
        return -dy * bell(x) * (x - 1000) / 1e-4

    assert gradcheck(bell, backward, np.array(x)).passed
    assert not gradcheck(bell, lambda dy, x: 0 * x, np.array(x), raise_exception=False).passed


@pytest.mark.parametrize("factor", [1.0, 0.0, -1.0])
@pytest.mark.parametrize(
    ("offset", "dtype", "size"), [(1e5, np.float32, 30), (1e13, np.float64, 300), (1e12, np.float64, 2000)]
)
def test_sum_of_sines_beside_an_offset(offset, dtype, size, factor):
    """Over several times the scale a sine hardly rises, whatever its slope is: that condemns nothing."""

    def forward(x):
        return np.float64(dtype(offset) + np.sin(x.astype(dtype)).sum())

    x = np.random.default_rng(2).normal(size=size)
    report = gradcheck(forward, lambda dy, x: factor * dy * np.cos(x), x, raise_exception=False)
    assert not (report.failed if factor == 1 else report.passed)


def test_constant_of_terms_that_cancel_is_told():
    for seed in range(5):
        x = np.random.default_rng(seed).normal(size=6)
        backward = lambda dy, x: dy * (3 * x * x / (x * x * x) - 3 * x**3 / x**4)  # noqa: E731
        assert gradcheck(lambda x: x**3 / (x * x * x), backward, x).passed


@pytest.mark.parametrize("offset", [1e16, 1e17])
def test_what_forward_does_a_million_times_as_far_away_is_no_scale(offset):
    x = 1 + np.random.default_rng(0).random(3)
    report = gradcheck(
        lambda x: offset + np.sum(x * x), lambda dy, x: 0 * x, x, rtol=1e-3, raise_exception=False
    )
    assert not report.passed


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "forward",
    [lambda x: np.sum(x - x.mean()), lambda x: np.mean(x - x.mean()), lambda x: (x + 1) ** 2 - x * x - 2 * x],
    ids=["sum", "mean", "squares"],
)
def test_rounding_that_grows_with_the_inputs_is_no_movement(forward, seed):
    x = np.random.default_rng(seed).normal(size=3)
    verdicts = [
        gradcheck(forward, lambda dy, x, c=c: c * dy * np.ones_like(x), x, raise_exception=False).verdict
        for c in (0, 1, 1e-6)
    ]
    assert verdicts[0] != "fail"
    assert verdicts[1:] == ["fail", "fail"]


def test_most_zeros_beside_rounding_that_grows_pass():
    passed = [
        gradcheck(lambda x: np.sum(x - x.mean()), lambda dy, x: 0 * x, x, raise_exception=False).passed
        for x in np.random.default_rng(0).normal(size=(20, 3))
    ]
    assert sum(passed) >= 15


@pytest.mark.parametrize("width", [1e-11, 1e-12])
def test_what_scatters_by_more_than_rounding_hides_a_zero(width):
    x = np.array([1.0, 0.3, -0.7])
    report = gradcheck(lambda x: np.sin((x - 1) / width), lambda dy, x: 0 * x, x, raise_exception=False)
    assert not report.passed


@pytest.mark.parametrize("seed", range(6))
def test_what_is_bounded_and_hidden_is_no_rounding_that_grows(seed):
    x = np.random.default_rng(seed).normal(size=1)
    assert not gradcheck(
        lambda x: 1e14 + np.sum(np.sin(x)), lambda dy, x: 0 * x, x, raise_exception=False
    ).passed


@pytest.mark.parametrize("factor", [10.0, -1.0, 0.0])
@pytest.mark.parametrize("rtol", [1e-3, 0.03])
def test_claims_of_which_none_was_seen_are_not_too_small_to_matter(rtol, factor):
    for seed in range(8):
        x = np.random.default_rng(seed).normal(size=3)
        backward = lambda dy, x: factor * dy * np.exp(x)  # noqa: E731
        assert not gradcheck(lambda x: 1e17 + np.exp(x), backward, x, rtol=rtol, raise_exception=False).passed


BOUNDED = {
    "relu": lambda x: 1e17 + np.maximum(x, 0).sum(),
    "clip": lambda x: 1e17 + np.clip(x, 0, 1e6).sum(),
    "exponential": lambda x: 1e19 + np.exp(np.minimum(x, 50)).sum(),
    "float32": lambda x: np.float32(1e9) + np.maximum(x, 0).astype(np.float32).sum(),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("forward", BOUNDED.values(), ids=BOUNDED)
def test_what_moves_on_one_side_far_away_is_no_rounding(forward, seed):
    x = np.random.default_rng(seed).uniform(0.5, 2, 3)
    assert not gradcheck(forward, lambda dl, x: 0 * x, x, raise_exception=False).passed


@pytest.mark.parametrize("offset", [1e15, 1e16])
@pytest.mark.parametrize("bounded", [np.sin, np.tanh, np.cos, lambda x: np.exp(-x * x)])
def test_large_outputs_may_hide_what_is_bounded(bounded, offset):
    for seed in range(4):
        x = np.random.default_rng(seed).standard_normal(3)
        of_sum, of_each = (
            gradcheck(forward, lambda dy, x: 0 * x, x, raise_exception=False)
            for forward in (lambda x: offset + bounded(x).sum(), lambda x: offset + bounded(x))
        )
        assert not of_sum.passed
        assert not of_each.passed


def test_constant_of_ordinary_size_has_no_gradient():
    assert gradcheck(lambda x: 0 * x + 1e6, lambda dy, x: 0 * x, np.ones(3), raise_exception=False).passed


GROWING = {
    "exponential": (np.exp, np.exp),
    "cosine": (np.cosh, np.sinh),
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
}


@pytest.mark.parametrize("offset", [1e16, 1e18, 1e20])
@pytest.mark.parametrize(("forward", "slope"), GROWING.values(), ids=GROWING)
def test_what_grows_far_away_is_no_rounding(forward, slope, offset):
    for seed in range(3):
        x = 1 + np.random.default_rng(seed).random(3)
        right, zero = (
            gradcheck(lambda x: offset + forward(x).sum(), backward, x, raise_exception=False)
            for backward in (lambda dl, x: dl * slope(x), lambda dl, x: 0 * x)
        )
        assert not right.failed
        assert not zero.passed
