"""Outputs that stay as they are close by, or scatter: that is not what they do farther away.

They may be rounded to few digits on the way, and have the slope of all stairs together; or be a staircase on
purpose, and have that of one, none; or vary over less than any step. Differences do not tell which of these
they are. So neither the claim of one slope nor that of the other is called wrong, or, where stairs are higher
than rounding is, right.
"""

from __future__ import annotations

import numpy as np

from gradlab.checks.leaps import highest_rounding
from gradlab.checks.rows import Rows
from gradlab.checks.widths import COARSE
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.grids import are_floating, binary_grid
from gradlab.numerics.noise import COARSEST
from gradlab.numerics.places import AFAR
from gradlab.numerics.rounding import CERTAINLY, height_of_rounding, rounding_beside_one
from gradlab.numerics.step_sizes import SMALLEST_STEP, coarse_steps
from gradlab.numerics.table import Table
from gradlab.point.lines import noise_direction
from gradlab.point.problem import Problem

# Of the values: stairs may be what float32 rounds some thousand times larger numbers to. At 2.4e-4, a
# straight-through gradient of 12 bits was undecided at 4 of 12 points, and of cents at 3.
LOW = 1e-4
FEW = 64  # steps: in these, what varies over one would show
VISIBLY = 64  # roundings of the outputs, by which a slope would move them


def scatters_more_than_rounding(table: Table) -> bool:
    """Whether some outputs scatter by more than leaps of rounding are high."""
    return bool((table.noise > height_of_rounding(table.output, table.eps)).any())


def cannot_be_called_wrong(rows: Rows, chosen: Indices) -> Mask:
    """Return which claims close looks do not contradict, whatever a ladder says.

    Claims of nothing, where nothing moves close by; and such as need not move outputs over the scale, where
    these move farther away alone: neither where outputs lie on a binary grid. Claims of the slope of all
    stairs together, where these are low. And claims so steep that a few of the shortest steps would lead
    through all that forward scatters by, where it leaves the ladder there.
    """
    table, spared = rows.table, np.zeros(chosen.size, dtype=bool)
    nothing = np.flatnonzero((rows.claim[chosen] == 0).all(axis=1))
    spared[nothing] = _stays_close_by(table, chosen[nothing], rows.value[chosen[nothing]])
    spared |= _would_not_move(rows, chosen)
    problem = rows.claims.problem
    if spared.any() and _are_rounded_in_binary(problem, table):
        spared[:] = False
    spared |= _rises_by_low_stairs(rows, chosen)
    if not scatters_more_than_rounding(table):
        return spared
    scatter = table.total(table.noise)
    scatter = np.where(scatter > highest_rounding(table), scatter, np.inf)
    steep = (np.abs(rows.claim[chosen]) * FEW * SMALLEST_STEP > scatter).any(axis=1)
    spared[steep] |= _scatters_close_by(table, chosen[steep], rows.value[chosen[steep]], scatter)
    return spared


def _would_not_move(rows: Rows, chosen: Indices) -> Mask:
    """Return which claims are so small that outputs need not move, where they do not, but do farther away.

    Over the scale, they lead to less than a rounding of terms as large as 1: log(1 + exp(-50)) is 0.
    """
    table, still = rows.table, (rows.nearby[chosen] == 0).all(axis=1) & rows.afar[chosen].any(axis=1)
    return np.asarray(still & (np.abs(rows.claim[chosen]) <= _rounding_beside_one(table)).all(axis=1))


def _rises_by_low_stairs(rows: Rows, chosen: Indices) -> Mask:
    """Return which claims have the slope of all stairs together, where that of one alone is none.

    If stairs are so low that something larger may have been rounded to float32, and subtracted again: a
    converter to 14 bits, or to more, looks the same. Over a step that leads over two of the highest of these,
    or a shorter one, both sides rise by about as much; of higher stairs, they stay or leap farther.
    """
    table, claim = rows.table, rows.claim[chosen]
    longest, rises = coarse_steps(table.eps)[0], np.zeros(chosen.size, dtype=bool)
    if longest not in table.steps or table.stepped.any():  # on purpose
        return rises
    size = np.abs(table.output[table.output != 0])
    usual = LOW * float(np.median(size)) if size.size else 0.0
    low = table.peak(np.fmax(usual, height_of_rounding(table.output, table.eps)))
    together = np.abs(table.central(longest)[chosen] - claim) <= COARSE * np.abs(claim)
    flat = together & (claim != 0) & (rows.value[chosen] == 0)
    for k in np.flatnonzero(flat.any(axis=1)).tolist():
        two_stairs = float((2 * low[flat[k]] / np.abs(claim[k, flat[k]])).max())
        if two_stairs < longest:
            table.take(chosen[k : k + 1], two_stairs)
        for step, sides in table.steps.items():
            slopes = np.stack([sides.up[chosen[k]], -sides.down[chosen[k]]]) / step
            alike = (np.abs(slopes - claim[k]) <= np.abs(claim[k]) / 2).all(axis=0)
            rises[k] |= step <= min(two_stairs, longest) and bool((alike & flat[k]).any())
    return rises


