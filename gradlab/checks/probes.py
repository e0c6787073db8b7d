"""What the rows of a table say of each input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradlab.checks.directions import ByInput
from gradlab.checks.rows import Mask, Rows
from gradlab.numerics.table import Indices


@dataclass(frozen=True, eq=False)
class Probes:
    """The probes of one input, or of several inputs jointly.

    Attributes
    ----------
    position : int or None
        The input; ``None`` for joint directions in several of them.
    rows : Rows
        What is known; shared with other inputs whose entries were probed together with these.
    which : Indices
        Shape ``(k,)``: the rows of this input.
    stratum : array of shape (k,)
        Which entries a probe moves: probes of the same stratum move the same ones.
    size : int
        How many entries were to be probed.
    too_small : int
        How many entries could not be told, and cannot matter.
    resolution : float or None
        The smallest relative change of any single entry that was certain to be caught.
    blunt : bool
        Whether, kinks aside, a change of any entry by all that it is could have been missed.
    """

    position: int | None
    rows: Rows
    which: Indices
    stratum: npt.NDArray[np.int_]
    size: int
    too_small: int = 0
    resolution: float | None = None
    blunt: bool = False

    @property
    def by_entry(self) -> bool:
        """Whether each probe moves one entry alone."""
        return bool(self.which.size) and int(self.which[-1]) < self.rows.directions.single

    @property
    def unprobed(self) -> int:
        """How many entries were left out because no call was left."""
        seen = self.rows.seen[self.which]
        if seen.all():
            return 0
        if self.by_entry:
            return int((~seen).sum())
        return self.size if self.position is not None else 0

    def mask(self, state: Mask) -> Mask:
        """Return a mask of all rows for these probes."""
        masked: Mask = state[self.which]
        return masked

    @property
    def seen(self) -> Mask:
        """Which probes were evaluated."""
        return self.mask(self.rows.seen)

    @property
    def told(self) -> Mask:
        """Which probes are right."""
        return self.mask(self.rows.told)

    @property
    def small(self) -> Mask:
        """Which probes are too small to matter."""
        return self.mask(self.rows.small)

    @property
    def wrong(self) -> Mask:
        """Which probes are wrong."""
        return self.mask(self.rows.wrong)

    @property
    def open(self) -> Mask:
        """Which probes tell nothing."""
        return self.mask(self.rows.open)

    @property
    def kinked(self) -> Mask:
        """Which probes are at a kink."""
        return self.mask(self.rows.kinked)

    @property
    def imprecise(self) -> Mask:
        """Which probes are wrong in the dtype given alone."""
        return self.mask(self.rows.imprecise)

    def index(self, k: int) -> int:
        """Return the flat index of the entry that the ``k``-th probe moves."""
        return int(self.rows.directions.index[self.which[k]])

    def wrong_direction(self) -> ByInput | None:
        """Return, of the joint directions that contradict backward, the one that moves the most entries."""
        wrong = [int(k) for k in self.which if self.rows.wrong[k] and k >= self.rows.directions.single]
        found = [self.rows.directions.joint[k - self.rows.directions.single] for k in wrong]
        return max(found, key=lambda parts: sum(int((d != 0).sum()) for d in parts.values()), default=None)
