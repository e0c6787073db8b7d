"""Each cause where it holds, and beside it what looks alike and must not be called that."""

import numpy as np
import pytest

from gradlab import gradcheck

RNG = np.random.default_rng(0)
X = RNG.normal(size=5)
Y = RNG.normal(size=5)
M = RNG.normal(size=(4, 5))
W = RNG.normal(size=(5, 3))
SQUARE = RNG.normal(size=(4, 4))
TABLE = RNG.normal(size=(6, 3))


def explain(forward, backward, *inputs, **options):
    """Return the causes of a rule that is wrong at a point, the first first."""
    report = gradcheck(forward, backward, inputs, raise_exception=False, **options)
    assert report.failed
    return report.causes


def first(forward, backward, *inputs, **options):
    """Return the first cause's code and message; two empty strings where there is none."""
    causes = explain(forward, backward, *inputs, **options)
    return (causes[0].code, causes[0].message) if causes else ("", "")


def codes(forward, backward, *inputs, **options):
    return [cause.code for cause in explain(forward, backward, *inputs, **options)]


def linear(x, w):
    return x @ w


def d_tanh(x):
    return 1 - np.tanh(x) ** 2


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(x):
    return x - np.log(np.exp(x).sum())


def scale_rows(x, s):
    return x * s[:, None]


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
    x = RNG.normal(size=7)
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
    x = RNG.normal(size=power)
    found = codes(lambda x: np.sum(x**power), lambda u, x: u * x ** (power - 1), x)
    assert "averaged-instead-of-summed" not in found


def test_size_of_the_axis_summed_over_is_named_among_equal_sizes():
    code, message = first(
        linear, lambda u, x, w: (u @ w.T, x.T @ u / len(x)), SQUARE, RNG.normal(size=(4, 3))
    )
    assert code == "averaged-instead-of-summed"
    assert "x.shape[0]" in message  # and not w.shape[0], which is 4 as well


def test_factor_of_no_size_is_neither_averaged_nor_summed():
    found = codes(linear, lambda u, x, w: (u @ w.T, x.T @ u / 7), M, W)
    assert found == ["factor"]


def test_elementwise_rule_has_nothing_to_average_or_to_sum():
    assert codes(np.tanh, lambda u, x: u * d_tanh(x) / len(x), M) == ["factor"]


# layout


def test_transposed_gradient_of_a_square_matrix():
    code, message = first(linear, lambda u, x, w: (u @ w.T, u.T @ x), SQUARE, SQUARE + 1)
    assert code == "transposed"
    assert "gradient of w is transposed" in message


def test_transposed_gradient_of_another_shape():
    code, message = first(linear, lambda u, x, w: (u @ w.T, u.T @ x), M, W)
    assert code == "transposed"
    assert "gradient of w is transposed" in message


def test_missing_transpose_of_an_input():
    code, message = first(linear, lambda u, x, w: (u @ w, x.T @ u), SQUARE, SQUARE + 1)
    assert code == "transposed"
    assert "w.T" in message


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
    x = RNG.normal(size=(3, 3, 3))
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
    column = RNG.normal(size=(4, 1))
    code, message = first(lambda x, c: x * c, lambda u, x, c: (u * c, u * x), M, column)
    assert code == "not-summed-over-broadcast"
    assert "axis 1" in message


@pytest.mark.parametrize("x", [M, SQUARE], ids=["rectangular", "square"])
def test_gradient_of_one_factor_per_row_has_to_be_summed_over_the_last_axis(x):
    code, message = first(scale_rows, lambda u, x, s: (u * s[:, None], u * x), x, Y[:4])
    assert code == "not-summed-over-broadcast"
    assert "axis 1" in message


def test_broadcast_shape_with_other_numbers_is_not_merely_unsummed():
    found = codes(lambda x, b: x * b, lambda u, x, b: (u * b, u), M, X)
    assert "not-summed-over-broadcast" not in found


# the upstream gradient


def test_gradient_of_the_sum_ignores_the_upstream():
    assert codes(np.tanh, lambda u, x: d_tanh(x), X)[0] == "ignores-upstream"


def test_gradient_of_the_sum_of_a_matrix_product_ignores_the_upstream():
    one_sided = explain(linear, lambda u, x, w: (np.ones_like(u) @ w.T, x.T @ u), M, W)
    assert [(cause.code, cause.input) for cause in one_sided] == [("ignores-upstream", "x")]


