"""What values may be off by: the level of what scatters, and nothing of what is continuous."""

import numpy as np
import pytest

from gradlab.numerics.grids import binary_grid
from gradlab.numerics.noise import output_noise, scatter
from gradlab.numerics.places import SPACING
from gradlab.numerics.rounding import rounding_of_values

EPS = float(np.finfo(np.float64).eps)
LEVELS = [1e-12, 1e-9, 1e-6]


def noise_of(function, *, lines=2):
    """Return the noise of a function of one number, along some lines of different slopes."""
    slopes = (1.0, 1.3, -0.7)[:lines]
    output = np.array([function(0.0)])
    found = output_noise([lambda t, s=s: np.array([function(s * t)]) for s in slopes], output, EPS).values
    return float(found[0])


@pytest.mark.parametrize("level", LEVELS)
def test_random_noise_is_covered_and_not_by_far_more(level):
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found.append(noise_of(lambda t, rng=rng: np.sin(1 + t) + level * rng.standard_normal()))
    assert level / 2 < min(found)
    assert level < np.median(found)
    assert max(found) < 30 * level


@pytest.mark.parametrize("height", [1e-9, 1e-7])
@pytest.mark.parametrize("seed", range(4))
def test_steps_of_a_quantised_function_are_noise(height, seed):
    offset = np.random.default_rng(seed).uniform()
    assert noise_of(lambda t: t + height * np.floor(t / height + offset)) > height / 4


@pytest.mark.parametrize("seed", range(4))
def test_noise_that_is_as_high_is_noise(seed):
    rng = np.random.default_rng(seed)
    assert noise_of(lambda t: t + 1e-4 * rng.standard_normal()) > 1e-4


@pytest.mark.parametrize("weights", [(1.0, -1.0), (-1.3, 0.4)])
def test_noise_that_cancels_between_outputs_is_noise(weights):
    rng = np.random.default_rng(0)

    def at(t):
        return np.array(weights) * (1 + t + 1e-10 * rng.standard_normal())

    assert (output_noise([at], np.array(weights), EPS).values > 1e-10 * np.abs(weights)).all()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("level", [1e-15, 1e-17])
def test_noise_beside_a_minimum_is_seen_under_what_bends(level, seed):
    rng = np.random.default_rng(seed)
    assert noise_of(lambda t: (1e-8 + t) ** 2 + level * rng.standard_normal(), lines=1) > level / 2


@pytest.mark.parametrize("seed", range(30))
def test_rounding_that_happens_to_bend_little_at_equal_distances_is_noise(seed):
    x, direction, kernel = 1e8 * np.random.default_rng(seed).standard_normal((3, 6))

    def filtered(t):
        return np.fft.ifft(np.fft.fft(x + t * direction) * np.fft.fft(kernel)).imag

    assert (
        output_noise([filtered], filtered(0.0), EPS).values > 0.01
    ).all()  # beside 1e16, which is rounded to 2


@pytest.mark.parametrize("factor", [1.0, 1000.0])
def test_what_is_lost_beside_something_large_is_noise_whatever_the_unit_is(factor):
    assert noise_of(lambda t: factor * ((1e12 + (0.7 + t)) - 1e12)) > 1e-4 * factor


@pytest.mark.parametrize("factor", [1e5, 1e8, 640.0])
def test_whole_numbers_times_a_number_are_no_noise(factor):
    assert noise_of(lambda t: factor * np.floor(3.3 + 2 * t)) < 1e-10 * factor


