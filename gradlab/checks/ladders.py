"""What one difference leaves open goes down the same ladder of steps together, level by level.

Longer steps are rounded less, shorter ones step over less. For most functions those from an eighth of the
scale down to the usual one are enough. What they leave open is taken further, in `further`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradlab.checks.criteria import Criteria
from gradlab.checks.rows import Rows
from gradlab.checks.short_differences import ShortDifferences
from gradlab.checks.widths import BLUNT, LADDER, SHOWN, SHOWN_EARLY
from gradlab.numerics import Array, Mask
from gradlab.numerics.ladder import Ladder


def descend(criteria: Criteria, rows: Rows, steps: Sequence[float], which: Mask | None = None) -> None:
    """Take open rows, all or some, down a ladder to the usual step, until each is settled, or suspect."""
    among = rows.open if which is None else rows.open & which
    chosen = np.flatnonzero(among)
    ladder, short = Ladder(rows.table, chosen), ShortDifferences.of(rows)
    rows.error_bar[chosen] = np.inf  # which neither agrees nor differs, until the ladder has two steps
    early = np.where(rows.single, SHOWN_EARLY, SHOWN)[:, np.newaxis]
    for step in steps:
        going = rows.open[chosen] & ladder.gains_at(step)  # neither what is settled, nor suspects
        if not going.any() or criteria.problem.calls_left < 2:
            break
        ladder.add(step, going)
        _read(rows, ladder)
        _sort_out(criteria, rows, ladder, short, early)
    _sort_out(criteria, rows, ladder, short, SHOWN)
    _settle_at_the_end(criteria, rows, among, short)


def _sort_out(
    criteria: Criteria, rows: Rows, ladder: Ladder, short: ShortDifferences, shown: Array | float
) -> None:
    """Settle what agrees with a ladder, and suspect what differs by far more than its error bar.

    Either only if the first difference, and any from closer by, is ``apart`` from the ladder, beyond its own
    rounding, by no more than the bar and the tolerance, of a suspect a hundredth of the gap. Where the ladder
    grows, towards no limit, as beside √x, nothing is too small, and nothing a suspect.
    """
    among, grows = rows.mask(ladder.rows), np.zeros(rows.claim.shape, dtype=bool)
    grows[ladder.rows] = ladder.grows
    apart = np.nan_to_num(short.apart(rows.value), nan=0.0)  # where none was taken, nothing contradicts
    differs = criteria.differs(rows)

    agrees = ~differs & (criteria.uncertainty(rows) <= LADDER * criteria.rtol * rows.size)
    agrees &= apart <= rows.error_bar + criteria.tolerance(rows)
    doubtful = _contradicted(criteria, rows, short) | grows
    criteria.settle(rows, among & rows.open, agrees, doubtful)

    shows = differs & ~grows & (rows.error_bar <= shown * rows.gap)
    shows &= apart <= rows.error_bar + SHOWN * rows.gap
    rows.suspect |= among & rows.open & shows.any(axis=1)


def _settle_at_the_end(criteria: Criteria, rows: Rows, among: Mask, short: ShortDifferences) -> None:
    """Settle what agrees with an error bar that tells anything at all.

    The bar is no less than how far shorter differences are from the ladder, beyond their rounding. Where they
    contradict the claim, it is right within a narrow bar alone: else shorter steps decide.
    """
    # Where none was taken, a ladder by itself settles nothing here.
    apart, left = np.nan_to_num(short.apart(rows.value), nan=np.inf), among & rows.open
    rows.error_bar[left] = np.fmax(rows.error_bar, apart)[left]
    wide = rows.error_bar > np.where(rows.single, BLUNT, 0.0)[:, np.newaxis] * rows.size
    criteria.settle(rows, left, criteria.agrees(rows) & ~(wide & _contradicted(criteria, rows, short)))


def _contradicted(criteria: Criteria, rows: Rows, short: ShortDifferences) -> Mask:
    """Return which claims shorter differences contradict, by more than rounding and the tolerance."""
    return short.contradict(rows.claim, criteria.tolerance(rows), criteria.floor)


def _read(rows: Rows, ladder: Ladder) -> None:
    """Take over what a ladder found for its rows that are open, as far as it found anything."""
    chosen = ladder.rows
    known = np.isfinite(ladder.error_bar) & rows.open[chosen][:, np.newaxis]
    rows.value[chosen] = np.where(known, ladder.value, rows.value[chosen])
    rows.error_bar[chosen] = np.where(known, ladder.error_bar, rows.error_bar[chosen])
