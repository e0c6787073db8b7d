"""Constant multiples: a sign, a factor, and a sum that is taken for a mean or the reverse."""

import numpy as np
import pytest
from explaining import SQUARE, M, W, X, Y, codes, d_tanh, explain, first, linear

from gradlab import gradcheck

LARGE = np.random.default_rng(1).normal(size=(60, 50))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# sign


@pytest.mark.parametrize(
    ("forward", "backward", "inputs"),
    [
        (np.cos, lambda u, x: u * np.sin(x), (X,)),
        (linear, lambda u, x, w: (-u @ w.T, x.T @ u), (M, W)),
        (lambda x, y: np.mean((x - y) ** 2), lambda u, x, y: (d := u * 2 * (x - y) / x.size, d), (X, Y)),
    ],
    ids=["cos", "linear", "square_loss"],
)
def test_negative_gradient_has_the_wrong_sign(forward, backward, inputs):
    code, message = first(forward, backward, *inputs)
    assert code == "sign"
    assert "opposite sign" in message
    assert "negate" in message


def test_wrong_sign_is_said_of_the_input_that_has_it():
    (cause,) = explain(lambda x, y: x * y, lambda u, x, y: (u * y, -u * x), X, Y)
    assert (cause.code, cause.input) == ("sign", "y")


def test_sign_that_is_wrong_at_one_entry_is_not_the_sign_of_the_gradient():
    signs = np.array([1, 1, -1, 1, 1])
    assert "sign" not in codes(np.tanh, lambda u, x: signs * u * d_tanh(x), X)


def test_sign_that_is_wrong_only_because_all_inputs_are_negative_is_not_called_wrong():
    assert "sign" not in codes(lambda x: x * abs(x), lambda u, x: 2 * u * x, -1 - abs(X))


# factor


def test_constant_ratio_is_a_factor():
    code, message = first(np.tanh, lambda u, x: 0.7 * u * d_tanh(x), X)
    assert code == "factor"
    assert "1.42857 times too small" in message


def test_factor_two_is_named_two():
    code, message = first(lambda x: x * x, lambda u, x: u * x, X)
    assert code == "factor"
    assert "2 times too small" in message
    assert "multiply it by 2" in message


def test_factor_of_a_half_is_a_division_by_two():
    code, message = first(lambda x: x * x / 2, lambda u, x: 2 * u * x, X)
    assert code == "factor"
    assert "divide it by 2" in message


def test_factor_with_the_opposite_sign_says_both():
    code, message = first(lambda x: x**3, lambda u, x: -u * x**2, X)
    assert code == "factor"
    assert "3 times too small and has the opposite sign" in message
    assert "multiply it by -3" in message


def test_factor_that_is_a_size_is_named_by_it():
    code, message = first(lambda x: x * x.shape[1], lambda u, x: u, M)  # nothing is summed
    assert code == "factor"
    assert "5 = x.shape[1]" in message


def test_factor_of_one_row_is_no_factor_of_the_gradient():
    rows = np.array([1, 2, 1, 1])[:, None]
    assert not {"factor", "sign"} & set(codes(np.tanh, lambda u, x: rows * u * d_tanh(x), M))


def test_factor_at_one_entry_is_no_factor_of_the_gradient():
    some = np.array([1, 1, 3, 1, 1])
    assert "factor" not in codes(np.tanh, lambda u, x: some * u * d_tanh(x), X)


def test_ratio_that_is_constant_because_all_inputs_are_equal_is_no_factor():
    assert "factor" not in codes(lambda x: x**3, lambda u, x: u * x, np.ones(5))


def test_ratio_that_is_constant_because_all_inputs_are_zero_is_no_factor():
    def forgets_a_factor(u, x):
        return u * sigmoid(x)  # without 1 - y, which is ½ at zero

    assert "factor" not in codes(sigmoid, forgets_a_factor, np.zeros(5))


def test_gate_that_is_forgotten_is_no_factor_where_it_is_zero_everywhere():
    def gated(x, g):
        return x * sigmoid(g)

    def without_the_gate(u, x, g):
        return u, u * x * sigmoid(g) * (1 - sigmoid(g))

    assert "factor" not in codes(gated, without_the_gate, X, np.zeros(5))


