"""Inputs of which nothing was seen: their gradient is zero, or was too small to tell.

Zero within rounding is a claim that is no larger than what a few roundings of the inputs make of it, or than
a few roundings of the largest influence; forward then must not move either, by its measured noise. Of claims
that are not zero, one at least has to be seen right: else all that were too small are open.
"""

from __future__ import annotations

import numpy as np

from gradlab.checks.criteria import NOTHING, Criteria, default_rtol
from gradlab.checks.judge import FAR_STEP, refine
from gradlab.checks.leaps import rests_on_a_stair
from gradlab.checks.rows import Rows
from gradlab.checks.scattering import scatters_more_than_rounding
from gradlab.checks.widths import BLUNT, UNMEASURED
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.rounding import rounding_of_values
from gradlab.numerics.step_sizes import LONG_STEPS, coarse_steps, usual_step
from gradlab.numerics.table import WHOLE, Table

PLACES = 16  # over half of a long step: rounding goes one way at all of them once in 30,000 times
LEFT = 1 / 64  # of a movement, over half the step: sixth powers have that
ALIKE = 64  # times: what one side of rounding may be larger than the other
# Times what a claim changes by beside the point: of 2,842 constants, 11 were up to twice as far from zero.
LEFT_OVER = 4
INSISTED = 8  # entries that are looked at of an input of which nothing was seen


def nothing_was_seen(rows: Rows, which: slice) -> bool:
    """Whether all rows of an input were evaluated, and none is right or wrong."""
    right = rows.right[which]
    told = not right.size or np.count_nonzero(right) or np.count_nonzero(rows.wrong[which])
    return not told and bool(rows.seen[which].all())


def look_harder(criteria: Criteria, rows: Rows, which: slice) -> None:
    """Look harder at an input of which nothing was seen, unless both sides show that it is zero."""
    mine = np.zeros(rows.right.shape, dtype=bool)
    mine[which] = True
    if not _outputs_hide_all(criteria):
        _settle_idle(rows, mine)
    if not (mine & ~(rows.small & rows.idle)).any():
        return
    zero, floor = _claims_zero(criteria, rows, mine)
    # What moves, and is settled with room for noise, stays settled; what does not may be on a stair.
    moves = rows.table.movement(usual_step(rows.table.eps)).any(axis=1)
    certain = zero & moves & criteria.cannot_matter(rows, factor=UNMEASURED).all(axis=1)
    if not certain[mine].all():
        criteria.measure_noise(rows)
    refine(criteria, rows)
    open_ = mine & rows.open & zero & ~rows.nearby.any(axis=1)
    if open_.any() and not _outputs_hide_all(criteria):  # nothing at all was seen to move
        rows.small |= _stays(rows, open_, floor)
    _open_stairs(rows, mine & rows.small & ~rows.idle & ~moves, floor)
    claimed = np.flatnonzero(mine & rows.small & ~zero)
    if claimed.size and not _one_is_right(criteria, rows, claimed):
        rows.small &= ~(mine & ~zero)


def _outputs_hide_all(criteria: Criteria) -> bool:
    """Whether nothing was seen of any input, and outputs are so large that they may hide what matters.

    Of 1e16 + tanh(x) forward shows no more than of a constant: it takes a scale from elsewhere to tell them
    apart, and that is one, of ``rtol``. In fewer digits, as those of float32 behind float64, of the default
    for so many.
    """
    problem = criteria.problem
    noise = rounding_of_values(problem.output, problem.given_eps)
    if problem.noise_is_known:
        noise = np.fmax(noise, problem.given_noise)
    upstream, known = np.abs(problem.grad_output), problem.output != 0
    eps = float((noise[known] / np.abs(problem.output[known])).max(initial=problem.given_eps))
    matters = max(criteria.rtol, default_rtol(eps)) * float(upstream.sum())
    return not criteria.largest_agreed and float((upstream * noise).sum()) > matters


def _settle_idle(rows: Rows, mine: Mask) -> None:
    """Settle what claims nothing and moves nothing, as far away as that: zero on both sides."""
    idle = mine & rows.open & rows.idle
    rows.table.take(np.flatnonzero(idle), FAR_STEP)
    tried = np.isfinite(rows.table.secant(FAR_STEP)).all(axis=1)
    rows.small |= idle & rows.idle & tried


def _open_stairs(rows: Rows, still: Mask, floor: Array) -> None:
    """Open rows that do not move where they are on a stair, as one of them shows, of rounding on the way."""
    if not still.any():
        return
    one = np.arange(still.size) == int(np.argmax(still))
    if not _stays(rows, one, floor).any() and rests_on_a_stair(rows.table, int(np.argmax(still))):
        rows.small &= ~still


def _claims_zero(criteria: Criteria, rows: Rows, mine: Mask) -> tuple[Mask, Array]:
    """Return which claims are zero within rounding, and that rounding: of one size throughout an input."""
    problem = criteria.problem
    rounding, _ = rows.claims.errors_along(rows.directions.some(np.flatnonzero(mine)))
    floor = np.fmax(LEFT_OVER * rounding.max(axis=0), criteria.floor_of_nothing(rows)[mine].max(axis=0))
    # What scatters by as much as all that there is, as cos(x) does from 1e16 on, is not rounded but unknown.
    most = BLUNT * criteria.largest_influence
    if not criteria.largest_agreed and not rows.nearby.any():
        # Where nothing moves nearby, by as much as the outputs themselves, or by some roundings of 1.
        rounded = NOTHING * np.fmax(problem.given_noise, problem.given_eps)
        most = float((np.abs(problem.grad_output) * (BLUNT * np.abs(problem.output) + rounded)).sum())
    known = NOTHING * problem.given_eps < 1 and bool((floor <= np.fmax(most, criteria.floor)).all())
    zero = (np.abs(rows.claim) <= floor).all(axis=1) & known
    zero[_contradicted_in_float64(criteria, rows, np.flatnonzero(zero & mine))] = False
    # At a minimum, claims beside it scatter by what they truly are there; of none, none is rounded.
    zero |= (rows.claim == 0).all(axis=1) & rows.small & rows.nearby.any(axis=1)
    return zero, floor