def _rounding_beside_one(table: Table) -> Array:
    """Return `rounding_beside_one` of the contracted outputs, shape ``(s,)``."""
    return table.total(rounding_beside_one(table.output, table.eps))


def _scatters_close_by(table: Table, chosen: Indices, slope: Array, scatter: Array) -> Mask:
    """Return along which rows forward leaves a slope, ``(chosen, s)``, by a part of the scatter of all."""
    off = np.zeros(slope.shape)
    for step in (SMALLEST_STEP, 4 * SMALLEST_STEP, 16 * SMALLEST_STEP):
        table.take(chosen, step)
        off = np.fmax(off, np.abs(table.central(step)[chosen] - slope) * step)
    return np.asarray((off * FEW > scatter).any(axis=1))


def open_high_stairs(rows: Rows) -> None:
    """Open rows that were found right though nothing moves close by: on a stair, whose slope is none."""
    table, chosen = rows.table, np.flatnonzero(rows.right & ~rows.kinked & (rows.claim != 0).any(axis=1))
    if not chosen.size or not _are_high_stairs(table, CERTAINLY):
        return
    problem = rows.claims.problem
    if not _of_a_narrow_dtype(problem, _seen_from_afar(problem)):
        rows.right[chosen] &= ~_stays_close_by(table, chosen, rows.claim[chosen])


def _are_high_stairs(table: Table, times: float = 1.0) -> bool:
    """Whether outputs scatter by more than leaps are high, for rounding, of so many times the largest."""
    largest = np.abs(table.output).max(initial=0.0)
    return bool((table.noise > height_of_rounding(times * largest, table.eps)).any())


def _seen_from_afar(problem: Problem) -> Array:
    """Return outputs at the point and far from it, shape ``(k, m)``."""
    line = noise_direction(problem, np.random.default_rng(0))
    values = [problem.evaluate(problem.moved(line, t)) for t in AFAR if problem.calls_left >= 1]
    return np.stack([problem.output, *values])


def _on_a_binary_grid(problem: Problem, seen: Array) -> bool:
    """Whether all outputs are multiples of powers of two, far above their own rounding.

    As those of a narrow dtype are, what is left where something large was subtracted again, and those of a
    converter to 16 bits; nothing tells the last two apart. Those of ``round(x, 3)`` are not.
    """
    grid, size = binary_grid(seen)[0], np.abs(seen).max(axis=0)
    binary = (grid > VISIBLY * problem.eps * size) & (grid <= COARSEST * size)
    return bool(binary[size > 0].all())


def _are_rounded_in_binary(problem: Problem, table: Table) -> bool:
    """Whether outputs scatter by no more than leaps of rounding are high, on a binary grid.

    Or by a few times that, of what is summed; if they look like floating-point numbers then, and not like
    those of a converter.
    """
    if _are_high_stairs(table, CERTAINLY):
        return False
    seen = _seen_from_afar(problem)
    look_alike = _of_a_narrow_dtype if _are_high_stairs(table) else _on_a_binary_grid
    return look_alike(problem, seen)


def _of_a_narrow_dtype(problem: Problem, seen: Array) -> bool:
    """Whether they are, and most look like floating-point numbers."""
    return _on_a_binary_grid(problem, seen) and 2 * np.count_nonzero(are_floating(seen)) > seen.shape[1]


def _stays_close_by(table: Table, chosen: Indices, slope: Array) -> Mask:
    """Return along which rows nothing moves over a step at which a slope, ``(chosen, s)``, would be seen.

    Even if outputs are what is left of terms as large as 1, in their own dtype.
    """
    least, stays = VISIBLY * _rounding_beside_one(table), np.zeros(chosen.size, dtype=bool)
    for k, steep in enumerate(np.abs(slope)):
        step = (least / np.where(steep > 0, steep, np.inf)).max(initial=SMALLEST_STEP)
        table.take(chosen[k : k + 1], step)
        stays[k] = (table.secant(step)[chosen[k]] == 0).all()
    return stays
