"""The explicit full Jacobian as a second witness.

For a small point the table of differences is the whole of ``dY/dX``. Where the rule gives it in closed form,
that must be the same, and contracted with the upstream gradient, equal what backward returns:

::

    dL/dX[j] = Σ_k dL/dY[k] dY[k]/dX[j]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradlab.checks.directions import Directions
from gradlab.checks.rows import Rows
from gradlab.numerics import Array, Indices
from gradlab.numerics.ladder import differentiate
from gradlab.numerics.step_sizes import usual_step
from gradlab.numerics.table import WHOLE
from gradlab.point.problem import Problem
from gradlab.point.values import describe, text_of
from gradlab.report import Finding
from gradlab.words import counted, told_apart

ACCURACY = 1e-9  # of a numerical Jacobian, relative to what each output does nearby


def full_jacobian(problem: Problem, position: int) -> tuple[Array, Array]:
    """Return ``dY/dX`` for one input, of shape ``(*Y.shape, *X.shape)``, and its error bars.

    Entries of the input that are not finite are not differentiated: NaN.
    """
    x = problem.value(position)
    directions = Directions.of(problem, {position: None})
    columns, bars = columns_of(problem, directions)
    shape = (*problem.form.shape, *x.shape)
    jacobian, error_bars = (
        np.full((problem.output.size, x.size), np.nan),
        np.full((problem.output.size, x.size), np.inf),
    )
    jacobian[:, directions.entries], error_bars[:, directions.entries] = columns.T, bars.T
    return jacobian.reshape(shape), error_bars.reshape(shape)


def columns_of(problem: Problem, directions: Directions) -> tuple[Array, Array]:
    """Return the derivatives of every output along single entries, shape ``(k, m)``, and their error bars.

    At a kink the value is in the middle, and the bar reaches to the slopes of both sides.
    """
    table = directions.table(problem, None, noise=problem.noise)
    value, bar, half_jump = differentiate(table, rtol=ACCURACY)
    length = directions.divisors[:, np.newaxis]
    return value / length, (bar + half_jump) / length


def contract(upstream: Array, explicit: Array, shape: tuple[int, ...]) -> Array:
    """Return ``Σ_k dL/dY[k] dY[k]/dX`` in the shape of ``X``; the upstream gradient comes as a vector."""
    return (upstream @ explicit.reshape(upstream.size, math.prod(shape))).reshape(shape)


def compare_jacobian(
    problem: Problem,
    gradients: Mapping[int, Array],
    rows: Rows,
    closed_form: Callable[..., Any],
    *,
    rtol: float,
) -> list[Finding]:
    """Compare a closed form with the table of differences, and backward with its contraction.

    Parameters
    ----------
    problem : Problem
        A small point: the Jacobian has as many entries as inputs times outputs.
    gradients : mapping of int to Array
        What backward returned, by position; empty where there is only jvp.
    rows : Rows
        What was probed.
    closed_form : callable
        The rule's ``jacobian``.
    rtol : float
        The relative disagreement that the caller does not care about.

    Returns
    -------
    list of Finding
        Of kind ``closed-form-jacobian`` where the closed form is not the Jacobian of forward, and
        ``jacobian-contraction`` where backward is not its contraction.
    """
    given, findings = _closed_form(problem, closed_form)
    for i in problem.wrt:
        if i not in given:
            continue
        name, shape = problem.names[i], (*problem.form.shape, *problem.value(i).shape)
        if not isinstance(given[i], np.ndarray) or given[i].dtype.kind != "f" or given[i].shape != shape:
            message = (
                f"jacobian returns {describe(given[i])} for {name}; "
                f"expected a floating-point array of shape {shape}, the output's and then the input's"
            )
            findings.append(Finding("jacobian", name, "closed-form-jacobian", message))
            continue
        exact = np.asarray(given[i], dtype=np.float64)
        wrong = _wrong_entry(problem, rows, i, exact, rtol=rtol)
        if wrong is not None:
            findings.append(Finding("jacobian", name, "closed-form-jacobian", wrong))
        gradient = gradients.get(i)
        if gradient is None:
            continue
        contracted = contract(problem.grad_output, exact, gradient.shape)
        # The sum over all outputs is rounded; so was backward's own, in another order.
        size = contract(np.abs(problem.grad_output), np.abs(exact), gradient.shape)
        rounding = 8 * problem.given_eps * problem.output.size * size
        if _differ(gradient, contracted, rounding, rtol).any() and not findings:
            findings.append(_contraction(problem, i, gradient, (contracted, rounding)))
    return findings


def _wrong_entry(problem: Problem, rows: Rows, i: int, exact: Array, *, rtol: float) -> str | None:
    """Say where a closed form is not what the table shows; ``None`` where it is."""
    table, directions = rows.table, rows.directions
    mine = np.flatnonzero(directions.position == i)
    if not mine.size:
        return None
    claimed = exact.reshape(problem.output.size, -1).T[directions.entries[mine]]
    length = directions.length[mine, np.newaxis]
    doubtful = np.ones(mine.size, dtype=bool)
    bar = WHOLE * table.noise / (2 * usual_step(table.eps)) / length
    for step in table.slopes:  # one difference, then another, which tells the leading term of truncation
        table.take(mine[doubtful], step)
        doubtful = _differ(claimed, table.jacobian[mine] / length, bar, rtol).any(axis=1)
        if not doubtful.any():
            return None
    again: Indices = mine[doubtful]
    numeric, bars = columns_of(problem, directions.some(again))
    wrong = _differ(claimed[doubtful], numeric, bars, rtol) & np.isfinite(bars)
    if not wrong.any():
        return None
    row, output = (int(k) for k in np.argwhere(wrong)[0])
    index = (
        *np.unravel_index(output, problem.form.shape),
        *np.unravel_index(int(directions.entries[again[row]]), problem.value(i).shape),
    )
    given, shown = told_apart(claimed[doubtful][row, output], numeric[row, output])
    return (
        f"closed-form Jacobian of {problem.names[i]} is wrong at {wrong.sum()} of "
        f"{counted(exact.size, 'entry', 'entries')}; first {[int(k) for k in index]}: it gives "
        f"{given}, central differences give {shown} ± "
        f"{bars[row, output]:.1g}"
    )


def _closed_form(problem: Problem, closed_form: Callable[..., Any]) -> tuple[dict[int, Any], list[Finding]]:
    try:
        returned = problem.call(closed_form)
    except MemoryError:
        raise  # which says nothing of the function
    except Exception as error:
        message = f"jacobian raised {type(error).__name__}: {text_of(error)}"
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


def _contraction(problem: Problem, i: int, gradient: Array, witness: tuple[Array, Array]) -> Finding:
    contracted, bars = witness
    with np.errstate(invalid="ignore"):
        distance = np.nan_to_num(np.abs(gradient - contracted) - bars, nan=np.inf)
    k = np.unravel_index(int(np.argmax(distance)), gradient.shape)
    index = tuple(int(axis) for axis in k)
    given, expected = told_apart(gradient[index], contracted[index])
    message = (
        f"gradient of {problem.names[i]} is not the contraction of dL/dY with the closed-form Jacobian; "
        f"worst {problem.arguments.label(i, index)}: backward gives {given}, the contraction "
        f"{expected} ± {bars[index]:.1g}"
    )
    return Finding("jacobian", problem.names[i], "jacobian-contraction", message)
