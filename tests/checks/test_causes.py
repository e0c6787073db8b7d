"""What a finding says by itself is its cause, and what is right has none."""

import numpy as np
import pytest
from explaining import M, W, X, Y, codes, d_tanh, explain, first, linear, softmax

from gradlab import gradcheck

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


def test_term_that_does_not_depend_on_the_upstream_is_nonlinear():
    code, message = first(linear, lambda u, x, w: (u @ w.T, x.T @ u + 0.01 * w), M, W)
    assert code == "nonlinear-in-upstream"
    assert "grad_output = 0" in message


def test_constant_gradient_that_uses_the_upstream_does_not_ignore_it():
    found = codes(np.tanh, lambda u, x: u, X)
    assert not {"ignores-upstream", "nonlinear-in-upstream"} & set(found)


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


# no cause


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
