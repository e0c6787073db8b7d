"""Along one probe: ever shorter steps, and both sides of a kink."""

from __future__ import annotations

import numpy as np

from gradlab.numerics.ladder import Ladder
from gradlab.numerics.step_sizes import coarse_steps, fine_steps, usual_step
from gradlab.pictures.data import Comparison, Kink, Steps
from gradlab.pictures.known import Point, table_of
from gradlab.pictures.probes import Grid

PLACES = 12  # on each side of a kink at which forward is evaluated


def steps_along(point: Point, grid: Grid, c: Comparison, k: int) -> Steps:
    """Return central differences along the ``k``-th probe of a comparison, from long steps to short ones."""
    directions = grid.some(np.array([k]))
    table, rows = table_of(point, directions), np.array([0])
    ladder, length = Ladder(table, rows), float(directions.divisors[0])
    steps = [*coarse_steps(table.eps), *fine_steps(table.eps)]
    columns = np.full((4, len(steps)), np.nan)
    for column, step in zip(columns.T, steps, strict=True):
        ladder.add(step)
        parts = (table.central(step), table.rounding(step), ladder.value, ladder.error_bar)
        column[:] = [part[0, 0] / length for part in parts]
    difference, rounding, extrapolated, bar = columns
    return Steps(
        label=c.labels[k],
        role=c.role,
        step=np.array(steps) * length,
        difference=difference,
        rounding=rounding,
        extrapolated=extrapolated,
        extrapolated_bar=bar,
        value=float(extrapolated[-1]),
        error_bar=float(bar[-1]),
        claim=float(c.claimed[k]),
    )


def kink_at(point: Point, grid: Grid, c: Comparison, k: int) -> Kink:
    """Return forward on both sides of the kink at the ``k``-th probe of a comparison."""
    directions = grid.some(np.array([k]))
    table, rows = table_of(point, directions), np.array([0])
    length, longest = float(directions.divisors[0]), coarse_steps(table.eps)[0]
    offsets, changes = [0.0], [0.0]
    for part in range(1, PLACES + 1):
        step = longest * part / PLACES
        table.take(rows, step)
        sides = table.steps[step]
        offsets += [step * length, -step * length]
        changes += [float(sides.up[0, 0]), float(sides.down[0, 0])]
    step = usual_step(table.eps)
    table.take(rows, step)
    middle, half = (float(of(step)[0, 0]) / length for of in (table.central, table.half_jump))
    order = np.argsort(offsets)
    return Kink(
        label=c.labels[k],
        role=c.role,
        offset=np.array(offsets)[order],
        change=np.array(changes)[order],
        left=middle - half,
        right=middle + half,
        claim=float(c.claimed[k]),
        wrong=bool(c.wrong[k]),
    )
