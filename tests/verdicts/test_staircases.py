"""A staircase: rounded on the way, it has the slope of all stairs; on purpose, that of one, none.

From the values alone that cannot be told, but for stairs as high as rounding is, or much higher. In between
neither slope is called wrong, or right.
"""

import numpy as np
import pytest
from tables import NOT_FAIL, NOT_PASS, Row, agree, each_of, normal

from gradlab import gradcheck

STAIRS = [
    Row(
        "three decimals",
        lambda x: np.round(x, 3),
        lambda dy, x: 0 * dy,
        normal(6),
        {"two": lambda dy, x: 2 * dy},
    ),
    *(  # whose next stairs on both sides are as near as noise is looked for
        Row(
            f"three decimals of large numbers {seed}",
            lambda x: np.round(x, 3),
            lambda dy, x: 0 * dy,
            (np.random.default_rng(seed).uniform(-9, 9, 20),),
            {"two": lambda dy, x: 2 * dy},
        )
        for seed in range(4)
    ),
    *(  # some of whose stairs are shorter than the place where noise is looked for
        Row(
            f"four decimals {seed}",
            lambda x: np.round(x, 4),
            lambda dy, x: 0 * dy,
            normal(6, seed=seed),
            {"two": lambda dy, x: 2 * dy, "straight through": lambda dy, x: dy},
        )
        for seed in range(2, 6)
    ),
    *(
        Row(
            f"{scale:g} rounded to {step:g} of it",
            lambda x, q=scale * step: np.floor(x / q + 0.5) * q,
            lambda dy, x: 0 * dy,
            (scale * np.random.default_rng(4).normal(size=5),),
            {"straight through": lambda dy, x: dy, "sign": lambda dy, x: -dy},
        )
        for scale in (1e-3, 1.0, 50.0)
        for step in (1e-3, 1e-4, 1e-5)
    ),
    *(
        Row(
            f"mean of {scale:g} rounded to {step:g} of it",
            lambda x, q=scale * step: np.mean(np.floor(x / q + 0.5) * q),
            lambda dl, x: 0 * x,
            (scale * np.random.default_rng(4).normal(size=5),),
            {"straight through": lambda dl, x: dl * np.ones_like(x) / x.size},
        )
        for scale in (1e-3, 1.0, 50.0)
        for step in (1e-3, 1e-4, 1e-5)
    ),
    *(  # floating-point numbers of one binade have a common step, too
        Row(
            f"beside {offset:g} in float32, times {factor:g}",
            lambda x, a=offset, c=factor: c * np.float64(np.float32(a + np.sin(x)) - np.float32(a)),
            lambda dy, x, c=factor: c * dy * np.cos(x),
            normal(5, seed=2),
            {"sign": lambda dy, x, c=factor: -c * dy * np.cos(x)},
            NOT_FAIL,
            NOT_PASS,
        )
        for offset in (0.0, 1.0, 10.0, 100.0, 1e3)
        for factor in (1.0, 0.1, 1e-3, 1 / 3)
    ),
    *(  # 1e8 and all its multiples are multiples of 256, a binary grid
        Row(
            f"whole numbers times {c:g}",
            lambda x, c=c: c * np.floor(x),
            lambda dy, x: 0 * dy,
            normal(4, seed=1),
            {"straight through": lambda dy, x, c=c: c * dy},
        )
        for c in (1e5, 1e8)
    ),
    *(
        Row(
            f"rounded to float16 on the way {seed}",
            lambda x, w: w @ x.astype(np.float16).astype(float),
            lambda dy, x, w: (dy @ w, np.outer(dy, x.astype(np.float16))),
            (np.random.default_rng(seed).normal(size=32), np.random.default_rng(seed).normal(size=(3, 32))),
            {
                "twice": lambda dy, x, w: (2 * dy @ w, np.outer(dy, x.astype(np.float16))),
                "sign": lambda dy, x, w: (-dy @ w, np.outer(dy, x.astype(np.float16))),
                "nothing": lambda dy, x, w: (0 * x, np.outer(dy, x.astype(np.float16))),
            },
            NOT_FAIL,
            NOT_PASS,
            {"rtol": 0.01},
        )
        for seed in range(3)
    ),
    *(
        Row(
            f"sum rounded to {decimals} decimals beside {size:.0e}",
            lambda x, decimals=decimals: np.round(x, decimals).sum(),
            lambda dl, x: 0 * x,
            (size * np.random.default_rng(seed).standard_normal(5),),
            {"straight through": lambda dl, x: dl * np.ones_like(x)},
        )
        for decimals, size in ((4, 1.0), (5, 1.0), (2, 1e3))
        for seed in range(2)
    ),
    *(
        Row(
            f"solver that stops at {decimals} decimals",
            lambda x, decimals=decimals: np.round(np.cos(x), decimals),
            lambda dy, x: -dy * np.sin(x),
            normal(4, seed=1),
            {"5 %": lambda dy, x: -1.05 * dy * np.sin(x), "sign": lambda dy, x: dy * np.sin(x)},
        )
        for decimals in (6, 9)
    ),
]


