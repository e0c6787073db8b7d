"""Lines through the point along which noise is looked for, of forward and of backward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gradlab.numerics import Array, Indices
from gradlab.numerics.noise import Noise, output_noise
from gradlab.numerics.places import At, close_places
from gradlab.point.drawn import drawn_like
from gradlab.point.moves import InputMoves

if TYPE_CHECKING:
    from gradlab.point.problem import Problem

FEW = 1000  # entries, up to which noise is looked for along two lines; among more, it shows along one


def noise_direction(problem: Problem, rng: np.random.Generator) -> dict[int, Array]:
    """Draw a direction along which noise is looked for.

    It is not rounded to a grid, as the directions of differences are: that of the values is looked for. Each
    entry moves on its own scale, so that close to zero too the function is smooth from there to here.
    """
    direction = {}
    for i in problem.wrt:
        x = problem.value(i)
        lengths = np.where(x == 0, problem.scale(i), np.abs(x))
        direction[i] = problem.constraints.direction(i, x, lengths * drawn_like(x, rng))
    return direction


def outputs_along(problem: Problem, direction: Mapping[int, Array], outputs: Indices) -> At:
    """Return some outputs along a line, by the distance; ``None`` where no call is left.

    What is needed anyway is evaluated together, if anything is.
    """

    def at(t: float) -> Array | None:
        if t in known:
            return known[t]
        return problem.evaluate(problem.moved(direction, t))[outputs] if problem.calls_left >= 1 else None

    known = dict[float, Array]()
    places = [t for side in close_places() for t in side]
    if problem.source is not None and problem.affords(len(places)):
        points = InputMoves(tuple(problem.moved(direction, t) for t in places))
        known.update(zip(places, problem.evaluate_moves(points)[:, outputs], strict=True))
    return at


def measured_noise(problem: Problem, outputs: Indices, *, leaps: bool = True) -> Noise:
    """Measure what some outputs may be off by, as `output_noise` does: along two lines, or one in much."""
    rng, size = (
        np.random.default_rng(0),
        max(problem.output.size, *(problem.value(i).size for i in problem.wrt)),
    )
    count = 2 if size <= FEW else 1
    lines = [outputs_along(problem, noise_direction(problem, rng), outputs) for _ in range(count)]
    with np.errstate(all="ignore"):
        return output_noise(lines, problem.output[outputs], problem.eps, leaps=leaps)
