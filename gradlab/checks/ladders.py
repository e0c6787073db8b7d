"""What one difference leaves open goes down the same ladder of steps together, level by level.

Longer steps are rounded less, shorter ones step over less. For most functions those from an eighth of the
scale down to the usual one are enough. What they leave open is taken further, in `further`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradlab.checks.criteria import BLUNT, Criteria
from gradlab.checks.rows import Rows
from gradlab.numerics import Array, Mask
from gradlab.numerics.ladder import Ladder
from gradlab.numerics.table import usual_step

LADDER = 0.1  # of rtol: what the error bar of a ladder has to come down to
# Of a disagreement: an error bar that shows it, at the end of a ladder, and before.
SHOWN, SHOWN_EARLY = 1e-2, 1e-9


def descend(criteria: Criteria, rows: Rows, steps: list[float], which: Mask | None = None) -> None:
    """Take open rows, all or some, down a ladder to the usual step, until each is settled, or suspect."""
    among = rows.open if which is None else rows.open & which
    table, chosen = rows.table, np.flatnonzero(among)
    ladder, short = Ladder(table, chosen), ShortDifferences.of(rows)
    grows = np.zeros(rows.claim.shape, dtype=bool)
    rows.error_bar[chosen] = np.inf  # which neither agrees nor differs, until the ladder has two steps
    # A hundredth of a disagreement shows it; but the report states the value of an entry.
    enough = np.where(rows.single, SHOWN_EARLY, SHOWN)[:, np.newaxis]
    for step in steps:
        # A step at which rounding is more than the error bar already adds nothing but noise.
        tells = (table.rounding(step)[chosen] <= ladder.error_bar).any(axis=1)
        going = rows.open[chosen] & tells  # neither what is settled, nor suspects
        if not going.any() or criteria.problem.calls_left < 2:
            break
        ladder.add(step, going)
        _read(rows, ladder)
        grows[chosen] = ladder.grows  # towards no limit, as beside √x
        _settle_what_agrees(criteria, rows, among, short, grows)
        _suspect_what_differs(criteria, rows, among, short, grows, enough)
    _suspect_what_differs(criteria, rows, among, short, grows, SHOWN)
    _settle_at_the_end(criteria, rows, among, short)


def _settle_what_agrees(
    criteria: Criteria, rows: Rows, among: Mask, short: ShortDifferences, grows: Mask
) -> None:
    """Settle rows that agree with a ladder, within a narrow error bar, if nothing from closer contradicts."""
    narrow = criteria.uncertainty(rows) <= LADDER * criteria.rtol * rows.size
    apart = np.nan_to_num(short.apart(rows.value), nan=0.0)
    agrees = ~criteria.differs(rows) & narrow & (apart <= rows.error_bar + criteria.tolerance(rows))
    criteria.settle(rows, among, agrees, short.contradict(criteria, rows) | grows)


def _suspect_what_differs(
    criteria: Criteria, rows: Rows, among: Mask, short: ShortDifferences, grows: Mask, enough: Array | float
) -> None:
    """Make rows suspects that differ from a ladder by far more than its error bar.

    Where the first difference, and any from closer by, says what the ladder says: it is ``apart`` from them,
    beyond their own rounding, by as little.
    """
    apart = np.nan_to_num(short.apart(rows.value), nan=0.0)
    differs = criteria.differs(rows) & (rows.error_bar <= enough * rows.gap) & ~grows
    differs &= apart <= rows.error_bar + SHOWN * rows.gap
    rows.suspect |= rows.open & among & differs.any(axis=1)


def _settle_at_the_end(criteria: Criteria, rows: Rows, among: Mask, short: ShortDifferences) -> None:
    """Settle what agrees with an error bar that tells anything at all.

    The bar is no less than how far shorter differences are from the ladder, beyond their rounding. Where they
    contradict the claim, it is right within a narrow bar alone: else shorter steps decide.
    """
    apart, left = np.nan_to_num(short.apart(rows.value), nan=np.inf), among & rows.open
    rows.error_bar[left] = np.fmax(rows.error_bar, apart)[left]
    wide = rows.error_bar > np.where(rows.single, BLUNT, 0.0)[:, np.newaxis] * rows.size
    criteria.settle(rows, left, criteria.agrees(rows) & ~(wide & short.contradict(criteria, rows)))


def _read(rows: Rows, ladder: Ladder) -> None:
    """Take over what a ladder found for its rows that are open, as far as it found anything."""
    chosen = ladder.rows
    known = np.isfinite(ladder.error_bar) & rows.open[chosen][:, np.newaxis]
    rows.value[chosen] = np.where(known, ladder.value, rows.value[chosen])
    rows.error_bar[chosen] = np.where(known, ladder.error_bar, rows.error_bar[chosen])


@dataclass(frozen=True)
class ShortDifferences:
    """Single differences over steps no longer than the usual one: the first, and any from closer by.

    Attributes
    ----------
    seen : list of (Array, Array)
        What each shows, and what that is off by, of shape ``(r, s)``; NaN where it was not taken.
    """

    seen: list[tuple[Array, Array]]

    @classmethod
    def of(cls, rows: Rows) -> ShortDifferences:
        """Read them from the table."""
        table, usual = rows.table, usual_step(rows.table.eps)
        return cls([(table.central(h), table.rounding(h)) for h in table.steps if h <= usual])

    def apart(self, value: Array) -> Array:
        """Return how far a value is from them, beyond what they may be off by."""
        return np.asarray(np.fmax.reduce([np.abs(value - there) - off for there, off in self.seen]))

    def contradict(self, criteria: Criteria, rows: Rows) -> Mask:
        """Return which claims they contradict, by more than rounding."""
        found = np.zeros(rows.claim.shape, dtype=bool)
        for there, off in self.seen:
            allowed = off + criteria.tolerance(rows) + np.where(np.abs(there) <= off, criteria.floor, 0.0)
            found |= np.abs(rows.claim - there) > allowed
        return found