def test_squared_upstream_is_nonlinear():
    assert codes(np.tanh, lambda u, x: u**2 * d_tanh(x), X)[0] == "nonlinear-in-upstream"


def test_absolute_upstream_is_nonlinear():
    assert codes(np.tanh, lambda u, x: abs(u) * d_tanh(x), X)[0] == "nonlinear-in-upstream"


def test_constant_gradient_that_uses_the_upstream_does_not_ignore_it():
    found = codes(np.tanh, lambda u, x: u, X)
    assert not {"ignores-upstream", "nonlinear-in-upstream"} & set(found)


# missing terms


@pytest.mark.parametrize(
    ("forward", "backward", "term"),
    [
        (np.tanh, lambda u, x: u, "subtract grad_output * output * output"),
        (lambda x: x * np.exp(x), lambda u, x: u * np.exp(x), "add grad_output * output"),
        (lambda x: x * x + 3 * x, lambda u, x: 2 * u * x, "add 3 * grad_output"),
        (lambda x: x**3 + np.sin(x), lambda u, x: u * np.cos(x), "add 3 * grad_output * x * x"),
    ],
    ids=["output squared", "output", "upstream", "input squared"],
)
def test_missing_term_says_what_to_add(forward, backward, term):
    code, message = first(forward, backward, X)
    assert code == "missing-term"
    assert message.endswith(term)


def test_missing_sum_of_the_upstream_is_a_missing_term():
    code, message = first(lambda x: x - x.mean(), lambda u, x: u, X)
    assert code in {"missing-term", "diagonal-only"}
    if code == "missing-term":
        assert "grad_output.sum(axis=0" in message


def test_residual_that_is_a_multiple_of_the_input_at_two_entries_is_no_missing_term():
    some = np.array([1, 0, 0, 1, 0])
    assert "missing-term" not in codes(np.tanh, lambda u, x: u * d_tanh(x) + 0.5 * some * u * x, X)


def test_residual_of_another_function_is_no_missing_term():
    found = codes(np.tanh, lambda u, x: u * d_tanh(x) + 0.1 * u * np.sin(3 * x), X)
    assert found == []


def test_term_that_does_not_depend_on_the_upstream_is_nonlinear_or_missing():
    code, message = first(linear, lambda u, x, w: (u @ w.T, x.T @ u + 0.01 * w), M, W)
    assert code in {"missing-term", "nonlinear-in-upstream"}
    assert "0.01" in message or "grad_output = 0" in message


# zeros


def test_gradient_that_is_zero_everywhere():
    code, message = first(np.tanh, lambda u, x: 0 * u, X)
    assert code == "zero-where-it-should-not-be"
    assert "everywhere" in message


def test_gradient_that_is_zero_in_one_column_names_it():
    def column_forgotten(u, x):
        dx = u * d_tanh(x)
        dx[:, 2] = 0
        return dx

    code, message = first(np.tanh, column_forgotten, M)
    assert code == "zero-where-it-should-not-be"
    assert "x[:, 2]" in message


def test_gradient_that_is_zero_at_both_ends_names_them():
    def without_the_ends(u, x):
        return u * d_tanh(x) * np.array([0, 1, 1, 1, 0])

    code, message = first(np.tanh, without_the_ends, X)
    assert code == "zero-where-it-should-not-be"
    assert "x[0]" in message
    assert "x[-1]" in message or "x[4]" in message


def test_gradient_that_is_zero_at_the_largest_entry_of_many():
    def saturated(u, x):
        return np.where(x == x.max(), 0, u * d_tanh(x))

    code, message = first(np.tanh, saturated, X)
    assert code in {"zero-where-it-should-not-be", "wrong-on-special-values"}
    assert "largest" in message


def test_gradient_passed_through_where_forward_is_flat():
    code, message = first(lambda x: np.maximum(x, 0), lambda u, x: u, np.array([-2.0, -1, 1, 2, 3]))
    assert code == "nonzero-where-it-should-be-zero"
    assert "x < 0" in message


def test_gradient_passed_through_beside_a_kink_in_another_entry():
    x = np.array([-2.0, -1, -1e-7, 2, 3])
    code, _ = first(lambda x: np.maximum(x, 0), lambda u, x: u, x)
    assert code == "nonzero-where-it-should-be-zero"


