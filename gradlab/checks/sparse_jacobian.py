"""The Jacobian of a forward function whose pattern is known, by as many directions as it has colours."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from gradlab.checks.directions import ByInput, Directions
from gradlab.checks.jacobian import ACCURACY
from gradlab.checks.sparsity import group, ones
from gradlab.checks.stratum import StratumDirection
from gradlab.checks.watched import Watched
from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array, Mask
from gradlab.numerics.scales import exact_displacement, random_direction
from gradlab.point.problem import Problem
from gradlab.words import counted

__tracebackhide__ = is_deliberate

SAME = 1e-6  # relative: what the entries of an output add up to, and what it does when all unknowns move


def sparse_jacobian(problem: Problem, pattern: csr_array) -> csr_array:
    """Return ``dY/dX`` of the one input of a problem, with the structure of a pattern.

    Parameters
    ----------
    problem : Problem
        The point; nothing is asked of its backward.
    pattern : csr_array, shape (m, n)
        In canonical form; all outputs and all entries of the input are counted flat.

    Returns
    -------
    csr_array
        NaN where nothing could be told. At a kink, the mean of the slopes on both sides.

    Raises
    ------
    UsageError
        When an output shows that it depends on more than its entries in the pattern.
    """
    (i,) = problem.wrt
    x, (rows, columns) = problem.value(i), pattern.tocoo().coords
    # Whether what scatters much leaps is not looked at: it takes a hundred calls where outputs are many.
    noise = problem.noise_of(np.arange(problem.output.size), leaps=False)
    d = problem.direction(i, random_direction(x, np.random.default_rng(0), problem.reach(i)))
    whole, whole_bar, jump = _along(problem, {i: d}, noise, np.zeros(problem.output.size))
    nearby = np.nan_to_num(np.abs(whole))  # what each output does when everything moves
    labels = group(pattern, sums=False).reshape(x.shape)
    lengths = exact_displacement(x, problem.reach(i))
    (entries, bars), smooth = np.empty((2, rows.size)), np.isfinite(whole_bar) & (jump == 0)
    for label in np.unique(labels):
        value, bar, jump = _along(problem, StratumDirection(i, lengths, labels, label), noise, nearby)
        mine = labels.ravel()[columns] == label
        for numbers, found in ((entries, value), (bars, bar)):
            numbers[mine] = found[rows[mine]] / lengths.ravel()[columns[mine]]
        smooth &= np.isfinite(bar) & (jump == 0)
    jacobian = ones(pattern, entries)
    allowed = ones(pattern, bars + SAME * np.abs(entries)) @ np.abs(d.ravel()) + whole_bar + SAME * nearby
    more = smooth & (np.abs(jacobian @ d.ravel() - whole) > allowed)
    if more.any():
        k = int(np.argmax(more))
        raise UsageError(
            f"sparsity has too few entries in {counted(int(more.sum()), 'row')}, the first {k}; expected one "
            "for each entry of the input on which an output depends"
        )
    return jacobian


def _along(problem: Problem, direction: ByInput, noise: Array, nearby: Array) -> tuple[Array, Array, Array]:
    """Return derivatives of all outputs, error bars and kinks, as exact as of a full Jacobian."""

    def enough(part: slice, value: Array, bar: Array) -> Mask:
        return np.asarray(bar <= ACCURACY * np.fmax(np.abs(value), nearby[part]))

    watched = Watched(problem, Directions.of(problem, {}, [direction]), np.arange(nearby.size))
    value, bar, half_jump = watched.differentiated(noise, rtol=ACCURACY, enough=enough)
    return value[0], bar[0], half_jump[0]
