"""Differential equations in discrete time, with the adjoint of the scheme itself.

::

    logistic  Euler:         u_{k+1} = u_k + h r u_k (1 − u_k)
              λ_k = λ_{k+1} (1 + h r (1 − 2 u_k)),   dr = Σ λ_{k+1} h u_k (1 − u_k)
    rk4       y' = A y:      y_{k+1} = P y_k,  P = I + B + B²/2 + B³/6 + B⁴/24,  B = hA,   λ_k = Pᵀ λ_{k+1}
    heat      u_t = (κ u_x)_x  explicit, ends fixed at zero, κ given at the faces between the cells
"""

from __future__ import annotations

import numpy as np

from gradlab.mutants._points import Array, normal
from gradlab.mutants.model import Case, Defect

STEPS, H = 6, 0.1


def logistic_path(u: Array, r: Array) -> list[Array]:
    """Return ``u_0 … u_K``."""
    path = [u]
    for _ in range(STEPS):
        u = u + H * r * u * (1 - u)
        path.append(u)
    return path


def logistic_backward(
    du: Array, u: Array, r: Array, *, shift: int = 0, first: int = 0, dr_step: float = H
) -> tuple[Array, Array]:
    """Return the gradients of u and r; the keywords make the wrong variants."""
    path, dr = logistic_path(u, r), np.zeros(())
    for k in reversed(range(first, STEPS)):
        at = path[k + shift]
        dr = dr + (du * dr_step * at * (1 - at)).sum()
        du = du * (1 + H * r * (1 - 2 * at))
    return du, dr


LOGISTIC = Case(
    "logistic_euler",
    lambda u, r: logistic_path(u, r)[-1],
    logistic_backward,
    lambda rng: (rng.uniform(0.1, 0.9, 4), np.asarray(rng.uniform(1, 2))),
    defects=(
        Defect(
            "state after the step",
            lambda du, u, r: logistic_backward(du, u, r, shift=1),
            kind="recurrence",
            remakes="the continuous adjoint, discretized on the wrong side: off by O(h)",
        ),
        Defect(
            "first step lost",
            lambda du, u, r: logistic_backward(du, u, r, first=1),
            kind="recurrence",
            remakes="a loop that ends one step too early",
        ),
        Defect(
            "no step size for the parameter",
            lambda du, u, r: logistic_backward(du, u, r, dr_step=1),
            kind="arithmetic",
            remakes="dt missing from the parameter's integral",
            cause="factor",
        ),
        Defect(
            "parameter averaged over the steps",
            lambda du, u, r: logistic_backward(du, u, r, dr_step=H / STEPS),
            kind="recurrence",
            remakes="a shared parameter averaged over its uses",
            cause="averaged-instead-of-summed",
        ),
        Defect(
            "shape (1,)",
            lambda du, u, r: (logistic_backward(du, u, r)[0], logistic_backward(du, u, r)[1][None]),
            kind="shape",
            remakes="an array of one entry for a scalar parameter",
            breaks="shape",
        ),
    ),
)


def step_matrix(a: Array, order: int = 4) -> Array:
    """Return ``I + B + B²/2 + …`` with ``B = hA``."""
    term = total = np.eye(len(a))
    for k in range(1, order + 1):
        term = term @ a * (H / k)
        total = total + term
    return np.asarray(total)


def rk4(y: Array, a: Array) -> Array:
    """Return ``y_K``, by four evaluations a step."""
    for _ in range(STEPS):
        k1 = a @ y
        k2 = a @ (y + H / 2 * k1)
        k3 = a @ (y + H / 2 * k2)
        k4 = a @ (y + H * k3)
        y = y + H / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


def rk4_backward(dy: Array, y: Array, a: Array) -> tuple[Array, Array]:
    """Return ``(Pᵀ)ᴷ dY``, and the gradient of ``A`` through every stage of every step."""
    path = [y]
    for _ in range(STEPS):
        path.append(step_matrix(a) @ path[-1])
    da = np.zeros_like(a)
    for k in reversed(range(STEPS)):
        y = path[k]
        k1 = a @ y
        k2 = a @ (y + H / 2 * k1)
        k3 = a @ (y + H / 2 * k2)
        d4 = H / 6 * dy
        d3 = H / 3 * dy + H * a.T @ d4
        d2 = H / 3 * dy + H / 2 * a.T @ d3
        d1 = H / 6 * dy + H / 2 * a.T @ d2
        stages = ((d1, y), (d2, y + H / 2 * k1), (d3, y + H / 2 * k2), (d4, y + H * k3))
        da += sum(np.outer(d, at) for d, at in stages)
        dy = dy + a.T @ (d1 + d2 + d3 + d4)
    return dy, da


def euler_adjoint(dy: Array, y: Array, a: Array) -> tuple[Array, Array]:
    """Go back by Euler's method."""
    da = rk4_backward(dy, y, a)[1]
    for _ in range(STEPS):
        dy = dy + H * a.T @ dy
    return dy, da


