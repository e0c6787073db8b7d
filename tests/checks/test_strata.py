"""Entries of similar influence move together; two neighbouring strata along one direction where they may."""

import numpy as np
import pytest

import gradlab.checks.one_point
from gradlab import gradcheck
from gradlab.checks.claims import claims_of
from gradlab.checks.locate import locate
from gradlab.checks.maps import FirstAnswer, backward_map
from gradlab.checks.strata import along_strata, strata
from gradlab.checks.stratum import DAMPED
from gradlab.point.problem import Problem

DECADES = np.array([1.0, 1e-4, 1e-8, 1e-10, 0.0])  # of influence: each of a stratum of its own


def signs(size, seed=0):
    return np.random.default_rng(seed).choice([-1.0, 1.0], size)


def of_levels(*levels, size=1200):
    """Return weights whose influences are factors of 1,000 apart, the largest first, in equal numbers."""
    return np.random.default_rng(0).uniform(1, 2, size) * np.repeat(
        [1e-3**k for k in levels], size // len(levels)
    )


def directions(forward, backward, x, rtol=1e-7, **options):
    problem = Problem(forward, backward, x, seed=0, **options)
    first = FirstAnswer.ask(backward_map(problem))
    claims = claims_of(problem, first.answer)
    return [*along_strata(claims, 0, rtol, np.random.default_rng(0), twice=False)]


def weighted(weight, offset=0.0):
    """Return a rule whose gradient has entries of any sizes."""
    return lambda x: (np.sin(x) * weight).sum() + offset, lambda dy, x: dy * np.cos(x) * weight


def test_similar_weights_are_together_and_zeros_apart():
    weight = np.array([[1.0, 0.3, 2e-4], [0.0, 1e-5, 1e-30]])
    labels, levels = strata([weight], np.ones((2, 3)))
    np.testing.assert_array_equal(labels, [[0, 0, 1], [3, 1, 2]])
    assert levels == [0, 1, 3, 4]
    labels, levels = strata([np.ones((2, 3))], weight)
    np.testing.assert_array_equal(labels, [[0, 0, 1], [3, 1, 2]])
    labels, levels = strata([np.zeros(3)], np.ones(3))
    np.testing.assert_array_equal(labels, [0, 0, 0])
    number = np.array(2.0)
    labels, levels = strata([number, -number], np.ones(()))
    assert (labels, levels) == (0, [0])


def test_entries_that_cannot_matter_have_no_stratum_of_their_own():
    np.testing.assert_array_equal(strata([DECADES], np.ones(5))[0], [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(strata([DECADES], np.ones(5), rtol=1e-7)[0], [0, 1, 2, 2, 3])


def test_neighbouring_strata_are_joined_and_all_entries_contribute_alike():
    weight = of_levels(0, 1)
    (only,) = directions(*weighted(weight), signs(1200))
    moved = np.abs(only[0])
    assert moved.min() > 0
    assert moved[:600].max() <= 2 * DAMPED < 1 <= moved[600:].min()
    assert np.ptp(np.log2(np.abs(weight * moved))) < 3


@pytest.mark.parametrize(
    ("levels", "rtol", "offset", "joined"),
    [
        ((0, 1, 2), 1e-7, 0.0, [True, False]),
        ((0, 2), 1e-9, 0.0, [False, False]),  # they are no neighbours
        ((0, 1), 1e-7, 1e6, [False, False]),  # rounding hides what moves less
    ],
)
def test_what_is_joined(levels, rtol, offset, joined):
    found = directions(*weighted(of_levels(*levels), offset), signs(1200), rtol)
    assert [d.joined for d in found] == joined
    # Every entry moves along one of them, by all that it may.
    assert (sum((np.abs(d[0]) >= DAMPED).astype(int) for d in found) == 1).all()


def test_zeros_and_entries_that_have_bounds_are_not_joined():
    weight = np.repeat([1.0, 0.0], 600)
    forward, backward = weighted(weight)
    assert [d.joined for d in directions(forward, backward, signs(1200))] == [False, False]
    forward, backward = weighted(of_levels(0, 1))
    bounded = directions(forward, backward, signs(1200), bounds=(-1, 5))
    assert len(bounded) > 1
    assert not any(d.joined for d in bounded)


@pytest.mark.parametrize("k", [0, 599, 600, 1199])
def test_one_wrong_entry_of_joined_strata_is_caught_and_named(k, monkeypatch):
    forward, backward = weighted(of_levels(0, 1))
    x, calls = signs(1200), []
    report = gradcheck(forward, backward, x)
    assert report.forward_calls == 7
    assert report.inputs[0].resolution < 5e-3

    def counted(criteria, claims, probes):
        before = criteria.problem.forward_calls
        region = locate(criteria, claims, probes)
        calls.append(criteria.problem.forward_calls - before)
        return region

    def wrong(dy, x):
        dx = backward(dy, x)
        dx[k] *= 1.005
        return dx

    monkeypatch.setattr(gradlab.checks.one_point, "locate", counted)
    report = gradcheck(forward, wrong, x, raise_exception=False)
    assert report.inputs[0].wrong_entries == ((k,),)
    assert max(calls) <= 55  # most of them to confirm that one


@pytest.mark.parametrize("k", [1, 300, 599, 600, 1199])
def test_resolution_is_that_of_the_entry_that_moves_least(k):
    weight = np.r_[1.0, np.full(599, 2e-3), np.full(600, 9e-4)]  # of the upper stratum, 2e-3 of the largest
    forward, backward = weighted(weight)
    x = signs(1200)

    def wrong(dy, x):
        dx = backward(dy, x)
        dx[k] *= 1 + 4 * resolution
        return dx

    resolution = gradcheck(forward, backward, x).inputs[0].resolution
    assert gradcheck(forward, wrong, x, raise_exception=False).failed


def lost_in(offset):
    """Return a rule whose output is rounded, on the way, to what an offset leaves of it."""
    return lambda weight: lambda x: (np.sin(x) * weight).sum() + offset - offset


def test_strata_are_told_apart_where_noise_hides_one_of_both():
    """What is known by itself is not hidden by what cannot be told."""
    weight, x = of_levels(0, 1), signs(1200)
    forward = lost_in(1e9)(weight)

    def right(dy, x):
        return dy * np.cos(x) * weight

    def wrong(dy, x):
        dx = right(dy, x)
        dx[0] *= 1.5
        return dx

    assert gradcheck(forward, right, x, rng=1).passed
    assert gradcheck(forward, wrong, x, rng=1, raise_exception=False).failed


@pytest.mark.parametrize("seed", range(6))
def test_stratum_that_is_hidden_beside_one_that_is_not_is_no_pass(seed):
    weight, x = np.r_[1.0, np.full(1199, 1.2e-6)], signs(1200)

    def wrong(dy, x):
        dx = dy * np.cos(x) * weight
        dx[5] *= 3
        return dx

    assert not gradcheck(lost_in(1e8)(weight), wrong, x, rng=seed, raise_exception=False).passed


@pytest.mark.parametrize("calls", [92, 96, 100, 104, 108])
def test_no_budget_loses_a_failure_that_was_found(calls):
    weight, x = of_levels(0, 1, 2), signs(1200)

    def wrong(dy, x):
        dx = dy * np.cos(x) * weight
        dx[0] *= 1.5
        return dx

    report = gradcheck(lost_in(1e8)(weight), wrong, x, rng=0, max_calls=calls, raise_exception=False)
    assert report.failed
