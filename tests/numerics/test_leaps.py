import numpy as np
import pytest

from gradlab.numerics.leaps import leap, leaps_by
from gradlab.numerics.noise import SPACING

HEIGHT = 1e-9  # of what is to be told


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("height", [1e-9, 1e-7])
def test_what_leaps_keeps_its_height(height, seed):
    offset = np.random.default_rng(seed).uniform()

    def quantised(t):
        return t + height * np.floor(t / height + offset)

    assert 0.9 * height <= leap(quantised, SPACING) <= 4 * height


@pytest.mark.parametrize("seed", range(10))
def test_random_noise_keeps_its_level(seed):
    rng = np.random.default_rng(seed)
    found = leap(lambda t: np.sin(1 + t) + HEIGHT * rng.standard_normal(), SPACING)
    assert 0.5 * HEIGHT < found < 20 * HEIGHT


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("count", [1, 2, 1000])
def test_kinks_leave_nothing(count, seed):
    places = SPACING * np.random.default_rng(seed).uniform(-4, 4, count)

    def kinked(t):
        return np.maximum(t - places, 0).sum() / count

    assert leap(kinked, SPACING) < 1e-3 * SPACING


def test_whether_it_leaps_takes_fewer_calls_than_by_how_much():
    def calls(ask):
        seen = []

        def quantised(t):
            seen.append(t)
            return np.floor(t / HEIGHT)

        ask(quantised)
        return len(seen)

    everything = calls(lambda at: leap(at, SPACING))
    assert calls(lambda at: leaps_by(0.1, at, SPACING)) < everything / 1.5
    assert calls(lambda at: leaps_by(1e9, at, SPACING)) < everything / 2


@pytest.mark.parametrize("seed", range(10))
def test_leaps_are_told_from_kinks(seed):
    place = SPACING * np.random.default_rng(seed).uniform(-3, 3)
    assert leaps_by(HEIGHT, lambda t: t + 2 * HEIGHT * (t > place), SPACING)
    assert not leaps_by(HEIGHT, lambda t: np.abs(t - place) / 10, SPACING)


def test_what_is_not_finite_tells_nothing():
    assert np.isnan(leap(lambda t: np.nan, SPACING))
    assert leaps_by(HEIGHT, lambda t: np.nan, SPACING)


@pytest.mark.parametrize("seed", range(5))
def test_many_bends_that_vanish_late_make_the_search_no_longer(seed):
    nodes, calls = np.linspace(-5, 5, 2561) * SPACING, []
    values = HEIGHT * np.random.default_rng(seed).standard_normal(nodes.size)

    def rough(t):
        calls.append(t)
        return np.interp(t, nodes, values)

    assert not leaps_by(HEIGHT / 2, rough, SPACING)
    assert len(calls) < 250
