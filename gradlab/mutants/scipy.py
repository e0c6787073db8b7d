"""Planted defects of what one hands to `scipy.optimize`: gradients, Jacobians and Hessians in all forms.

::

    rosen         f = Σ 100 (x_{i+1} − x_i²)² + (1 − x_i)²,  SciPy's own
    chain         y_i = 2 sin x_i + x_{i−1}² − e^{x_{i+1}},    a Jacobian with three diagonals
    scaled        f = Σ (s_i x_i)²,  of unknowns of very different sizes
    root          f = Σ √x_i,  which is not defined below zero
    absolute      f = Σ |x_i|
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import rosen, rosen_der, rosen_hess, rosen_hess_prod
from scipy.sparse import diags_array
from scipy.sparse.linalg import LinearOperator

from gradlab.mutants.planted import Planted
from gradlab.numerics import Array

X = np.array([1.3, 0.7, 0.8, 1.9])
LONG = np.linspace(0.0, 1.0, 50)
SCALE = np.array([1e2, 1.0, 1.0, 0.1])


def changed(function: Callable[..., Any], index: Any, by: float) -> Callable[..., Array]:
    """Return a function, one entry of whose answer is multiplied."""

    def wrong(*args: Any) -> Array:
        answer = np.array(function(*args), dtype=float)
        answer[index] *= by
        return answer

    return wrong


def chain(x: Array) -> Array:
    """Return ``2 sin x_i + x_{i−1}² − e^{x_{i+1}}``."""
    y = 2 * np.sin(x)
    y[1:] += x[:-1] ** 2
    y[:-1] -= np.exp(x[1:])
    return np.asarray(y)


def chain_jac(x: Array) -> Any:
    """Return its Jacobian, sparse."""
    return diags_array([2 * x[:-1], 2 * np.cos(x), -np.exp(x[1:])], offsets=[-1, 0, 1]).tocsr()


def dense(x: Array) -> Array:
    """Return its Jacobian as an array."""
    return np.asarray(chain_jac(x).toarray())


def one_missing(x: Array) -> Any:
    """Return its Jacobian, whose pattern has one entry too few."""
    wrong = chain_jac(x).tolil()
    wrong[17, 18] = 0
    return wrong.tocsr()


def one_entry(x: Array) -> Any:
    """Return its Jacobian, in which one entry is a hundredth off."""
    wrong = chain_jac(x).tolil()
    wrong[17, 18] *= 1.01
    return wrong.tocsr()


def operator(x: Array) -> LinearOperator:
    """Return its Jacobian as an operator."""
    value = chain_jac(x)
    return LinearOperator(value.shape, matvec=lambda v: value @ v, rmatvec=lambda u: value.T @ u, dtype=float)


def untransposed(x: Array) -> LinearOperator:
    """Return the same, which takes both products with the Jacobian itself."""
    value = chain_jac(x)
    return LinearOperator(value.shape, matvec=lambda v: value @ v, rmatvec=lambda u: value @ u, dtype=float)


def scaled(x: Array) -> float:
    """Return ``Σ (s_i x_i)²``."""
    return float(np.sum((SCALE * x) ** 2))


def scaled_der(x: Array) -> Array:
    """Return its gradient."""
    return np.asarray(2 * SCALE**2 * x)


def root(x: Array) -> float:
    """Return ``Σ √x_i``, NaN below zero."""
    with np.errstate(invalid="ignore"):
        return float(np.sum(np.sqrt(x - 1) ** 3))


def root_der(x: Array) -> Array:
    """Return its gradient, which is zero at the bound."""
    return np.asarray(1.5 * np.sqrt(np.maximum(x - 1, 0)))


def absolute(x: Array) -> float:
    """Return ``Σ |x_i|``."""
    return float(np.abs(x).sum())


def in_place(x: Array) -> Array:
    """Return the gradient of Rosenbrock's function in the array that was given."""
    return np.asarray(np.multiply(rosen_der(x), 1, out=x))