def _contradicted_in_float64(criteria: Criteria, rows: Rows, chosen: Indices) -> Indices:
    """Return which claims are not those of backward in float64 rounded, where forward shows a derivative.

    Near a minimum that is far steeper all around, any gradient is but roundings of what forward does there.
    """
    asked = _shown(rows, chosen)
    if not criteria.problem.wide or not asked.size:
        return asked[:0]
    criteria.measure_noise(rows)
    asked = _shown(rows, asked)
    exact = rows.claims.in_float64_along(rows.directions.some(asked))
    apart = np.abs(exact - rows.value[asked]) > _off(rows)[asked]
    return np.asarray(asked[apart.any(axis=1)])


def _shown(rows: Rows, chosen: Indices) -> Indices:
    """Return along which rows forward shows a derivative, and another than is claimed."""
    off = _off(rows)[chosen]
    return chosen[((np.abs(rows.value[chosen]) > off) & (rows.gap[chosen] > off)).any(axis=1)]


def _off(rows: Rows) -> Array:
    """Return what values are off by, shape ``(r, s)``, apart from what claims scatter by.

    That has in it what these truly change by beside the point.
    """
    table, step = rows.table, usual_step(rows.table.eps)
    apart = np.abs(table.central(step) - rows.value)
    return np.asarray(WHOLE * table.total(table.noise) / step + apart + BLUNT * np.abs(rows.value))


def _one_is_right(criteria: Criteria, rows: Rows, claimed: Indices) -> bool:
    """Whether one of the largest claims is right, told as coarsely as may be, where all were too small."""
    size = np.abs(rows.claim[claimed]).max(axis=1)
    most = rows.mask(claimed[np.argsort(-size, kind="stable")[:INSISTED]])
    rows.strict |= most
    rows.small &= ~most
    refine(criteria, rows)
    if not (rows.right & most).any():
        return False
    rows.strict &= ~most  # the others do not matter, then
    criteria.settle_too_small(rows, rows.open & most)
    return True


def _stays(rows: Rows, which: Mask, floor: Array) -> Mask:
    """Return along which rows the outputs stay as they are, but for rounding, however far the inputs move.

    None where they scatter by more than rounding makes: that may hide anything. One step tells, as far
    away as there are values; where something moved over a shorter one, each: it may have been rounding, too.
    """
    table, stays = rows.table, np.zeros(which.shape, dtype=bool)
    if scatters_more_than_rounding(table):
        return stays
    moved = rows.afar.any(axis=1)
    for step in (FAR_STEP, *LONG_STEPS, *coarse_steps(table.eps)[:1]):
        if not which.any():
            break
        table.take(np.flatnonzero(which), step)
        secant, sides = table.secant(step), table.steps[step]
        seen = which & np.isfinite(sides.up + sides.down).all(axis=1)  # what overflows on one side moves
        moves = seen & (secant > floor + table.rounding(step)).any(axis=1)
        if step == FAR_STEP and moves.any():  # what overflows within may end on a plateau, such as zero
            table.take(np.flatnonzero(moves), step / 2)
            half = table.steps[step / 2]
            plateau = ((sides.up == half.up) & (sides.down == half.down)).all(axis=1)
            seen, moves = seen & ~(moves & plateau), moves & ~plateau
        still = seen & ~moves
        if moves.any():
            still[moves] = _is_rounding(table, np.flatnonzero(moves), step)
        stays = (stays | still) & (still | ~seen)
        which = which & (~seen | (still & moved))
    return stays


def _is_rounding(table: Table, chosen: Indices, step: float) -> Mask:
    """Return along which rows what forward does over a long step is rounding, of the larger numbers there.

    That goes now up, now down, or nowhere. What moves for certain goes one way on one side, and over half the
    step by some part of it at least, unless it is `_left_on_a_grid`.
    """
    steps = [step * 2 ** (-k / (PLACES - 1)) for k in range(PLACES)]
    for h in steps:
        table.take(chosen, h)
    changes = np.stack([(table.steps[h].up[chosen], table.steps[h].down[chosen]) for h in steps])
    size, one_way = np.abs(changes), (changes > 0).all(axis=0) | (changes < 0).all(axis=0)
    here = table.rounding(step)[chosen] * (2 * step / WHOLE)
    left = _left_on_a_grid(changes) & (size.max(axis=(0, 1)) <= step**2 * here)  # of squares, too
    certain = one_way & (size.min(axis=0) >= LEFT * size.max(axis=0)) & ~left
    certain &= size.max(axis=0) > WHOLE * here  # where all are alike, it is the point itself that is rounded
    return np.asarray(~certain.any(axis=(0, 2)) & np.isfinite(changes).all(axis=(0, 1, 3)))


def _left_on_a_grid(changes: Array) -> Mask:
    """Return where changes, ``(places, 2, r, s)``, are what is left of terms on the grid of larger ones.

    They are alike on both sides, and grow on neither.
    """
    size = np.abs(changes)
    grows = (size[:-1] > size[1:]).all(axis=0).any(axis=0)
    opposite = (np.sign(changes[:, 0]) == -np.sign(changes[:, 1])).all(axis=0)
    alike = size.max(axis=0).min(axis=0) > size.max(axis=0).max(axis=0) / ALIKE
    return np.asarray(alike & ~grows & ~opposite)
