"""Outputs that scatter by more than rounding makes: what they do close by is not what they do farther away.

They may be rounded to few digits on the way, and have the slope of all stairs together; or be a staircase on
purpose, and have that of one, none; or vary over less than any step. Differences do not tell which of these
they are. So neither the claim of one slope nor that of the other is called wrong, or right.
"""

from __future__ import annotations

import numpy as np

from gradlab.checks.rows import Rows
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.noise import binary_grid, height_of_rounding
from gradlab.numerics.table import SMALLEST_STEP, Table

FEW = 64  # steps: in these, what varies over one would show
CERTAINLY = 4  # times: solvers stop at the sixth decimal
MOVES = 64  # roundings of the outputs, by which the slope of a ladder would move them


def scatters_more_than_rounding(table: Table, times: float = 1.0) -> bool:
    """Whether some outputs scatter by more than leaps of rounding are high, or so many times more."""
    return bool((table.noise > times * height_of_rounding(table.output, table.eps)).any())


def cannot_be_called_wrong(rows: Rows, chosen: Indices) -> Mask:
    """Return which claims close looks do not contradict, whatever a ladder says.

    Claims of nothing, where nothing moves close by; and such as lead through all that forward scatters by
    within a few of the shortest steps.
    """
    table, spared = rows.table, np.zeros(chosen.size, dtype=bool)
    if not scatters_more_than_rounding(table):
        return spared
    nothing = (rows.claim[chosen] == 0).all(axis=1)
    spared[nothing] = _stays_close_by(table, chosen[nothing], rows.value[chosen[nothing]])
    scatter = table.noise if table.upstreams is None else np.abs(table.upstreams) @ table.noise
    return np.asarray(spared | (np.abs(rows.claim[chosen]) * FEW * SMALLEST_STEP > scatter).any(axis=1))


def open_high_stairs(rows: Rows) -> None:
    """Open rows that were found right though nothing moves close by: on a stair, whose slope is none."""
    chosen = np.flatnonzero(rows.right & ~rows.kinked & (rows.claim != 0).any(axis=1))
    if chosen.size and scatters_more_than_rounding(rows.table, CERTAINLY) and not _lost_digits(rows.table):
        rows.right[chosen] &= ~_stays_close_by(rows.table, chosen, rows.claim[chosen])


def _lost_digits(table: Table) -> bool:
    """Whether all outputs are multiples of a power of two, as of something large that was subtracted again.

    Of whole numbers this is no evidence.
    """
    grid, size = binary_grid(table.output[np.newaxis])[0], np.abs(table.output)
    return bool((grid[size > 0] > MOVES * table.eps * size[size > 0]).all() and grid.max(initial=0.0) < 1)


def _stays_close_by(table: Table, chosen: Indices, slope: Array) -> Mask:
    """Return along which rows nothing moves over a step at which a slope, ``(chosen, s)``, would be seen."""
    size, stays = np.abs(table.output), np.zeros(chosen.size, dtype=bool)
    least = MOVES * table.eps * (size if table.upstreams is None else np.abs(table.upstreams) @ size)
    for k, steep in enumerate(np.abs(slope)):
        step = (least / np.where(steep > 0, steep, np.inf)).max(initial=SMALLEST_STEP)
        table.take(chosen[k : k + 1], step)
        stays[k] = (table.secant(step)[chosen[k]] == 0).all()
    return stays
