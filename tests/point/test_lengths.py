"""Scales of small entries beside far larger ones."""

import numpy as np
import pytest

from gradlab.point.problem import Problem
from gradlab.point.resources import Resources

HALF = 1500


def softmax(scores):
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def scales_of(forward, x, **options):
    problem = Problem(forward, None, np.asarray(x), **options)
    before = problem.forward_calls
    return problem.scale(0), problem.forward_calls - before


@pytest.mark.parametrize("mask", [-1e4, -1e9, -1e30, np.finfo(np.float32).min])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_a_softmax_does_not_see_sets_no_scale(mask, dtype):
    scores = np.random.default_rng(0).normal(size=(4, 6)).astype(dtype)
    masked = np.where(np.arange(6) < 3, scores, dtype(mask))
    scale, calls = scales_of(softmax, masked)
    assert (scale[:, :3] == scales_of(softmax, scores[:, :3])[0]).all()
    assert (scale[:, 3:] == abs(masked[0, 3])).all()
    assert calls == 9


def test_zeros_beside_masks_have_the_scale_of_zeros():
    scale, _ = scales_of(softmax, [[0.0, 0.0, -1e9]])
    np.testing.assert_array_equal(scale, [[1, 1, 1e9]])


@pytest.mark.parametrize(
    ("forward", "calls"),
    [
        (lambda x: 3 * x, 3),  # straight on the scale of all
        (lambda x: x**2, 3),  # or a parabola
        (lambda x: np.sin(1e6 * x), 9),  # what is small moves it next to nothing
        (lambda x: np.sum(np.sin(1e6 * x)), 9),  # or nothing at all
    ],
)
def test_what_is_small_by_rounding_alone_has_the_scale_of_all(forward, calls):
    x = np.array([1.0, 6e-17, -6e-17, -1.0])
    scale, made = scales_of(forward, x)
    assert scale[1] == scale[2] == 0.1 * np.sqrt(0.5)
    assert made == calls


def test_magnitudes_without_a_gap_take_no_calls():
    assert scales_of(np.tanh, np.geomspace(1e-6, 1e6, 30))[1] == 0


def test_several_gaps_are_looked_at_one_after_the_other():
    scale, calls = scales_of(lambda x: np.tanh(x) + np.tanh(1e6 * x), [1e-6, -2e-6, 0.3, 1e9, -1e9])
    assert (scale[:2] < 1e-5).all()
    assert scale[2] < 1
    assert calls <= 18


def test_no_call_is_made_beyond_those_that_are_left():
    x = np.array([1.0, -1e9])
    scale, calls = scales_of(np.tanh, x, resources=Resources(max_calls=8))
    assert calls == 0
    assert scale[0] > 1e7
