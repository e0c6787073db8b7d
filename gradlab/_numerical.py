"""The oracle by itself: gradients and Jacobians of a forward function, without any backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.checks.directions import Directions
from gradlab.checks.jacobian import ACCURACY, full_jacobian
from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics.ladder import differentiate
from gradlab.point.pairs import gradient_from_pairs
from gradlab.point.problem import Problem
from gradlab.point.raised import RuleRaised
from gradlab.rule import TORCH

__tracebackhide__ = is_deliberate


def numerical_vjp(
    forward: Callable[..., Any], inputs: Any, grad_output: Any = None, *, convention: str = TORCH
) -> tuple[Any, Any]:
    """Compute a vector-Jacobian product from the forward function alone.

    Parameters
    ----------
    forward : callable
        ``forward(*inputs) -> array``.
    inputs : tuple, list, dict or array
        As in `gradlab.gradcheck`.
    grad_output : array, optional
        The upstream gradient ``dL/dY``, of the output's shape. All ones by default, so that the result is
        the gradient of the output, or of the sum of its entries.
    convention : {"torch", "jax"}, default "torch"
        In which complex gradients are written, as in `gradlab.gradcheck`.

    Returns
    -------
    gradients, error_bars : tuple, dict or array
        ``dL/dX`` for each input, in the form and the shapes of ``inputs``, and what each entry may be off
        by; ``None`` for constants. At a kink the bar reaches to the slopes of both sides. Where nothing
        could be told, and at entries that are not finite, they are NaN and infinite. Outputs that are not
        finite are left out. The bar of a complex entry is the radius of a circle.

    Raises
    ------
    UsageError
        When the question is malformed, or ``forward`` raises at the point.

    Examples
    --------
    >>> gradient, error_bar = numerical_vjp(np.sin, np.array([0.0, 1.0]))
    >>> bool((np.abs(gradient - np.cos([0.0, 1.0])) <= error_bar).all())
    True
    """
    problem = _prepare(forward, inputs, grad_output, convention)
    directions = Directions.of(problem, dict.fromkeys(problem.wrt))
    gradients: dict[int, Any] = {}
    error_bars: dict[int, Any] = {}
    with np.errstate(all="ignore"):  # what overflows beside the point is no matter of the caller's
        table = directions.table(problem, problem.grad_output[np.newaxis], noise=problem.noise)
        value, bar, half_jump = differentiate(table, rtol=ACCURACY)
        for i in problem.wrt:
            mine = directions.position == i
            gradients[i] = np.full(problem.value(i).shape, np.nan)
            error_bars[i] = np.full(problem.value(i).shape, np.inf)
            length = directions.length[mine]
            gradients[i].flat[directions.entries[mine]] = value[mine, 0] / length
            error_bars[i].flat[directions.entries[mine]] = (bar + half_jump)[mine, 0] / length
            if problem.arguments.paired[i]:
                gradients[i] = gradient_from_pairs(gradients[i], paired=True, convention=convention)
                error_bars[i] = np.hypot(error_bars[i][..., 0], error_bars[i][..., 1])
    return problem.arguments.in_callers_form(gradients), problem.arguments.in_callers_form(error_bars)


def numerical_jacobian(forward: Callable[..., Any], inputs: Any, *, sparsity: Any = None) -> Any:
    """Build the explicit full Jacobian of a forward function, column by column.

    It takes ``n · m`` numbers of memory, for ``n`` input and ``m`` output entries; with a pattern, as many as
    that has entries, and tens of calls of ``forward`` however large the input is.

    Parameters
    ----------
    forward : callable
        ``forward(*inputs) -> array``.
    inputs : tuple, list, dict or array
        As in `gradlab.gradcheck`.
    sparsity : array_like or sparse array, optional
        Where the Jacobian of one real input may have entries, of shape ``(Y.size, X.size)``: every stored
        entry of a sparse one, and what is not zero of an array. Needs SciPy.

    Returns
    -------
    tuple, dict or array
        ``dY/dX`` for each input, of shape ``(*Y.shape, *X.shape)``, in the form of ``inputs``; ``None`` for
        constants. Of several outputs, ``Y`` is all of them flattened to one vector. NaN where nothing could
        be told, because ``forward`` has no values around the point, or an input or output is not finite.
        Complex arrays are taken as real ones with a last axis of 2, for the real and the imaginary part: of a
        complex function of complex numbers, ``(*Y.shape, 2, *X.shape, 2)``. With ``sparsity``, a
        `scipy.sparse.csr_array` of shape ``(Y.size, X.size)``.

    Raises
    ------
    UsageError
        When the question is malformed, or ``forward`` raises at the point, or depends on more than
        ``sparsity`` says.

    Examples
    --------
    >>> J = numerical_jacobian(lambda x: x[::-1] ** 2, np.array([1.0, 3.0]))
    >>> J.round(6) + 0.0
    array([[0., 6.],
           [2., 0.]])
    """
    problem = _prepare(forward, inputs, None, TORCH)
    if sparsity is not None:
        return problem.arguments.in_callers_form({problem.wrt[0]: _sparse(problem, sparsity)})
    with np.errstate(all="ignore"):
        jacobians = {i: full_jacobian(problem, i)[0] for i in problem.wrt}
    for i, columns in jacobians.items():
        if i in problem.fixed:
            columns[..., problem.fixed[i]] = np.nan
        if problem.left_out is not None:
            columns[problem.left_out.reshape(problem.form.shape)] = np.nan
    return problem.arguments.in_callers_form(jacobians)


def _sparse(problem: Problem, sparsity: Any) -> Any:
    from gradlab.checks.sparse_jacobian import sparse_jacobian
    from gradlab.checks.sparsity import read_pattern

    if len(problem.wrt) != 1 or any(problem.arguments.paired) or any(problem.form.paired):
        names = " and ".join(problem.names[i] for i in problem.wrt)
        raise UsageError(f"sparsity is given for {names}; expected one input of real numbers")
    shape = problem.output.size, problem.value(problem.wrt[0]).size
    with np.errstate(all="ignore"):
        return sparse_jacobian(problem, read_pattern("sparsity", sparsity, shape))


def _prepare(forward: Callable[..., Any], inputs: Any, grad_output: Any, convention: str) -> Problem:
    try:
        problem = Problem(forward, None, inputs, grad_output=grad_output, convention=convention)
    except RuleRaised as raised:
        raise UsageError(str(raised)) from raised.__cause__
    if not np.isfinite(problem.output).all():
        raise UsageError("forward returns values that are not finite; expected a point inside its domain")
    return problem
