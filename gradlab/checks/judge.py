"""The judge: what backward or jvp claims against what the table of differences shows.

One difference settles most directions. What it leaves open goes down a ladder of steps, all together, until
each is settled; what looks wrong is looked at closely, and confirmed by a second ladder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gradlab.checks.claimed import ClaimedAlong
from gradlab.checks.criteria import Criteria
from gradlab.checks.directions import Directions
from gradlab.checks.further import ascend, descend_further
from gradlab.checks.judge_kinks import look_for_kinks
from gradlab.checks.ladders import descend
from gradlab.checks.rows import Rows, first_differences
from gradlab.checks.scattering import open_high_stairs
from gradlab.checks.stairs import settle_on_stairs
from gradlab.checks.suspects import allow_for_rounding, try_suspects
from gradlab.checks.widths import BLUNT, DISCERNING, TRUNCATION
from gradlab.numerics import Mask
from gradlab.numerics.extrapolation import RATIO
from gradlab.numerics.step_sizes import LONG_STEPS, coarse_steps, fine_steps, usual_step
from gradlab.numerics.table import Table, without_leading_term

FAR_STEP = 2.0**20  # times the scale: where an input that has any influence on an output moves it

Walk = Callable[[Criteria, Rows, Sequence[float]], None]  # takes what is open along some steps


def judge(
    criteria: Criteria,
    directions: Directions,
    claims: ClaimedAlong,
    *,
    on_own_scale: bool = True,
    known: Table | None = None,
) -> Rows:
    """Compare both sides along some directions.

    Parameters
    ----------
    criteria : Criteria
        Of the point.
    directions : Directions
        Along which.
    claims : ClaimedAlong
        What backward returned, or what jvp returns along directions.
    on_own_scale : bool
        Whether what is open or wrong is judged once more on the scale of its own magnitude, if that is less.
    known : Table, optional
        Differences along the same directions that were taken already.

    Returns
    -------
    Rows
        Each of them right, too small to matter, wrong or open.
    """
    rows = first_differences(criteria.problem, directions, claims, known)
    criteria.accept(rows, rows.seen)
    look_for_kinks(criteria, rows)
    if not np.count_nonzero(rows.open | rows.wrong):  # `any` takes five times as long
        return rows  # by far the most frequent
    _without_truncation(criteria, rows)
    refine(criteria, rows)
    if on_own_scale:
        _on_own_scale(criteria, rows)
    return rows


def refine(criteria: Criteria, rows: Rows) -> None:
    """Settle what the first difference leaves open, as far as forward can be resolved."""
    if not rows.open.any():
        return
    _take_a_long_step(criteria, rows)
    if not (rows.open & ~rows.idle).any():
        return  # idle: nothing is claimed, and nothing moves; `vanishing` settles that
    coarse = coarse_steps(rows.table.eps)
    criteria.measure_noise(rows)
    settle_on_stairs(criteria, rows)
    _decide(criteria, rows, descend, coarse)
    if rows.open.any():  # as a rule none is
        _decide(criteria, rows, descend_further, [coarse[-1], *fine_steps(rows.table.eps)])
        ascend(criteria, rows, [*LONG_STEPS, *coarse])
        _leave_in_doubt(criteria, rows)
    open_high_stairs(rows)


def _decide(criteria: Criteria, rows: Rows, walk: Walk, steps: Sequence[float]) -> None:
    """Walk what is open along some steps, and try suspects."""
    heights = rows.table.heights_of_stairs
    walk(criteria, rows, steps)
    try_suspects(criteria, rows, steps)
    # Where a stair was found, the rounding in the table grew.
    raised = (rows.table.heights_of_stairs != heights).any(axis=1)
    if raised.any():  # not where forward is smooth
        _decide_on_stairs(criteria, rows, raised)


def _decide_on_stairs(criteria: Criteria, rows: Rows, which: Mask) -> None:
    """Go down the first ladder once more: the table knows now how high the stairs of these rows are."""
    coarse = coarse_steps(rows.table.eps)
    descend(criteria, rows, coarse, which)
    try_suspects(criteria, rows, coarse)


def _leave_in_doubt(criteria: Criteria, rows: Rows) -> None:
    """Give what differs, but not for certain, an error bar that says so: that of the claim's rounding, too.

    It may be right within that, or too small to matter.
    """
    differing = np.flatnonzero(rows.open & criteria.differs(rows).any(axis=1))
    if differing.size:
        allow_for_rounding(criteria, rows, differing)
    gap = rows.gap
    doubtful = rows.open[:, np.newaxis] & (rows.error_bar > DISCERNING * gap)
    agrees = criteria.agrees(rows)
    rows.error_bar = np.where(doubtful, np.fmax(rows.error_bar, gap), rows.error_bar)
    criteria.settle(rows, rows.open, agrees)


def _without_truncation(criteria: Criteria, rows: Rows) -> None:
    """Settle rows that truncation alone keeps open: a second, longer difference tells most of it."""
    table, step = rows.table, usual_step(rows.table.eps)
    longer = step / RATIO
    difference = rows.gap
    close = (difference <= rows.error_bar) | (difference < TRUNCATION * rows.size)
    which = rows.open & close.all(axis=1) & (difference > rows.error_bar).any(axis=1)
    if not which.any() or criteria.problem.calls_left < 2:
        return
    table.take(np.flatnonzero(which), longer)
    value = without_leading_term(table.central(step), table.central(longer))
    error_bar = (table.rounding(step) + RATIO**2 * table.rounding(longer)) / (1 - RATIO**2)
    criteria.accept_others(rows, which, value, error_bar)


def _take_a_long_step(criteria: Criteria, rows: Rows) -> None:
    """See which outputs stay as they are over a long step: they add less than their rounding.

    It is the first step of the ladder, taken ahead; then 1/2, 2 and 8, until something is seen to move.
    """
    table, which, first = rows.table, rows.open, coarse_steps(rows.table.eps)[0]
    moves = np.zeros(rows.claim.shape, dtype=bool)
    if not criteria.largest_influence:
        table.take(np.flatnonzero(which & rows.idle), FAR_STEP)
        which &= ~rows.idle  # what does not move however far the inputs do need not be looked at in between
    for step in (first, *reversed(LONG_STEPS)):
        if criteria.problem.calls_left < 2 or not which.any():
            break
        table.take(np.flatnonzero(which), step, note_still=step == first)
        # What hardly moves over the usual step, and does over this one, may be on a stair.
        moves |= np.abs(table.central(step)) > criteria.negligible
        criteria.settle_too_small(rows, which, moves)
        if criteria.largest_influence:
            break  # something was seen to move
    narrower = np.where(np.isfinite(rows.value), table.rounding(usual_step(table.eps)), np.inf)
    rows.error_bar = np.where(which[:, np.newaxis], narrower, rows.error_bar)
    criteria.accept(rows, which, moves)


def _on_own_scale(criteria: Criteria, rows: Rows) -> None:
    """Judge what is open, wrong or known bluntly once more, every entry on the scale of its own magnitude."""
    blunt = rows.right & (rows.error_bar > np.fmax(BLUNT, criteria.rtol) * rows.size).any(axis=1)
    undecided = (rows.open & ~rows.idle) | ((rows.wrong | blunt) & ~rows.kinked & rows.single)
    chosen = np.flatnonzero(undecided & ~rows.table.on_stairs)  # which no shorter step leaves
    nearer = rows.directions.some(chosen).closer(criteria.problem) if chosen.size else None
    if nearer is None or criteria.problem.calls_left < 2 * chosen.size:
        return
    again = judge(criteria, nearer, rows.claims, on_own_scale=False)
    longer = (rows.directions.divisors[chosen] / nearer.divisors)[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        # A row is known by the part that is known best.
        before = np.fmin.reduce(rows.error_bar[chosen] / rows.size[chosen], axis=1)
        after = np.fmin.reduce(again.error_bar / again.size, axis=1)
    better = (again.right | again.wrong) & (rows.open[chosen] | (after < before))
    rows.take_over(chosen[better], again, np.flatnonzero(better), longer[better])
