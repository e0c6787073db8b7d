"""Which entries of a gradient are wrong.

Of a small input every entry was probed. In a large one they are searched for: the direction that showed the
disagreement is restricted to a part of the entries, and the disagreement shows again if and only if the part
holds wrong ones. Along each axis the first and the last wrong slice are found by bisection, which takes as
many steps in all as the number of entries has binary digits, whatever the shape; whatever lies between is
then tested for being wrong throughout, or at every k-th slice. The product of these slices is what is
reported, once a probe of the rest agrees and single entries in it do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradlab.checks.directions import Direction, Joint, SingleEntry
from gradlab.checks.gradients import Probes
from gradlab.checks.probe import Prober
from gradlab.checks.regions import Mask, describe_region
from gradlab.numerics import Array
from gradlab.numerics.differences import exact_displacement, scales

STRIDES = (2, 3, 4)  # that are looked for between the first and the last wrong slice
SAMPLE = 16  # single entries that are probed to confirm a region
FEW = 32  # entries of a region that are probed one by one where it is wrong in part
MOST_CALLS = 240  # of forward, for one input; a single wrong entry in a million takes less than half of them


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


def locate(prober: Prober, probes: Probes) -> Region | None:
    """Return the wrong entries of one input, or ``None`` where they could not be told apart.

    Parameters
    ----------
    prober : Prober
        Of the problem.
    probes : Probes
        Of one input, some of them wrong.
    """
    position = probes.position
    if position is None:
        return None
    problem = prober.problem
    x, name = problem.value(position), problem.names[position]
    if probes.indices is not None:
        mask, largest = np.zeros(x.shape, dtype=bool), np.zeros(x.shape)
        for k in np.flatnonzero(probes.readings.wrong):
            mask[probes.indices[k]] = True
            numeric, bar = np.abs(probes.readings.numeric[k]), probes.readings.error_bar[k]
            largest[probes.indices[k]] = (numeric + bar).sum() if (numeric <= bar).all() else np.inf
        return Region(mask, describe_region(name, mask, x), not probes.unprobed, largest[mask])
    if probes.wrong_direction is None:
        return None
    try:
        return _Search(prober, position, probes.wrong_direction).run(name)
    except _TooManyCalls:
        return None


class _TooManyCalls(Exception):
    """The search has not ended within its calls: the wrong entries lie in no pattern that it looks for."""


class _Search:
    """Restricts one direction to parts of its entries, and asks whether both sides still agree."""

    def __init__(self, prober: Prober, position: int, direction: Direction) -> None:
        self.prober, self.position = prober, position
        self.x: Array = prober.problem.value(position)
        self.direction = direction.joint(prober.problem)[0].parts[position]
        self.limit = prober.problem.forward_calls + MOST_CALLS

    def run(self, name: str) -> Region | None:
        """Return the wrong entries, or ``None`` where they lie in no pattern that was looked for."""
        inside = np.ones(self.x.shape, dtype=bool)
        if not self._disagrees(inside):
            return None  # one difference is not sharp enough to tell parts from each other
        for axis in range(self.x.ndim):
            inside &= _along(self._wrong_slices(axis, inside), axis, self.x.ndim)
        moved = self.direction != 0
        candidates = np.argwhere(inside & moved)
        if self._disagrees(~inside) or not self._is_wrong(candidates[0], certainly=True):
            return None
        # The direction moves one stratum of the entries: are those of the others wrong as well?
        others = np.argwhere(inside & ~moved)
        wrong_others = [self._is_wrong(index) for index in self._some(others)]
        if len(candidates) <= FEW and not any(wrong_others):
            mask = np.zeros_like(inside)
            for index in candidates:
                mask[tuple(index)] = self._is_wrong(index)
            return Region(mask, describe_region(name, mask, self.x), exact=True)
        if not all(map(self._is_wrong, self._some(candidates))):
            return None
        if all(wrong_others):
            return Region(inside, describe_region(name, inside), exact=False)
        if any(wrong_others) or not np.array_equal(inside & moved, moved):
            return None
        return Region(moved, self._stratum_in_words(moved), exact=False)

    def _some(self, indices: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        count = min(SAMPLE, len(indices))
        return indices[np.random.default_rng(0).choice(len(indices), count, replace=False)]

    def _stratum_in_words(self, mask: Mask) -> str:
        size = np.abs(self.prober.upstream.gradients[0][self.position][mask])
        count = f"the {mask.sum()} entries whose gradient"
        if not size.any():
            return f"{count} is 0"
        return f"{count} is between {size.min():.0e} and {size.max():.0e} in size"

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
        if self.prober.problem.forward_calls >= self.limit:
            raise _TooManyCalls
        return self.prober.disagrees_at_once(Joint({self.position: restricted}))

    def _is_wrong(self, index: npt.NDArray[np.intp], *, certainly: bool = False) -> bool:
        flat = int(np.ravel_multi_index(tuple(index), self.x.shape))
        scale = exact_displacement(self.x, scales(self.x)).flat[flat]
        entry = SingleEntry(self.position, flat, float(scale))
        return self.prober.ladders.contradicts(entry) if certainly else self.prober.disagrees_at_once(entry)


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Return the least ``k`` from ``low`` on for which a monotone condition holds, at most ``high``."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _along(slices: npt.ArrayLike, axis: int, ndim: int) -> Mask:
    return np.asarray(slices, dtype=bool).reshape([-1 if k == axis else 1 for k in range(ndim)])