def other_each_time() -> Callable[[Array], Array]:
    """Return the gradient of Rosenbrock's function, once; what it accumulates, from then on."""
    total = np.zeros(X.size)

    def gradient(x: Array) -> Array:
        total[:] += rosen_der(x)
        return total.copy()

    return gradient


PLANTED: tuple[Planted, ...] = (
    Planted(
        "one entry a thousandth off",
        "check_grad",
        right=(rosen, rosen_der, X),
        wrong=(rosen, changed(rosen_der, 2, 1.001), X),
        named="[2]",
        remakes="one term of one entry",
    ),
    Planted(
        "a small entry doubled",
        "check_grad",
        right=(scaled, scaled_der, X),
        wrong=(scaled, changed(scaled_der, 3, 2.0), X),
        named="[3]",
        remakes="an unknown in other units than the rest",
    ),
    Planted(
        "doubled at a bound",
        "check_grad",
        right=(root, root_der, [1.0, 1.5, 2.0]),
        wrong=(root, lambda x: root_der(x) + (x == 1), [1.0, 1.5, 2.0]),
        options={"bounds": [(1, None)] * 3},
        named="[0]",
        remakes="a special case at the edge of the domain",
    ),
    Planted(
        "outside of both slopes at a kink",
        "check_grad",
        right=(absolute, np.sign, [0.0, 1.0, -2.0]),
        wrong=(absolute, lambda x: np.where(x == 0, 2.0, np.sign(x)), [0.0, 1.0, -2.0]),
        named="[0]",
        remakes="a value at zero that nobody looks at",
    ),
    Planted(
        "writes to x",
        "check_grad",
        right=(rosen, rosen_der, X),
        wrong=(rosen, in_place, X),
        named="writes to x",
        remakes="out=x, after which the solver is somewhere else",
    ),
    Planted(
        "accumulates",
        "check_grad",
        right=(rosen, rosen_der, X),
        wrong=(rosen, other_each_time(), X),
        named="two answers",
        remakes="a buffer that is not set to zero",
    ),
    Planted(
        "one entry a millionth off",
        "check_jac",
        right=(chain, dense, X),
        wrong=(chain, changed(dense, (0, 1), 1 + 1e-6), X),
        named="[0, 1]",
        remakes="a constant with six digits",
    ),
    Planted(
        "square and transposed",
        "check_jac",
        right=(chain, dense, X),
        wrong=(chain, lambda x: dense(x).T, X),
        named="wrong at 6 of 16 entries",
        remakes="rows and columns exchanged, which no shape tells",
    ),
    Planted(
        "an entry is missing from the pattern",
        "check_jac",
        right=(chain, chain_jac, LONG),
        wrong=(chain, one_missing, LONG),
        named="no entry at 1 place",
        remakes="a sparsity pattern that is too small",
    ),
    Planted(
        "one stored entry a hundredth off",
        "check_jac",
        right=(chain, chain_jac, LONG),
        wrong=(chain, one_entry, LONG),
        named="[17, 18]",
        remakes="one index of many",
    ),
    Planted(
        "rmatvec is matvec",
        "check_jac",
        right=(chain, operator, X),
        wrong=(chain, untransposed, X),
        named="⟨u, J v⟩",
        remakes="the transpose forgotten, where the matrix is square",
    ),
    Planted(
        "not symmetric",
        "check_hess",
        right=(rosen_der, rosen_hess, X),
        wrong=(rosen_der, changed(rosen_hess, (0, 1), 1.001), X),
        named="[0, 1] is",
        remakes="one half of a Hessian corrected",
    ),
    Planted(
        "diagonal doubled",
        "check_hess",
        right=(rosen_der, rosen_hess, X),
        wrong=(rosen_der, lambda x: rosen_hess(x) * (1 + np.eye(4)), X),
        named="4 of 16",
        remakes="H + Hᵀ of a triangle that holds the diagonal",
    ),
    Planted(
        "an identity too many",
        "check_hessp",
        right=(rosen_der, rosen_hess_prod, X),
        wrong=(rosen_der, lambda x, p: rosen_hess_prod(x, p) + p, X),
        named="4 of 16",
        remakes="damping left in the product",
    ),
)
