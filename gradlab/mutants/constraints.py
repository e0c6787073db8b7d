"""Inputs that may not be every array of their shape: symmetric matrices, unit vectors, probabilities, bounds.

::

    trace_cube     L = tr A³            dA = 3 (A²)ᵀ                A symmetric, all of it read
    eigenvalues    w of A = V w Vᵀ      dA = V diag(dw) Vᵀ          A symmetric, its lower triangle read
    cholesky       A = L Lᵀ             dA = sym(L⁻ᵀ Φ(Lᵀ dL) L⁻¹)  A symmetric, its lower triangle read
    sphere         y = W v              dv = (I − v vᵀ) Wᵀ dy       v of length one
    chi_square     L = Σ (p − q)² / q   dp = 2 p / q                p a probability, one of them zero
    decay          y = N exp(−k t)      dk = −dy t y                k ≥ 0, two rates at zero
    gaussian       L = Σ s + ½ x² e⁻²ˢ  ds = 1 − x² e⁻²ˢ            s the logarithm of a standard deviation
    moments        y = (mean, variance) dx = dm / n + 2 dv (x − m) / n
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradlab import tangents
from gradlab.mutants._points import Array
from gradlab.mutants.factorizations import positive_definite
from gradlab.mutants.model import Case, Defect


def random_symmetric(rng: np.random.Generator) -> tuple[Array]:
    """Draw a symmetric matrix whose eigenvalues are apart."""
    axes, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    return (axes @ np.diag([-1.0, 0.5, 1.5, 3.0]) @ axes.T,)


def mirrored(rng: np.random.Generator) -> tuple[Array]:
    """Draw a matrix that is symmetric to the last digit."""
    (a,) = random_symmetric(rng)
    return ((a + a.T) / 2,)


def trace_cube_backward(dl: Array, a: Array) -> Array:
    """Return ``3 (A²)ᵀ``."""
    return np.asarray(3 * dl * (a @ a).T)


TRACE_CUBE = Case(
    "trace_cube",
    lambda a: np.trace(a @ a @ a),
    trace_cube_backward,
    mirrored,
    defects=(
        Defect(
            "lower triangle",
            lambda dl, a: np.tril(trace_cube_backward(dl, a)),
            kind="constraint",
            remakes="only the triangle filled that a symmetric matrix is stored in",
            cause="triangle-only",
        ),
        Defect(
            "upper triangle",
            lambda dl, a: np.triu(trace_cube_backward(dl, a)),
            kind="constraint",
            remakes="the same, in the order of Fortran",
            cause="triangle-only",
        ),
        Defect(
            "lower triangle doubled",
            lambda dl, a: np.tril(trace_cube_backward(dl, a)) + np.tril(trace_cube_backward(dl, a), -1),
            kind="constraint",
            remakes="packed storage: each entry of the triangle stands for two, and forward reads both",
            cause="right-on-constraint",
        ),
    ),
)


def eigenvalues(a: Array) -> Array:
    """Return the eigenvalues of a symmetric matrix, of which the lower triangle is read."""
    return np.linalg.eigvalsh(a)


def eigenvalues_backward(dw: Array, a: Array) -> Array:
    """Return ``V diag(dw) Vᵀ``."""
    v = np.linalg.eigh(a)[1]
    return np.asarray((v * dw) @ v.T)


def eigenvectors_as_rows(dw: Array, a: Array) -> Array:
    """Return ``Vᵀ diag(dw) V``."""
    v = np.linalg.eigh(a)[1]
    return np.asarray((v.T * dw) @ v)


EIGENVALUES = Case(
    "eigenvalues",
    eigenvalues,
    eigenvalues_backward,
    mirrored,
    tangents={"a": tangents.symmetric},
    defects=(
        Defect(
            "eigenvectors as rows",
            eigenvectors_as_rows,
            kind="constraint",
            remakes="rows taken for eigenvectors, as some libraries return them",
        ),
        Defect(
            "in descending order",
            lambda dw, a: eigenvalues_backward(dw[::-1], a),
            kind="constraint",
            remakes="eigenvalues ascend in one library, and descend in another",
        ),
        Defect(
            "diagonal",
            lambda dw, a: np.diag(np.diag(eigenvalues_backward(dw, a))),
            kind="constraint",
            remakes="first-order perturbation of the diagonal entries alone",
        ),
        Defect(
            "lower triangle",
            lambda dw, a: np.tril(eigenvalues_backward(dw, a)),
            kind="constraint",
            remakes="the mirrored contributions not added",
        ),
    ),
)


def cholesky(a: Array) -> Array:
    """Return the Cholesky factor of a symmetric matrix, of which the lower triangle is read."""
    return np.linalg.cholesky(a)


def half_diagonal(x: Array) -> Array:
    """Return ``Φ``: the lower triangle, its diagonal halved."""
    return np.tril(x) - np.diag(np.diag(x)) / 2


def cholesky_backward(dl: Array, a: Array, phi: Callable[[Array], Array] = half_diagonal) -> Array:
    """Return the symmetric part of ``L⁻ᵀ Φ(Lᵀ dL) L⁻¹``: I. Murray, arXiv:1602.07527."""
    factor = np.linalg.cholesky(a)
    inverse = np.linalg.inv(factor)
    s = inverse.T @ phi(factor.T @ np.tril(dl)) @ inverse
    return np.asarray((s + s.T) / 2)


def well_conditioned(rng: np.random.Generator) -> tuple[Array]:
    """Draw a symmetric positive definite matrix."""
    (a,) = positive_definite(rng)
    return ((a + a.T) / 2 + np.eye(4),)


CHOLESKY = Case(
    "cholesky",
    cholesky,
    cholesky_backward,
    well_conditioned,
    tangents={"a": tangents.symmetric},
    defects=(
        Defect(
            "whole diagonal",
            lambda dl, a: cholesky_backward(dl, a, np.tril),
            kind="constraint",
            remakes="Φ that does not halve the diagonal",
        ),
        Defect(
            "one triangle",
            lambda dl, a: np.tril(cholesky_backward(dl, a)),
            kind="constraint",
            remakes="a symmetric gradient stored in one triangle, not doubled",
        ),
        Defect(
            "not transposed",
            lambda dl, a: cholesky_backward(dl.T, a),
            kind="constraint",
            remakes="the upstream gradient of an upper factor",
        ),
    ),
)


def sphere_backward(dy: Array, w: Array, v: Array) -> tuple[Array, Array]:
    """Return ``dy vᵀ`` and the part of ``Wᵀ dy`` along the sphere."""
    return np.outer(dy, v), tangents.unit(v, w.T @ dy)


def matrix_and_unit(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw a square matrix and a unit vector."""
    v = rng.normal(size=4)
    return rng.normal(size=(4, 4)), v / np.linalg.norm(v)


