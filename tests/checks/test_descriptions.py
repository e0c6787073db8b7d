"""What wrong entries have in common, and what they only seem to have in common."""

import numpy as np
import pytest
from explaining import SQUARE, M, X, codes, d_tanh, explain, first, softmax

TABLE = np.random.default_rng(1).normal(size=(6, 3))


def log_softmax(x):
    return x - np.log(np.exp(x).sum())


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
    assert "x[0], x[4]" in message


def test_gradient_that_is_zero_at_the_largest_entry_of_many():
    def saturated(u, x):
        return np.where(x == x.max(), 0, u * d_tanh(x))

    code, message = first(np.tanh, saturated, X)
    assert code == "zero-where-it-should-not-be"
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


# entries that are wrong only together


def test_whole_gradient_at_each_of_two_equal_maxima_is_wrong_at_ties():
    code, message = first(np.max, lambda u, a: u * (a == a.max()), np.array([2.0, 1, 2, 0]))
    assert code == "wrong-on-special-values"
    assert "a is tied" in message


def test_whole_gradient_of_two_equal_inputs_is_wrong_where_they_are_equal():
    causes = explain(np.maximum, lambda u, x, y: (u * (x >= y), u * (y >= x)), X, X.copy())
    assert [cause.code for cause in causes] == ["wrong-on-special-values"] * 2
    assert "x1 equals another input" in causes[0].message
    assert "x2 equals another input" in causes[1].message


def test_slope_that_is_wrong_apart_too_is_not_wrong_at_ties():
    assert codes(lambda x: abs(x[0] - x[1]), lambda u, x: u * np.ones(2), np.ones(2)) == []


def test_slope_that_is_wrong_at_a_kink_where_no_entries_are_equal_is_not_wrong_at_ties():
    def wrong_at_the_kink(u, x):
        total = x[0] + x[1]
        return u * (np.sign(total) * np.ones(2) if total else np.array([1, -1]))

    assert codes(lambda x: abs(x[0] + x[1]), wrong_at_the_kink, np.array([1.0, -1])) == []


# not finite


def test_gradient_that_divides_by_zero_is_not_finite_at_zero():
    @np.errstate(invalid="ignore")
    def divides(u, x):
        return u * x / abs(x)

    code, message = first(np.abs, divides, np.array([1.0, 0.0, -2.0, 0.0]))
    assert code == "wrong-on-special-values"
    assert "not finite where x == 0" in message


def test_entry_that_is_not_finite_in_the_midst_is_no_special_value():
    wrong = np.array([1, 1, np.nan, 1, 1])
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
