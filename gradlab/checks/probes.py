"""What the rows of a table say of each input."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gradlab.checks.rows import Rows
from gradlab.numerics import Indices, Mask


@dataclass(eq=False)
class Probes:
    """The probes of one input, or of several inputs jointly, once all rows were evaluated.

    Attributes
    ----------
    position : int or None
        The input; ``None`` for joint directions in several of them.
    rows : Rows
        What is known; shared with other inputs whose entries were probed together with these.
    which : slice
        The rows of this input, which stand together.
    size : int
        How many entries were to be probed.
    too_small : int
        How many entries could not be told, and cannot matter.
    resolution : float or None
        Any entry that changes by more than this part of itself is caught; the one known worst decides.
    blunt : bool
        Whether, kinks aside, a change of any entry by all that it is could have been missed.
    count, probed : int
        How many probes there are, and how many were evaluated.
    by_entry : bool
        Whether each probe moves one entry alone.
    unprobed : int
        How many entries were left out because no call was left.
    """

    position: int | None
    rows: Rows
    which: slice
    size: int
    too_small: int = 0
    resolution: float | None = None
    blunt: bool = False
    count: int = field(init=False)
    probed: int = field(init=False)
    by_entry: bool = field(init=False)
    unprobed: int = field(init=False)

    def __post_init__(self) -> None:
        """Keep what follows from these, which is asked for again and again."""
        self.count = self.which.stop - self.which.start
        self.probed = int(np.count_nonzero(self.seen))
        self.by_entry = bool(self.count) and self.which.stop <= self.rows.directions.singles
        missing = self.count - self.probed
        self.unprobed = missing if self.by_entry or not missing else self.size

    @property
    def undecided(self) -> bool:
        """Whether some probe tells nothing, or all of them too little."""
        return self.blunt or bool(np.count_nonzero(self.open))

    @property
    def seen(self) -> Mask:
        """Which probes were evaluated."""
        return self.rows.seen[self.which]

    @property
    def right(self) -> Mask:
        """Which probes are right."""
        return self.rows.right[self.which]

    @property
    def small(self) -> Mask:
        """Which probes are too small to matter."""
        return self.rows.small[self.which]

    @property
    def wrong(self) -> Mask:
        """Which probes are wrong."""
        return self.rows.wrong[self.which]

    @property
    def open(self) -> Mask:
        """Which probes tell nothing."""
        return self.rows.open[self.which]

    @property
    def kinked(self) -> Mask:
        """Which probes are at a kink."""
        return self.rows.kinked[self.which]

    @property
    def imprecise(self) -> Mask:
        """Which probes are wrong in the dtype given alone."""
        return self.rows.imprecise[self.which]

    def rows_where(self, mask: Mask) -> Indices:
        """Return the rows of some of the probes."""
        return np.asarray(np.flatnonzero(mask) + self.which.start)

    def index(self, k: int) -> int:
        """Return the flat index of the entry that the ``k``-th probe moves."""
        return int(self.rows.directions.entries[self.which.start + k])

    @property
    def widest_wrong(self) -> int | None:
        """The row, of the joint directions that contradict backward, that moves the most entries."""
        directions = self.rows.directions
        wrong = [k for k in self.rows_where(self.wrong).tolist() if k >= directions.singles]

        def moved(row: int) -> int:
            return sum(int(np.count_nonzero(d)) for d in directions.joint[row - directions.singles].values())

        return max(wrong, key=moved, default=None)