@pytest.mark.parametrize("count", [1, 2, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_kinks_are_no_noise(count, seed):
    places = SPACING * np.random.default_rng(seed).uniform(-4, 4, count)
    assert noise_of(lambda t: 1 + np.maximum(t - places, 0).sum() / count) < 1e-12


@pytest.mark.parametrize(
    "function",
    [np.cos, np.exp, lambda t: np.tanh(1e3 * t), lambda t: np.sin(1e3 + 1e4 * t), lambda t: 1 / (1e-4 + t)],
    ids=["cos", "exp", "steep", "wavy", "beside a pole"],
)
def test_smooth_function_has_rounding_alone(function):
    assert noise_of(function) <= 100 * EPS * max(1.0, abs(function(0.0)))


@pytest.mark.parametrize("place", SPACING * np.array([-2.3, 0.4, 1.7, 5.9]))
@pytest.mark.parametrize(
    "function",
    [
        lambda t: np.tanh(1e9 * t),
        lambda t: np.sqrt(abs(t)),
        np.cbrt,
        lambda t: 1e-6 / t,
        lambda t: 1e-12 / t**2,
        lambda t: 1 / (1 + (1e8 * t) ** 2),
    ],
    ids=["step", "root", "cube root", "pole", "square pole", "bump"],
)
def test_what_is_steep_beside_the_point_is_no_noise(function, place):
    assert noise_of(lambda t: 2 + function(t - place)) <= 100 * EPS * abs(2 + function(-place))


@pytest.mark.parametrize("curvature", [2.0, 5.0, 10.0])
def test_what_bends_quickly_is_no_noise(curvature):
    """A third power of the spacing would be from 10 to 2,000 roundings."""
    assert noise_of(lambda t: np.sin(1 + curvature * t)) <= 4 * EPS


def test_noise_is_no_less_than_rounding():
    assert noise_of(lambda t: 2.0) == rounding_of_values(np.array([2.0]), EPS)[0]
    assert noise_of(lambda t: 2.0, lines=0) == rounding_of_values(np.array([2.0]), EPS)[0]


def test_steps_too_long_to_be_seen_close_by_are_seen_from_afar():
    # Rounded to multiples of 2: nothing moves before the input has moved by one.
    found = noise_of(lambda t: float(np.float32(2.0**24) + np.float32(2 * t)))
    assert found >= 1


def test_what_is_not_finite_shows_nothing():
    def half(t):
        return np.where(t >= 0, 1.0 + t, np.nan)

    assert noise_of(half) <= 100 * EPS


def test_none_of_many_outputs_is_taken_for_far_less_noisy_than_the_others():
    rng, output = np.random.default_rng(0), np.ones(20_000)
    quiet = np.arange(output.size) == 7

    def at(t):
        return output + np.where(quiet, 0.0, 1e-9 * rng.standard_normal(output.size))

    found = output_noise([at], output, EPS).values
    assert found.min() > 1e-11


@pytest.mark.parametrize("count", [1, 30, 20_000])
def test_ever_fewer_of_many_outputs_leap_as_places_become_narrower(count):
    x = np.random.default_rng(0).uniform(1, 2, count)

    def at(t):
        return np.float32(np.sin(x * (1 + t)) - np.cos(x * (1 + t))).astype(float) - 1e-3

    assert np.median(output_noise([at], at(0.0), EPS).values) > 1e-8


def test_outputs_that_are_nothing_but_noise_say_nothing_of_the_others():
    rng, output = np.random.default_rng(0), np.ones(200)
    output[20:] = 0.0
    line = lambda t: (1 + t) * output + 1e-16 * rng.standard_normal(output.size)  # noqa: E731
    assert output_noise([line], output, EPS).values.max() < 1e-14


def test_no_more_calls_than_there_are():
    assert output_noise([lambda t: None], np.ones(1), EPS).values[0] == rounding_of_values(np.ones(1), EPS)[0]


class TestGrid:
    X = np.linspace(1, 2, 7)[:, np.newaxis]
    ROUNDING = 1e-15  # no multiples of more than this are those of float64, whatever the values mean

    @pytest.mark.parametrize("dtype", [np.float32, np.float16])
    def test_that_of_a_narrower_dtype(self, dtype):
        values = self.X.astype(dtype).astype(float)
        assert binary_grid(values)[0] == np.finfo(dtype).eps

    def test_none_of_float64(self):
        assert binary_grid(np.sin(self.X))[0] < self.ROUNDING

    @pytest.mark.parametrize("decimals", [1, 3])
    def test_none_of_a_staircase_that_was_written_on_purpose(self, decimals):
        assert binary_grid(np.round(self.X * 1.2345, decimals))[0] < self.ROUNDING

    def test_how_many_values_it_rests_on(self):
        assert binary_grid(np.array([[1.0], [1.5], [1.0], [1.5]]))[1] == 2

    def test_none_of_zeros(self):
        assert binary_grid(np.zeros((5, 1)))[0] == 0

    def test_of_every_component_by_itself(self):
        both = np.concatenate([self.X.astype(np.float32).astype(float), np.sin(self.X)], axis=1)
        single, double = binary_grid(both)[0]
        assert single == np.finfo(np.float32).eps
        assert double < self.ROUNDING


@pytest.mark.parametrize("level", LEVELS)
def test_scatter_is_within_a_factor_of_three(level):
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1e-6, 7)[:, np.newaxis]
    sides = [np.sin(1 + sign * t) + level * rng.standard_normal((7, 200)) for sign in (1, -1)]
    assert level / 3 < np.median(scatter(sides)) < 3 * level


@pytest.mark.parametrize("edge", [-1.0, -1e9, -1e30])
def test_digits_of_large_numbers_afar_are_no_noise_of_zero(edge):
    """What is zero here, and large from afar, is rounded there, and by the grid of the inputs."""
    assert noise_of(lambda t: max(edge + abs(edge) * t, 0.0)) == rounding_of_values(np.zeros(1), EPS)[0]
