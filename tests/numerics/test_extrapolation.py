"""Richardson extrapolation: narrow where the powers are right, wide where they are not."""

import numpy as np
import pytest

from gradlab.numerics.extrapolation import RATIO, Extrapolation, OneSided


def extrapolated(difference, *, noise=1e-16, steps=6):
    """Return the table of differences whose even powers are removed."""
    table = Extrapolation((2, 4, 6), (1,))
    for k in range(steps):
        step = RATIO**k / 4
        table.add(np.array([difference(step)]), np.array([noise / step]))
    return table


def test_polynomial_in_the_powers_removed_is_exact():
    table = extrapolated(lambda h: 3 + 2 * h**2 - h**4 + 5 * h**6)
    assert abs(table.value[0] - 3) <= table.error_bar[0] < 1e-11


@pytest.mark.parametrize("power", [1, 3])
def test_other_powers_cost_accuracy_and_not_the_error_bar(power):
    table = extrapolated(lambda h: 3 + h**power)
    assert 1e-12 < abs(table.value[0] - 3) <= table.error_bar[0]


def test_best_estimate_is_kept_when_noise_takes_over():
    rng = np.random.default_rng(0)
    table = extrapolated(lambda h: 3 + h**2 + 1e-10 * rng.standard_normal() / h, noise=3e-10, steps=14)
    assert abs(table.value[0] - 3) <= table.error_bar[0] < 1e-6
    assert table.stale[0] > 2


def test_smaller_step_wins_where_a_larger_one_saw_something_else():
    table = extrapolated(lambda h: 1.0 if h < 1e-2 else -1.0)
    assert table.value[0] == 1
    assert table.conflicts[0] > 0


def test_it_starts_again_after_what_is_not_finite():
    table = extrapolated(lambda h: np.nan if h > 1e-1 else 3 + h**2)
    assert abs(table.value[0] - 3) <= table.error_bar[0] < 1e-8


def test_one_step_alone_tells_nothing():
    table = extrapolated(lambda h: 3 + h**2, steps=1)
    assert np.isnan(table.value[0])
    assert np.isinf(table.error_bar[0])


def one_sided(difference, *, noise=1e-16, steps=14):
    """Return the table of differences of one side."""
    table = OneSided((1,))
    for k in range(steps):
        step = RATIO**k / 4
        table.add(np.array([difference(step)]), np.array([noise / step]))
    return table


def test_large_steps_that_agreed_by_chance_are_forgotten_once_smaller_ones_agree_closely():
    # The secants of two large steps are the same, of a slope that is another.
    table = one_sided(lambda h: 3 + 0.8 * h - 2.56 * h**2, noise=1e-18)
    assert abs(table.value[0] - 3) <= table.error_bar[0] < 1e-9
    assert table.conflicts[0] == 0


@pytest.mark.parametrize(
    "difference", [np.log, lambda h: (-1.0) ** round(np.log2(h) / 2)], ids=["log", "leaps"]
)
def test_what_has_no_limit_is_not_forgiven(difference):
    table = one_sided(lambda h: 1e3 * difference(h), noise=1e-9)
    assert not (table.conflicts[0] == 0 and table.error_bar[0] < 1)


@pytest.mark.parametrize("power", [0.2, 0.5, 0.75, 1, 1.3, 2])
def test_whatever_the_leading_power_on_one_side_the_error_bar_covers(power):
    table = one_sided(lambda h: 3 + h**power * np.exp(h) + h)
    assert abs(table.value[0] - 3) <= table.error_bar[0] < 1e-5


def test_whole_powers_alone_would_be_off_by_more_than_their_error_bar():
    table = Extrapolation((1, 2, 3, 4, 5), (1,))
    for k in range(14):
        table.add(np.array([3 + RATIO ** (0.2 * k)]), np.array([1e-16]))
    assert abs(table.value[0] - 3) > 3 * table.error_bar[0]


@pytest.mark.parametrize(
    "difference", [lambda h: h**-0.5, np.log, lambda h: h**0.01], ids=["pole", "log", "slow"]
)
def test_what_has_no_limit_in_sight_on_one_side_has_no_error_bar(difference):
    assert one_sided(difference).error_bar[0] > 0.1


def test_logarithmic_convergence_on_one_side_is_not_taken_for_a_power():
    table = one_sided(lambda h: 1 / np.log(1 / h))
    assert abs(table.value[0]) <= 3 * table.error_bar[0]
