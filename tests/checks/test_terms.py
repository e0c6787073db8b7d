"""Missing terms, and residuals that are none."""

import numpy as np
import pytest
from explaining import X, codes, d_tanh, first


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
    assert code == "missing-term"
    assert message.endswith("subtract 0.2 * grad_output.sum(axis=0, keepdims=True)")


def test_residual_that_is_a_multiple_of_the_input_at_two_entries_is_no_missing_term():
    some = np.array([1, 0, 0, 1, 0])
    assert "missing-term" not in codes(np.tanh, lambda u, x: u * d_tanh(x) + 0.5 * some * u * x, X)


def test_residual_of_another_function_is_no_missing_term():
    found = codes(np.tanh, lambda u, x: u * d_tanh(x) + 0.1 * u * np.sin(3 * x), X)
    assert found == []