@pytest.mark.parametrize("wrong", [-1.0, 0.5, 3.0])
def test_single_number_of_which_one_derivative_is_known_is_not_explained(wrong):
    at_one_point_only = {1.3: wrong}
    report = gradcheck(
        lambda x: x * x,
        lambda u, x: 2 * u * x * at_one_point_only.get(float(x), 1.0),
        1.3,
        raise_exception=False,
    )
    assert report.failed
    assert report.causes == ()


def test_factor_in_float32_is_a_factor():
    x = np.array([0.5, 1.5, -0.7], dtype=np.float32)
    code, message = first(np.tanh, lambda u, x: u * d_tanh(x) / np.float32(3), x)
    assert code == "factor"
    assert "3 times too small" in message


# averaged and summed


def test_gradient_averaged_over_the_batch_names_the_batch():
    code, message = first(linear, lambda u, x, w: (u @ w.T, x.T @ u / len(x)), M, W)
    assert code == "averaged-instead-of-summed"
    assert "x.shape[0] = 4" in message


def test_bias_averaged_over_the_batch_names_the_batch():
    code, message = first(lambda x, b: x + b, lambda u, x, b: (u, u.mean(axis=0)), M, X)
    assert code == "averaged-instead-of-summed"
    assert "x.shape[0] = 4" in message


def test_mean_where_the_forward_sums():
    x = np.random.default_rng(1).normal(size=7)
    code, message = first(lambda x: np.sum(np.tanh(x)), lambda u, x: u * d_tanh(x) / x.size, x)
    assert code == "averaged-instead-of-summed"
    assert "x.shape[0] = 7" in message


def test_sum_where_the_forward_averages_over_an_axis():
    code, message = first(
        lambda x: np.tanh(x).mean(axis=1), lambda u, x: np.outer(u, np.ones(5)) * d_tanh(x), M
    )
    assert code == "summed-instead-of-averaged"
    assert "x.shape[1] = 5" in message


def test_sum_where_the_forward_averages_over_everything():
    code, message = first(lambda x: np.mean(np.tanh(x)), lambda u, x: u * d_tanh(x), M)
    assert code == "summed-instead-of-averaged"
    assert "x.size = 20" in message


@pytest.mark.parametrize("power", [3, 4])
def test_forgotten_power_is_not_a_forgotten_sum_where_it_happens_to_equal_the_size(power):
    x = np.random.default_rng(1).normal(size=power)
    found = codes(lambda x: np.sum(x**power), lambda u, x: u * x ** (power - 1), x)
    assert "averaged-instead-of-summed" not in found


def test_size_of_the_axis_summed_over_is_named_among_equal_sizes():
    code, message = first(linear, lambda u, x, w: (u @ w.T, x.T @ u / len(x)), SQUARE, SQUARE[:, :3])
    assert code == "averaged-instead-of-summed"
    assert "x.shape[0]" in message  # and not w.shape[0], which is 4 as well


def test_factor_of_no_size_is_neither_averaged_nor_summed():
    found = codes(linear, lambda u, x, w: (u @ w.T, x.T @ u / 7), M, W)
    assert found == ["factor"]


def test_elementwise_rule_has_nothing_to_average_or_to_sum():
    assert codes(np.tanh, lambda u, x: u * d_tanh(x) / len(x), M) == ["factor"]


# large inputs


@pytest.mark.parametrize(("c", "code"), [(-1.0, "sign"), (0.5, "factor")])
def test_constant_multiple_of_a_large_gradient(c, code):
    assert codes(np.tanh, lambda u, x: c * u * d_tanh(x), LARGE) == [code]


def test_constant_multiple_of_one_column_of_a_large_gradient_is_no_factor():
    columns = np.where(np.arange(50) == 7, -1, 1)
    assert codes(np.tanh, lambda u, x: columns * u * d_tanh(x), LARGE) == []


def test_one_wrong_input_of_two_is_explained_and_the_right_one_is_not():
    causes = explain(linear, lambda u, x, w: (u @ w.T, 3.5 * x.T @ u), LARGE, LARGE[:50, :3])
    assert [(cause.code, cause.input) for cause in causes] == [("factor", "w")]
