"""Which entries of a gradient are wrong.

Of a small input every entry was probed. In a large one they are searched for: the direction that showed the
disagreement is restricted to a part of the entries, and the disagreement shows again if and only if the part
holds wrong ones. Along each axis the first and the last wrong slice are found by bisection, which takes as
many steps in all as the number of entries has binary digits, whatever the shape; whatever lies between is
then tested for being wrong throughout, or at every k-th slice. The product of these slices is what is
reported, once a probe of the rest agrees and single entries in it do not.

A single wrong entry, which is what is found most often, needs no search: with the entries of a direction
weighted by a digit of their index, the disagreement is to that of the direction itself as the digit of the
wrong one. The base is as large as one difference can tell digits apart: √n most often, which takes two.

One difference tells most at a step of its own. What truncation does along the direction is known from the
ladders that condemned it, and so is rounding; the step is the one at which both together are least.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradlab.checks.claimed import Claimed
from gradlab.checks.criteria import Criteria
from gradlab.checks.directions import Directions
from gradlab.checks.judge import judge
from gradlab.checks.probes import Probes
from gradlab.checks.regions import describe_parts, describe_region
from gradlab.checks.rows import Rows
from gradlab.numerics import Array, Mask
from gradlab.numerics.ladder import Ladder
from gradlab.numerics.sharpest import sharpest_step
from gradlab.point.pairs import as_complex
from gradlab.point.problem import Problem

STRIDES = (2, 3, 4)  # that are looked for between the first and the last wrong slice
SAMPLE = 16  # single entries that are probed to confirm a region
FEW = 32  # entries of a region that are probed one by one where it is wrong in part
ONE_SIDED = (16, 4, 1)  # times the step of the search: a ladder where one difference has one side alone
CLEAR = 8  # times what one difference is off by, or its points are rounded by: one unit of a digit
APART = 0.25  # of a unit: what is further from a whole digit is none
BARS_APART = 4  # error bars of one difference, by which both sides have to differ


@dataclass(frozen=True)
class Region:
    """The wrong entries of one input.

    Attributes
    ----------
    mask : Mask
        In the input's shape.
    words : str
        The same, in words.
    exact : bool
        Whether each marked entry was probed by itself.
    derivatives : Array or None
        Shape ``(mask.sum(),)``: at each, the largest size that the derivative may have if it cannot be told
        from zero, infinite otherwise; ``None`` where they are not known.
    """

    mask: Mask
    words: str
    exact: bool
    derivatives: Array | None = None


def locate(criteria: Criteria, claims: Claimed, probes: Probes) -> Region | None:
    """Return the wrong entries of one input, or ``None`` where they could not be told apart.

    Parameters
    ----------
    criteria : Criteria
        Of the point.
    claims : Claimed
        What was compared.
    probes : Probes
        Of one input, some of them wrong.
    """
    position = probes.position
    problem = criteria.problem
    if position is None or position in problem.constraints.projections:
        return None  # parts of a tangent are none
    x = problem.value(position)
    if probes.by_entry:
        rows, mask, largest = probes.rows, np.zeros(x.shape, dtype=bool), np.zeros(x.shape)
        wrong = probes.rows_where(probes.wrong)
        numeric, bar = np.abs(rows.value[wrong]), rows.error_bar[wrong]
        most = (numeric + bar).sum(axis=1) / rows.directions.divisors[wrong]
        at = rows.directions.entries[wrong]
        mask.flat[at] = True
        largest.flat[at] = np.where((numeric <= bar).all(axis=1), most, np.inf)
        return Region(mask, _in_words(problem, position, mask, x), not probes.unprobed, largest[mask])
    row = probes.widest_wrong
    if row is None:
        return None
    search = _Search(criteria, claims, probes.rows, row, position, _wrong_outputs(criteria, probes))
    return search.single_entry() or search.run()


def _in_words(problem: Problem, position: int, mask: Mask, values: Array | None = None) -> str:
    name = problem.names[position]
    if not problem.arguments.paired[position]:
        return describe_region(name, mask, values)
    return describe_parts(name, mask, None if values is None else as_complex(values))


class _Search:
    """Restricts one direction to parts of its entries, and asks whether both sides still agree."""

    def __init__(
        self,
        criteria: Criteria,
        claims: Claimed,
        rows: Rows,
        row: int,
        position: int,
        outputs: Mask | None,
    ) -> None:
        self.criteria, self.claims, self.position = criteria, claims, position
        self.problem, self.outputs = criteria.problem, outputs
        self.x: Array = self.problem.value(position)
        self.direction: Array = rows.directions.joint[row - rows.directions.singles][position]
        gap = rows.claim[row] - rows.value[row]
        if outputs is not None:
            gap = np.where(outputs, gap, 0.0)
        # The column that shows it best, what it shows, and what that is off by.
        self.column = int(np.argmax(np.abs(gap) - rows.error_bar[row]))
        self.step, self.off = sharpest_step(rows.table, row, self.column)
        self.whole = float(gap[self.column])
        self.bar = float(max(self.off[self.column], rows.error_bar[row, self.column]))

    def single_entry(self) -> Region | None:
        """Return the one wrong entry, if there is only one."""
        x, direction = self.x, self.direction
        largest = min(abs(self.whole) / self.bar if self.bar else math.inf, self._resolved()) / CLEAR
        if largest < 2 or x.size < 2:
            return None
        count = math.ceil(math.log(x.size) / math.log(largest))
        base = math.ceil(x.size ** (1 / count))
        entry, left = 0, np.arange(x.size)
        for k in reversed(range(count)):
            digit, left = np.divmod(left, base**k)
            weighed, _ = self._disagreement(direction * ((digit.reshape(x.shape) + 1) / (base + 1)))
            found = weighed[self.column] / self.whole * (base + 1) - 1
            if not abs(found - np.round(found)) < APART:
                return None  # of several entries, no digit is whole
            entry += round(found) * base**k
        if not 0 <= entry < x.size or not direction.flat[entry]:
            return None
        index = np.unravel_index(entry, x.shape)
        mask = np.zeros(x.shape, dtype=bool)
        mask[index] = True
        if self._disagrees(~mask) or not self._is_wrong(np.array(index), certainly=True):
            return None
        return Region(mask, _in_words(self.problem, self.position, mask, x), exact=True)

    def _resolved(self) -> float:
        """Return in how many parts a movement by one step can be told, for points are rounded."""
        x, moved = np.abs(self.x), np.abs(self.direction)
        grid = np.finfo(x.dtype).eps * np.fmax(x, moved)
        return float((self.step * moved / grid).min(initial=math.inf, where=moved > 0))

    def run(self) -> Region | None:
        """Return the wrong entries, or ``None`` where they lie in no pattern that was looked for."""
        inside = np.ones(self.x.shape, dtype=bool)
        if not self._disagrees(inside):
            return None  # one difference is not sharp enough to tell parts from each other
        for axis in range(self.x.ndim):
            inside &= _along(self._wrong_slices(axis, inside), axis, self.x.ndim)
        moved = self.direction != 0
        candidates = np.argwhere(inside & moved)
        if not candidates.size or self._disagrees(~inside):
            return None
        if not self._is_wrong(candidates[0], certainly=True):
            return None
        # The direction moves one stratum of the entries: are those of the others wrong as well?
        others = np.argwhere(inside & ~moved)
        wrong_others = [self._is_wrong(index) for index in self._some(others)]
        if len(candidates) <= FEW and not any(wrong_others):
            mask = np.zeros_like(inside)
            for index in candidates:
                mask[tuple(index)] = self._is_wrong(index)
            return Region(mask, _in_words(self.problem, self.position, mask, self.x), exact=True)
        if not all(map(self._is_wrong, self._some(candidates))):
            return None
        if all(wrong_others):
            return Region(inside, _in_words(self.problem, self.position, inside), exact=False)
        if any(wrong_others) or not np.array_equal(inside & moved, moved):
            return None
        return Region(moved, self.claims.about(self.position, moved), exact=False)

    def _some(self, indices: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        count = min(SAMPLE, len(indices))
        return indices[np.random.default_rng(0).choice(len(indices), count, replace=False)]

    def _wrong_slices(self, axis: int, inside: Mask) -> Mask:
        """Return which slices of an axis hold wrong entries, as far as they are a pattern."""
        length = self.x.shape[axis]
        index = np.arange(length)

        def disagrees(slices: npt.ArrayLike) -> bool:
            return self._disagrees(inside & _along(slices, axis, self.x.ndim))

        first = 0 if disagrees(index == 0) else _first(1, length - 1, lambda k: disagrees(index <= k))
        if first == length - 1 or not disagrees(index > first):
            return np.asarray(index == first)
        back = 0
        if not disagrees(index == length - 1):
            back = _first(1, length - 1 - first, lambda k: disagrees(index >= length - 1 - k))
        last = length - 1 - back
        for stride in STRIDES:
            pattern = (index >= first) & (index <= last) & ((index - first) % stride == 0)
            between = (index >= first) & (index <= last) & ~pattern
            if between.any() and not disagrees(between):
                return np.asarray(pattern)
        return np.asarray((index >= first) & (index <= last))

    def _disagrees(self, part: Mask) -> bool:
        restricted = np.where(part, self.direction, 0.0)
        if not restricted.any():
            return False
        disagreement, bar = self._disagreement(restricted)
        return bool((np.abs(disagreement) > bar).any())

    def _disagreement(self, direction: Array) -> tuple[Array, Array]:
        restricted = Directions.of(self.problem, {}, [{self.position: direction}])
        return self._one_difference(restricted)

    def _one_difference(self, directions: Directions) -> tuple[Array, Array]:
        """Return by how much both sides differ along a direction, by one difference, and what explains it.

        What the whole direction is off by, a part of it may be.
        """
        problem, claims, step = self.problem, self.claims, self.step
        table = directions.table(problem, claims.upstreams, noise=problem.noise)
        table.take(np.zeros(1, dtype=np.intp), step)
        claim, size = (of[0] for of in claims.along(directions))
        scale = np.fmax(size, np.nan_to_num(table.secant(step)[0]))
        value, bar = table.central(step), BARS_APART * np.fmax(table.rounding(step), self.off)
        if np.isnan(value).any():  # one side has no values: truncation is not small by itself then
            ladder = Ladder(table, np.zeros(1, dtype=np.intp))
            for h in ONE_SIDED:
                ladder.add(h * step)
            value, bar = ladder.value, np.fmax(bar, BARS_APART * ladder.error_bar)
        disagreement = np.nan_to_num(claim - value[0], nan=np.inf)
        if self.outputs is not None:  # the others are right; of these, truncation is as the largest's
            disagreement, scale = (
                np.where(self.outputs, disagreement, 0.0),
                scale[self.outputs].max(initial=0.0),
            )
        return disagreement, bar[0] + self.criteria.rtol * scale

    def _is_wrong(self, index: npt.NDArray[np.intp], *, certainly: bool = False) -> bool:
        flat = int(np.ravel_multi_index(tuple(index), self.x.shape))
        entry = Directions.of(self.problem, {self.position: np.array([flat])})
        if certainly:
            return bool(judge(self.criteria, entry, self.claims).wrong[0])
        disagreement, bar = self._one_difference(entry)
        return bool((np.abs(disagreement) > bar).any())


def _wrong_outputs(criteria: Criteria, probes: Probes) -> Mask | None:
    """Return which outputs have a wrong tangent; ``None`` where outputs are contracted."""
    rows = probes.rows
    if rows.claims.upstreams is not None:
        return None
    differ = ~(rows.gap <= rows.error_bar + criteria.tolerance(rows))
    return np.asarray(differ[probes.which][probes.wrong].any(axis=0))


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Return the least ``k`` from ``low`` on for which a monotone condition holds, at most ``high``."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _along(slices: npt.ArrayLike, axis: int, ndim: int) -> Mask:
    return np.asarray(slices, dtype=bool).reshape([-1 if k == axis else 1 for k in range(ndim)])
