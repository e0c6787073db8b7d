"""Pairs of a direction and an output: what a Jacobian claims of each, beside what forward shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gradlab.checks.criteria import Criteria
from gradlab.checks.directions import Directions
from gradlab.checks.jacobian import ACCURACY
from gradlab.checks.jacobian_claims import vector
from gradlab.checks.rows import Sides
from gradlab.checks.watched import Watched
from gradlab.numerics import Array, Indices, Mask


@dataclass(eq=False)
class Pairs(Sides):
    """Some ``p`` pairs of a direction and an output, of ``r`` directions that are evaluated together.

    Attributes
    ----------
    rows : Indices
        Shape ``(r,)``: which of all directions these are.
    watched : Watched
        What the outputs do along them.
    row, column : Indices
        Shape ``(p,)``: of each pair, the direction and the output, as ``watched`` counts them.
    """

    rows: Indices
    watched: Watched
    row: Indices
    column: Indices

    @property
    def output(self) -> Indices:
        """The output of each pair."""
        return np.asarray(self.watched.outputs[self.column])

    def narrowed(self, which: Mask) -> Pairs:
        """Return some of the pairs, which watch no more than they need."""
        rows, row = np.unique(self.row[which], return_inverse=True)
        columns, column = np.unique(self.column[which], return_inverse=True)
        watched = self.watched.narrowed(rows, columns)
        claim, value, bar = self.claim[which], self.value[which], self.error_bar[which]
        return Pairs(claim, value, bar, self.rows[rows], watched, row, column)

    def differentiate(self, noise: Array, criteria: Criteria) -> Array:
        """Take derivatives, as closely as ``criteria`` ask for; return by how much slopes differ at kinks."""
        claims = np.full((self.rows.size, self.watched.outputs.size), np.nan)  # where there is no pair
        claims[self.row, self.column] = self.claim

        def known(part: slice, value: Array, bar: Array) -> Mask:
            sides = Sides(claims[:, part], value, bar)
            return np.isnan(sides.claim) | criteria.agrees_to_rtol(sides) | criteria.is_small(sides)

        found = self.watched.differentiated(noise, rtol=ACCURACY, enough=known)
        self.value, self.error_bar, half_jump = (array[self.row, self.column] for array in found)
        return half_jump


@dataclass(eq=False)
class Comparison:
    """What a Jacobian claims along some directions, beside what forward shows of its ``m`` outputs.

    Attributes
    ----------
    directions : Directions
        The displacements of the input.
    noise : Array
        Shape ``(m,)``: what the outputs may be off by, measured where it had to be.
    wrong : list of Pairs
        Where both sides certainly differ.
    open : int
        At how many pairs nothing can be told.
    needed : float
        The smallest ``rtol`` at which none of these would be open.
    small : int
        At how many what cannot be told is too small to matter; zeros that are right are none of them.
    kinked : bool
        Whether a kink was found, where any slope between both sides is right.
    """

    directions: Directions
    noise: Array
    wrong: list[Pairs] = field(default_factory=list)
    open: int = 0
    needed: float = 0.0
    small: int = 0
    kinked: bool = False


def moves_one_each(directions: Directions) -> bool:
    """Whether each of some joint directions in one input moves one unknown alone."""
    return all(np.count_nonzero(vector(d)) == 1 for d in directions.joint)


def alone(directions: Directions) -> Directions:
    """Return such directions as those of single entries."""
    along = [vector(d) for d in directions.joint]
    entries = np.array([int(np.flatnonzero(d)[0]) for d in along])
    length = np.array([d[k] for d, k in zip(along, entries.tolist(), strict=True)])
    (position,) = directions.joint[0]
    return Directions(np.full(entries.size, position), entries, length)


def narrowed(given: Sequence[Pairs], which: Callable[[Pairs], Mask]) -> list[Pairs]:
    """Return some of the pairs, without those directions of which none is left."""
    found = []
    for pairs in given:
        kept = which(pairs)
        if kept.all() and kept.size:
            found.append(pairs)
        elif kept.any():
            found.append(pairs.narrowed(kept))
    return found
