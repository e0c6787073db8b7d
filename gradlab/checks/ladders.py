"""What one difference leaves open goes down the same ladder of steps together, level by level.

Longer steps are rounded less, shorter ones step over less. From an eighth of the scale down to the usual step
all agrees for most functions. What does not is taken down to the shortest steps that floating point allows,
and what rounding alone leaves open up to longer ones than the scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradlab.checks.criteria import BLUNT, COARSE, Criteria
from gradlab.checks.kinks import FARTHER
from gradlab.checks.rows import Rows
from gradlab.checks.stairs import find_stairs
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.ladder import Ladder
from gradlab.numerics.table import LONG_STEPS, SMALLEST_STEP, usual_step

LADDER = 0.1  # of rtol: what the error bar of a ladder has to come down to
# Of a disagreement: an error bar that shows it, at the end of a ladder, and before.
SHOWN, SHOWN_EARLY = 1e-2, 1e-9
DISCERNING = 0.3  # of a disagreement: an error bar that is narrower tells which side is right


def closest_steps(criteria: Criteria, rows: Rows, chosen: Indices) -> Array:
    """Return the shortest step at which rounding lets one difference tell which side is right, of each row.

    In the parts where both sides differ, if there are any. NaN where nothing differs.
    """
    usual, differs = usual_step(rows.table.eps), criteria.differs(rows)[chosen]
    asked = differs | ~differs.any(axis=1, keepdims=True)
    difference = np.where(asked, rows.gap[chosen], 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = rows.table.rounding(usual)[chosen] / (DISCERNING * difference)  # of the usual step
        part = np.where(np.isfinite(part), part, -np.inf).max(axis=1)
        steps = usual * 2.0 ** np.ceil(np.log2(np.fmax(part, SMALLEST_STEP)))
    return np.where(part >= 0, np.fmax(steps, SMALLEST_STEP), np.nan)


@dataclass(frozen=True)
class Closest:
    """What one difference of each row shows from as close to the point as rounding allows.

    Where both sides do not differ, from as close as the row was looked at before, if it was.

    What varies within less than the steps of a ladder does not show there: of ``x + sin(x)``, nothing but
    ``x`` is left at steps that are multiples of the period. A ladder has not ended as long as what is closer
    to the point contradicts it.

    Attributes
    ----------
    value, error_bar : Array
        Shape ``(r, s)``; NaN where no look from closer than the usual step tells anything.
    """

    value: Array
    error_bar: Array

    @classmethod
    def of(cls, criteria: Criteria, rows: Rows, chosen: Indices) -> Closest:
        """Take the differences, as far as there are calls."""
        value, error_bar = np.full((2, chosen.size, rows.table.parts), np.nan)
        steps = closest_steps(criteria, rows, chosen)
        usual = usual_step(rows.table.eps)
        for step in sorted((h for h in rows.table.steps if h < usual), reverse=True):  # those that are known
            known = np.isnan(steps)[:, np.newaxis] & np.isfinite(rows.table.central(step)[chosen])
            value = np.where(known, rows.table.central(step)[chosen], value)
            error_bar = np.where(known, rows.table.rounding(step)[chosen], error_bar)
        closer = steps <= usual / FARTHER
        for step in np.unique(steps[closer]).tolist():
            here = steps == step
            rows.table.take(chosen[here], step)
            value[here] = rows.table.central(step)[chosen[here]]
            error_bar[here] = rows.table.rounding(step)[chosen[here]]
        # That nothing moves over so short a step is no evidence for a claim of nothing.
        nothing = np.fmax(np.abs(value), np.abs(rows.claim[chosen])) <= error_bar
        return cls(np.where(nothing, np.nan, value), error_bar)

    def contradicts(self, ladder: Ladder, claim: Array) -> Mask:
        """Return which rows of a ladder it contradicts, by as much as decides about the claim."""
        allowed = ladder.error_bar + self.error_bar + DISCERNING * np.abs(claim - ladder.value)
        return np.asarray((np.abs(ladder.value - self.value) > allowed).any(axis=1))


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
    gap = np.nan_to_num(short.apart(rows.value), nan=0.0)
    agrees = ~criteria.differs(rows) & narrow & (gap <= rows.error_bar + criteria.tolerance(rows))
    criteria.settle(rows, among, agrees, short.contradict(criteria, rows) | grows)


def _suspect_what_differs(
    criteria: Criteria, rows: Rows, among: Mask, short: ShortDifferences, grows: Mask, enough: Array | float
) -> None:
    """Make rows suspects that differ from a ladder by far more than its error bar.

    Where the first difference, and any from closer by, says what the ladder says: ``gap`` is how far it is
    from them, beyond their own rounding.
    """
    difference, gap = rows.gap, np.nan_to_num(short.apart(rows.value), nan=0.0)
    differs = criteria.differs(rows) & (rows.error_bar <= enough * difference) & ~grows
    differs &= gap <= rows.error_bar + SHOWN * difference
    rows.suspect |= rows.open & among & differs.any(axis=1)


def _settle_at_the_end(criteria: Criteria, rows: Rows, among: Mask, short: ShortDifferences) -> None:
    """Settle what agrees with an error bar that tells anything at all.

    What longer steps tell is known no better than shorter ones agree with them. Nor is a claim that these
    contradict right because it is within a bar that is wide beside one entry: shorter steps decide.
    """
    gap, left = np.nan_to_num(short.apart(rows.value), nan=np.inf), among & rows.open
    rows.error_bar[left] = np.fmax(rows.error_bar, gap)[left]
    wide = rows.error_bar > np.where(rows.single, BLUNT, 0.0)[:, np.newaxis] * rows.size
    criteria.settle(rows, left, criteria.agrees(rows) & ~(wide & short.contradict(criteria, rows)))


def descend_further(criteria: Criteria, rows: Rows, steps: list[float]) -> Mask:
    """Take the rows that are still open down a ladder of the shortest steps, to the end of resolution.

    Returns
    -------
    array of bool, shape (r,)
        Which were found to be on the stair of a staircase, and are as open as before.
    """
    table, chosen, on_stairs = rows.table, np.flatnonzero(rows.open), np.zeros(rows.right.shape, dtype=bool)
    if not chosen.size:
        return on_stairs
    value, bar = rows.value[chosen], rows.error_bar[chosen]
    claim, closest = rows.claim[chosen], Closest.of(criteria, rows, chosen)
    ladder = Ladder(table, chosen)
    for step in steps:
        going = ~ladder.exhausted | closest.contradicts(ladder, claim)
        if not going.any() or criteria.problem.calls_left < 2:
            break
        ladder.add(step, going)
    on_stairs = find_stairs(criteria, rows, chosen, ladder.value, ladder.error_bar)
    # What is closer to the point is the derivative, where it is sharp; longer steps may be sharper still.
    gap = np.abs(ladder.value - value)
    sharp = (ladder.error_bar <= COARSE * gap) | ~np.isfinite(bar)
    closer = np.where(gap <= ladder.error_bar + bar, ladder.error_bar < bar, sharp)
    rows.value[chosen] = np.where(closer, ladder.value, value)
    rows.error_bar[chosen] = np.where(closer, ladder.error_bar, bar)
    open_, doubtful = rows.open & ~on_stairs, np.zeros(rows.claim.shape, dtype=bool)
    doubtful[chosen] = ladder.grows
    rows.unresolved[chosen] &= ladder.grows.any(axis=1)
    criteria.settle(rows, open_, criteria.agrees(rows), doubtful)
    differs = criteria.differs(rows) & (rows.error_bar <= DISCERNING * rows.gap)
    # What still grows at the end belongs to a slope without end, or to something shorter.
    differs &= ~doubtful
    rows.suspect |= open_ & rows.open & differs.any(axis=1)
    return on_stairs


def ascend(criteria: Criteria, rows: Rows, steps: list[float]) -> None:
    """Take rows that rounding leaves open up to longer steps: beside 1e16, 1 is seen over a step of 8.

    These may find a row right, and no more: what is bounded, as a sine is, hardly rises over several times
    the scale, whatever its slope is.
    """
    table, chosen = rows.table, np.flatnonzero(rows.open & np.isfinite(rows.error_bar).all(axis=1))
    if not chosen.size or criteria.problem.calls_left < 2 * len(LONG_STEPS) * chosen.size:
        return
    ladder = Ladder(table, chosen)
    for step in steps:
        ladder.add(step)
    rows.learn_movement()
    narrower = np.zeros(rows.value.shape, dtype=bool)
    gap = np.abs(ladder.value - rows.value[chosen])
    narrower[chosen] = ladder.error_bar < rows.error_bar[chosen]
    narrower[chosen] &= gap <= ladder.error_bar + rows.error_bar[chosen]  # what is closer is the derivative
    rows.value[narrower] = ladder.value[narrower[chosen]]
    rows.error_bar[narrower] = ladder.error_bar[narrower[chosen]]
    criteria.settle(rows, rows.open, criteria.agrees(rows))


def _read(rows: Rows, ladder: Ladder) -> None:
    """Take over what a ladder found for its rows that are open, as far as it found anything."""
    chosen = ladder.rows
    known = np.isfinite(ladder.error_bar) & rows.open[chosen][:, np.newaxis]
    rows.value[chosen] = np.where(known, ladder.value, rows.value[chosen])
    rows.error_bar[chosen] = np.where(known, ladder.error_bar, rows.error_bar[chosen])