def test_gradient_of_what_forward_ignores():
    def ignores_the_last_row(x):
        return np.tanh(x[:-1])

    def wrong(u, x):
        return np.vstack([u * d_tanh(x[:-1]), np.ones(5) * u.sum()])

    code, message = first(ignores_the_last_row, wrong, M)
    assert code == "nonzero-where-it-should-be-zero"
    assert "x[-1, :]" in message


def test_wrong_entries_that_are_neither_are_not_said_to_be_zero():
    def halved_and_zeroed(u, x):
        return u * d_tanh(x) * np.array([0, 0.5, 1, 1, 0])

    found = codes(np.tanh, halved_and_zeroed, X)
    assert not {"zero-where-it-should-not-be", "nonzero-where-it-should-be-zero"} & set(found)


# duplicate indices


def gather(table, index):
    return table[index]


def assigned(u, table, index):
    gradient = np.zeros_like(table)
    gradient[index] = u
    return gradient


@pytest.mark.parametrize(
    "index", [np.array([0, 2, 0, 5]), np.array([[1, 1], [2, 3]])], ids=["vector", "matrix"]
)
def test_assignment_at_duplicate_indices_keeps_the_last(index):
    code, message = first(gather, assigned, TABLE, index)
    assert code == "last-write-wins"
    assert "index" in message
    assert "np.add.at" in message


def test_first_of_duplicate_indices_kept_is_not_the_last():
    def keeps_the_first(u, table, index):
        return assigned(u[::-1], table, index[::-1])

    assert "last-write-wins" not in codes(gather, keeps_the_first, TABLE, np.array([0, 2, 0, 5]))


def test_average_over_duplicate_indices_is_not_the_last():
    def averaged(u, table, index):
        gradient = np.zeros_like(table)
        np.add.at(gradient, index, u)
        return gradient / np.maximum(np.bincount(index, minlength=len(table)), 1)[:, None]

    assert "last-write-wins" not in codes(gather, averaged, TABLE, np.array([0, 2, 0, 5]))


def test_wrong_factor_with_duplicate_indices_is_a_factor():
    def doubled(u, table, index):
        gradient = np.zeros_like(table)
        np.add.at(gradient, index, 2 * u)
        return gradient

    assert codes(gather, doubled, TABLE, np.array([0, 2, 0, 5])) == ["factor"]


# special values


def test_wrong_only_where_the_input_is_zero():
    x = np.array([1.0, 0.0, -2.0, 0.0, 3.0])
    code, message = first(np.sin, lambda u, x: np.where(x == 0, 0.5, np.cos(x)) * u, x)
    assert code == "wrong-on-special-values"
    assert "x == 0" in message


def test_wrong_only_at_ties():
    def doubled_at_ties(u, x):
        _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
        return u * d_tanh(x) * np.where(counts[inverse] > 1, 1.5, 1)

    code, message = first(np.tanh, doubled_at_ties, np.array([1.0, 2.0, 1.0, 3.0, -1.0]))
    assert code == "wrong-on-special-values"
    assert "tied" in message


def test_wrong_only_at_the_last_index():
    ends = np.array([1, 1, 1, 1, 1.5])
    code, message = first(np.tanh, lambda u, x: ends * u * d_tanh(x), np.array([1.0, 3, -2, 4, 2]))
    assert code == "wrong-on-special-values"
    assert "last index" in message


def test_wrong_only_at_the_largest_entry():
    x = np.array([1.0, 3, -2, 2])
    code, message = first(np.tanh, lambda u, x: np.where(x == x.max(), 1.5, 1) * u * d_tanh(x), x)
    assert code == "wrong-on-special-values"
    assert "largest" in message


def test_one_wrong_index_where_the_largest_entry_happens_to_stand_is_not_the_largest_entry():
    x, wrong = np.array([1.0, 3, -2, 2]), np.array([1, 1.5, 1, 1])
    assert "largest" not in first(np.tanh, lambda u, x: wrong * u * d_tanh(x), x)[1]


def test_wrong_indices_where_the_positive_entries_happen_to_stand_are_not_the_positive_entries():
    x, wrong = np.array([-1.0, 3, -2, 2, -3]), np.array([1, 1.5, 1, 1.5, 1])
    assert "x > 0" not in first(np.tanh, lambda u, x: wrong * u * d_tanh(x), x)[1]


