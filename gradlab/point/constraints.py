"""How each input may move: within its bounds, and along the directions that it is meant to have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.numerics.scales import finest_displacement
from gradlab.point.arguments import Arguments, Displaced
from gradlab.point.bounds import Box, read_bounds
from gradlab.point.values import describe, text_of

__tracebackhide__ = is_deliberate

Project: TypeAlias = Callable[[npt.NDArray[Any], npt.NDArray[Any]], npt.NDArray[Any]]


class Constraints:
    """The bounds and tangents of all inputs.

    Parameters
    ----------
    arguments : Arguments
        The inputs.
    bounds, tangents
        As in `gradlab.gradcheck`.

    Attributes
    ----------
    boxes : dict of int to Box
        The bounds, of those inputs that have any.
    tangents : dict of int to callable
        The projections, likewise.
    """

    def __init__(self, arguments: Arguments, bounds: Any, tangents: Any) -> None:
        self._names = arguments.names
        self.boxes: dict[int, Box] = read_bounds(bounds, arguments)
        self.projections: dict[int, Project] = {}
        if tangents is not None and not isinstance(tangents, Mapping):
            raise UsageError(f"tangents is {describe(tangents)}; expected a dict {{name: project}}")
        for name, project in (tangents or {}).items():
            for i in arguments.differentiated(name, option="tangents"):
                if not callable(project):
                    raise UsageError(
                        f"tangents of {name} is {describe(project)}; expected a function (x, d) -> d"
                    )
                self.projections[i] = project

    def allow(self, displaced: Displaced) -> bool:
        """Whether inputs may be evaluated at some new values."""
        return all(box.holds(displaced[i]) for i, box in self.boxes.items() if i in displaced)

    def clipped(self, displaced: Displaced) -> Displaced:
        """Return the nearest values that are within the bounds."""
        return {i: self.boxes[i].clipped(x) if i in self.boxes else x for i, x in displaced.items()}

    def own_magnitude(self, i: int, x: npt.NDArray[Any]) -> Array:
        """Return the distance of each entry from zero, or from a bound where that is nearer: from an edge.

        At an edge, that of the next; infinite where there is none.
        """
        own = np.where(x == 0, np.inf, np.abs(x))
        if i not in self.boxes:
            return own
        distance = self.boxes[i].distance(x)
        return np.where(distance < own, np.maximum(distance, finest_displacement(x, distance)), own)

    def direction(self, i: int, x: npt.NDArray[Any], d: Array) -> Array:
        """Return a direction made to have room on one side, and to keep an input what it is."""
        if i in self.boxes:
            d = self.boxes[i].turned(x, d)
        if i in self.projections:
            d = self._projected(i, x, d)
        return d

    def _projected(self, i: int, x: npt.NDArray[Any], d: Array) -> Array:
        name = self._names[i]
        copies = np.array(x, dtype=np.float64), np.array(d, dtype=np.float64)
        try:
            projected = self.projections[i](*copies)
        except Exception as error:
            what = f"{type(error).__name__}: {text_of(error)}"
            raise UsageError(f"tangents of {name} raised {what}; expected a function (x, d) -> d") from error
        if not isinstance(projected, np.ndarray) or projected.shape != x.shape:
            raise UsageError(
                f"tangents of {name} gives {describe(projected)}; expected a displacement of {name}, "
                f"an array of shape {x.shape}"
            )
        if not np.isfinite(projected).all():
            raise UsageError(f"tangents of {name} gives a displacement that is not finite at this point")
        return np.asarray(projected, dtype=np.float64)
