"""The closed form of the Jacobian as a second witness."""

from dataclasses import replace

import numpy as np
import pytest

from gradlab import verify
from gradlab.checks.claims import claims_of
from gradlab.checks.criteria import Criteria
from gradlab.checks.directions import Directions
from gradlab.checks.jacobian import compare_jacobian, contract, full_jacobian
from gradlab.checks.judge import judge
from gradlab.point.problem import Problem
from gradlab.rules import linear, softmax

X = np.array([[1.0, -2.0], [0.5, 3.0]])
W = np.array([[0.7, -1.2, 0.4], [1.1, 0.3, -0.9]])
DY = np.array([[1.0, -0.5, 2.0], [-1.5, 0.2, 3.0]])


@pytest.fixture
def problem():
    return Problem(linear.forward, linear.backward, (X, W), grad_output=DY)


def compare(problem, gradients, closed_form):
    """Compare at a point of which every entry was probed."""
    gradients = dict(enumerate(gradients))
    entries = Directions.of(problem, dict.fromkeys(problem.wrt))
    rows = judge(Criteria(problem, rtol=1e-7, atol=0.0), entries, claims_of(problem, gradients))
    return compare_jacobian(problem, gradients, rows, closed_form, rtol=1e-7)


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


def test_jacobian_of_a_linear_map_is_its_matrix():
    a = np.arange(6.0).reshape(2, 3) - 2.5
    problem = Problem(lambda x: a @ x, lambda dy, x: a.T @ dy, np.array([1.0, -2.0, 0.5]))
    found, bars = full_jacobian(problem, 0)
    assert (np.abs(found - a) <= bars + 1e-15).all()
    assert bars.max() < 1e-11


def test_right_rule_has_no_finding(problem):
    assert compare(problem, linear.backward(DY, X, W), linear.jacobian) == []


def test_right_rule_costs_no_further_call(problem):
    before = []

    def jacobian(x, w):
        before.append(problem.forward_calls)
        return linear.jacobian(x, w)

    compare(problem, linear.backward(DY, X, W), jacobian)
    assert before == [problem.forward_calls]


def test_wrong_backward_is_found_by_the_contraction(problem):
    dx, dw = linear.backward(DY, X, W)
    (finding,) = compare(problem, (dx, -dw), linear.jacobian)
    assert finding.kind == "jacobian-contraction"
    assert "gradient of w is not the contraction of dL/dY with the closed-form Jacobian" in finding.message


def test_wrong_closed_form_is_found():
    def diagonal_only(z):
        (jacobian,) = softmax.jacobian(z)
        return (jacobian * np.eye(z.size).reshape(jacobian.shape),)

    report = verify(replace(softmax.RULE, jacobian=diagonal_only), max_examples=20, raise_exception=False)
    assert {finding.kind for finding in report.findings} == {"closed-form-jacobian"}


def test_closed_form_that_contracts_to_the_right_gradient_is_still_found():
    # Rows in each other's place, and an upstream gradient of equal numbers.
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    problem = Problem(lambda x: a @ x, lambda dy, x: a.T @ dy, np.ones(2))
    (finding,) = compare(problem, (a.T @ np.ones(2),), lambda x: a[::-1].copy())
    assert finding.kind == "closed-form-jacobian"


@pytest.mark.parametrize(("size", "said"), [(1, "wrong at 1 of 1 entry; "), (2, "wrong at 2 of 4 entries; ")])
def test_wrong_entries_of_a_closed_form_are_counted(size, said):
    problem = Problem(np.square, lambda dy, x: 2 * x * dy, (np.full(size, 3.0),))
    gradients = [problem.grad_output.reshape(size) * 6]
    assert compare(problem, gradients, lambda x: np.diag(2 * x)) == []
    (finding,) = compare(problem, gradients, lambda x: np.diag(3 * x))
    assert said in finding.message


def test_closed_form_of_another_shape_is_found():
    rule = replace(linear.RULE, jacobian=lambda x, w: (w, x))
    report = verify(rule, raise_exception=False, max_examples=20)
    assert "the output's and then the input's" in report.reason