def test_off_diagonal_of_a_symmetric_matrix_is_not_its_ties():
    symmetric = SQUARE + SQUARE.T
    wrong = np.where(np.eye(4), 1, 1.5)
    causes = explain(np.tanh, lambda u, a: wrong * u * d_tanh(a), symmetric)
    assert not any("tied" in cause.message for cause in causes)


def test_every_entry_wrong_of_a_constant_array_is_not_its_ties():
    causes = explain(np.tanh, lambda u, x: u * (1 + x + x**3), np.ones(5))
    assert not any("tied" in cause.message for cause in causes)


def test_one_wrong_entry_in_the_midst_is_no_special_value():
    wrong = np.array([1, 1, 1.5, 1, 1])
    assert codes(np.tanh, lambda u, x: wrong * u * d_tanh(x), np.array([1.0, -3, 0.5, 2, 4])) == []


# the diagonal alone


@pytest.mark.parametrize(
    ("forward", "diagonal"),
    [
        (softmax, lambda x: softmax(x) * (1 - softmax(x))),
        (log_softmax, lambda x: 1 - np.exp(log_softmax(x))),
    ],
    ids=["softmax", "log_softmax"],
)
def test_diagonal_of_the_jacobian_alone(forward, diagonal):
    code, message = first(forward, lambda u, x: u * diagonal(x), X)
    assert code == "diagonal-only"
    assert "diagonal" in message


def test_diagonal_alone_that_is_wrong_too_is_not_the_diagonal():
    found = codes(softmax, lambda u, x: u * softmax(x) * (1.1 - softmax(x)), X)
    assert "diagonal-only" not in found


def test_wrong_elementwise_rule_is_not_the_diagonal_alone():
    assert "diagonal-only" not in codes(np.tanh, lambda u, x: u * d_tanh(x) * (1 + x * x), X)


# precision


def test_backward_that_is_right_in_float64_alone_lacks_precision():
    x = np.array([1e-4, 2e-4, -3e-4], dtype=np.float32)

    def cancels(u, x):
        one = x.dtype.type(1)
        return u * ((one + x * x) - one) / x

    code, message = first(lambda x: x * x / 2, cancels, x)
    assert code == "precision"
    assert "float64" in message


def test_backward_that_is_wrong_in_float64_too_does_not_lack_precision():
    x = np.array([0.5, 1.5, -0.7], dtype=np.float32)
    assert codes(np.tanh, lambda u, x: u * d_tanh(x) * (1 + x), x) != ["precision"]


def test_factor_in_float32_is_a_factor():
    x = np.array([0.5, 1.5, -0.7], dtype=np.float32)
    code, message = first(np.tanh, lambda u, x: u * d_tanh(x) / np.float32(3), x)
    assert code == "factor"
    assert "3 times too small" in message


# large inputs


LARGE = np.random.default_rng(1).normal(size=(200, 100))


@pytest.mark.parametrize(("c", "code"), [(-1.0, "sign"), (0.5, "factor")])
def test_constant_multiple_of_a_large_gradient(c, code):
    assert codes(np.tanh, lambda u, x: c * u * d_tanh(x), LARGE) == [code]


def test_constant_multiple_of_one_column_of_a_large_gradient_is_no_factor():
    columns = np.where(np.arange(100) == 7, -1, 1)
    assert codes(np.tanh, lambda u, x: columns * u * d_tanh(x), LARGE) == []


def test_one_wrong_input_of_two_is_explained_and_the_right_one_is_not():
    causes = explain(linear, lambda u, x, w: (u @ w.T, 3.5 * x.T @ u), LARGE, RNG.normal(size=(100, 3)))
    assert [(cause.code, cause.input) for cause in causes] == [("factor", "w")]


@pytest.mark.parametrize(
    ("forward", "backward", "inputs"),
    [
        (np.tanh, lambda u, x: u * d_tanh(x), (X,)),
        (linear, lambda u, x, w: (u @ w.T, x.T @ u), (M, W)),
        (lambda x, y: x + y, lambda u, x, y: (u, u), (X, Y)),
        (softmax, lambda u, x: softmax(x) * (u - (u * softmax(x)).sum()), (X,)),
    ],
    ids=["tanh", "linear", "sum", "softmax"],
)
def test_right_rule_has_no_cause(forward, backward, inputs):
    assert gradcheck(forward, backward, inputs).causes == ()