@each_of(STAIRS)
def test_staircase(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@pytest.mark.parametrize("unit", [0.01, 1.0, 100.0, 1e4])
@pytest.mark.parametrize("digits", range(1, 9))
def test_staircase_is_never_called_steep_and_twice_the_slope_of_all_stairs_is_wrong(digits, unit):
    """Whatever the unit, and however many digits are left."""
    decimals = digits - round(np.log10(unit))
    for forward in (lambda x: np.round(x, decimals), lambda x: np.round(x, decimals).sum()):
        for seed in range(2):
            x = unit * np.random.default_rng(seed).standard_normal(5)
            zero, twice = (
                gradcheck(forward, lambda dy, x, c=c: c * dy * np.ones_like(x), x, raise_exception=False)
                for c in (0, 2)
            )
            assert not zero.failed
            assert twice.failed


@pytest.mark.parametrize("size", [1e3, 1e4, 1e5])
def test_large_whole_numbers_do_not_pass_straight_through(size):
    for seed in range(4):
        x = size * np.random.default_rng(seed).standard_normal(5)
        zero, through = (
            gradcheck(np.rint, lambda dy, x, c=c: c * dy, x, raise_exception=False) for c in (0, 1)
        )
        assert zero.passed or size > 1e3
        assert not zero.failed
        assert not through.passed


@pytest.mark.parametrize(
    ("forward", "x"),
    [
        (lambda x: np.sum(np.round(x) ** 2), [4.45]),
        (np.floor, [64.3]),
        (np.round, [130.2]),
        (lambda x: np.floor(4 * x) / 4, [20.1]),
        (lambda x: 1e3 * np.mean(np.round(x)), [0.13, -0.13, 0.64, 0.1, -0.54]),
    ],
)
def test_whole_numbers_are_no_rounding(forward, x):
    assert gradcheck(forward, lambda dy, x: 0 * x, np.array(x), raise_exception=False).passed


@pytest.mark.parametrize("seed", range(4))
def test_digits_lost_beside_something_large_are_not_told_from_a_converter_to_few_bits(seed):
    x = np.random.default_rng(seed).standard_normal(4)
    forward = lambda x: (1e10 + np.sin(x)) - 1e10  # noqa: E731
    right, wrong = (
        gradcheck(forward, lambda dy, x, c=c: c * dy * np.cos(x), x, raise_exception=False) for c in (1, 1.5)
    )
    assert not right.failed
    assert wrong.failed


@pytest.mark.parametrize("bits", range(8, 20))
def test_converter_to_few_bits_does_not_pass_straight_through(bits):
    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal(6)
        forward = lambda x: np.round(x * 2**bits) / 2**bits  # noqa: E731
        zero, through, twice = (
            gradcheck(forward, lambda dy, x, c=c: c * dy, x, raise_exception=False) for c in (0, 1, 2)
        )
        assert not zero.failed
        assert zero.passed or bits > 10
        assert not through.passed or bits > 18  # as high as what solvers leave
        assert twice.failed


@pytest.mark.parametrize("size", [2, 5, 20])
def test_sums_in_float32_are_no_converter(size):
    """Several roundings together scatter by more than one of them is: a few are still taken for leaps."""
    c = np.linspace(-1, 1.3, size).astype(np.float32)
    undecided = 0
    for seed in range(20):
        right, zero = (
            gradcheck(
                lambda x: float(np.sum(c * x.astype(np.float32))),
                lambda dl, x, by=by: by * dl * c.astype(float),
                np.random.default_rng(seed).standard_normal(size),
                raise_exception=False,
            )
            for by in (1, 0)
        )
        assert not right.failed
        assert not zero.passed
        undecided += right.inconclusive + zero.inconclusive
    assert undecided <= 4


@pytest.mark.parametrize("seed", range(4))
def test_neither_slope_of_low_stairs_is_told(seed):
    height = 1.37 * 2.0**-18
    none, all_together = (
        gradcheck(
            lambda x: height * np.round(np.sin(x) / height),
            lambda dy, x, by=by: by * dy * np.cos(x),
            np.random.default_rng(seed).standard_normal(5),
            raise_exception=False,
        )
        for by in (0, 1)
    )
    assert none.inconclusive
    assert none.reason.startswith("forward has one slope close by and another farther away at ")
    assert all_together.inconclusive


@pytest.mark.parametrize("k", [1.0, 2.0**14, 2.0**20])
@pytest.mark.parametrize("factor", [2.0, 10.0])
def test_one_output_that_scatters_spares_no_claim_about_another(k, factor):
    def forward(x):
        return np.array([np.round(np.sin(x[0]), 5), k * np.sin(x[1])])

    def backward(dy, x):
        return np.array([dy[0] * np.cos(x[0]), factor * k * dy[1] * np.cos(x[1])])

    assert gradcheck(forward, backward, np.array([0.7, 1.1]), raise_exception=False).failed


@pytest.mark.parametrize("scale", [1.0, 2.0**8, 2.0**20])
def test_rounding_to_few_binary_digits_has_the_slope_of_all_stairs_whatever_the_unit(scale):
    x = np.random.default_rng(1).standard_normal(4)
    report = gradcheck(
        lambda x: scale * np.float16(np.sin(x)).astype(float),
        lambda dy, x: scale * dy * np.cos(x),
        x,
        raise_exception=False,
    )
    assert report.passed


@pytest.mark.parametrize("seed", range(4))
def test_rounding_to_float16_is_as_large_as_the_number_that_is_rounded(seed):
    """However fine the digits are that much smaller numbers have, farther away."""
    x = np.random.default_rng(seed).standard_normal(5)
    verdicts = [
        gradcheck(
            lambda x: np.exp(x.astype(np.float16)).astype(float),
            lambda dy, x, c=c: c * dy * np.exp(x),
            x,
            raise_exception=False,
        ).verdict
        for c in (1, 0, -1)
    ]
    assert verdicts[0] != "fail"
    assert "pass" not in verdicts[1:]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize(
    ("steps", "low", "high"), [(128, -512, 511), (256, -1024, 1023), (128, 0, 768), (204.8, -512, 511)]
)
def test_converter_that_ends_at_a_range_is_a_staircase(steps, low, high, size, seed):
    """Whose ends, which come again and again from afar, are round in any dtype."""
    x = np.abs(np.random.default_rng(seed).uniform(-2.4, 2.4, size))

    def verdict(slope):
        return gradcheck(
            lambda x: np.clip(np.rint(x * steps), low, high) / steps,
            lambda dy, x: slope * dy,
            x,
            raise_exception=False,
        ).verdict

    assert [verdict(0), verdict(1)] == ["pass", "fail"]


@pytest.mark.parametrize("seed", range(6))
def test_float16_within_is_not_taken_for_a_staircase(seed):
    x = np.random.default_rng(seed).uniform(-3, 3, 4)
    right = gradcheck(
        lambda x: np.sin(x).astype(np.float16).astype(float),
        lambda dy, x: dy * np.cos(x),
        x,
        raise_exception=False,
    )
    assert not right.failed


@pytest.mark.parametrize("max_calls", [45, 46, 60, None])
def test_what_no_call_is_left_to_look_at_is_not_on_a_stair(max_calls):
    at = np.array([0.3721, -1.2347])

    def forward(x):
        return np.where(np.abs(x - at) < 1e-9, x, np.round(x, 3))

    report = gradcheck(forward, lambda dy, x: 1.0 * dy, at, max_calls=max_calls, raise_exception=False)
    assert not report.failed
