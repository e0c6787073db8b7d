"""What jvp claims along directions: each output by itself, or contracted where there are many."""

import numpy as np
import pytest

from gradlab.checks.directions import Directions
from gradlab.checks.rows import KEPT
from gradlab.checks.tangent_claims import TangentClaims
from gradlab.numerics.places import PER_SIDE
from gradlab.point.problem import Problem

X = np.array([0.5, -2.0, 4.0])


def problem_of(forward=np.sin, jvp=lambda t, x: np.cos(x) * t, x=X, **options):
    return Problem(forward, None, x, jvp=jvp, **options)


def test_claims_along_entries_are_the_jacobian_times_their_lengths():
    problem = problem_of()
    directions = Directions.of(problem, {0: None})
    claim, size = (
        TangentClaims(problem, None, problem.wrt).where_there_is_room(directions.count).along(directions)
    )
    np.testing.assert_allclose(claim, np.diag(np.cos(X)) * directions.divisors[:, np.newaxis])
    np.testing.assert_array_equal(size, np.abs(claim))


def test_many_outputs_are_contracted():
    problem = problem_of()
    directions = Directions.of(problem, {0: None}, [{0: X}])
    by_output = TangentClaims(problem, None, problem.wrt).where_there_is_room(directions.count)
    contracted = TangentClaims(problem, None, problem.wrt).where_there_is_room(KEPT)
    assert (by_output.by_output, contracted.by_output) == (True, False)
    claim, size = contracted.along(directions)
    np.testing.assert_allclose(claim, by_output.along(directions)[0] @ contracted.upstreams.T)
    # Along many entries the terms are larger than their sum.
    np.testing.assert_allclose(size[-1], np.linalg.norm(by_output.along(directions)[0][-1]), rtol=0.5)


def test_a_jvp_that_lost_digits_scatters_and_an_exact_one_does_not():
    def coarse(t, x):
        return (np.cos(x) + 1e6 - 1e6) * t

    problem = problem_of()
    directions = Directions.of(problem, {0: None})
    exact, _ = TangentClaims(problem, None, (0,)).errors_along(directions)
    rough, _ = TangentClaims(problem_of(jvp=coarse), None, (0,)).errors_along(directions)
    assert exact.max() < 1e-12
    assert 1e-11 < np.diag(rough / directions.divisors[:, np.newaxis]).max() < 1e-8


def test_rounding_may_depend_on_the_tangent_alone():
    def through_logarithms(t, x):
        with np.errstate(divide="ignore"):
            return np.sign(t) * np.exp(np.log(np.abs(t)) + 1e4 - 1e4) * np.cos(x)

    problem = problem_of(jvp=through_logarithms)
    rough, _ = TangentClaims(problem, None, (0,)).errors_along(Directions.of(problem, {0: None}))
    assert 1e-13 < np.diag(rough).min() < 1e-10


def test_a_leap_at_a_kink_is_no_rounding():
    problem = problem_of(lambda x: np.maximum(x, 0), lambda t, x: (x > 0) * t, np.array([1e-5, 1.0]))
    directions = Directions.of(problem, {0: None})
    _, rounding = TangentClaims(problem, None, (0,)).errors_along(directions)
    assert rounding.max() < 1e-12


@pytest.mark.parametrize("count", [1, 3])
def test_caches_of_the_points_around_are_made_once(count):
    problem = problem_of(lambda x: (np.sin(x), x), lambda t, x: np.cos(x) * t, cached=True)
    claims = TangentClaims(problem, None, (0,))
    for _ in range(count):
        claims.errors_along(Directions.of(problem, {0: None}))
    assert problem.forward_calls == 1 + 2 * PER_SIDE


def test_in_float64():
    problem = problem_of(x=X.astype(np.float32), jvp=lambda t, x: (np.cos(x) + x.dtype.type(1)) * t)
    directions = Directions.of(problem, {0: None})
    exact = TangentClaims(problem, None, (0,)).in_float64_along(directions)
    x = X.astype(np.float32).astype(float)
    np.testing.assert_allclose(np.diag(exact), (np.cos(x) + 1) * directions.divisors, rtol=1e-15)


def test_no_direction_is_no_claim():
    problem = problem_of()
    claim, size = TangentClaims(problem, None, (0,)).along(Directions.of(problem, {}))
    assert claim.shape == size.shape == (0, 3)
