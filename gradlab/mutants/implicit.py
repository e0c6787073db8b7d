"""Implicit functions: what a solver returns, differentiated by the implicit function theorem.

::

    equilibrium  z = tanh(W z + x)         D = diag(1 − z²):  λ = (I − D W)⁻ᵀ dz,  dx = D λ,  dW = (D λ) zᵀ
    cubic_root   y³ + y = x                dx = dy / (3 y² + 1)
    kepler       E − e sin E = M           dM = dE / (1 − e cos E),  de = dE sin E / (1 − e cos E)

The solvers stop at 1e-9, so that forward is a little rough.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradlab.mutants._points import Array, nonzero
from gradlab.mutants.model import Case, Defect

TOLERANCE = 1e-9
MOST = 1000


def iterate(step: Callable[[Array], Array], start: Array) -> Array:
    """Iterate until nothing moves by more than 1e-9."""
    z = start
    for _ in range(MOST):
        z, before = step(z), z
        if np.abs(z - before).max() < TOLERANCE:
            break
    return z


def equilibrium(x: Array, w: Array) -> Array:
    """Return the solution of ``z = tanh(W z + x)``."""
    return iterate(lambda z: np.tanh(w @ z + x), np.zeros_like(x))


def equilibrium_backward(dz: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """Return ``D λ`` and ``(D λ) zᵀ``."""
    z = equilibrium(x, w)
    slope = 1 - z**2
    da = slope * np.linalg.solve((np.eye(len(x)) - slope[:, None] * w).T, dz)
    return np.asarray(da), np.outer(da, z)


def one_step(dz: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """Differentiate the last iteration only."""
    z = equilibrium(x, w)
    da = (1 - z**2) * dz
    return np.asarray(da), np.outer(da, z)


def untransposed(dz: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """Solve with the Jacobian itself."""
    z = equilibrium(x, w)
    slope = 1 - z**2
    da = slope * np.linalg.solve(np.eye(len(x)) - slope[:, None] * w, dz)
    return np.asarray(da), np.outer(da, z)


def three_terms(dz: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """Truncate the Neumann series."""
    z = equilibrium(x, w)
    jacobian = (1 - z**2)[:, None] * w
    solved = dz + jacobian.T @ (dz + jacobian.T @ dz)
    da = (1 - z**2) * solved
    return np.asarray(da), np.outer(da, z)


def plus(dz: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """Add where the implicit function theorem subtracts."""
    z = equilibrium(x, w)
    slope = 1 - z**2
    da = slope * np.linalg.solve((np.eye(len(x)) + slope[:, None] * w).T, dz)
    return np.asarray(da), np.outer(da, z)


def strongly_contracting(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw a point at which 1e-9 in ``z`` is not much more in the gradient, which is a sum of like terms."""
    return nonzero(rng, 3), 0.1 * nonzero(rng, 3, 3)


EQUILIBRIUM = Case(
    "equilibrium",
    equilibrium,
    equilibrium_backward,
    strongly_contracting,
    defects=(
        Defect(
            "one step",
            one_step,
            kind="solver",
            remakes="only the last iteration differentiated",
        ),
        Defect(
            "not transposed",
            untransposed,
            kind="solver",
            remakes="the linear system of the tangent for that of the adjoint",
        ),
        Defect(
            "three terms of the series",
            three_terms,
            kind="solver",
            remakes="backward's iteration stopped much earlier than forward's",
        ),
        Defect(
            "plus",
            plus,
            kind="solver",
            remakes="the sign in the implicit function theorem",
        ),
    ),
)


def cubic_root(x: Array) -> Array:
    """Return the solution of ``y³ + y = x`` by bisection, which ends with an error of up to 1e-9."""
    low, high = -np.ones_like(x) - np.abs(x), np.ones_like(x) + np.abs(x)
    while (high - low).max() > TOLERANCE:
        middle = (low + high) / 2
        below = middle**3 + middle < x
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


CUBIC_ROOT = Case(
    "cubic_root",
    cubic_root,
    lambda dy, x: dy / (3 * cubic_root(x) ** 2 + 1),
    lambda rng: (3 * rng.normal(size=4),),
    defects=(
        Defect(
            "not inverted",
            lambda dy, x: dy * (3 * cubic_root(x) ** 2 + 1),
            kind="solver",
            remakes="the equation's derivative in place of its inverse",
        ),
        Defect(
            "minus",
            lambda dy, x: -dy / (3 * cubic_root(x) ** 2 + 1),
            kind="solver",
            remakes="both minus signs of -dF/dx / dF/dy counted once",
            cause="sign",
        ),
        Defect(
            "at the input",
            lambda dy, x: dy / (3 * x**2 + 1),
            kind="solver",
            remakes="the equation differentiated at the starting guess",
        ),
        Defect(
            "one per cent too small",
            lambda dy, x: 0.99 * dy / (3 * cubic_root(x) ** 2 + 1),
            kind="solver",
            remakes="a damping factor of the solver left in the gradient",
            cause="factor",
        ),
    ),
)


def kepler(m: Array, e: Array) -> Array:
    """Return the solution of ``E − e sin E = M`` by Newton's method."""
    return iterate(lambda a: a - (a - e * np.sin(a) - m) / (1 - e * np.cos(a)), m + e)


def kepler_backward(da: Array, m: Array, e: Array) -> tuple[Array, Array]:
    """Return ``dE / (1 − e cos E)``, and that times ``sin E``."""
    a = kepler(m, e)
    dm = da / (1 - e * np.cos(a))
    return np.asarray(dm), np.asarray(dm * np.sin(a))


def eccentricity_sign(da: Array, m: Array, e: Array) -> tuple[Array, Array]:
    """Negate the second gradient."""
    dm, de = kepler_backward(da, m, e)
    return dm, -de


KEPLER = Case(
    "kepler",
    kepler,
    kepler_backward,
    lambda rng: (rng.uniform(0.5, 2.5, 4), rng.uniform(0.2, 0.7, 4)),
    defects=(
        Defect(
            "sign of one parameter",
            eccentricity_sign,
            kind="solver",
            remakes="the sign in the implicit function theorem",
            cause="sign",
        ),
        Defect(
            "explicit part only",
            lambda da, m, e: (da, da * np.sin(kepler(m, e))),
            kind="solver",
            remakes="the solution held constant on the right-hand side",
        ),
        Defect(
            "mean for eccentric anomaly",
            lambda da, m, e: (da / (1 - e * np.cos(m)), da * np.sin(m) / (1 - e * np.cos(m))),
            kind="solver",
            remakes="the equation differentiated at the input, not at the solution",
        ),
        Defect(
            "sine and cosine exchanged",
            lambda da, m, e: tuple(
                g * (1 - e * np.cos(kepler(m, e))) / (1 - e * np.sin(kepler(m, e)))
                for g in kepler_backward(da, m, e)
            ),
            kind="arithmetic",
            remakes="the derivative of sin taken for sin",
        ),
    ),
)

CASES = (EQUILIBRIUM, CUBIC_ROOT, KEPLER)
