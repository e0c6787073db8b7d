"""The explicit full Jacobian as a second witness.

For a small point the whole of ``dY/dX`` is built, numerically and, where the rule gives one, in closed form.
Contracted with the upstream gradient, each must equal what backward returns:

::

    dL/dX[j] = Σ_k dL/dY[k] dY[k]/dX[j]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradlab.numerics import Array
from gradlab.numerics.extrapolation import DOUBLE_EPS
from gradlab.numerics.jacobian import jacobian
from gradlab.point.problem import Problem
from gradlab.point.values import describe
from gradlab.report import Finding
from gradlab.words import counted


def full_jacobian(problem: Problem, position: int) -> tuple[Array, Array]:
    """Return ``dY/dX`` for one input, of shape ``(*Y.shape, *X.shape)``, and its error bars."""
    x = problem.value(position)
    columns, bars = jacobian(
        lambda moved: problem.evaluate({position: moved}),
        x,
        output=problem.output,
        noise=problem.noise,
        eps=problem.eps,
    )
    shape = (*problem.form.shape, *x.shape)
    return columns.reshape(shape), bars.reshape(shape)


def contract(upstream: Array, explicit: Array, shape: tuple[int, ...]) -> Array:
    """Return ``Σ_k dL/dY[k] dY[k]/dX`` in the shape of ``X``; the upstream gradient comes as a vector."""
    return (upstream @ explicit.reshape(upstream.size, int(np.prod(shape)))).reshape(shape)


def compare_jacobian(
    problem: Problem,
    gradients: Mapping[int, Array],
    closed_form: Callable[..., Any] | None,
    *,
    rtol: float,
) -> list[Finding]:
    """Compare backward, the numerical Jacobian and the closed form with each other.

    Parameters
    ----------
    problem : Problem
        A small point: the Jacobian has as many entries as inputs times outputs.
    gradients : mapping of int to Array
        What backward returned, by position.
    closed_form : callable, optional
        The rule's ``jacobian``.
    rtol : float
        The relative disagreement that the caller does not care about.

    Returns
    -------
    list of Finding
        Of kind ``jacobian-contraction`` where backward is not the contraction of a Jacobian, and
        ``closed-form-jacobian`` where the closed form is not the Jacobian of forward.
    """
    findings: list[Finding] = []
    given: dict[int, Any] = {}
    if closed_form is not None:
        given, wrong_form = _closed_form(problem, closed_form)
        findings += wrong_form
    for i, gradient in gradients.items():
        name, u = problem.names[i], problem.grad_output
        numeric, bars = full_jacobian(problem, i)
        contracted = contract(u, numeric, gradient.shape)
        contracted_bars = contract(np.abs(u), bars, gradient.shape)
        if _differ(gradient, contracted, contracted_bars, rtol).any():
            findings.append(_contraction(problem, i, gradient, (contracted, contracted_bars), "numerical"))
        if i not in given:
            continue
        if (
            not isinstance(given[i], np.ndarray)
            or given[i].dtype.kind != "f"
            or given[i].shape != numeric.shape
        ):
            message = (
                f"jacobian returns {describe(given[i])} for {name}; "
                f"expected a floating-point array of shape {numeric.shape}, the output's and then the input's"
            )
            findings.append(Finding("jacobian", name, "closed-form-jacobian", message))
            continue
        exact = np.asarray(given[i], dtype=np.float64)
        wrong = _differ(exact, numeric, bars, rtol)
        if wrong.any():
            k = tuple(int(index) for index in np.argwhere(wrong)[0])
            entries = counted(wrong.size, "entry", "entries")
            message = (
                f"closed-form Jacobian of {name} is wrong at {wrong.sum()} of {entries}; "
                f"first {list(k)}: it gives {exact[k]:.6g}, "
                f"central differences give {numeric[k]:.6g} ± {bars[k]:.1g}"
            )
            findings.append(Finding("jacobian", name, "closed-form-jacobian", message))
        contracted = contract(u, exact, gradient.shape)
        # The sum over all outputs is rounded; so was backward's own, in another order.
        rounding = 8 * DOUBLE_EPS * u.size * contract(np.abs(u), np.abs(exact), gradient.shape)
        if _differ(gradient, contracted, rounding, rtol).any() and not findings:
            findings.append(_contraction(problem, i, gradient, (contracted, rounding), "closed-form"))
    return findings


def _closed_form(problem: Problem, closed_form: Callable[..., Any]) -> tuple[dict[int, Any], list[Finding]]:
    try:
        returned = problem.call(closed_form)
    except Exception as error:
        message = f"jacobian raised {type(error).__name__}: {error}"
        return {}, [Finding("jacobian", None, "closed-form-jacobian", message)]
    given = returned if isinstance(returned, tuple | list) else (returned,)
    if len(given) != len(problem.arguments.floating):
        names = ", ".join(problem.names[i] for i in problem.arguments.floating)
        message = (
            f"jacobian returns {counted(len(given), 'array')}; "
            f"expected {len(problem.arguments.floating)}, for {names}"
        )
        return {}, [Finding("jacobian", None, "closed-form-jacobian", message)]
    # Of scalars, formulas in NumPy give scalars.
    arrays = [np.asarray(item) if isinstance(item, float) else item for item in given]
    return dict(zip(problem.arguments.floating, arrays, strict=True)), []


def _differ(claimed: Array, numeric: Array, bars: Array, rtol: float) -> Any:
    with np.errstate(invalid="ignore"):
        explained = np.abs(claimed - numeric) <= bars + rtol * np.maximum(np.abs(claimed), np.abs(numeric))
    return ~explained


def _contraction(
    problem: Problem, i: int, gradient: Array, witness: tuple[Array, Array], which: str
) -> Finding:
    contracted, bars = witness
    with np.errstate(invalid="ignore"):
        distance = np.nan_to_num(np.abs(gradient - contracted) - bars, nan=np.inf)
    k = np.unravel_index(int(np.argmax(distance)), gradient.shape)
    index = tuple(int(axis) for axis in k)
    message = (
        f"gradient of {problem.names[i]} is not the contraction of dL/dY with the {which} Jacobian; worst "
        f"{problem.arguments.label(i, index)}: backward gives {gradient[index]:.6g}, the contraction "
        f"{contracted[index]:.6g} ± {bars[index]:.1g}"
    )
    return Finding("jacobian", problem.names[i], "jacobian-contraction", message)
