"""Every input probed, of backward or of jvp: what the judge says along the directions of a plan."""

from __future__ import annotations

import numpy as np

from gradlab.checks.claimed import Claimed
from gradlab.checks.criteria import NOTHING, UNMEASURED, Criteria
from gradlab.checks.directions import Directions, count_movable
from gradlab.checks.joint_kinks import directions_at_kinks
from gradlab.checks.judge import FAR_STEP, insist, judge, measure_noise, refine
from gradlab.checks.plan import Plan
from gradlab.checks.probes import Probes
from gradlab.checks.resolution import Noticed, with_resolution
from gradlab.checks.rows import Rows
from gradlab.numerics import Array, Mask
from gradlab.numerics.table import LONG_STEPS, Table, coarse_steps, usual_step

WIDE = 10  # times rtol: where kinks in large outputs leave more room than this, these outputs are left out
INSISTED = 8  # entries that are looked at of an input of which nothing was seen


def probe(
    criteria: Criteria, claims: Claimed, plan: Plan, known: Table | None = None
) -> tuple[list[Probes], list[str]]:
    """Probe what backward or jvp claims along the directions of a plan.

    Parameters
    ----------
    criteria : Criteria
        Of the point.
    claims : Claimed
        What is compared.
    plan : Plan
        Along which directions.
    known : Table, optional
        Differences along these directions that were taken already.

    Returns
    -------
    probes : list of Probes
        One for each input, and one for directions in several of them at once.
    notes : list of str
        What is worth knowing about how.
    """
    notes: list[str] = []
    if known is None:
        criteria.problem.foresee(2 * plan.directions.count)
    rows = judge(criteria, plan.directions, claims, known=known)
    if rows.kinked.any() and criteria.problem.output.size > 1 and _leaves_room(criteria, rows):
        rows, notes = _without_kinked_outputs(criteria, rows, claims)
    problem = criteria.problem
    for i in claims.positions:
        _look_harder(criteria, rows, plan.rows[i])
    noticed = Noticed.of(criteria, rows)
    by_input = [Probes(i, rows, plan.rows[i], count_movable(problem, i)) for i in claims.positions]
    by_input = [with_resolution(criteria, one, noticed) for one in by_input]
    return [*by_input, *_at_kinks_together(criteria, rows, claims)], notes


def _at_kinks_together(criteria: Criteria, rows: Rows, claims: Claimed) -> list[Probes]:
    """Move the entries that are at a kink together, where there are several: the probes of that, or none."""
    if rows.kinked[: rows.directions.singles].sum() < 2:
        return []
    towards, across, together = directions_at_kinks(rows)
    criteria.towards = towards
    joint = [d for d in (across, towards, together) if any(x.any() for x in d.values())]
    joint_rows = judge(criteria, Directions.of(criteria.problem, {}, joint), claims)
    return [Probes(None, joint_rows, slice(0, len(joint)), 0)]


def _look_harder(criteria: Criteria, rows: Rows, which: slice) -> None:
    """Look harder at an input of which nothing was seen, unless backward and forward show that it is zero.

    Zero within rounding is a claim that is no larger than what a few roundings of the inputs make of it, or
    than a few roundings of the largest influence; forward then must not move either, by its measured noise.
    """
    problem, right = criteria.problem, rows.right[which]
    if not right.size or right.any() or rows.wrong[which].any() or not rows.seen[which].all():
        return
    mine = np.zeros(rows.right.shape, dtype=bool)
    mine[which] = True
    # Nothing is claimed, and nothing moves as far away as that: zero on both sides.
    rows.table.take(np.flatnonzero(mine & rows.open & rows.idle), FAR_STEP)
    tried = np.isfinite(rows.table.secant(FAR_STEP)).all(axis=1)
    rows.small |= mine & rows.open & rows.idle & tried
    if not (mine & ~(rows.small & rows.idle)).any():
        return
    rounding, _ = rows.claims.errors_along(rows.directions.some(np.flatnonzero(mine)))
    # Rounding is of one size throughout an input, though at some entries it happens to be none.
    floor = np.fmax(rounding.max(axis=0), criteria.floor)
    zero = (np.abs(rows.claim) <= floor).all(axis=1)
    # Where the largest influence is no more than its own rounding, nothing that is small is known to be zero.
    zero &= NOTHING * problem.given_eps < 1
    # What moves, and is settled with room for noise, stays settled; what does not may be on a stair.
    moves = rows.table.movement(usual_step(rows.table.eps)).any(axis=1)
    certain = zero & moves & criteria.cannot_matter(rows, factor=UNMEASURED).all(axis=1)
    if not (problem.noise_is_known or certain[mine].all()):
        measure_noise(criteria, rows)
    refine(criteria, rows)
    open_ = mine & rows.open & zero
    if open_.any():  # nothing at all was seen to move
        rows.small |= open_ & _stays(rows, open_, floor)
    # Of claims that are not zero, one at least has to be seen right: else all that were too small are open.
    claimed = np.flatnonzero(mine & rows.small & ~zero)
    if claimed.size:
        size = np.abs(rows.claim[claimed]).max(axis=1)
        most = claimed[np.argsort(-size, kind="stable")[:INSISTED]]
        insist(criteria, rows, np.isin(np.arange(mine.size), most))
        if not rows.right[most].any():
            rows.small &= ~(mine & ~zero)


def _stays(rows: Rows, which: Mask, floor: Array) -> Mask:
    """Return along which rows the outputs stay as they are, but for rounding, however far the inputs move."""
    table, stays = rows.table, np.zeros(which.shape, dtype=bool)
    for step in (FAR_STEP, *LONG_STEPS, *coarse_steps(table.eps)[:1]):  # as far as there are values
        if not which.any():
            break
        table.take(np.flatnonzero(which), step)
        secant = table.secant(step)
        seen = which & np.isfinite(secant).all(axis=1)
        stays |= seen & ~(secant > floor + table.rounding(step)).any(axis=1)
        which = which & ~seen
    return stays


def _leaves_room(criteria: Criteria, rows: Rows) -> bool:
    joint = ~rows.single
    return bool((rows.swing[joint] > WIDE * criteria.rtol * rows.scale[joint]).any())


def _without_kinked_outputs(criteria: Criteria, rows: Rows, claims: Claimed) -> tuple[Rows, list[str]]:
    """Judge once more with an upstream gradient that leaves out the outputs that have a kink at the point.

    These rows hold other claims than those that are compared everywhere else.
    """
    kinked = rows.kinked_outputs
    without = claims.without(kinked)
    if without is None or kinked.all() or rows.directions.singles:
        return rows, []
    again = judge(criteria, rows.directions, without)
    if not again.right.any():
        return rows, []
    note = (
        f"{kinked.sum()} of {kinked.size} outputs, at a kink, were left out: entries that matter only there "
        "are unchecked"
    )
    return again, [note]
