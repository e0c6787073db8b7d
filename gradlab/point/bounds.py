"""Bounds: how far each entry of an input may go on either side, and what is made of a point near an edge.

Outside the bounds forward has no value, as outside of its domain, and is not asked for one: a difference
whose one side lies there is one-sided, and a direction is made to have room on one side at least.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.numerics.scales import finest_displacement
from gradlab.point.arguments import Arguments
from gradlab.point.values import describe
from gradlab.words import counted

__tracebackhide__ = is_deliberate


@dataclass(frozen=True, eq=False)
class Box:
    """The bounds of one input.

    Attributes
    ----------
    low, high : Array
        In the input's shape, in float64; infinite where there is none.
    """

    low: Array
    high: Array

    @property
    def constant(self) -> npt.NDArray[np.bool_]:
        """Which entries have no room at all."""
        return np.asarray(self.low == self.high)

    def holds(self, x: npt.NDArray[Any]) -> bool:
        """Whether a value of the input lies inside; an entry that is not a number lies nowhere."""
        return bool(((x >= self.low) & (x <= self.high) | ~np.isfinite(x)).all())

    def holds_entries(self, index: npt.NDArray[np.intp], x: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return which values of single entries, given by their flat indices, lie inside."""
        return np.asarray((x >= self.low.flat[index]) & (x <= self.high.flat[index]))

    def clipped(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the nearest value inside."""
        return np.asarray(np.clip(x, self.low, self.high), dtype=x.dtype)

    def reach(self, x: npt.NDArray[Any], scale: Array) -> Array:
        """Return the scale of each entry, or the room on its wider side where that is less.

        It is no less than what floating point can divide into the steps of a ladder.
        """
        room = np.maximum(x - self.low, self.high - x)
        return np.where(room < scale, np.maximum(room, finest_displacement(x, room)), scale)

    def room(self, x: npt.NDArray[Any]) -> Array:
        """Return how far each entry may go on its narrower side."""
        return np.asarray(np.minimum(x - self.low, self.high - x))

    def distance(self, x: npt.NDArray[Any]) -> Array:
        """Return how far away the nearest bound is at which the entry is not; infinite without one."""
        sides = np.stack([x - self.low, self.high - x])
        return np.asarray(np.where(sides > 0, sides, np.inf).min(axis=0))

    def turned(self, x: npt.NDArray[Any], d: Array) -> Array:
        """Return a displacement with those entries turned round that have more room on the other side."""
        up, down = self.high - x, x - self.low
        ahead, behind = np.where(d > 0, up, down), np.where(d > 0, down, up)
        return np.where((ahead < np.abs(d)) & (behind > ahead), -d, d)


def read_bounds(bounds: Any, arguments: Arguments) -> dict[int, Box]:
    """Return the bounds of each input that has any, by position.

    Parameters
    ----------
    bounds : mapping of str to pair, or pair
        By name, of an input or of arrays in it; one pair where one array is differentiated. A pair holds
        numbers, arrays that broadcast to the input, or ``None`` for no bound. A list of two pairs, which
        SciPy reads by entry, is refused where the input has two entries.
    arguments : Arguments
        The inputs.

    Raises
    ------
    UsageError
        When they are no bounds, or the point lies outside.
    """
    if bounds is None:
        return {}
    if not isinstance(bounds, Mapping):
        if len(arguments.wrt) != 1:
            names = " and ".join(arguments.names[i] for i in arguments.wrt)
            raise UsageError(
                f"bounds is {describe(bounds)}, and {names} are differentiated; expected a dict "
                "{name: (low, high)}"
            )
        return {arguments.wrt[0]: _box(bounds, arguments, arguments.wrt[0])}
    found = {}
    for name, pair in bounds.items():
        for i in sorted(arguments.differentiated(name, option="bounds")):
            found[i] = _box(pair, arguments, i)
    return found


def about_constants(name: str, box: Box) -> str:
    """Say that entries have equal bounds, and what is made of them.

    >>> about_constants("x", Box(np.array([0.0, 1.0, 1.0]), np.array([1.0, 1.0, 1.0])))
    '2 entries of x have equal bounds and were taken as constants'
    """
    count = int(box.constant.sum())
    one, more = (
        "has equal bounds and was taken as a constant",
        "have equal bounds and were taken as constants",
    )
    return f"{counted(count, 'entry', 'entries')} of {name} {one if count == 1 else more}"


def _box(pair: Any, arguments: Arguments, i: int) -> Box:
    name, x = arguments.names[i], arguments.value(i)
    if not isinstance(pair, tuple | list | np.ndarray) or len(pair) != 2:
        raise UsageError(f"bounds of {name} is {describe(pair)}; expected a pair (low, high)")
    if x.size == 2 and _is_pair_of_pairs(pair):
        raise UsageError(
            f"bounds of {name} is {pair!r}, which may be a pair (low, high) for each of two entries, as in "
            f"SciPy, or two sides; expected bounds=(low, high) with numbers or arrays of shape {x.shape}"
        )
    sides = []
    for side, value, nothing in zip(("low", "high"), pair, (-np.inf, np.inf), strict=True):
        try:
            array = np.asarray(nothing if value is None else value, dtype=np.float64)
            array = np.broadcast_to(array, x.shape)
        except (TypeError, ValueError):
            raise UsageError(
                f"{side} bound of {name} is {describe(value)}; expected a number, or an array that "
                f"broadcasts to shape {x.shape}"
            ) from None
        if np.isnan(array).any():
            raise UsageError(f"{side} bound of {name} is nan; expected a number, or None for no bound")
        sides.append(array)
    low, high = sides
    if (low > high).any():
        at = tuple(int(k) for k in np.argwhere(low > high)[0])
        raise UsageError(
            f"bounds of {arguments.label(i, at)} are ({low[at]:.6g}, {high[at]:.6g}); expected low <= high"
        )
    # What is at a bound in a narrow dtype may lie outside by its rounding, and is at it then.
    low = np.where(x == low.astype(x.dtype), np.minimum(low, x), low)
    high = np.where(x == high.astype(x.dtype), np.maximum(high, x), high)
    outside = ((x < low) | (x > high)) & np.isfinite(x)
    if outside.any():
        at = tuple(int(k) for k in np.argwhere(outside)[0])
        raise UsageError(
            f"{arguments.label(i, at)} is {x[at]:.6g}, outside its bounds ({low[at]:.6g}, {high[at]:.6g}); "
            "expected a point inside"
        )
    return Box(low.astype(np.float64), high.astype(np.float64))


def _is_pair_of_pairs(pair: Any) -> bool:
    """Whether nothing tells pairs for two entries from two sides; a tuple of two sides is as documented."""
    return isinstance(pair, list) and all(isinstance(side, tuple | list) and len(side) == 2 for side in pair)