SPHERE = Case(
    "sphere",
    lambda w, v: np.tanh(w @ v),
    lambda dy, w, v: sphere_backward(dy * (1 - np.tanh(w @ v) ** 2), w, v),
    matrix_and_unit,
    tangents={"v": tangents.unit},
    defects=(
        Defect(
            "not transposed",
            lambda dy, w, v: (
                sphere_backward(dy * (1 - np.tanh(w @ v) ** 2), w, v)[0],
                tangents.unit(v, w @ (dy * (1 - np.tanh(w @ v) ** 2))),
            ),
            kind="constraint",
            remakes="transpose forgotten, unseen when square",
        ),
        Defect(
            "projected elsewhere",
            lambda dy, w, v: (
                sphere_backward(dy * (1 - np.tanh(w @ v) ** 2), w, v)[0],
                tangents.unit(w @ v, w.T @ (dy * (1 - np.tanh(w @ v) ** 2))),
            ),
            kind="constraint",
            remakes="the tangent space of the image instead of the point",
        ),
        Defect(
            "slope left out",
            lambda dy, w, v: (
                sphere_backward(dy * (1 - np.tanh(w @ v) ** 2), w, v)[0],
                tangents.unit(v, w.T @ dy),
            ),
            kind="constraint",
            remakes="the chain rule ends at the projection",
        ),
    ),
)


