"""What backward says, in parts of the upstream gradient, and what its answers may be off by."""

import numpy as np
import pytest

from gradlab.checks.claims import MOST, claims_of, noise_floor
from gradlab.point.problem import Problem
from gradlab.point.returned import read_gradients

X = np.array([0.5, -1.0, 2.0, 1.5])


def claims(forward, backward, x=X, **options):
    problem = Problem(forward, backward, x, seed=0, **options)
    return claims_of(problem, read_gradients(problem, problem.call_backward())[0])


def scaled(c):
    """Return the claims of ``c sin x``."""
    return claims(lambda x: c * np.sin(x), lambda dy, x: dy * c * np.cos(x))


class TestParts:
    @pytest.mark.parametrize("c", [np.ones(4), np.array([1.0, 1e3, 1.0, 1e-2]), np.zeros(4)])
    def test_outputs_of_similar_magnitude_are_one(self, c):
        assert len(scaled(c).gradients) == 1

    def test_outputs_of_very_different_magnitude_are_apart(self):
        found = scaled(np.array([1.0, 1e16, 1.0, 1e16]))
        assert [np.flatnonzero(u).tolist() for u in found.upstreams] == [[1, 3], [0, 2]]

    def test_parts_add_up_to_the_whole(self):
        found = scaled(np.array([1.0, 1e16, 1e8, 1e30]))
        np.testing.assert_array_equal(found.upstreams.sum(axis=0), found.problem.grad_output)
        assert 1 < len(found.gradients) <= MOST

    def test_backward_that_cannot_be_called_again_is_taken_whole(self):
        calls = iter([1])
        c = np.array([1.0, 1e16, 1.0, 1e16])

        def once(dy, x):
            next(calls)
            return dy * c * np.cos(x)

        assert len(claims(lambda x: c * np.sin(x), once).gradients) == 1

    def test_output_that_may_be_nothing_but_rounding_is_no_part(self):
        c = np.array([1.0, 1e16, 1e-2, 1e16])

        def parts(*floor):
            rule = lambda x: c * np.sin(x), lambda dy, x: dy * c * np.cos(x)
            upstreams = claims(*rule, noise_floor=np.array(floor)).upstreams
            return [np.flatnonzero(u).tolist() for u in upstreams]

        assert parts(0.1, 1.0, 0.1, 1.0) == [[1, 2, 3], [0]]
        assert parts(10.0, 1.0, 10.0, 1.0) == [[0, 1, 2, 3]]


class TestNoiseFloor:
    def test_it_is_a_few_roundings_of_the_outputs_beside_the_input(self):
        (floor,) = noise_floor(claims(lambda x: 1e8 + x.sum(), lambda dy, x: dy * np.ones(4))).values()
        influence = floor * np.abs(X)
        assert influence.min() > 1e-8
        assert influence.max() < 1e-5

    def test_it_is_that_of_the_outputs_that_depend_on_the_input(self):
        c = np.array([1.0, 1e16, 1e-2, 1e16])
        (floor,) = noise_floor(claims(lambda x: c * np.sin(x), lambda dy, x: dy * c * np.cos(x))).values()
        assert (floor[[0, 2]] < 1e-12).all()
        assert (floor[[1, 3]] > 1).all()


class TestRounding:
    def test_it_is_a_few_roundings_of_a_smooth_gradient(self):
        found = scaled(np.ones(4))
        size = np.abs(found.gradients[0][0]).max()
        assert 0 < found.rounding[0][0].max() < 1e-13 * size

    def test_it_is_what_is_left_where_large_terms_cancel(self):
        found = claims(lambda x: x, lambda dy, x: dy * ((1e8 + x) - 1e8) / x)
        assert found.rounding[0][0].max() > 1e-9

    def test_it_may_depend_on_the_upstream_gradient_alone(self):
        def backward(dy, x):
            return np.sign(dy) * np.exp(np.log(np.abs(dy)) + 1e4 - 1e4) - dy

        found = claims(lambda x: 0 * x, backward)
        assert 1e-13 < found.rounding_of(0, vanishes=True).min() < 1e-10

    def test_leap_of_a_gradient_at_a_kink_is_no_rounding(self):
        x = np.array([1.0, -2.0, 0.5])
        found = claims(lambda x: np.abs(x - 1), lambda dy, x: dy * np.sign(x - 1), x)
        assert found.rounding[0][0].max() < 1e-12

    def test_digits_that_most_entries_lost_are_no_rounding_of_the_others(self):
        x = np.array([1.8, 2.0, 1.5, 1.7, 0.1])
        found = claims(lambda x: x**2, lambda dy, x: (2 * x * dy).astype(np.float32).astype(float), x)
        assert found.changes[0][0][-1]
        assert not found.rounding[0][0].any()

    def test_gradient_that_is_nothing_but_rounding_may_be_any_of_it(self):
        rng = np.random.default_rng(0)
        found = claims(lambda x: 0 * x, lambda dy, x: 1e-17 * rng.standard_normal(x.shape))
        assert found.rounding_of(0, vanishes=True).min() > 1e-18


def test_outputs_can_be_left_out():
    without = scaled(np.ones(4)).without(np.array([True, False, False, True]))
    np.testing.assert_array_equal(without.gradients[0][0] != 0, [False, True, True, False])


def test_in_float64_backward_is_given_everything_in_float64():
    x = X.astype(np.float32)
    found = claims(np.sin, lambda dy, x: dy * np.cos(x), x)
    exact = found.in_float64[0][0]
    np.testing.assert_allclose(exact, found.upstreams[0] * np.cos(x.astype(float)), rtol=1e-15)
