"""What looks wrong is looked at again before it is called so: closely, and along a second ladder.

From close by, a kink at the point or beside it shows, and what is shorter than the steps of a ladder. The
second ladder shares no step with the first. Only what contradicts all of these, by more than the claim itself
may be rounded, is wrong; but for suspects of which the 64 worst were all found wrong before, for kinks, where
what lies outside of the slopes of both sides is wrong at once, and for staircases (`settle_on_stairs`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradlab.checks.criteria import Criteria
from gradlab.checks.judge_kinks import judge_coupled, judge_kink
from gradlab.checks.kinks import FARTHER, Slopes, slopes_at
from gradlab.checks.precision import find_imprecise
from gradlab.checks.rows import Rows
from gradlab.checks.scattering import cannot_be_called_wrong
from gradlab.checks.short_differences import ShortDifferences, closest_steps
from gradlab.checks.stairs import find_stairs
from gradlab.checks.widths import DISCERNING
from gradlab.numerics import Indices, Mask
from gradlab.numerics.ladder import Ladder
from gradlab.numerics.step_sizes import LARGEST_STEP, usual_step

OTHER = 5 / 8  # of the steps, for the second ladder, which shares none with the first
AWAY = 100  # times farther than rounding lets one see: a kink, among noise
TRIED = 64  # suspects at a time: if all of them are wrong, so are the others


def try_suspects(criteria: Criteria, rows: Rows, steps: Sequence[float]) -> None:
    """Look closer at suspects, and confirm them by a second ladder, those that differ most first.

    Where all of many are wrong, the rest is not looked at one by one.

    Parameters
    ----------
    criteria : Criteria
        Of the point.
    rows : Rows
        All of them; none is a suspect afterwards.
    steps : sequence of float
        Of the ladder that made them suspects: the second one takes others.
    """
    while rows.suspect.any():
        suspects = np.flatnonzero(rows.suspect)
        differ = (rows.gap / rows.size)[suspects].max(axis=1)
        chosen = np.sort(suspects[np.argsort(-differ, kind="stable")[:TRIED]])
        rows.suspect &= ~find_stairs(criteria, rows, chosen, rows.value[chosen], rows.error_bar[chosen])
        _look_closer(criteria, rows, chosen[rows.suspect[chosen]])
        _confirm(criteria, rows, chosen[rows.suspect[chosen]], steps)
        if rows.wrong[chosen].all():
            rows.wrong |= rows.suspect
            rows.suspect[:] = False


def _look_closer(criteria: Criteria, rows: Rows, chosen: Indices) -> None:
    """Look at suspects from as close as rounding allows: at a kink, or past it, the claim may be right.

    Of a noisy function that is as far away as the steps of a ladder, and nothing but a kink is told.
    """
    table, usual = rows.table, usual_step(rows.table.eps)
    steps, agreeing = closest_steps(criteria, rows, chosen), ~criteria.differs(rows)
    for row, step in zip(chosen.tolist(), steps.tolist(), strict=True):
        if np.isnan(step) or table.on_stairs[row] or criteria.problem.calls_left < 4:
            continue  # from close by, a stair is flat, and looks like a kink at its end
        noisy = step > usual / FARTHER
        slopes = slopes_at(table, row, min(step * AWAY, LARGEST_STEP / FARTHER) if noisy else step)
        # Once there are sides `towards` which kinks lead, all rows move entries that are at kinks together.
        if slopes is None:
            rows.suspect[row] = noisy or _same_on_one_side(rows, row, step * FARTHER)
        elif criteria.towards or (slopes.highest - slopes.lowest > DISCERNING * rows.gap[row]).any():
            rows.suspect[row] = False
            judge_kink(criteria, rows, row, slopes)
        elif not noisy:
            rows.suspect[row] = _same_from_close_by(rows, row, slopes, agreeing[row])


def _same_from_close_by(rows: Rows, row: int, slopes: Slopes, agreeing: Mask) -> bool:
    """Whether the slope close by is that of the ladder, in all parts, and not nearer to the claim.

    Halfway to the claim it confirms neither: it may straddle a kink that is closer still. Nor does it where
    it is nearer to the claim, however wide its error bar is, but for parts in which both sides agree.
    """
    apart, gap = np.abs(slopes.middle - rows.value[row]), rows.gap[row]
    same = apart <= np.fmax(slopes.error_bar + rows.error_bar[row], DISCERNING * gap)
    nearer_to_value = apart <= np.abs(slopes.middle - rows.claim[row])
    return bool((same & (nearer_to_value | agreeing)).all())


def _same_on_one_side(rows: Rows, row: int, step: float) -> bool:
    """Whether one side, where the other has no values, has the slope of the ladder from close by, too."""
    rows.table.take(np.array([row]), step)
    sides = rows.table.steps[step]
    slope = np.where(np.isfinite(sides.up[row]), sides.up[row], -sides.down[row]) / step
    off = 2 * rows.table.rounding_along(row, step) + rows.error_bar[row]
    allowed = np.fmax(off, DISCERNING * rows.gap[row])
    return not (np.abs(slope - rows.value[row]) > allowed).any()  # of what has no value nothing is told


def _confirm(criteria: Criteria, rows: Rows, chosen: Indices, steps: Sequence[float]) -> None:
    """Call suspects wrong that a second ladder contradicts, too, by more than the claim is rounded."""
    if not chosen.size:
        return
    confirmed = _second_ladder(criteria, rows, chosen, [OTHER * h for h in steps])
    bar_of_forward = rows.error_bar[chosen]
    allow_for_rounding(criteria, rows, chosen)
    certain = (criteria.differs(rows) & (rows.error_bar <= DISCERNING * rows.gap))[chosen].any(axis=1)
    rows.suspect[chosen] = False
    spared = _are_supported(criteria, rows, chosen) | cannot_be_called_wrong(rows, chosen)
    rows.wrong[chosen] = certain & confirmed & ~spared
    if criteria.kinks_were_found:
        # Of many entries at a kink, what leaps up may be what leaps down, by chance.
        for row in chosen[(rows.wrong & ~rows.single)[chosen]].tolist():
            judge_coupled(criteria, rows, row)
    # A suspect that is not wrong may be right; so may others, as the largest influence may have grown.
    criteria.settle(rows, rows.open, criteria.agrees(rows))
    wrong = rows.wrong[chosen]
    find_imprecise(criteria, rows, chosen[wrong], bar_of_forward[wrong])


def _second_ladder(criteria: Criteria, rows: Rows, chosen: Indices, steps: Sequence[float]) -> Mask:
    """Take suspects down a ladder along other steps, and return for which it says what the first one says.

    In all parts in which they differ: within both error bars and a part of the difference; and known to such
    a part itself, or exhausted. Ladders that nearly agree are off by their distance, which is added to error
    bars. Where they contradict each other, forward varies over lengths like their steps: the row is open
    again, and goes down shorter ones.
    """
    ladder, value, bar = Ladder(rows.table, chosen), rows.value[chosen], rows.error_bar[chosen]
    part = DISCERNING * rows.gap[chosen]
    agreeing, confirmed = ~criteria.differs(rows)[chosen], np.zeros(chosen.size, dtype=bool)
    for step in steps:
        if confirmed.all() or criteria.problem.calls_left < 2:
            break
        ladder.add(step, ~confirmed)
        same = np.abs(ladder.value - value) <= ladder.error_bar + bar + part
        known = (ladder.error_bar <= part) | ladder.exhausted[:, np.newaxis]
        confirmed |= (agreeing | (same & known)).all(axis=1)
    distance = np.nan_to_num(np.abs(ladder.value - value), nan=np.inf)
    rows.error_bar[chosen] = bar + np.where(distance > bar + ladder.error_bar, distance, 0.0)
    return confirmed


def allow_for_rounding(criteria: Criteria, rows: Rows, chosen: Indices) -> None:
    """Add to error bars what claims are rounded by: backward, or jvp, is asked at 16 points close by."""
    changes, rounding = rows.claims.errors_along(rows.directions.some(chosen))
    # Where forward shows nothing, rounding is of one size, though along some rows it happens to be none;
    # where it shows nothing at all, a claim that leaps has no scale but its leaps.
    of_all = rounding if criteria.largest_influence else rows.claims.errors_along(rows.directions)[0]
    most = of_all.max(axis=0)
    nothing = np.abs(rows.value[chosen]) <= rows.error_bar[chosen]
    rows.error_bar[chosen] += np.where(nothing, np.fmax(changes, most), rounding)


def _are_supported(criteria: Criteria, rows: Rows, chosen: Indices) -> Mask:
    """Return along which suspects a difference from closer by contradicts the ladder, and not the claim."""
    closer = ShortDifferences.of(rows, chosen, first=False)
    claim, value, bar = rows.claim[chosen], rows.value[chosen], rows.error_bar[chosen]
    return np.asarray(closer.support(claim, criteria.tolerance(rows)[chosen], value, bar).any(axis=1))
