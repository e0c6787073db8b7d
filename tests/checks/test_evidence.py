import numpy as np
import pytest
from explaining import X, d_tanh

from gradlab.checks.directions import Directions
from gradlab.checks.evidence import entries_and_joint, gather
from gradlab.point.problem import Problem


def evidence(backward):
    """Return what is known of the gradient of tanh: single entries, and directions that move all of them."""
    problem = Problem(np.tanh, backward, (X,))
    return gather(problem, 0, entries_and_joint(problem, 0, [], np.random.default_rng(0)), rtol=1e-7)


def test_right_gradient_is_right():
    assert evidence(lambda u, x: u * d_tanh(x)).is_right()


def test_right_numbers_in_another_shape_are_right():
    found = evidence(lambda u, x: (u * d_tanh(x))[:, None])
    assert found.returned_shape(0) == (5, 1)
    assert found.is_right()


def test_one_wrong_entry_is_not_right():
    wrong = np.array([1, 1, 1, 1 + 1e-6, 1])
    assert not evidence(lambda u, x: wrong * u * d_tanh(x)).is_right()


def test_gradient_that_is_right_for_the_first_upstream_alone_is_not_right():
    assert not evidence(lambda u, x: u**2 * d_tanh(x)).is_right()  # the first is all ones


@pytest.mark.parametrize("answer", [lambda u, x: (u * d_tanh(x))[:4], lambda u, x: None])
def test_gradient_of_another_size_or_none_is_not_right(answer):
    found = evidence(answer)
    assert found.gradients is None
    assert not found.is_right()


def test_backward_that_answers_in_two_shapes_is_no_evidence():
    assert evidence(lambda u, x: u * d_tanh(x) if (u == 1).all() else u[:4]) is None


def test_derivatives_of_single_entries_are_known_by_what_moving_an_entry_by_its_length_does():
    found = evidence(lambda u, x: u * d_tanh(x))
    alone, entries = found.single_entries
    length = found.directions.divisors[alone]
    np.testing.assert_allclose(found.numeric[alone, 0] / length, d_tanh(X)[entries], rtol=1e-8)


def test_direction_along_which_forward_has_a_kink_is_no_evidence():
    x = np.array([0.0, 0.7, -1.2])
    problem = Problem(np.abs, lambda u, x: u * np.sign(x), (x,))
    entries = Directions.of(problem, {0: None})
    assert gather(problem, 0, entries, rtol=1e-7).directions.entries.tolist() == [1, 2]
