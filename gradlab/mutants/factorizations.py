"""Inverses and factorizations of matrices.

::

    inverse          Y = X⁻¹        dX = −Yᵀ dY Yᵀ
    solve            y = A⁻¹ b      db = A⁻ᵀ dy, dA = −db yᵀ
    cholesky_logdet  log det A      A symmetric, by Cholesky, which reads the lower triangle only
"""

from __future__ import annotations

import numpy as np

from gradlab.mutants._points import Array
from gradlab.mutants.model import Case, Defect


def far_from_singular(rng: np.random.Generator, n: int) -> Array:
    """Draw a matrix that is well conditioned and not symmetric."""
    return np.asarray(2 * np.eye(n) + 0.4 * rng.normal(size=(n, n)))


def inverse_backward(dy: Array, x: Array) -> Array:
    """Return ``−Yᵀ dY Yᵀ`` with ``Y = X⁻¹``."""
    y = np.linalg.inv(x)
    return -y.T @ dy @ y.T


def inverse_untransposed(dy: Array, x: Array) -> Array:
    """Return ``−Y dY Y``."""
    y = np.linalg.inv(x)
    return -y @ dy @ y


INVERSE = Case(
    "inverse",
    np.linalg.inv,
    inverse_backward,
    lambda rng: (far_from_singular(rng, 3),),
    defects=(
        Defect(
            "no minus",
            lambda dy, x: -inverse_backward(dy, x),
            kind="arithmetic",
            remakes="the sign of the derivative of an inverse",
            cause="sign",
        ),
        Defect(
            "no transposes",
            inverse_untransposed,
            kind="layout",
            remakes="the differential −Y dX Y taken for the gradient",
            cause="transposed",
        ),
        Defect(
            "transposed",
            lambda dy, x: inverse_backward(dy, x).T,
            kind="layout",
            remakes="a result that should have been transposed back",
            cause="transposed",
        ),
        Defect(
            "entry by entry",
            lambda dy, x: -dy / x**2,
            kind="arithmetic",
            remakes="the derivative of 1 / x",
        ),
    ),
)


def solve_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Return ``−db yᵀ`` and ``db = A⁻ᵀ dy``."""
    db = np.linalg.solve(a.T, dy)
    return -np.outer(db, np.linalg.solve(a, b)), db


def solve_untransposed(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Solve with ``A`` once more."""
    db = np.linalg.solve(a, dy)
    return -np.outer(db, np.linalg.solve(a, b)), db


SOLVE = Case(
    "solve",
    np.linalg.solve,
    solve_backward,
    lambda rng: (far_from_singular(rng, 3), rng.normal(size=3)),
    defects=(
        Defect(
            "solved with A",
            solve_untransposed,
            kind="layout",
            remakes="transpose forgotten in the adjoint solve, unseen when symmetric",
            cause="transposed",
        ),
        Defect(
            "no minus",
            lambda dy, a, b: (-solve_backward(dy, a, b)[0], solve_backward(dy, a, b)[1]),
            kind="arithmetic",
            remakes="the sign of the derivative of an inverse",
            cause="sign",
        ),
        Defect(
            "matrix gradient transposed",
            lambda dy, a, b: (solve_backward(dy, a, b)[0].T, solve_backward(dy, a, b)[1]),
            kind="layout",
            remakes="the outer product the wrong way round",
            cause="transposed",
        ),
        Defect(
            "matrix taken for a constant",
            lambda dy, a, b: (np.zeros_like(a), solve_backward(dy, a, b)[1]),
            kind="arithmetic",
            remakes="gradient only for the right-hand side",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "right-hand side for the solution",
            lambda dy, a, b: (-np.outer(np.linalg.solve(a.T, dy), b), solve_backward(dy, a, b)[1]),
            kind="arithmetic",
            remakes="the input used where the output belongs",
        ),
    ),
)


def logdet(a: Array) -> Array:
    """Return ``2 Σ log diag(L)``, ``A = L Lᵀ``; raises where ``A`` is not positive definite."""
    return np.asarray(2 * np.log(np.diag(np.linalg.cholesky(a))).sum())


def logdet_backward(dl: Array, a: Array) -> Array:
    """Return the gradient of the lower triangle, each of whose entries stands for two."""
    inverse = np.linalg.inv(np.tril(a) + np.tril(a, -1).T)
    return np.asarray(dl * (np.tril(inverse) + np.tril(inverse, -1)))


def positive_definite(rng: np.random.Generator) -> tuple[Array]:
    """Draw a symmetric matrix with its smallest eigenvalue at 1e-3: just inside the domain."""
    axes, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    return (axes @ np.diag([1e-3, 0.5, 1.0, 2.0]) @ axes.T,)


LOGDET = Case(
    "cholesky_logdet",
    logdet,
    logdet_backward,
    positive_definite,
    defects=(
        Defect(
            "inverse as it is",
            lambda dl, a: dl * np.linalg.inv(a),
            kind="domain",
            remakes="the textbook gradient, where the forward reads only one triangle",
            cause="right-on-constraint",
        ),
        Defect(
            "half",
            lambda dl, a: 0.5 * logdet_backward(dl, a),
            kind="domain",
            remakes="the 2 of log det A = 2 Σ log diag(L) dropped",
            cause="factor",
        ),
        Defect(
            "lower triangle of the inverse",
            lambda dl, a: dl * np.tril(np.linalg.inv(a)),
            kind="domain",
            remakes="the mirrored contributions not added",
        ),
        Defect(
            "diagonal",
            lambda dl, a: dl * np.diag(np.diag(np.linalg.inv(a))),
            kind="domain",
            remakes="only the diagonal of the factor followed back",
            cause="zero-where-it-should-not-be",
        ),
    ),
)

CASES = (INVERSE, SOLVE, LOGDET)
