"""What looks wrong is looked at again before it is called so: closely, and along a second ladder.

From close by, a kink at the point or beside it shows, and what is shorter than the steps of a ladder. The
second ladder shares no step with the first. Only what contradicts all of these, by more than the claim itself
may be rounded, is wrong; but for suspects of which the 64 worst were all found wrong before, for kinks, where
what lies outside of the slopes of both sides is wrong at once, and for staircases (`settle_on_stairs`).
"""

from __future__ import annotations

import numpy as np

from gradlab.checks.criteria import DISCERNING, Criteria
from gradlab.checks.further import closest_steps
from gradlab.checks.judge_kinks import judge_coupled, judge_kink
from gradlab.checks.kinks import FARTHER, slopes_at
from gradlab.checks.precision import find_imprecise
from gradlab.checks.rows import Rows
from gradlab.checks.scattering import cannot_be_called_wrong
from gradlab.checks.stairs import find_stairs
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.ladder import Ladder
from gradlab.numerics.table import LARGEST_STEP, usual_step

OTHER = 5 / 8  # of the steps, for the second ladder, which shares none with the first
AWAY = 100  # times farther than rounding lets one see: a kink, among noise
TRIED = 64  # suspects at a time: if all of them are wrong, so are the others


def try_suspects(criteria: Criteria, rows: Rows, steps: list[float]) -> Mask:
    """Look closer at suspects, and confirm them by a second ladder, those that differ most first.

    Where all of many are wrong, the rest is not looked at one by one.

    Returns
    -------
    array of bool, shape (r,)
        Which are suspects no longer, as they were found to be on the stair of a staircase.
    """
    on_stairs = np.zeros(rows.right.shape, dtype=bool)
    while rows.suspect.any():
        suspects = np.flatnonzero(rows.suspect)
        differ = (rows.gap / rows.size)[suspects].max(axis=1)
        chosen = np.sort(suspects[np.argsort(-differ, kind="stable")[:TRIED]])
        here = find_stairs(criteria, rows, chosen, rows.value[chosen], rows.error_bar[chosen])
        on_stairs |= here
        rows.suspect &= ~here
        _look_closer(criteria, rows, chosen[rows.suspect[chosen]])
        if rows.suspect[chosen].any():
            _confirm(criteria, rows, chosen[rows.suspect[chosen]], steps)
        if rows.wrong[chosen].all():
            rows.wrong |= rows.suspect
            rows.suspect[:] = False
    return on_stairs


def _look_closer(criteria: Criteria, rows: Rows, chosen: Indices) -> None:
    """Look at suspects from as close as rounding allows: at a kink, or past it, the claim may be right.

    Of a noisy function that is as far away as the steps of a ladder, and nothing but a kink is told.
    """
    table, usual = rows.table, usual_step(rows.table.eps)
    steps, agreeing = closest_steps(criteria, rows, chosen), ~criteria.differs(rows)
    for row, step in zip(chosen.tolist(), steps.tolist(), strict=True):
        difference = np.abs(rows.claim[row] - rows.value[row])
        if np.isnan(step) or table.on_stairs[row] or criteria.problem.calls_left < 4:
            continue  # from close by, a stair is flat, and looks like a kink at its end
        noisy = step > usual / FARTHER
        slopes = slopes_at(table, row, min(step * AWAY, LARGEST_STEP / FARTHER) if noisy else step)
        if slopes is None:
            rows.suspect[row] = noisy or _same_on_one_side(rows, row, step * FARTHER, difference)
            continue
        # Once there are sides `towards` which kinks lead, all rows move entries that are at kinks together.
        if criteria.towards or (slopes.highest - slopes.lowest > DISCERNING * difference).any():
            rows.suspect[row] = False
            judge_kink(criteria, rows, row, slopes)
        elif not noisy:
            apart = np.abs(slopes.middle - rows.value[row])
            # A look halfway to the claim confirms neither: it may straddle a kink that is closer still. Nor
            # does one that is nearer to the claim, however wide its error bar is.
            allowed = np.fmax(slopes.error_bar + rows.error_bar[row], DISCERNING * difference)
            nearer_to_value = apart <= np.abs(slopes.middle - rows.claim[row])
            confirms = (apart <= allowed) & (nearer_to_value | agreeing[row])
            rows.suspect[row] = bool(confirms.all())


