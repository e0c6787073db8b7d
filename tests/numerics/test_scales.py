"""How far entries are moved."""

from fractions import Fraction

import numpy as np
import pytest

from gradlab.numerics.scales import both_sides, exact_displacement, norm, random_direction, scales


def test_scale_is_the_entry_or_a_tenth_of_the_typical_one():
    np.testing.assert_allclose(scales(np.array([3.0, 1e-9])), [3.0, 0.3 / np.sqrt(2)])
    np.testing.assert_array_equal(scales(np.zeros(2)), [1.0, 1.0])


@pytest.mark.parametrize("size", [1e300, 1e-300])
def test_scale_of_extreme_entries_neither_overflows_nor_vanishes(size):
    np.testing.assert_allclose(scales(np.full(3, size)), size)


def test_entries_that_are_not_finite_count_as_zero():
    least = 0.2 / np.sqrt(3)
    np.testing.assert_allclose(scales(np.array([2.0, np.inf, np.nan])), [2, least, least])


def test_random_direction_moves_every_entry_on_its_scale():
    x = np.array([1e-3, 1.0, -2.0])
    ratio = np.abs(random_direction(x, np.random.default_rng(0))) / scales(x)
    assert ((ratio > 0.999) & (ratio < 2.001)).all()
    assert len(set(ratio)) == 3


@pytest.mark.parametrize("step", [2.0**-13, 2.0**-24, 2.0**-35])
def test_displacement_is_exact_on_both_sides(step):
    x, rng = np.random.default_rng(0).normal(size=50), np.random.default_rng(1)
    d = exact_displacement(x, scales(x) * rng.uniform(1, 2, 50))
    np.testing.assert_array_equal((x + step * d) - x, step * d)
    np.testing.assert_array_equal(x - (x - step * d), step * d)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("step", [2.0**-3, 2.0**-7, 2.0**-13])
def test_both_sides_are_as_far_away_across_a_power_of_two_too(step, dtype):
    rng = np.random.default_rng(0)
    x = (rng.choice([-2.0, -1.0, 0.5, 1.0], 200) * (1 - 1e-4 * rng.uniform(-1, 1, 200))).astype(dtype)
    d = step * exact_displacement(x, scales(x)) * rng.choice([-1, 1], 200)
    plus, minus = both_sides(x, d)
    assert plus.dtype == minus.dtype == dtype
    for here, up, down in zip(*(map(Fraction, map(float, part)) for part in (x, plus, minus)), strict=True):
        assert up - here == here - down
    np.testing.assert_allclose(plus - x, d, rtol=1e-3)


def test_sides_of_what_is_not_finite_are_the_plain_ones():
    x, d = np.array([np.inf, 1e308]), np.array([1.0, 1e308])
    with np.errstate(over="ignore"):
        plus, minus = both_sides(x, d)
    np.testing.assert_array_equal([plus, minus], [[np.inf, np.inf], [np.inf, 0.0]])


def test_displacement_keeps_its_length_within_a_thousandth():
    x, rng = np.random.default_rng(1).normal(size=50), np.random.default_rng(2)
    d = rng.uniform(1, 2, size=50) * scales(x)
    np.testing.assert_allclose(exact_displacement(x, d), d, rtol=1e-3)


def test_norm_neither_overflows_nor_vanishes():
    assert norm(np.array([3e300]), np.array([4e300])) == pytest.approx(5e300)
    assert norm(np.array([3e-300]), np.array([4e-300])) == pytest.approx(5e-300)
    assert norm() == 0
    assert norm(np.array([np.inf])) == np.inf
