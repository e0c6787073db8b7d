"""The step at which one difference is known best: where truncation and rounding together are least."""

from __future__ import annotations

import itertools

import numpy as np

from gradlab.numerics import Array
from gradlab.numerics.step_sizes import LARGEST_STEP, usual_step
from gradlab.numerics.table import Table

HALVINGS = 8  # of a known step, to find the one at which a difference is known best


def sharpest_step(table: Table, row: int, column: int) -> tuple[float, Array]:
    """Return the step at which one difference along a row is known best, and its uncertainty: ``(s,)``.

    Truncation is taken as ``curved · h²``, by the most that any two known steps show beyond rounding: it may
    cancel between two of them, along the whole direction alone, and steps that are longer than forward varies
    over show too little. Where none shows any, it is what rounding may hide.
    """
    known: list[float] = []
    for h in sorted(table.steps, reverse=True):
        # Two that are close to each other show rounding, over next to nothing.
        if np.isfinite(table.central(h)[row]).all() and not (known and h > known[-1] / 2):
            known.append(h)
    curved, hidden = np.zeros(table.parts), np.full(table.parts, np.inf)  # truncation over the step squared
    for longer, step in itertools.pairwise(known):
        apart = np.abs(table.central(longer) - table.central(step))[row]
        rounding, weight = table.rounding_along(row, step), longer**2 - step**2
        curved = np.where(apart > rounding, np.fmax(curved, apart / weight), curved)
        hidden = np.fmin(hidden, rounding / weight)  # any less cannot be told
    curved = np.where(curved > 0, curved, np.nan_to_num(hidden, posinf=0.0))
    halves = {h / 2**half for h in (*known, usual_step(table.eps)) for half in range(HALVINGS)}
    tried = sorted(h for h in halves if h <= LARGEST_STEP)
    offs = [curved * h**2 + table.rounding_along(row, h) for h in tried]
    best = int(np.argmin([off[column] for off in offs]))
    return tried[best], offs[best]
