r"""Along which directions a point is probed.

Of small inputs, of up to 1,000 entries, every entry is probed by itself: the table of differences is then
the Jacobian. Large ones are probed along random directions, whose number does not grow with the size. So
that entries of small gradients are not drowned by large ones, the entries are sorted into strata of similar
influence, each of which has a direction of its own; entries whose gradient is exactly zero are a stratum
too. That shows a change of any one entry, for all of them move. A relative error :math:`\delta` of many
cancels along it, to within ``rtol``, with a chance of about ``rtol`` / :math:`\delta`. So one more direction
moves all entries of all large inputs; where ``rtol`` is no fine one, every stratum has a second direction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.checks.claimed import Claimed
from gradlab.checks.criteria import default_rtol
from gradlab.checks.directions import ByInput, Directions, along_projections, count_movable
from gradlab.errors import UsageError
from gradlab.numerics import Array, Mask
from gradlab.numerics.scales import norm, random_direction
from gradlab.point.problem import Problem

SMALL = 1000  # entries; up to here every entry is probed by itself
# In all calls that small inputs take: beside a large one, they are seldom worth more.
MOST_NUMBERS = 2**24
STRATUM = 1e3  # entries of one stratum differ by at most this factor
STRATA = 4  # at most, besides that of exact zeros
FINE = 1e-5  # rtol, up to which one direction a stratum is enough
LONGEST = 2  # times its own size: how far a random direction moves an entry
AT_BOUND = 2.0**-9  # of the scale: an entry that is nearer to a bound moves away from it alone


@dataclass(frozen=True, eq=False)
class Plan:
    """Along which directions a point is probed.

    Attributes
    ----------
    directions : Directions
        The entries of some inputs, then random directions in the others.
    of_inputs : dict of int to slice
        Which of them move each input alone: they stand together.
    of_all : slice
        Which one moves all large inputs, if there are any.
    """

    directions: Directions
    of_inputs: Mapping[int, slice]
    of_all: slice


def plan(
    problem: Problem,
    claims: Claimed,
    *,
    rtol: float = 0.0,
    probes: str | None = None,
    rng: np.random.Generator,
) -> Plan:
    """Choose the directions along which every input is probed.

    Parameters
    ----------
    problem : Problem
        The point.
    claims : Claimed
        By which the entries of large inputs are sorted into strata.
    rtol : float
        The part of all influence below which an entry needs no stratum of its own.
    probes : {"entries", "directions", None}
        How; by size for ``None``.
    rng : numpy.random.Generator
        Draws the random directions.

    Raises
    ------
    UsageError
        When the tangents of an input leave no direction.
    """
    # Every entry of a small input; of a large one, or along tangents, directions in that input alone.
    size = {i: count_movable(problem, i) for i in claims.positions}
    singly = [i for i in size if probes == "entries" or (probes is None and problem.value(i).size <= SMALL)]
    if probes is None and _is_dear(problem, size, singly):  # directions tell less, but of all entries
        singly = [i for i in singly if size[i] == 1]
    fine = max(rtol, default_rtol(problem.given_eps)) <= FINE
    joint: list[ByInput] = []
    rows: dict[int, slice] = {}  # of the joint directions, which move an input
    for i, count in size.items():
        first = len(joint)
        if i in singly and i in problem.constraints.projections:
            joint += along_projections(problem, i)
            if count and len(joint) == first:
                raise UsageError(f"tangents of {problem.names[i]} leave no direction at this point")
        elif i not in singly and count:
            joint += _strata(claims, i, rtol, rng, twice=not fine)
        if len(joint) > first:
            rows[i] = slice(first, len(joint))
    large = {i: joint[some.start] for i, some in rows.items() if i not in singly and fine}
    together = {i: _another(problem, i, along, rng) for i, along in large.items()}
    joint += [together] * bool(together)
    by_entry = [i for i in singly if i not in problem.constraints.projections]
    directions = Directions.of(problem, dict.fromkeys(by_entry), joint)
    single = directions.singles  # which stand first
    nothing = dict.fromkeys(size, slice(0, 0))
    after = {i: slice(single + some.start, single + some.stop) for i, some in rows.items()}
    of_all = slice(directions.count - bool(together), directions.count)
    return Plan(directions, {**nothing, **after, **directions.of_inputs}, of_all)


def _is_dear(problem: Problem, size: Mapping[int, int], singly: Sequence[int]) -> bool:
    """Whether entries of small inputs take more calls than are left, or long ones beside a large input."""
    calls = 2 * sum(size[i] for i in singly)
    numbers = sum(problem.value(i).size for i in size) + problem.output.size
    return calls + 2 > problem.calls_left or (len(singly) < len(size) and calls * numbers > MOST_NUMBERS)


def _strata(
    claims: Claimed, i: int, rtol: float, rng: np.random.Generator, *, twice: bool
) -> Iterator[ByInput]:
    """Yield the directions of one input: one for each stratum, and perhaps another for each."""
    problem, x, reach = claims.problem, claims.problem.value(i), claims.problem.reach(i)
    labels = apart_at_bounds(problem, i, strata(claims.magnitudes(i), reach, rtol=rtol))
    every = range(int(labels.max(initial=-1)) + 1)
    if i in problem.constraints.projections:  # parts of a tangent are none
        for drawn in (random_direction(x, rng, reach) for _ in range(1 + twice)):
            for stratum in every:
                yield {i: problem.direction(i, drawn * (labels == stratum))}
        return
    direction = problem.direction(i, random_direction(x, rng, reach))
    narrow = direction.astype(np.float32)  # rounded to their grid, directions fit in half the memory
    kept = narrow if np.array_equal(narrow, direction) else direction
    along = [StratumDirection(i, kept, labels, stratum) for stratum in every]
    yield from along
    if twice:
        other = _another(problem, i, along[0], rng)
        yield from (StratumDirection(i, other, labels, stratum) for stratum in every)


def _another(problem: Problem, i: int, along: ByInput, rng: np.random.Generator) -> Array:
    """Draw another direction in which every entry of an input moves that can."""
    if not isinstance(along, StratumDirection) or i in problem.constraints.boxes:
        return problem.direction(i, random_direction(problem.value(i), rng, problem.reach(i)))
    size = along.direction.size
    bits = np.unpackbits(np.frombuffer(rng.bytes((size + 7) // 8), dtype=np.uint8), count=size)
    # As far as before, which is rounded to a grid, to either side: a tenth of what drawing anew takes.
    return along.direction * (1 - 2 * bits.view(np.int8)).reshape(along.direction.shape)


def apart_at_kinks(along: Sequence[StratumDirection], at_kink: Mask) -> list[StratumDirection]:
    """Return directions that tell entries at a kink from the others, which have a slope of their own then.

    Parameters
    ----------
    along : sequence of StratumDirection
        Directions in one input.
    at_kink : array of bool
        Which of its entries are at a kink.
    """
    labels = 2 * along[0].labels + at_kink
    found, numbered = np.unique(labels, return_inverse=True)
    numbered = numbered.reshape(labels.shape).astype(labels.dtype)
    return [
        StratumDirection(d.position, d.direction, numbered, k, at_kink=bool(label % 2))
        for d in along
        if d.stratum == 0
        for k, label in enumerate(found.tolist())
    ]


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


class StratumDirection(ByInput):
    """A direction in the entries of one stratum: of those in all entries, that part, made when it is needed.

    Parameters
    ----------
    position : int
        The input.
    direction, labels : Array
        A direction in all of its entries, and the stratum of each.
    stratum : int
        Which.
    """

    def __init__(
        self,
        position: int,
        direction: npt.NDArray[Any],
        labels: npt.NDArray[Any],
        stratum: int,
        *,
        at_kink: bool = False,
    ) -> None:
        self.position, self.direction, self.labels, self.stratum = position, direction, labels, stratum
        self.at_kink = at_kink
        self.is_part = bool((labels != stratum).any())

    def __getitem__(self, position: int) -> Array:
        if position != self.position:
            raise KeyError(position)
        return np.asarray(self.direction * (self.labels == self.stratum)) if self.is_part else self.direction

    def __iter__(self) -> Iterator[int]:
        return iter((self.position,))

    def __len__(self) -> int:
        return 1


def strata(gradients: Sequence[Array], length: Array, *, rtol: float = 0.0) -> npt.NDArray[np.int8]:
    """Sort entries into strata of similar influence, the largest over all gradients; zeros are their own.

    Those whose influence is below ``rtol`` of what all of them together have are in the lowest of the others:
    none of them by itself matters.

    >>> strata([np.array([1.0, 5.0, 1e-5, 0.0])], np.array([1.0, 0.1, 1.0, 1.0]))
    array([0, 0, 1, 2], dtype=int8)
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
        return labels
    # Of all parts the largest has no less than the mean of them.
    least = max(matters / math.sqrt(len(gradients)) / LONGEST, float(weight.min()))
    for k in range(1, STRATA):
        if largest / STRATUM**k < least:
            break  # nothing is below, or nothing that matters
        labels += weight <= largest / STRATUM**k
    labels[weight == 0] = STRATA
    for k in reversed(range(STRATA)):  # without those that are empty
        if not (labels == k).any():
            labels -= labels > k
    return labels
