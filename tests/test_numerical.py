import numpy as np
import pytest
from scipy.sparse import diags_array

from gradlab import UsageError, numerical_jacobian, numerical_vjp

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
W = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.75]])


def test_vjp_of_a_product_with_error_bars():
    dy = np.array([[1.0, -0.3], [2.0, 0.7]])
    (dx, dw), (dx_bar, dw_bar) = numerical_vjp(lambda x, w: x @ w, (X, W), dy)
    assert (np.abs(dx - dy @ W.T) <= dx_bar).all()
    assert (np.abs(dw - X.T @ dy) <= dw_bar).all()
    assert dx_bar.max() < 1e-11


def test_without_an_upstream_gradient_it_is_the_gradient_of_the_sum():
    gradient, _ = numerical_vjp(np.square, X)
    np.testing.assert_allclose(gradient, 2 * X, rtol=1e-10)


def test_answers_come_in_the_form_of_the_inputs():
    gradients, bars = numerical_vjp(lambda x, k: x**k, {"x": X, "k": 2})
    assert set(gradients) == set(bars) == {"x", "k"}
    assert gradients["k"] is None
    jacobian = numerical_jacobian(lambda x, k: x[k], (X, np.array([1])))
    assert jacobian[0].shape == (1, 3, 2, 3)
    assert jacobian[1] is None


def test_jacobian_has_the_shape_of_the_output_then_of_the_input():
    dx, dw = numerical_jacobian(lambda x, w: x @ w, (X, W))
    assert dx.shape == (2, 2, 2, 3)
    np.testing.assert_allclose(dw, np.einsum("nd,mk->nmdk", X, np.eye(2)), atol=1e-10)


def test_forward_that_raises():
    with pytest.raises(UsageError, match="forward raised ZeroDivisionError"):
        numerical_vjp(lambda x: 1 / 0, X)


def test_gradient_of_complex_numbers_is_in_the_convention_asked_for():
    z = X[0] + 1j * X[1]
    for convention, right in (("torch", 2 * z.conj()), ("jax", 2 * z)):
        gradient, bar = numerical_vjp(np.square, z, np.ones(3), convention=convention)
        assert gradient.shape == bar.shape == z.shape
        assert (np.abs(gradient - right) <= bar).all()
        assert bar.max() < 1e-10


def test_jacobian_of_complex_numbers_is_that_of_pairs():
    jacobian = numerical_jacobian(np.square, np.array([1 + 2j]))
    np.testing.assert_allclose(jacobian.reshape(2, 2), [[2, -4], [4, 2]], atol=1e-9)


N = 2_000
LONG = np.random.default_rng(0).normal(size=N)


def chain(x):
    y = 2 * np.sin(x)
    y[1:] += x[:-1] ** 2
    return y


def chain_jacobian(x):
    return diags_array([2 * x[:-1], 2 * np.cos(x)], offsets=[-1, 0]).tocsr()


def test_jacobian_of_a_pattern_costs_tens_of_calls():
    calls = []
    exact = chain_jacobian(LONG)
    found = numerical_jacobian(lambda x: calls.append(1) or chain(x), LONG, sparsity=exact)
    assert len(calls) < 100
    np.testing.assert_allclose(found.data, exact.data, rtol=1e-9, atol=1e-10)


def test_jacobian_of_a_pattern_computed_in_float32_is_as_good_as_that():
    exact = chain_jacobian(LONG)
    found = numerical_jacobian(lambda x: chain(x.astype(np.float32)).astype(float), LONG, sparsity=exact)
    np.testing.assert_allclose(found.data, exact.data, rtol=1e-3, atol=1e-3)


def test_jacobian_of_a_pattern_comes_in_the_form_of_the_inputs_and_is_flat():
    pattern = np.repeat(np.eye(2), 3, axis=1)
    jacobian = numerical_jacobian(lambda x, k: (x**k).sum(axis=1), {"x": X, "k": 2}, sparsity=pattern)
    assert jacobian["k"] is None
    np.testing.assert_allclose(jacobian["x"].toarray(), pattern * np.tile(2 * X.ravel(), (2, 1)), atol=1e-10)


@pytest.mark.parametrize("missing", [(700, 699), (700, 700)])
def test_pattern_that_lacks_an_entry_is_refused(missing):
    pattern = chain_jacobian(LONG).tolil()
    pattern[missing] = 0
    with pytest.raises(UsageError, match="sparsity has too few entries in 1 row, the first 700"):
        numerical_jacobian(chain, LONG, sparsity=pattern)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (X, r"expected a matrix of shape \(6, 6\)"),
        (X + 1j, "one input of real"),
        ((X, X), "given for x1 and x2"),
    ],
)
def test_pattern_of_something_else_is_refused(inputs, message):
    with pytest.raises(UsageError, match=message):
        numerical_jacobian(np.add if isinstance(inputs, tuple) else np.abs, inputs, sparsity=np.eye(3))
