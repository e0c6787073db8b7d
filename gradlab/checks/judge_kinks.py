"""Claims at a kink: right between the slopes of both sides, or around it. `kinks` finds these slopes."""

from __future__ import annotations

import itertools
import math

import numpy as np

from gradlab.checks.claims import Claims
from gradlab.checks.criteria import Criteria
from gradlab.checks.directions import ByInput
from gradlab.checks.kinks import BENDS, CLOSE, GONE, Slopes, slopes_around, slopes_at
from gradlab.checks.leaps import rests_on_a_stair
from gradlab.checks.rows import Rows
from gradlab.checks.widths import COARSE, UNMEASURED
from gradlab.numerics import Array, Mask
from gradlab.numerics.step_sizes import usual_step

WELL_KNOWN = 0.01  # of a jump: what rounding may be where slopes are taken
SHORTEST = 4  # square roots of a rounding: of a step around a kink, where there is no other noise
# Times how far many entries on any sides may be from the mean: some points tell that to a tenth, and what is
# coupled varies less. Of 24 sorts of 1,100 or 2,500 numbers, many of them equal, 8 were called wrong at 1.5,
# and 2 at 2.05; at 2.2, twice the gradient passed at 3,000 pairs of equal numbers.
SPARE = 2.1
SOME = 8  # of the points around, to see whether the derivative varies there
AROUND = 1e-3  # what slopes around a kink may differ from those at it, by curvature


def look_for_kinks(criteria: Criteria, rows: Rows) -> None:
    """Look closely where the slopes of both sides of the first difference are not the same."""
    table, step = rows.table, usual_step(rows.table.eps)
    joint = ~rows.single
    for row in _bent(criteria, rows).nonzero()[0].tolist():
        if criteria.problem.calls_left < 4:
            break
        close = _close(rows, row, step)
        settled = _settle_from_close_by(criteria, rows, row, close)
        if settled and (joint[row] or _straightens(rows, row, close, step)):
            continue
        slopes = slopes_at(table, row, close)
        if slopes is not None and slopes.unclear and not table.noise_is_measured:
            criteria.measure_noise(rows)
            slopes = slopes_at(table, row, close)
        if slopes is not None and slopes.kinked.any():
            judge_kink(criteria, rows, row, slopes)
        elif slopes is not None and not rows.right[row]:
            _accept_from_close_by(criteria, rows, row, slopes.middle, slopes.error_bar)
        if _bends_more(rows, row, close, step):
            rows.unresolved[row], rows.small[row] = True, False


def _bent(criteria: Criteria, rows: Rows) -> Mask:
    """Return along which rows the slopes of both sides differ by more than rounding and usual curvature."""
    half_jump = np.abs(rows.table.half_jump(usual_step(rows.table.eps)))
    visible = (half_jump > 2 * rows.error_bar) & (half_jump > criteria.negligible)
    bent = visible & (half_jump > BENDS * rows.nearby)
    joint = ~rows.single
    if np.count_nonzero(joint):
        # Of many entries that move, those at a kink may be few: the difference is then off by as little.
        bent |= visible & (joint & rows.open)[:, np.newaxis] & criteria.differs(rows)
        # Where many agree nevertheless, a closer look tells nothing more: the jump is most often curvature.
        bent &= (rows.open | rows.single)[:, np.newaxis]
    return np.asarray(bent.any(axis=1))


def _close(rows: Rows, row: int, step: float) -> float:
    """Return a step close to the point, but no closer than where rounding is a small part of the jump."""
    jump = np.abs(rows.table.half_jump(step)[row])
    part = rows.table.rounding_along(row, step)[jump > 0] / (WELL_KNOWN * jump[jump > 0])
    return step * float(np.clip(2.0 ** np.ceil(np.log2(part.min())), CLOSE, 1.0))


def _straightens(rows: Rows, row: int, close: float, step: float) -> bool:
    """Whether both sides bend less and less towards the point, as curvature does and a kink does not."""
    near, far = (np.abs(rows.table.half_jump(h)[row]) for h in (close, step))
    return close < step and bool((near <= far / GONE).all())


def _bends_more(rows: Rows, row: int, close: float, step: float) -> bool:
    """Whether both sides bend more and more towards the point, as on what is narrower than any step."""
    near, far = (np.abs(rows.table.half_jump(h)[row]) for h in (close, step))
    return close < step and bool((near > GONE * far).any())


def _settle_from_close_by(criteria: Criteria, rows: Rows, row: int, step: float) -> bool:
    """Settle a row by one difference from close by, if possible: there fewer entries are beside a kink.

    A single entry that is settled is opened again where that contradicts: a function that bends so much
    varies over so little that the first difference may agree by chance.
    """
    rows.table.take(np.array([row]), step)
    value, bar = rows.table.central(step)[row], rows.table.rounding_along(row, step)
    if rows.open[row]:
        return _accept_from_close_by(criteria, rows, row, value, bar)
    allowed = UNMEASURED * bar + criteria.tolerance(rows)[row]
    contradicted = (np.abs(rows.claim[row] - value) > allowed).any() and row < rows.directions.singles
    if contradicted:
        rows.right[row] = rows.small[row] = False
        rows.value[row], rows.error_bar[row] = value, UNMEASURED * bar
    return not rows.open[row]


