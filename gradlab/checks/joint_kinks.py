"""Directions in which entries at kinks move together: what each of them by itself does not show."""

from __future__ import annotations

import numpy as np

from gradlab.checks.directions import ByInput
from gradlab.checks.rows import Rows
from gradlab.numerics import Array
from gradlab.numerics.scales import exact_displacement, random_direction
from gradlab.point.problem import Problem


def directions_at_kinks(rows: Rows) -> tuple[ByInput, ByInput, ByInput]:
    """Return three directions in which all entries at kinks move: ``towards``, ``across`` and ``together``.

    ``towards`` leads to the side of each kink whose slope backward gives. ``across`` moves each entry by its
    scale in the direction in which backward's slope deviates from the middle of both sides: two equal entries
    of a maximum, each given the full gradient, agree with one side each, and only moved together show twice
    the slope that there is. ``together`` moves entries of equal value by the same amount, so that those tied
    stay tied: whatever share of the gradient each of them gets, the sum is known.

    Parameters
    ----------
    rows : Rows
        Judged already; those that move one entry alone count.
    """
    problem, directions = rows.claims.problem, rows.directions
    kinked = np.flatnonzero(rows.kinked[: directions.singles])
    position, entry, step = directions.position[kinked], directions.entries[kinked], directions.length[kinked]
    sides = (rows.claim[kinked], rows.kinks.middle[kinked], rows.kinks.swing[kinked] / 2)
    gradient, middle, half = (side.sum(axis=1) for side in sides)
    # Of a gradient in the middle, the same side for all entries.
    nearer_highest = np.abs(gradient - middle - half) <= 1.001 * np.abs(gradient - middle + half)
    towards, across, together = (
        {i: np.zeros(problem.value(i).shape) for i in np.unique(position).tolist()} for _ in range(3)
    )
    # Alike for all, and short enough for the entry that varies on the shortest length.
    alike = float(np.exp2(np.floor(np.log2(step.min()))))
    rng, amounts = np.random.default_rng(0), dict[float, float]()
    for k, (i, j) in enumerate(zip(position.tolist(), entry.tolist(), strict=True)):
        towards[i].flat[j] = step[k] if nearer_highest[k] == rows.kinks.rises[kinked[k]] else -step[k]
        across[i].flat[j] = step[k] * np.sign(gradient[k] - middle[k])
        value = float(problem.value(i).flat[j])
        if value not in amounts:
            amounts[value] = alike * rng.choice([-1.0, 1.0]) * rng.uniform(1, 2)
        together[i].flat[j] = amounts[value]
    return towards, across, together


def keeping_ties(problem: Problem, i: int) -> Array | None:
    """Return a direction that moves equal numbers by equal amounts, and no zeros; ``None`` without ties.

    Where forward sorts the numbers of an input, or takes absolute values of their differences, as a total
    variation does, equal ones are at a kink along any direction that parts them.
    """
    x = problem.value(i)
    values, first, tied = np.unique(x, return_index=True, return_inverse=True)
    if values.size == x.size:
        return None
    reach = problem.reach(i).ravel()[first]
    amounts = random_direction(values, np.random.default_rng(0), np.where(values == 0, 0.0, reach))
    return problem.direction(i, exact_displacement(x, amounts[tied].reshape(x.shape)))
