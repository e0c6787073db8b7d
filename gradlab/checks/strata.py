r"""Strata: the entries of a large input, sorted by their influence, and directions that move them.

Along a direction that moves all entries, what backward says of those of large influence hides those of small:
both sides are compared to within ``rtol`` of all terms together. So the entries are sorted into strata, whose
influences are within a factor of 1,000 of each other, and exact zeros, which are a stratum too; each is moved
by a direction of its own. Two neighbours are *joined*, to one direction for both, where rounding leaves room
for it: those of the larger influence move 1/1024 as far then, so that all of them contribute alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.checks.claimed import Claimed
from gradlab.checks.directions import ByInput
from gradlab.checks.stratum import DAMPED, StratumDirection
from gradlab.checks.widths import UNMEASURED
from gradlab.numerics import Array, Mask
from gradlab.numerics.rounding import rounding_of_values
from gradlab.numerics.scales import norm, random_direction, sum_and_norm
from gradlab.numerics.step_sizes import usual_step
from gradlab.numerics.table import WHOLE
from gradlab.point.problem import Problem

STRATUM = 1e3  # entries of one stratum differ by at most this factor
STRATA = 4  # at most, besides that of exact zeros
LONGEST = 2  # times its own size: how far a random direction moves an entry
AT_BOUND = 2.0**-9  # of the scale: an entry that is nearer to a bound moves away from it alone


def strata(
    gradients: Sequence[Array], length: Array, *, rtol: float = 0.0
) -> tuple[npt.NDArray[np.int8], list[int]]:
    """Sort entries into strata of similar influence, the largest over all gradients; zeros are their own.

    Those whose influence is below ``rtol`` of what all of them together have are in the lowest of the others:
    none of them by itself matters.

    Returns
    -------
    labels : array of int8
        The stratum of each entry, from the largest influence on; none of them is empty.
    levels : list of int
        How many factors of `STRATUM` the influence of each is below the largest; `STRATA` of zeros.

    Examples
    --------
    >>> strata([np.array([1.0, 5.0, 1e-8, 0.0])], np.array([1.0, 0.1, 1.0, 1.0]))
    (array([0, 0, 1, 2], dtype=int8), [0, 2, 4])
    """
    labels = np.zeros(length.shape, dtype=np.int8)
    weight = np.asarray(np.abs(gradients[0]))  # of a number, that is none to write to
    for gradient in gradients[1:]:
        np.maximum(weight, np.abs(gradient), out=weight)
    weight *= length
    largest, matters = float(weight.max(initial=0.0)), rtol * norm(weight)
    if not largest < np.inf:
        largest, matters = float(np.fmax.reduce(weight, axis=None, initial=0.0, where=weight < np.inf)), 0.0
    if largest == 0.0:
        return labels, [0]
    # Of all parts the largest has no less than the mean of them.
    least = max(matters / math.sqrt(len(gradients)) / LONGEST, float(weight.min()))
    for k in range(1, STRATA):
        if largest / STRATUM**k < least:
            break  # nothing is below, or nothing that matters
        labels += weight <= largest / STRATUM**k
    labels[weight == 0] = STRATA
    levels = [k for k in range(STRATA + 1) if (labels == k).any()]
    for label, level in enumerate(levels):
        if label < level:
            labels[labels == level] = label
    return labels, levels


def along_strata(
    claims: Claimed,
    i: int,
    rtol: float,
    rng: np.random.Generator,
    *,
    twice: bool,
    reach: Array | None = None,
) -> Iterator[ByInput]:
    """Yield the directions of one input: one for each stratum, or two that are joined.

    Parameters
    ----------
    claims : Claimed
        By which the entries are sorted.
    i : int
        The input.
    rtol : float
        The part of all influence below which an entry needs no stratum of its own.
    rng : numpy.random.Generator
        Draws the directions.
    twice : bool
        Whether each stratum has another; none are joined then.
    reach : Array, optional
        How far each entry moves; as far as its scale by default.
    """
    problem, x = claims.problem, claims.problem.value(i)
    reach = problem.reach(i) if reach is None else reach
    gradients = claims.magnitudes(i)
    labels, levels = strata(gradients, reach, rtol=rtol)
    bounded = i in problem.constraints.boxes
    if bounded:
        labels = apart_at_bounds(problem, i, labels)
    every = range(int(labels.max(initial=-1)) + 1)
    if i in problem.constraints.projections:  # parts of a tangent are none
        for drawn in (random_direction(x, rng, reach) for _ in range(1 + twice)):
            for stratum in every:
                yield {i: problem.direction(i, drawn * (labels == stratum))}
        return
    direction = problem.direction(i, random_direction(x, rng, reach))
    narrow = direction.astype(np.float32)  # rounded to their grid, directions fit in half the memory
    kept = narrow if np.array_equal(narrow, direction) else direction
    if twice:
        directions = (kept, another(problem, i, StratumDirection(i, kept, labels, 0), rng))
        yield from (StratumDirection(i, d, labels, stratum) for d in directions for stratum in every)
        return
    neighbours = set[int]()  # strata that are one factor below the one before
    if not bounded and len(every) > 1 and _rounding_leaves_room(claims, gradients[0], kept, rtol):
        neighbours = {k for k in every[1:] if levels[k] == levels[k - 1] + 1 < STRATA}
    k = 0
    while k < len(every):
        joined = k + 1 in neighbours
        k += joined
        yield StratumDirection(i, kept, labels, k, joined=joined)
        k += 1


def _rounding_leaves_room(claims: Claimed, gradient: Array, direction: npt.NDArray[Any], rtol: float) -> bool:
    """Whether one difference would tell all entries together to rtol, if each of them moved `DAMPED`.

    False where the upstream gradient is in parts: of these, `gradient` is the first only.
    """
    problem = claims.problem
    if claims.upstreams is None or len(claims.upstreams) > 1:
        return False
    known = problem.noise_is_known
    noise = problem.noise if known else UNMEASURED * rounding_of_values(problem.output, problem.eps)
    rounding = WHOLE * norm(claims.upstreams * noise) / (2 * usual_step(problem.eps))
    return rounding <= rtol * DAMPED * sum_and_norm(gradient, direction)[1]


def another(problem: Problem, i: int, along: ByInput, rng: np.random.Generator) -> Array:
    """Draw another direction in which every entry of an input moves that can."""
    if not isinstance(along, StratumDirection) or i in problem.constraints.boxes:
        return problem.direction(i, random_direction(problem.value(i), rng, problem.reach(i)))
    size = along.direction.size
    bits = np.unpackbits(np.frombuffer(rng.bytes((size + 7) // 8), dtype=np.uint8), count=size)
    # As far as before, which is rounded to a grid, to either side: a tenth of what drawing anew takes.
    return along.direction * (1 - 2 * bits.view(np.int8)).reshape(along.direction.shape)


def apart(
    along: Sequence[StratumDirection], at_kink: Mask | bool = False, gradient: Array | float = 0.0
) -> list[StratumDirection]:
    """Return directions of which none is joined, and that tell entries at a kink from the others.

    These have a slope of their own; and move along the gradient, so that what they contribute has one sign.

    Parameters
    ----------
    along : sequence of StratumDirection
        Directions in one input.
    at_kink : array of bool
        Which of its entries are at a kink.
    gradient : Array
        What is claimed of them.
    """
    labels = 2 * along[0].labels + at_kink
    found, numbered = np.unique(labels, return_inverse=True)
    numbered = numbered.reshape(labels.shape).astype(labels.dtype)
    return [
        StratumDirection(
            d.position,
            signed_as(gradient, d.direction) if label % 2 else d.direction,
            numbered,
            k,
            at_kink=bool(label % 2),
        )
        for d in {id(d.direction): d for d in along}.values()
        for k, label in enumerate(found.tolist())
    ]


def signed_as(gradient: Array | float, direction: Array) -> Array:
    """Return a direction along which the terms of a claim have one sign: sums of right and wrong ones differ.

    Within slopes on both sides of a kink, terms of either sign may hide each other.
    """
    sign = np.sign(gradient)
    return np.where(sign == 0, direction, np.abs(direction) * sign)


def apart_at_bounds(problem: Problem, i: int, labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return labels that tell entries at a bound from the others.

    What has room on one side only would leave the others no other.
    """
    if i not in problem.constraints.boxes:
        return labels
    beside = problem.constraints.boxes[i].room(problem.value(i)) < AT_BOUND * problem.reach(i)
    if not beside.any():
        return labels
    _, numbered = np.unique(2 * labels + beside, return_inverse=True)
    return numbered.reshape(labels.shape).astype(labels.dtype)