def _accept_from_close_by(criteria: Criteria, rows: Rows, row: int, value: Array, error_bar: Array) -> bool:
    """Settle a row by what forward shows close by, past a kink that the first difference straddles."""
    before = rows.value[row].copy(), rows.error_bar[row].copy()
    criteria.accept_others(rows, np.arange(rows.right.size) == row, value, error_bar)
    if rows.small[row] and row < rows.directions.singles and rests_on_a_stair(rows.table, row):
        rows.small[row], (rows.value[row], rows.error_bar[row]) = False, before
    return not rows.open[row]


def judge_kink(criteria: Criteria, rows: Rows, row: int, slopes: Slopes) -> None:
    """Accept a claim between the slopes on both sides of a kink, or around it; reject another."""
    claim, bar = rows.claim[row], slopes.error_bar
    lowest, highest = slopes.lowest, slopes.highest
    direction = rows.directions.by_input(criteria.problem, row)
    size = np.maximum(np.abs(lowest), np.abs(highest))
    step = _step_around(rows, row, size)
    around = slopes_around(criteria.problem, rows.claims.upstreams, direction, criteria.towards, step)
    tolerance, spare = bar + criteria.rtol * size, np.zeros_like(size)
    seen: list[Array] = []
    while outside := bool(((claim < lowest - tolerance) | (claim > highest + tolerance)).any()):
        slope = next(around, None)
        if slope is None:
            break
        seen.append(slope)
        lowest, highest = np.fmin(lowest, slope), np.fmax(highest, slope)
        spare = AROUND * np.maximum(np.abs(lowest), np.abs(highest))  # for these know of no curvature
        tolerance = bar + spare
    if outside and seen and row >= rows.directions.singles and isinstance(rows.claims, Claims):
        lowest, highest = _of_any_sides(rows.claims, direction, np.stack(seen), lowest, highest)
        outside = bool(((claim < lowest - tolerance) | (claim > highest + tolerance)).any())
    rows.value[row], rows.error_bar[row] = np.clip(claim, lowest, highest), bar
    rows.kinks.middle[row], rows.kinks.swing[row] = slopes.middle, slopes.highest - slopes.lowest
    rows.kinks.room[row] = highest - lowest + 2 * spare
    rows.kinks.found[row], rows.kinks.rises[row], criteria.kinks_were_found = True, slopes.rises, True
    rows.kinks.outputs = rows.kinks.outputs | slopes.kinked
    size = np.maximum(np.abs(lowest), np.abs(highest))
    told = bar < np.fmax(COARSE, criteria.rtol) * size
    negligible = size + bar <= criteria.negligible
    narrow = bool(told.any() and (told | negligible).all())
    rows.right[row], rows.small[row], rows.wrong[row] = not outside and narrow, False, outside


def _of_any_sides(
    claims: Claims, direction: ByInput, slopes: Array, lowest: Array, highest: Array
) -> tuple[Array, Array]:
    """Return the slopes that several entries at a kink may have together, each that of any side.

    Around the point each is on some side by chance: of ``n`` entries that differ by ``δᵢ`` there, the sum
    varies by ``√(Σ δᵢ²) / 2 ≥ Σ |δᵢ| / 2√n``, and half of ``Σ |δᵢ|`` is how far it may be from the mean.
    """
    entries = sum(int(np.count_nonzero(claims.leaping(i) & (d != 0))) for i, d in direction.items())
    if entries < 2:
        return lowest, highest
    # A standard deviation to either side, of what is drawn: some points stand in order, and are on one side.
    low, mean, high = np.quantile(slopes, [0.16, 0.5, 0.84], axis=0)
    far = SPARE * math.sqrt(entries) * (high - low) / 2
    return np.fmin(lowest, mean - far), np.fmax(highest, mean + far)


def judge_coupled(criteria: Criteria, rows: Rows, row: int) -> None:
    """Judge a row by what it is around the point, where equal slopes to the left and right are no derivative.

    Of three equal numbers, the middle one of those that are sorted moves as the middle one of their tangents.
    Where the derivative is the same around, it is one.
    """
    value, none = rows.value[row].copy(), np.zeros(rows.table.output.size, dtype=bool)
    direction = rows.directions.by_input(criteria.problem, row)
    step = _step_around(rows, row, np.abs(value))
    around = slopes_around(criteria.problem, rows.claims.upstreams, direction, {}, step)
    slopes = np.stack([value, *itertools.islice(around, SOME)])
    if (np.ptp(slopes, axis=0) <= AROUND * np.abs(slopes).max(axis=0)).all():
        return
    judge_kink(criteria, rows, row, Slopes(value, value, rows.error_bar[row].copy(), none, False))


def _step_around(rows: Rows, row: int, size: Array) -> float:
    """Return the step of differences around a kink: as short as rounding allows, because of curvature."""
    usual = usual_step(rows.table.eps)
    rounding = rows.table.rounding_along(row, usual) * usual
    noisy = (rounding[size > 0] / (AROUND * size[size > 0])).max(initial=0.0)
    return float(np.clip(noisy, SHORTEST * np.sqrt(rows.table.eps), usual))