def _same_on_one_side(rows: Rows, row: int, step: float, difference: Array) -> bool:
    """Whether one side, where the other has no values, has the slope of the ladder from close by, too."""
    rows.table.take(np.array([row]), step)
    sides = rows.table.steps[step]
    slope = np.where(np.isfinite(sides.up[row]), sides.up[row], -sides.down[row]) / step
    off = 2 * rows.table.rounding_along(row, step) + rows.error_bar[row]
    allowed = np.fmax(off, DISCERNING * difference)
    return not (np.abs(slope - rows.value[row]) > allowed).any()  # of what has no value nothing is told


def _confirm(criteria: Criteria, rows: Rows, chosen: Indices, steps: list[float]) -> None:
    """Take suspects down a second ladder: wrong is what contradicts that, too, by more than rounding."""
    second, confirmed = _second_ladder(criteria, rows, chosen, [OTHER * h for h in steps])
    # Ladders that nearly agree are off by their distance.
    bar = rows.error_bar[chosen]
    distance = np.nan_to_num(np.abs(second.value - rows.value[chosen]), nan=np.inf)
    of_forward = bar + np.where(distance > bar + second.error_bar, distance, 0.0)
    rows.error_bar[chosen] = of_forward
    allow_for_rounding(criteria, rows, chosen)
    rows.suspect[chosen] = False
    certain = (criteria.differs(rows) & (rows.error_bar <= DISCERNING * rows.gap))[chosen].any(axis=1)
    spared = _claim_is_supported(criteria, rows, chosen) | cannot_be_called_wrong(rows, chosen)
    rows.wrong[chosen] = wrong = certain & confirmed & ~spared
    if criteria.kinks:  # of many entries at a kink, what leaps up may be what leaps down, by chance
        for row in chosen[wrong & ~rows.single[chosen]].tolist():
            judge_coupled(criteria, rows, row)
        wrong = rows.wrong[chosen]
    criteria.settle(rows, rows.open, criteria.agrees(rows))
    find_imprecise(criteria, rows, chosen[wrong], of_forward[wrong])


def _second_ladder(
    criteria: Criteria, rows: Rows, chosen: Indices, steps: list[float]
) -> tuple[Ladder, Mask]:
    """Return a ladder of suspects along other steps, and for which it says what the first one says.

    In all parts in which they differ: within both error bars and a part of the difference; and known to such
    a part itself, or exhausted. What both see differently is seen on other scales: shorter steps tell.
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
    return ladder, confirmed


def allow_for_rounding(criteria: Criteria, rows: Rows, chosen: Indices) -> None:
    """Add to error bars what claims are rounded by: backward, or jvp, is asked at 16 points close by."""
    changes, rounding = rows.claims.errors_along(rows.directions.some(chosen))
    # Where forward shows nothing, rounding is of one size, though along some rows it happens to be none;
    # where it shows nothing at all, a claim that leaps has no scale but its leaps.
    of_all = rounding if criteria.largest_influence else rows.claims.errors_along(rows.directions)[0]
    most = of_all.max(axis=0)
    nothing = np.abs(rows.value[chosen]) <= rows.error_bar[chosen]
    rows.error_bar[chosen] += np.where(nothing, np.fmax(changes, most), rounding)


def _claim_is_supported(criteria: Criteria, rows: Rows, chosen: Indices) -> Mask:
    """Return along which suspects a difference from closer by contradicts the ladder, and not the claim.

    The closest that tells one from the other, of those that the table has, if any: of a kink beside the
    point, whose jump is little more than rounding, no ladder of short steps tells.
    """
    table, supported = rows.table, np.zeros((chosen.size, rows.table.parts), dtype=bool)
    claim, value, bar = rows.claim[chosen], rows.value[chosen], rows.error_bar[chosen]
    told, tolerance = np.zeros_like(supported), criteria.tolerance(rows)[chosen]
    for step in sorted(h for h in table.steps if h < usual_step(table.eps)):
        there, off = table.central(step)[chosen], table.rounding(step)[chosen]
        of_claim, of_value = np.abs(claim - there) > off + tolerance, np.abs(value - there) > off + bar
        supported |= ~told & of_value & ~of_claim
        told |= of_value | of_claim
    return np.asarray(supported.any(axis=1))
