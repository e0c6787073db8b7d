"""A claimed Jacobian against differences, for every output by itself.

Backward answers for one contraction of all outputs; a Jacobian, or a product with it, answers for each of
them, and one pair of calls of forward tests all. Along a direction ``d`` it claims ``J d``: of a small input,
column by column; of a sparse one, for many columns at once that share no output.

What one difference leaves open is differentiated as well as forward allows, and what is wrong then has to be
wrong along a second ladder, which shares no step with the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gradlab.checks.criteria import COARSE, NOTHING, SHARP, UNMEASURED
from gradlab.checks.directions import Directions
from gradlab.checks.jacobian import ACCURACY
from gradlab.checks.judge import BEYOND
from gradlab.checks.rows import Mask
from gradlab.numerics import Array
from gradlab.numerics.extrapolation import RATIO
from gradlab.numerics.table import Indices, Table, differentiate, usual_step
from gradlab.point.problem import Problem

OTHER = 5 / 8  # of a direction: for the second ladder
CLEAR = 0.1  # how near a digit has to be to a whole number

Product = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Columns:
    """What a Jacobian claims along ``r`` directions, beside what forward shows of its ``m`` outputs.

    Attributes
    ----------
    directions : tuple of Array
        The displacements of the input, as vectors.
    claim, value, error_bar : Array
        Shape ``(r, m)``.
    wrong, open, small : arrays of bool
        Shape ``(r, m)``: where both sides certainly differ, where nothing can be told, and where what cannot
        be told is too small to matter.
    kinked : array of bool
        Shape ``(r, m)``: where a kink was found, and any slope between both sides is right.
    """

    directions: tuple[Array, ...]
    claim: Array
    value: Array
    error_bar: Array
    wrong: Mask
    open: Mask
    small: Mask
    kinked: Mask

    @property
    def scale(self) -> Array:
        """What a difference is relative to: the larger side."""
        return np.asarray(np.fmax(np.abs(self.claim), np.nan_to_num(np.abs(self.value))))


def compare_columns(
    problem: Problem, product: Product, displacements: Sequence[Array], *, rtol: float
) -> Columns:
    """Compare ``J d`` with what forward does along each direction.

    Parameters
    ----------
    problem : Problem
        The point, with one input.
    product : callable
        ``product(d) -> J d``.
    displacements : sequence of Array
        The directions ``d``, as vectors.
    rtol : float
        The relative difference that the caller does not care about.
    """
    (i,) = problem.wrt
    shape = problem.value(i).shape
    directions = Directions.of(problem, {}, [{i: d.reshape(shape)} for d in displacements])
    claim = np.stack([np.asarray(product(d), dtype=np.float64).ravel() for d in displacements])
    table = Table(directions.count, directions.evaluate(problem), None, problem.output, problem.eps)
    value, bar = _one_difference(table, np.arange(directions.count))
    # Where every derivative vanishes, as at a minimum, what forward does nearby is all that there is.
    nearby = float(np.nan_to_num(table.secant(usual_step(table.eps)), posinf=0.0).max(initial=0.0))
    told, small, influence = _agree(claim, value, bar, rtol, nearby)
    doubtful = np.flatnonzero(~(told | small).all(axis=1))
    if doubtful.size:
        value, bar = _two_differences(table, doubtful)
        told, small, influence = _agree(claim, value, bar, rtol, nearby)
        doubtful = np.flatnonzero(~(told | small).all(axis=1))
    wrong, kinked = (np.zeros(claim.shape, dtype=bool) for _ in range(2))
    if doubtful.size and not influence:
        table.take(doubtful, BEYOND)
        sides = table.steps[BEYOND]
        small |= (sides.up == 0) & (sides.down == 0) & (claim == 0)  # such an output depends on nothing
        doubtful = np.flatnonzero(~(told | small).all(axis=1))
    if doubtful.size:
        # A claim that vanishes is a rounding of the largest, and so may what forward shows be.
        nothing = NOTHING * problem.given_eps * influence
        value[doubtful], bar[doubtful], half_jump = _differentiated(problem, directions.rows(doubtful))
        size = np.fmax(np.abs(claim), np.nan_to_num(np.abs(value)))
        told[doubtful] = (bar <= max(COARSE, rtol) * size)[doubtful]
        # At a kink, any slope between those on both sides is right.
        kinked[doubtful] = half_jump > 0
        told[doubtful] |= (half_jump > 0) & (bar[doubtful] <= COARSE * half_jump)
        bar[doubtful] += half_jump
        wrong[doubtful] = _differ(claim, value, bar, rtol, nothing)[doubtful]
        suspects = np.flatnonzero(wrong.any(axis=1))
        if suspects.size:
            joint = [{i: OTHER * directions.joint[k][i]} for k in suspects.tolist()]
            again = _differentiated(problem, Directions.of(problem, {}, joint))
            other, off, half_jump = (array / OTHER for array in again)
            wrong[suspects] &= _differ(claim[suspects], other, off + half_jump, rtol, nothing)
        small |= np.abs(claim) + np.abs(value) + bar <= rtol * influence
    undecided = ~(told | small | wrong)
    return Columns(tuple(displacements), claim, value, bar, wrong, undecided, small & ~told, kinked)


@dataclass(frozen=True)
class WrongEntry:
    """One wrong entry of a Jacobian: output and unknown, and what both sides say of it."""

    output: int
    unknown: int
    claim: float
    value: float
    error_bar: float

    @property
    def error(self) -> float:
        """The difference of both sides, relative to the larger."""
        return abs(self.claim - self.value) / max(abs(self.claim), abs(self.value))


def wrong_entries(problem: Problem, product: Product, columns: Columns) -> tuple[list[WrongEntry], int]:
    """Return the wrong entries of a Jacobian, and in how many outputs others were not found.

    Of a direction that moves one entry, that is at fault. In one that moves many, each entry has a code of
    two digits: with the entries weighted by a digit, the disagreement of an output is to what it was as the
    digit of the entry at fault, where only one is. That is told for all outputs at once.
    """
    found: dict[tuple[int, int], WrongEntry] = {}
    lost = 0
    for row in np.flatnonzero(columns.wrong.any(axis=1)).tolist():
        d = columns.directions[row]
        outputs = np.flatnonzero(columns.wrong[row])
        unknowns = _at_fault(problem, product, columns, row)[outputs]
        lost += int((unknowns < 0).sum())
        for output, unknown in zip(outputs.tolist(), unknowns.tolist(), strict=True):
            if unknown < 0:
                continue
            length = float(d[unknown])
            claim = float(product(np.where(np.arange(d.size) == unknown, d, 0.0))[output])
            # The others agree: what the direction is off by is this entry's.
            value = claim + float(columns.value[row, output] - columns.claim[row, output])
            bar = float(columns.error_bar[row, output]) / abs(length)
            sides = claim / length + 0.0, value / length  # no negative zero
            found[output, unknown] = WrongEntry(output, unknown, *sides, bar)
    return list(found.values()), lost


def _at_fault(problem: Problem, product: Product, columns: Columns, row: int) -> Indices:
    """Return for each output which entry of a direction is at fault; -1 where that is open."""
    d = columns.directions[row]
    m, moved = columns.claim.shape[1], np.flatnonzero(d)
    if moved.size == 1:
        return np.full(m, moved[0])
    base = int(np.ceil(np.sqrt(d.size)))
    digits = np.divmod(np.arange(d.size), base)
    (i,) = problem.wrt
    weighted = [d * (digit + 1) / (base + 1) for digit in digits]
    joint = [{i: w.reshape(problem.value(i).shape)} for w in weighted]
    values, _, _ = _differentiated(problem, Directions.of(problem, {}, joint))
    whole = columns.claim[row] - columns.value[row]
    parts = [np.asarray(product(w)).ravel() - value for w, value in zip(weighted, values, strict=True)]
    code = np.stack([part / whole * (base + 1) - 1 for part in parts])
    read = np.nan_to_num(np.round(code), nan=-1.0, posinf=-1.0, neginf=-1.0)
    unknown = (read[0] * base + read[1]).astype(np.intp)
    clear = (np.abs(code - read) < CLEAR).all(axis=0) & (read >= 0).all(axis=0) & (read[1] < base)
    clear &= np.isin(unknown, moved)
    return np.where(clear, unknown, -1)


def _differentiated(problem: Problem, directions: Directions) -> tuple[Array, Array, Array]:
    """Return the derivatives of all outputs as well as forward allows, their error bars, and kinks."""
    table = Table(directions.count, directions.evaluate(problem), None, problem.output, problem.eps)
    table.noise = problem.noise
    return differentiate(table, rtol=ACCURACY)


def _one_difference(table: Table, rows: Indices) -> tuple[Array, Array]:
    """Return central differences, and what noise that was not measured may make of them."""
    step = usual_step(table.eps)
    table.take(rows, step)
    value = table.central(step)
    return value, np.where(np.isfinite(value), UNMEASURED * table.rounding(step), np.inf)


def _two_differences(table: Table, rows: Indices) -> tuple[Array, Array]:
    """Return the same, without the leading term of truncation for some rows."""
    value, bar = _one_difference(table, rows)
    longer, square = usual_step(table.eps) / RATIO, RATIO**2
    table.take(rows, longer)
    extrapolated = (value - square * table.central(longer)) / (1 - square)
    return np.where(np.isfinite(extrapolated), extrapolated, value), bar / (1 - square)


def _agree(claim: Array, value: Array, bar: Array, rtol: float, nearby: float) -> tuple[Mask, Mask, float]:
    """Return where both sides agree, where it is too little to matter, and the largest agreement."""
    size = np.fmax(np.abs(claim), np.nan_to_num(np.abs(value)))
    told = (np.abs(claim - value) <= rtol * size) & (bar <= UNMEASURED * SHARP * rtol * size)
    influence = float(np.abs(np.where(told, claim, 0.0)).max(initial=0.0))
    influence = influence or max(float(size.max(initial=0.0)), nearby)
    return told, np.abs(claim) + np.abs(value) + bar <= rtol * influence, influence


def _differ(claim: Array, value: Array, bar: Array, rtol: float, nothing: float) -> Mask:
    size = np.fmax(np.abs(claim), np.abs(value))
    vanishes = np.where(np.abs(value) <= bar, nothing, 0.0)
    return np.asarray(np.isfinite(bar) & (np.abs(claim - value) > bar + rtol * size + vanishes))
