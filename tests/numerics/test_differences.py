import numpy as np
import pytest

from gradlab.numerics.differences import ladder, random_direction, richardson, scales
from gradlab.numerics.jacobian import jacobian
from gradlab.numerics.noise import noise_level

EPS = np.finfo(float).eps


def derivative(function, x, *, scale=1.0, noise=None):
    y = function(x)

    def sample(h):
        plus, minus = x + h * scale, x - h * scale
        return np.array([function(plus) - y]), np.array([function(minus) - y]), plus - minus

    noise = EPS * abs(y) if noise is None else noise
    return richardson(sample, ladder(1 / 8, 7), noise=np.array([noise]), eps=EPS)


@pytest.mark.parametrize(
    ("function", "slope", "x"),
    [
        (np.sin, np.cos, 1.0),
        (np.exp, np.exp, 3.0),
        (np.tanh, lambda x: 1 / np.cosh(x) ** 2, 0.3),
        (lambda x: x**5, lambda x: 5 * x**4, -1.5),
        (lambda x: 1 / x, lambda x: -1 / x**2, 0.7),
    ],
)
def test_error_bar_covers_the_truth_and_is_narrow(function, slope, x):
    found = derivative(function, x, scale=abs(x))
    assert abs(found.value[0] - slope(x)) <= found.error_bar[0] <= 1e-9 * abs(slope(x))


def test_wrong_derivative_lies_outside_the_error_bar():
    found = derivative(np.sin, 1.0)
    assert abs(found.value[0] - np.cos(1.0) * (1 + 1e-8)) > found.error_bar[0]


def test_steps_outside_the_domain_are_dropped():
    with np.errstate(invalid="ignore"):
        found = derivative(np.log, 0.01, scale=1.0)
    assert abs(found.value[0] - 100) <= found.error_bar[0] < 1e-3


def test_nothing_finite_leaves_an_infinite_error_bar():
    found = richardson(
        lambda h: (np.array([np.nan]), np.array([np.nan]), 2 * h), ladder(1 / 8, 7), noise=np.ones(1), eps=EPS
    )
    assert np.isinf(found.error_bar[0])


def test_noise_widens_the_error_bar():
    quiet, noisy = derivative(np.sin, 1.0), derivative(np.sin, 1.0, noise=1e-6)
    assert noisy.error_bar[0] > 1e3 * quiet.error_bar[0]


def test_jacobian_of_a_linear_map_is_its_matrix():
    a = np.arange(6.0).reshape(2, 3) - 2.5
    x = np.array([1.0, -2.0, 0.5])
    found, bars = jacobian(lambda x: a @ x, x, output=a @ x, noise=EPS * np.abs(a @ x), eps=EPS)
    assert (np.abs(found - a) <= bars + 1e-15).all()
    assert bars.max() < 1e-12


def test_scale_is_the_entry_or_a_tenth_of_the_typical_one():
    np.testing.assert_allclose(scales(np.array([3.0, 1e-9])), [3.0, 0.3 / np.sqrt(2)])
    np.testing.assert_array_equal(scales(np.zeros(2)), [1.0, 1.0])
    np.testing.assert_allclose(scales(np.full(3, 1e300)), 1e300)
    np.testing.assert_allclose(scales(np.full(3, 1e-300)), 1e-300)


def test_random_direction_moves_every_entry_on_its_scale():
    x = np.array([1e-3, 1.0, -2.0])
    ratio = np.abs(random_direction(x, np.random.default_rng(0))) / scales(x)
    assert ((ratio >= 1) & (ratio <= 2)).all()
    assert len(set(ratio)) == 3


@pytest.mark.parametrize("level", [1e-12, 1e-8, 1e-3])
def test_noise_is_estimated_within_a_factor_of_three(level):
    rng = np.random.default_rng(0)
    t = np.linspace(-1e-6, 1e-6, 7)[:, np.newaxis]
    estimates = noise_level(list(np.sin(1 + t) + level * rng.standard_normal((7, 200))))
    assert level / 3 < np.median(estimates) < 3 * level


def test_smooth_function_shows_no_noise():
    t = np.linspace(-1e-2, 1e-2, 7)[:, np.newaxis]
    assert noise_level(list(1 + t + t**2))[0] < 1e-12
