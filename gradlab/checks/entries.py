"""Which entries of a Jacobian are wrong, where directions that move many unknowns show that some are.

Of an output that differs along a direction some unknown is at fault. Each unknown that moved has a code of
two digits: with the unknowns weighted by a digit, what the output differs by is to what it was as the digit
of the one at fault, where only one is. That is read for all outputs at once, and then the unknowns that were
named move by themselves. Where several are at fault in one output, those that the pattern knows of are moved
without the others, and so on, part by part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gradlab.checks.directions import Directions
from gradlab.checks.jacobian import ACCURACY
from gradlab.checks.jacobian_claims import Product, vector
from gradlab.checks.pairs import Comparison, Pairs
from gradlab.checks.watched import Watched
from gradlab.numerics import Array, Indices, Mask
from gradlab.point.problem import Problem

ONE_DIGIT = 16  # unknowns: of so few, one digit tells which
CLEAR = 0.1  # how near a digit has to be to a whole number
APPARENT = 0.01  # of what an output differs by: what is less is no other unknown at fault
# Parts of the unknowns that are moved by themselves at most, of one direction and of all: two rows that were
# swapped take six of each, and one wrong entry three in all.
PARTS, ALL_PARTS = 12, 60


@dataclass(frozen=True, eq=False)
class WrongEntries:
    """The wrong entries of a Jacobian, and what both sides say of each.

    Attributes
    ----------
    output, unknown : Indices
        Shape ``(k,)``, in ascending order.
    claim, value, error_bar : Array
        Shape ``(k,)``.
    lost : Indices
        The outputs in which several unknowns are at fault that were not told apart.
    """

    output: Indices
    unknown: Indices
    claim: Array
    value: Array
    error_bar: Array
    lost: Indices

    @property
    def error(self) -> Array:
        """The difference of both sides, relative to the larger."""
        return np.asarray(np.abs(self.claim - self.value) / np.fmax(np.abs(self.claim), np.abs(self.value)))


def wrong_entries(
    problem: Problem,
    product: Product,
    entries: Callable[[Indices, Indices], Array],
    known: Callable[[Indices], Indices],
    comparison: Comparison,
) -> WrongEntries:
    """Return the wrong entries of a Jacobian.

    Parameters
    ----------
    problem : Problem
        The point.
    product : callable
        ``product(d) -> J d``.
    entries : callable
        ``entries(outputs, unknowns)``: the entries of the Jacobian at some places.
    known : callable
        ``known(outputs)``: the unknowns on which its pattern says that some outputs depend.
    comparison : Comparison
        What was found wrong.
    """
    found: list[tuple[Indices, Indices, Array, Array]] = []
    lost = [np.empty(0, dtype=np.intp)]
    left = ALL_PARTS
    for pairs in comparison.wrong:
        for row, direction in enumerate(pairs.watched.directions.joint):
            d, mine = vector(direction), pairs.row == row
            search = _Search(problem, product, known, comparison.noise, d, min(PARTS, left))
            search.run(pairs, mine)
            left -= search.moved
            bar = np.empty(problem.output.size)
            bar[pairs.output[mine]] = pairs.error_bar[mine]
            for outputs, unknowns, off in search.found:
                length = d[unknowns]
                found.append((outputs, unknowns, off / length, bar[outputs] / np.abs(length)))
            lost += search.lost
    if not found:
        found.append((*np.empty((2, 0), dtype=np.intp), *np.empty((2, 0))))
    output, unknown, off, bar = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    # Of several directions that move an unknown, one is enough.
    _, first = np.unique(output * problem.value(problem.wrt[0]).size + unknown, return_index=True)
    output, unknown, off, bar = output[first], unknown[first], off[first], bar[first]
    claim = entries(output, unknown) + 0.0  # no negative zero
    value = claim - off + 0.0
    return WrongEntries(output, unknown, claim, value, bar, np.unique(np.concatenate(lost)))


class _Search:
    """The search among the unknowns that one direction moves."""

    def __init__(
        self,
        problem: Problem,
        product: Product,
        known: Callable[[Indices], Indices],
        noise: Array,
        d: Array,
        most: int,
    ) -> None:
        self.problem, self.product, self.known, self.noise, self.d = problem, product, known, noise, d
        self.found: list[tuple[Indices, Indices, Array]] = []  # outputs, unknowns, what they differ by
        self.lost: list[Indices] = []
        self.moved, self._most, self._two_suffice = 0, most, False

    def run(self, pairs: Pairs, mine: Mask) -> None:
        """Look for what is wrong in the outputs of some pairs of this direction."""
        unknowns, outputs = np.flatnonzero(self.d), pairs.output[mine]
        off = (pairs.claim - pairs.value)[mine]
        if unknowns.size > 1:
            rough = pairs.watched.two_differences()[pairs.row, pairs.column][mine]
            fine = CLEAR / (2 * _base(unknowns.size))
            self._two_suffice = bool((np.abs(rough - pairs.value[mine]) <= fine * np.abs(off)).all())
        self._seek(unknowns, outputs, off)

    def _seek(self, unknowns: Indices, outputs: Indices, off: Array) -> None:
        """Name the unknowns at fault in each output, which differs by ``off`` along all of them together."""
        if not outputs.size:
            return
        if unknowns.size == 1:
            self.found.append((outputs, np.repeat(unknowns, outputs.size), off))
            return
        if self.moved >= self._most:
            self.lost.append(outputs)
            return
        read = self._read(unknowns, outputs, off)
        named, shown = np.unique(read[read >= 0]), off
        if 0 < named.size < unknowns.size:
            shown = self._off(named, self.d[named], outputs)
        clear = (read >= 0) & (np.abs(shown - off) <= APPARENT * np.abs(off))
        if clear.any():
            self.found.append((outputs[clear], read[clear], shown[clear]))
        outputs, off = outputs[~clear], off[~clear]
        if not outputs.size:
            return
        inside = np.isin(unknowns, self.known(outputs))
        if inside.all() or not inside.any():
            inside = np.arange(unknowns.size) < unknowns.size // 2
        part, rest = unknowns[inside], unknowns[~inside]
        shown = self._off(part, self.d[part], outputs)
        here = np.abs(shown) > APPARENT * np.abs(off)
        there = np.abs(off - shown) > APPARENT * np.abs(off)
        self._seek(part, outputs[here], shown[here])
        self._seek(rest, outputs[there], (off - shown)[there])

    def _read(self, unknowns: Indices, outputs: Indices, off: Array) -> Indices:
        """Return which unknown is at fault in each output; -1 where that is not clear."""
        base, ranks = _base(unknowns.size), np.arange(unknowns.size)
        digits = [ranks] if unknowns.size <= ONE_DIGIT else list(np.divmod(ranks, base))
        rank, clear = np.zeros(outputs.size), np.ones(outputs.size, dtype=bool)
        for digit in digits:
            weighted = self.d[unknowns] * (digit + 1) / (base + 1)
            code = self._off(unknowns, weighted, outputs) / off * (base + 1) - 1
            whole = np.nan_to_num(np.round(code), nan=-1.0, posinf=-1.0, neginf=-1.0)
            clear &= (np.abs(code - whole) < CLEAR) & (whole >= 0) & (whole < base)
            rank = rank * base + whole
        clear &= rank < unknowns.size
        return np.where(clear, unknowns[np.where(clear, rank, 0).astype(np.intp)], -1)

    def _off(self, unknowns: Indices, lengths: Array, outputs: Indices) -> Array:
        """Return by how much claim and forward differ in some outputs where only some unknowns move."""
        (i,) = self.problem.wrt
        d = np.zeros(self.d.size)
        d[unknowns] = lengths
        self.moved += 1
        directions = Directions.of(self.problem, {}, [{i: d.reshape(self.problem.value(i).shape)}])
        watched = Watched(self.problem, directions, outputs)
        if self._two_suffice:
            value = watched.two_differences()
        else:
            value, _, _ = watched.differentiated(self.noise[outputs], rtol=ACCURACY)
        return np.asarray(np.asarray(self.product(d)).ravel()[outputs] - value[0])


def _base(unknowns: int) -> int:
    """Return how many values a digit has."""
    return unknowns if unknowns <= ONE_DIGIT else int(np.ceil(np.sqrt(unknowns)))
