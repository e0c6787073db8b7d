"""Right numbers in the wrong place: transposed, permuted, swapped with another input's, or not summed up."""

import numpy as np
import pytest
from explaining import SQUARE, M, W, X, Y, codes, d_tanh, explain, first, linear


def scale_rows(x, s):
    return x * s[:, None]


# layout


def test_transposed_gradient_of_a_square_matrix():
    code, message = first(linear, lambda u, x, w: (u @ w.T, u.T @ x), SQUARE, SQUARE + 1)
    assert code == "transposed"
    assert "gradient of w is transposed" in message


def test_transposed_gradient_of_another_shape():
    code, message = first(linear, lambda u, x, w: (u @ w.T, u.T @ x), M, W)
    assert code == "transposed"
    assert "gradient of w is transposed" in message


def test_column_whose_gradient_is_a_row_is_transposed():
    code, message = first(np.tanh, lambda u, x: (u * d_tanh(x)).T, X[:, None])
    assert code == "transposed"
    assert "gradient of x is transposed" in message


def test_missing_transpose_of_an_input():
    code, message = first(linear, lambda u, x, w: (u @ w, x.T @ u), SQUARE, SQUARE + 1)
    assert code == "transposed"
    assert "w.T" in message


def test_missing_transpose_of_a_stack_of_matrices():
    stack = np.random.default_rng(1).normal(size=(3, 4, 4))
    code, message = first(linear, lambda u, x, w: (u @ w, x.mT @ u), stack, stack[::-1] + 1)
    assert code == "transposed"
    assert message.endswith("write w.mT")


def test_transpose_is_told_at_a_symmetric_point():
    symmetric = SQUARE + SQUARE.T
    code, _ = first(linear, lambda u, x, w: (u @ w, u.T @ x), SQUARE, symmetric)
    assert code == "transposed"


def test_symmetric_gradient_off_by_a_factor_is_not_transposed():
    symmetric = SQUARE + SQUARE.T
    found = codes(lambda a: np.sum(a**2), lambda u, a: u * a, symmetric)
    assert found == ["factor"]


def test_matrix_with_one_pair_exchanged_is_not_transposed():
    def exchanged(u, x):
        dx = u * d_tanh(x)
        dx[0, 1], dx[1, 0] = dx[1, 0], dx[0, 1]
        return dx

    assert "transposed" not in codes(np.tanh, exchanged, SQUARE)


def test_reversed_gradient_is_permuted():
    code, message = first(np.cumsum, lambda u, x: np.cumsum(u[::-1]), X)
    assert code == "permuted"
    assert "reverse" in message


def test_gradient_rolled_by_one_is_permuted():
    code, message = first(lambda x: np.roll(x, 1) ** 3, lambda u, x: 3 * u * np.roll(x, 1) ** 2, X)
    assert code == "permuted"
    assert "rolled by one" in message


def test_axes_rolled_are_permuted():
    x = np.random.default_rng(1).normal(size=(3, 3, 3))
    code, message = first(np.tanh, lambda u, x: np.moveaxis(u * d_tanh(x), 0, -1), x)
    assert code == "permuted"
    assert "transpose(2, 0, 1)" in message


def test_two_entries_exchanged_are_not_a_reversal():
    def exchanged(u, x):
        dx = u * d_tanh(x)
        return dx[[4, 1, 2, 3, 0]]

    assert "reverse" not in first(np.tanh, exchanged, X)[1]


# swapped inputs


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (lambda x, y: x * y, lambda u, x, y: (u * x, u * y)),
        (lambda x, y: x * np.exp(y), lambda u, x, y: (u * x * np.exp(y), u * np.exp(y))),
    ],
    ids=["product", "exponential"],
)
def test_gradients_in_each_others_place_are_swapped(forward, backward):
    causes = explain(forward, backward, X, Y)
    assert [cause.code for cause in causes] == ["swapped-inputs", "swapped-inputs"]
    assert {cause.input for cause in causes} == {"x", "y"}


def test_gradients_of_different_shapes_in_each_others_place_are_swapped():
    assert codes(linear, lambda u, x, w: (x.T @ u, u @ w.T), M, W)[0] == "swapped-inputs"


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (lambda x, y: x + y, lambda u, x, y: (0 * u, u)),
        (lambda x, y: np.tanh(x + y), lambda u, x, y: (u, u * d_tanh(x + y))),
    ],
    ids=["sum", "tanh"],
)
def test_one_wrong_gradient_beside_a_right_one_that_it_should_equal_is_not_swapped(forward, backward):
    assert "swapped-inputs" not in codes(forward, backward, X, Y)


# broadcasting


def test_gradient_of_a_broadcast_row_has_to_be_summed_over_the_first_axis():
    code, message = first(lambda x, b: x + b, lambda u, x, b: (u, u), M, X)
    assert code == "not-summed-over-broadcast"
    assert "axis 0" in message


def test_gradient_of_a_broadcast_column_has_to_be_summed_over_the_last_axis():
    column = W[:4, :1]
    code, message = first(lambda x, c: x * c, lambda u, x, c: (u * c, u * x), M, column)
    assert code == "not-summed-over-broadcast"
    assert "axis 1" in message


def test_gradient_that_was_broadcast_along_two_axes_has_to_be_summed_over_both():
    code, message = first(lambda x, c: x * c, lambda u, x, c: (u * c, u * x), M, 0.7)
    assert code == "not-summed-over-broadcast"
    assert "over axes 0 and 1" in message


@pytest.mark.parametrize("x", [M, SQUARE], ids=["rectangular", "square"])
def test_gradient_of_one_factor_per_row_has_to_be_summed_over_the_last_axis(x):
    code, message = first(scale_rows, lambda u, x, s: (u * s[:, None], u * x), x, Y[:4])
    assert code == "not-summed-over-broadcast"
    assert "axis 1" in message


def test_broadcast_shape_with_other_numbers_is_not_merely_unsummed():
    found = codes(lambda x, b: x * b, lambda u, x, b: (u * b, u), M, X)
    assert "not-summed-over-broadcast" not in found
