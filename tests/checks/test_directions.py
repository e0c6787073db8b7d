"""Directions: how they project gradients, and what forward does along them."""

import numpy as np
import pytest

from gradlab.checks.directions import Directions, movable
from gradlab.point.problem import Problem
from gradlab.point.resources import Resources

X, W = np.array([[0.5, -1.0], [2.0, 1e-6]]), np.array([3.0, -0.25])


def forward(x, w):
    return np.tanh(x) @ w


def backward(dy, x, w):
    return np.outer(dy, w) * (1 - np.tanh(x) ** 2), np.tanh(x).T @ dy


@pytest.fixture
def problem():
    return Problem(forward, backward, (X, W))


@pytest.fixture
def directions(problem):
    joint = [{0: np.ones((2, 2)), 1: np.array([0.0, 2.0])}]
    return Directions.of(problem, {0: None, 1: np.array([1])}, joint)


def test_single_entries_come_first_and_are_as_long_as_they_are(directions):
    assert (directions.singles, directions.count) == (5, 6)
    assert directions.position.tolist() == [0, 0, 0, 0, 1]
    assert directions.entries.tolist() == [0, 1, 2, 3, 1]
    np.testing.assert_allclose(np.abs(directions.length[[0, 1, 2, 4]]), [0.5, 1, 2, 0.25], rtol=1e-3)


def test_projection_is_the_influence(directions):
    gradients = dict(enumerate(backward(np.ones(2), X, W)))
    expected = [*(gradients[0].ravel() * directions.length[:4]), gradients[1][1] * directions.length[4]]
    expected.append(gradients[0].sum() + 2 * gradients[1][1])
    np.testing.assert_allclose(directions.project(gradients), expected)


def test_errors_of_single_entries_are_independent(directions):
    errors = {0: np.full((2, 2), 1e-3), 1: np.zeros(2)}
    spread = directions.spread(errors)
    np.testing.assert_allclose(spread[:4], 1e-3 * np.abs(directions.length[:4]))
    assert spread[-1] == pytest.approx(2e-3)


def test_evaluation_gives_the_change_of_all_outputs_on_both_sides(problem, directions):
    step, seen = 2.0**-6, []
    for rows, plus, minus in directions.evaluator(problem)(np.arange(6), step):
        for row, up, down in zip(rows, plus, minus, strict=True):
            seen.append(int(row))
            x, w = np.zeros_like(X), np.zeros_like(W)
            if row < 5:
                (x, w)[directions.position[row]].flat[directions.entries[row]] = directions.length[row]
            else:
                x, w = np.ones((2, 2)), np.array([0.0, 2.0])
            for change, t in ((up, step), (down, -step)):
                np.testing.assert_allclose(
                    change, forward(X + t * x, W + t * w) - forward(X, W), rtol=1e-9, atol=1e-15
                )
    assert sorted(seen) == list(range(6))


def test_evaluation_ends_where_no_call_is_left():
    problem = Problem(forward, backward, (X, W), resources=Resources(max_calls=6))
    directions = Directions.of(problem, {0: None})
    rows = np.concatenate([block for block, *_ in directions.evaluator(problem)(np.arange(4), 1 / 8)])
    assert rows.tolist() == [0, 1]
    assert problem.forward_calls == 5


def test_some_of_them_keep_their_order(directions):
    some = directions.some(np.array([1, 4, 5]))
    assert (some.entries.tolist(), some.position.tolist(), len(some.joint)) == ([1, 1], [0, 1], 1)


def test_closer_ones_move_small_entries_by_their_own_size(problem, directions):
    closer = directions.closer(problem)
    assert abs(closer.length[3]) == pytest.approx(1e-6, rel=1e-3)
    np.testing.assert_array_equal(closer.length[:3], directions.length[:3])
    assert np.abs(closer.joint[0][0][1, 1]) == pytest.approx(1e-6, rel=1e-3)


def test_there_are_none_closer_where_all_entries_are_alike():
    problem = Problem(np.sin, np.cos, np.array([1.0, -1.0]))
    assert Directions.of(problem, {0: None}).closer(problem) is None


def test_entries_that_are_constants_do_not_move():
    problem = Problem(lambda x: np.nan_to_num(x) * 2, lambda dy, x: 2 * dy, np.array([1.0, np.nan, 2.0]))
    assert movable(problem, 0).tolist() == [0, 2]
    np.testing.assert_array_equal(problem.direction(0, np.ones(3)), [1, 0, 1])
