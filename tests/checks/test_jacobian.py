from dataclasses import replace

import numpy as np
import pytest

from gradlab import verify
from gradlab.checks.jacobian import compare_jacobian, contract, full_jacobian
from gradlab.point.problem import Problem
from gradlab.rules import linear, softmax

X = np.array([[1.0, -2.0], [0.5, 3.0]])
W = np.array([[0.7, -1.2, 0.4], [1.1, 0.3, -0.9]])
DY = np.array([[1.0, -0.5, 2.0], [-1.5, 0.2, 3.0]])


@pytest.fixture
def problem():
    return Problem(linear.forward, linear.backward, (X, W), grad_output=DY)


def test_block_of_x11_is_the_first_row_of_w_over_zeros(problem):
    jacobian, _ = full_jacobian(problem, 0)
    assert jacobian.reshape(6, 4).shape == (2 * 3, 2 * 2)
    np.testing.assert_allclose(jacobian[:, :, 0, 0], [W[0], [0, 0, 0]], atol=1e-10)
    np.testing.assert_allclose((DY * jacobian[:, :, 0, 0]).sum(), (DY @ W.T)[0, 0], rtol=1e-9)


@pytest.mark.parametrize(("position", "product"), [(0, DY @ W.T), (1, X.T @ DY)])
def test_contraction_of_both_witnesses_is_the_product(problem, position, product):
    numeric, bars = full_jacobian(problem, position)
    closed = linear.jacobian(X, W)[position]
    assert (np.abs(numeric - closed) <= bars).all()
    u = DY.ravel()
    np.testing.assert_allclose(contract(u, numeric, product.shape), product, rtol=1e-9)
    np.testing.assert_allclose(contract(u, closed, product.shape), product, rtol=1e-14)


def test_right_rule_has_no_finding(problem):
    right = dict(enumerate(linear.backward(DY, X, W)))
    assert compare_jacobian(problem, right, linear.jacobian, rtol=1e-7) == []


def test_wrong_backward_is_found_by_the_contraction(problem):
    dx, dw = linear.backward(DY, X, W)
    (finding,) = compare_jacobian(problem, {0: dx, 1: -dw}, linear.jacobian, rtol=1e-7)
    assert finding.kind == "jacobian-contraction"
    assert "gradient of w is not the contraction of dL/dY with the numerical Jacobian" in finding.message


def test_wrong_closed_form_is_found():
    def diagonal_only(z):
        (jacobian,) = softmax.jacobian(z)
        return (jacobian * np.eye(z.size).reshape(jacobian.shape),)

    report = verify(replace(softmax.RULE, jacobian=diagonal_only), raise_exception=False)
    assert {finding.kind for finding in report.findings} == {"closed-form-jacobian"}


@pytest.mark.parametrize(("size", "said"), [(1, "wrong at 1 of 1 entry; "), (2, "wrong at 2 of 4 entries; ")])
def test_wrong_entries_of_a_closed_form_are_counted(size, said):
    problem = Problem(np.square, lambda dy, x: 2 * x * dy, (np.full(size, 3.0),))
    gradients = {0: problem.grad_output.reshape(size) * 6}
    assert compare_jacobian(problem, gradients, lambda x: np.diag(2 * x), rtol=1e-7) == []
    (finding,) = compare_jacobian(problem, gradients, lambda x: np.diag(3 * x), rtol=1e-7)
    assert said in finding.message


def test_closed_form_of_another_shape_is_found():
    rule = replace(linear.RULE, jacobian=lambda x, w: (w, x))
    report = verify(rule, raise_exception=False, max_examples=20)
    assert "the output's and then the input's" in report.reason