def probabilities(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw two rows of probabilities each, and one of the first that is zero."""
    p, q = rng.dirichlet(np.full(5, 5.0), size=2), rng.dirichlet(np.full(5, 5.0), size=2)
    p[0, 2] = 0
    return p / p.sum(axis=1, keepdims=True), q


def chi_square(p: Array, q: Array) -> Array:
    """Return ``Σ (p − q)² / q``; raises where a probability is negative."""
    if (p < 0).any():
        raise ValueError("negative probability")
    return np.asarray(((p - q) ** 2 / q).sum(axis=1))


def chi_square_backward(dl: Array, p: Array, q: Array) -> tuple[Array, Array]:
    """Return ``2 p / q``, from which ``2 (p − q) / q`` differs by a constant, and ``1 − (p / q)²``."""
    return dl[:, None] * 2 * p / q, dl[:, None] * (1 - (p / q) ** 2)


CHI_SQUARE = Case(
    "chi_square",
    chi_square,
    chi_square_backward,
    probabilities,
    bounds={"p": (0, 1)},
    tangents={"p": tangents.simplex},
    defects=(
        Defect(
            "gradient of the relative entropy",
            lambda dl, p, q: (
                dl[:, None] * np.log(np.maximum(p, 1e-300) / q),
                chi_square_backward(dl, p, q)[1],
            ),
            kind="constraint",
            remakes="the derivative of another divergence",
        ),
        Defect(
            "left out at zero",
            lambda dl, p, q: (
                dl[:, None] * np.where(p > 0, 2 * p / q - 2, 0),
                chi_square_backward(dl, p, q)[1],
            ),
            kind="constraint",
            remakes="classes that do not occur are skipped, and their gradient is not zero",
        ),
        Defect(
            "half",
            lambda dl, p, q: (dl[:, None] * p / q, chi_square_backward(dl, p, q)[1]),
            kind="constraint",
            remakes="the 2 of the square dropped",
        ),
    ),
)


def decay(k: Array, n: Array) -> Array:
    """Return ``N exp(−k t)`` at five times; raises where a rate is negative."""
    if (k < 0).any():
        raise ValueError("negative rate")
    return np.asarray(n * np.exp(-k * TIMES[:, None]))


TIMES = np.linspace(0.2, 1, 5)


def decay_backward(dy: Array, k: Array, n: Array) -> tuple[Array, Array]:
    """Return ``−Σ dy t y`` and ``Σ dy exp(−k t)``."""
    kept = np.exp(-k * TIMES[:, None])
    return -(dy * TIMES[:, None] * n * kept).sum(axis=0), (dy * kept).sum(axis=0)


DECAY = Case(
    "decay",
    decay,
    decay_backward,
    lambda rng: (np.array([0.0, 0.0, *rng.uniform(0.3, 2, 2)]), rng.uniform(1, 2, 4)),
    bounds={"k": (0, None)},
    defects=(
        Defect(
            "zero at the bound",
            lambda dy, k, n: (decay_backward(dy, k, n)[0] * (k > 0), decay_backward(dy, k, n)[1]),
            kind="constraint",
            remakes="the gradient of an active bound set to zero",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "half at the bound",
            lambda dy, k, n: (
                decay_backward(dy, k, n)[0] * np.where(k > 0, 1, 0.5),
                decay_backward(dy, k, n)[1],
            ),
            kind="constraint",
            remakes="a one-sided slope averaged with zero on the other side",
            cause="wrong-on-special-values",
        ),
        Defect(
            "for the logarithm",
            lambda dy, k, n: (k * decay_backward(dy, k, n)[0], decay_backward(dy, k, n)[1]),
            kind="constraint",
            remakes="the gradient for log k, in which rates are fitted",
        ),
        Defect(
            "amounts for their logarithm",
            lambda dy, k, n: (decay_backward(dy, k, n)[0], n * decay_backward(dy, k, n)[1]),
            kind="constraint",
            remakes="the gradient for log N",
            cause="other-variable",
        ),
    ),
)


def gaussian_backward(dl: Array, x: Array, s: Array) -> tuple[Array, Array]:
    """Return ``x e⁻²ˢ`` and ``1 − x² e⁻²ˢ``."""
    precision = np.exp(-2 * s)
    return dl * x * precision, dl * (1 - x**2 * precision)


GAUSSIAN = Case(
    "gaussian",
    lambda x, s: (s + x**2 * np.exp(-2 * s) / 2).sum(),
    gaussian_backward,
    lambda rng: (rng.normal(size=5), rng.uniform(-1, 1, 5)),
    defects=(
        Defect(
            "for the standard deviation",
            lambda dl, x, s: (gaussian_backward(dl, x, s)[0], gaussian_backward(dl, x, s)[1] / np.exp(s)),
            kind="constraint",
            remakes="the gradient for σ, where the parameter is log σ",
            cause="other-variable",
        ),
        Defect(
            "no exponent",
            lambda dl, x, s: (gaussian_backward(dl, x, s)[0], dl * (1 - x**2)),
            kind="arithmetic",
            remakes="the precision left out",
        ),
        Defect(
            "half the exponent",
            lambda dl, x, s: (dl * x * np.exp(-s), gaussian_backward(dl, x, s)[1]),
            kind="arithmetic",
            remakes="log σ taken for log σ²",
        ),
    ),
)


def moments_backward(dy: Array, x: Array) -> Array:
    """Return ``dm / n + 2 dv (x − m) / n``."""
    return np.asarray((dy[0] + 2 * dy[1] * (x - x.mean())) / x.size)


MOMENTS = Case(
    "moments",
    lambda x: np.array([x.mean(), x.var()]),
    moments_backward,
    lambda rng: (rng.normal(size=6),),
    defects=(
        Defect(
            "of the mean alone",
            lambda dy, x: np.full(x.shape, dy[0] / x.size),
            kind="upstream",
            remakes="the gradient of one of two outputs",
            cause="one-output-only",
        ),
        Defect(
            "of the variance alone",
            lambda dy, x: 2 * dy[1] * (x - x.mean()) / x.size,
            kind="upstream",
            remakes="the gradient of the last output overwrites the first",
            cause="one-output-only",
        ),
        Defect(
            "with n − 1",
            lambda dy, x: dy[0] / x.size + 2 * dy[1] * (x - x.mean()) / (x.size - 1),
            kind="reduction",
            remakes="the unbiased variance differentiated",
        ),
    ),
)

CASES = (TRACE_CUBE, EIGENVALUES, CHOLESKY, SPHERE, CHI_SQUARE, DECAY, GAUSSIAN, MOMENTS)