def back_in_time(dy: Array, y: Array, a: Array) -> tuple[Array, Array]:
    """Run the equation itself backwards."""
    return rk4(dy, -a), rk4_backward(dy, y, a)[1]


def untransposed(dy: Array, y: Array, a: Array) -> tuple[Array, Array]:
    """Run the equation itself, with A for Aᵀ."""
    return rk4(dy, a), rk4_backward(dy, y, a)[1]


def parameter_at_the_start(dy: Array, y: Array, a: Array) -> tuple[Array, Array]:
    """Evaluate the parameter's integral with the first state for all."""
    dy0, _ = rk4_backward(dy, y, a)
    return dy0, STEPS * H * np.outer(dy0, y)


RK4 = Case(
    "rk4",
    rk4,
    rk4_backward,
    normal((3,), (3, 3)),
    defects=(
        Defect(
            "adjoint by Euler",
            euler_adjoint,
            kind="arithmetic",
            remakes="another scheme for the adjoint than for the state",
        ),
        Defect(
            "backwards in time without transpose",
            back_in_time,
            kind="layout",
            remakes="the inverse of the flow taken for its adjoint, right for rotations",
        ),
        Defect(
            "not transposed",
            untransposed,
            kind="layout",
            remakes="transpose forgotten, unseen for symmetric matrices",
            cause="transposed",
        ),
        Defect(
            "parameter at the initial state",
            parameter_at_the_start,
            kind="recurrence",
            remakes="the stored trajectory replaced by its start",
        ),
        Defect(
            "parameter gradient transposed",
            lambda dy, y, a: (rk4_backward(dy, y, a)[0], rk4_backward(dy, y, a)[1].T),
            kind="layout",
            remakes="the outer product the wrong way round",
            cause="transposed",
        ),
    ),
)

COURANT = 0.2


def gradient_of(u: Array) -> Array:
    """Return the differences across the faces, with zero beyond both ends."""
    return np.diff(u, prepend=0, append=0)


def heat_path(u: Array, kappa: Array) -> list[Array]:
    """Return ``u_0 … u_K`` of ``u + c diff(κ diff(u))``."""
    path = [u]
    for _ in range(STEPS):
        path.append(path[-1] + COURANT * np.diff(kappa * gradient_of(path[-1])))
    return path


def heat_backward(du: Array, u: Array, kappa: Array, *, sign: float = -1) -> tuple[Array, Array]:
    """Return the gradients of the initial state and of κ.

    The step is symmetric in ``u``, so that its adjoint is the step itself.
    """
    path, dkappa = heat_path(u, kappa), np.zeros_like(kappa)
    for k in reversed(range(STEPS)):
        dkappa += sign * COURANT * gradient_of(du) * gradient_of(path[k])
        du = du + COURANT * np.diff(kappa * gradient_of(du))
    return du, dkappa


def boundary_open(du: Array, u: Array, kappa: Array) -> tuple[Array, Array]:
    """Close the faces at both ends in the conductivity's gradient."""
    du0, dkappa = heat_backward(du, u, kappa)
    dkappa[[0, -1]] = 0
    return du0, dkappa


def insulated(du: Array, u: Array, kappa: Array) -> tuple[Array, Array]:
    """Go back with insulated ends."""
    inner = kappa.copy()
    inner[[0, -1]] = 0
    return heat_backward(du, u, inner)[0], heat_backward(du, u, kappa)[1]


def final_state(du: Array, u: Array, kappa: Array) -> tuple[Array, Array]:
    """Use the last state for all."""
    du0, _ = heat_backward(du, u, kappa)
    last, dkappa = heat_path(u, kappa)[-1], np.zeros_like(kappa)
    for _ in range(STEPS):
        dkappa -= COURANT * gradient_of(du) * gradient_of(last)
        du = du + COURANT * np.diff(kappa * gradient_of(du))
    return du0, dkappa


HEAT = Case(
    "heat",
    lambda u, kappa: heat_path(u, kappa)[-1],
    heat_backward,
    lambda rng: (rng.normal(size=6), rng.uniform(0.5, 1.5, 7)),
    defects=(
        Defect(
            "nothing at the ends",
            boundary_open,
            kind="mask",
            remakes="boundary faces left out of the sensitivity",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "another boundary condition",
            insulated,
            kind="arithmetic",
            remakes="the adjoint equation with insulated ends, the forward one with fixed ends",
        ),
        Defect(
            "sign of the conductivity",
            lambda du, u, kappa: heat_backward(du, u, kappa, sign=1),
            kind="arithmetic",
            remakes="the minus of integration by parts",
            cause="sign",
        ),
        Defect(
            "final state for all steps",
            final_state,
            kind="recurrence",
            remakes="the trajectory not stored",
        ),
        Defect(
            "one step short",
            lambda du, u, kappa: (
                du + COURANT * np.diff(kappa * gradient_of(du)),
                heat_backward(du, u, kappa)[1],
            ),
            kind="recurrence",
            remakes="one time step differentiated in place of all",
        ),
    ),
)

CASES = (LOGISTIC, RK4, HEAT)
