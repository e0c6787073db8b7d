"""Every input probed, of backward or of jvp: what the judge says along the directions of a plan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradlab.checks.claimed import Claimed
from gradlab.checks.claims import Claims
from gradlab.checks.criteria import Criteria
from gradlab.checks.directions import Directions, count_movable
from gradlab.checks.joint_kinks import directions_at_kinks
from gradlab.checks.judge import judge
from gradlab.checks.plan import Plan
from gradlab.checks.probes import Probes
from gradlab.checks.resolution import Noticed, resolution_of
from gradlab.checks.rows import Rows
from gradlab.checks.strata import StratumDirection, apart
from gradlab.checks.vanishing import look_harder, nothing_was_seen
from gradlab.numerics import Mask
from gradlab.numerics.table import Table
from gradlab.words import counted

FEWEST = 16  # calls that two strata take apart, if they are worth it
WIDE = 10  # times rtol: where kinks in large outputs leave more room than this, these outputs are left out


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
    if np.count_nonzero(rows.kinked) and criteria.problem.output.size > 1 and _leaves_room(criteria, rows):
        rows, notes = _without_kinked_outputs(criteria, rows, claims)
    problem = criteria.problem
    for which in (*(plan.of_inputs[i] for i in claims.positions), plan.of_all):
        if nothing_was_seen(rows, which):
            look_harder(criteria, rows, which)
    noticed = Noticed.of(criteria, rows)
    by_input = [Probes(i, rows, plan.of_inputs[i], count_movable(problem, i)) for i in claims.positions]
    for k, one in enumerate(by_input):
        one.resolution, one.too_small, one.blunt = resolution_of(criteria, one, noticed)
        along = _hides_others(claims, one)
        if along:
            by_input[k], more = _told_apart(criteria, claims, one, along)
            notes = [*notes, *more]
    return [
        *by_input,
        *_of_all(criteria, claims, rows, plan, by_input),
        *_at_kinks_together(criteria, rows, claims),
    ], notes


def _of_all(
    criteria: Criteria, claims: Claimed, rows: Rows, plan: Plan, by_input: Sequence[Probes]
) -> list[Probes]:
    """Return the probes in which all large inputs move, where these tell more than those of each.

    Of what they alone show to be wrong, it is asked which of the inputs it is.
    """
    if not plan.of_all.stop > plan.of_all.start:
        return []
    (moved,) = rows.directions.joint[-1:]
    large = [one for one in by_input if one.position in moved]
    if not rows.seen[plan.of_all].all():
        for one in large:
            one.unprobed = one.size
    # Of what is open by itself, a sum is known no better.
    if any(one.undecided for one in large):
        return []
    together = Probes(None, rows, plan.of_all, 0)
    if not together.wrong.any() or any(one.wrong.any() for one in large):
        return [together]
    if len(large) > 1:
        alone = [{i: moved[i]} for i in moved]
        rows = judge(criteria, Directions.of(criteria.problem, {}, alone), claims)
    first = rows.directions.count - len(moved)
    each = (Probes(i, rows, slice(k, k + 1), moved[i].size) for k, i in enumerate(moved, start=first))
    return [one for one in each if one.wrong.any()] or [together]


def _at_kinks_together(criteria: Criteria, rows: Rows, claims: Claimed) -> list[Probes]:
    """Move the entries that are at a kink together, where there are several: the probes of that, or none."""
    if np.count_nonzero(rows.kinked[: rows.directions.singles]) < 2:
        return []
    towards, across, together = directions_at_kinks(rows)
    criteria.towards = towards
    joint = [d for d in (across, towards, together) if any(x.any() for x in d.values())]
    joint_rows = judge(criteria, Directions.of(criteria.problem, {}, joint), claims)
    return [Probes(None, joint_rows, slice(0, len(joint)), 0)]


def _hides_others(claims: Claimed, one: Probes) -> Sequence[StratumDirection]:
    """Return the directions of an input along which too little is told, if others would tell more."""
    single = one.rows.directions.singles
    joint = one.rows.directions.joint[one.which.start - single : one.which.stop - single]
    along = [d for d in joint if isinstance(d, StratumDirection)]
    if one.by_entry or not along or len(along) < len(joint):
        return ()
    at_kinks = one.blunt and one.kinked.any() and isinstance(claims, Claims)
    too_little = one.undecided or not (one.right | one.wrong).any()
    may_tell = any(d.joined for d in along) and claims.problem.calls_left >= FEWEST
    return along if at_kinks or (too_little and may_tell) else ()


def _told_apart(
    criteria: Criteria, claims: Claimed, one: Probes, along: Sequence[StratumDirection]
) -> tuple[Probes, list[str]]:
    """Probe a large input once more, strata apart, and entries at a kink: what these hide, others do not."""
    problem, notes = criteria.problem, list[str]()
    assert one.position is not None
    at_kink: Mask | bool = False
    if one.kinked.any() and isinstance(claims, Claims):
        at_kink = claims.leaping(one.position)
        count = counted(int(at_kink.sum()), "entry", "entries")
        notes = [f"{count} of {problem.names[one.position]}, at a kink, were compared only all together"]
    rows = judge(criteria, Directions.of(problem, {}, apart(along, at_kink)), claims)
    noticed = Noticed.of(criteria, rows)
    again = Probes(one.position, rows, slice(0, rows.directions.count), one.size)
    again.resolution, again.too_small, again.blunt = resolution_of(criteria, again, noticed)
    return again, notes


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
    if not (again.right | again.wrong).any():
        return rows, []
    note = (
        f"{kinked.sum()} of {kinked.size} outputs, at a kink, were left out: entries that matter only there "
        "are unchecked"
    )
    return again, [note]
