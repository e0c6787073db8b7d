"""Every input probed, of backward or of jvp: what the judge says along the directions of a plan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradlab.checks.claimed import Claimed
from gradlab.checks.claims import Claims
from gradlab.checks.criteria import Criteria
from gradlab.checks.directions import ByInput, Directions, count_movable
from gradlab.checks.joint_kinks import directions_at_kinks, keeping_ties
from gradlab.checks.judge import judge
from gradlab.checks.plan import Plan
from gradlab.checks.probes import Probes
from gradlab.checks.resolution import Noticed, tell_resolution
from gradlab.checks.rows import Rows
from gradlab.checks.strata import along_strata, apart
from gradlab.checks.stratum import StratumDirection
from gradlab.checks.vanishing import look_harder, nothing_was_seen
from gradlab.numerics import Array, Mask
from gradlab.numerics.scales import exact_displacement
from gradlab.numerics.table import Table
from gradlab.words import counted

MANY_TIMES = 16  # smaller than the scale, one in so many: an input of very different magnitudes
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
        One for each input, a second where that of all inputs shows it to be wrong, and one for directions in
        several of them at once.
    notes : list of str
        What is worth knowing about how.
    """
    problem, notes, of_kinked = criteria.problem, list[str](), list[Probes]()
    if known is None:
        problem.foresee(2 * plan.directions.count)
    rows = judge(criteria, plan.directions, claims, known=known)
    if np.count_nonzero(rows.kinked) and problem.output.size > 1 and _leaves_room(criteria, rows):
        rows, of_kinked, notes = _outputs_at_kinks_apart(criteria, rows, claims)
    for which in (*(plan.of_inputs[i] for i in claims.positions), plan.of_all):
        if nothing_was_seen(rows, which):
            look_harder(criteria, rows, which)
    noticed = Noticed.of(criteria, rows)
    by_input = [Probes(i, rows, plan.of_inputs[i], count_movable(problem, i)) for i in claims.positions]
    for one in by_input:
        tell_resolution(criteria, claims, one, noticed)
    if plan.directions.joint:
        by_input, more = _strata_apart(criteria, claims, by_input)
        notes += more
    return [
        *by_input,
        *_of_all(criteria, claims, rows, plan, by_input),
        *_at_kinks_together(criteria, rows, claims),
        *of_kinked,
    ], notes


def _strata_apart(
    criteria: Criteria, claims: Claimed, by_input: Sequence[Probes]
) -> tuple[list[Probes], list[str]]:
    """Probe large inputs once more whose strata, and entries at a kink, tell more by themselves."""
    probes, notes = list[Probes](), list[str]()
    for one in by_input:
        along, at_kink = _to_be_told_apart(claims, one)
        told = _told_apart(criteria, claims, one, along, at_kink) if along else one
        probes.append(_sorted_anew(criteria, claims, told))
        if one.kinked.any() and not told.wrong.any() and (tied := _with_ties_kept(criteria, claims, one)):
            if tied.wrong.any():
                probes.append(tied)
            # Where all entries are at a kink, nothing else is seen of them.
            told.blunt &= not (np.all(at_kink) and tied.right.all() and not tied.kinked.any())
        if one.position is not None and np.count_nonzero(at_kink):
            count = counted(int(np.count_nonzero(at_kink)), "entry", "entries")
            who = criteria.problem.names[one.position]
            notes.append(f"{count} of {who}, at a kink, were compared only all together")
    return probes, notes


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
    return _wrong_alone(criteria, claims, rows, moved) or [together]


def _wrong_alone(criteria: Criteria, claims: Claimed, rows: Rows, moved: ByInput) -> list[Probes]:
    """Return further probes of the inputs that are wrong by themselves along the last direction of all.

    What is right or open there tells nothing that the input's own probes do not.
    """
    if len(moved) > 1:
        alone = [{i: moved[i]} for i in moved]
        rows = judge(criteria, Directions.of(criteria.problem, {}, alone), claims)
    first = rows.directions.count - len(moved)
    each = (Probes(i, rows, slice(k, k + 1), moved[i].size) for k, i in enumerate(moved, start=first))
    return [one for one in each if one.wrong.any()]


def _at_kinks_together(criteria: Criteria, rows: Rows, claims: Claimed) -> list[Probes]:
    """Move the entries that are at a kink together, where there are several: the probes of that, or none."""
    if np.count_nonzero(rows.kinked[: rows.directions.singles]) < 2:
        return []
    towards, across, together = directions_at_kinks(rows)
    criteria.towards = towards
    joint = [d for d in (across, towards, together) if any(x.any() for x in d.values())]
    joint_rows = judge(criteria, Directions.of(criteria.problem, {}, joint), claims)
    return [Probes(None, joint_rows, slice(0, len(joint)), 0)]


def _to_be_told_apart(claims: Claimed, one: Probes) -> tuple[Sequence[StratumDirection], Mask | bool]:
    """Return the directions of a large input whose strata, and entries at a kink, tell more by themselves.

    None where they tell enough, or it is wrong already. And which entries are at a kink.
    """
    if one.by_entry or one.position is None:
        return (), False
    single = one.rows.directions.singles
    joint = one.rows.directions.joint[one.which.start - single : one.which.stop - single]
    along = [d for d in joint if isinstance(d, StratumDirection)]
    if not along or len(along) < len(joint):
        return (), False
    # The weakest entry, at least, could be wrong by all that it is: kinks of others may be why.
    tells_little = one.blunt or (one.resolution or 0.0) >= 1
    if tells_little and one.kinked.any() and isinstance(claims, Claims):
        return along, claims.leaping(one.position)
    settled = one.wrong.any() or (one.right.any() and not one.undecided)
    return () if settled or not any(d.joined for d in along) else along, False


def _told_apart(
    criteria: Criteria, claims: Claimed, one: Probes, along: Sequence[StratumDirection], at_kink: Mask | bool
) -> Probes:
    """Probe a large input once more, strata apart, and entries at a kink: what these hide, others do not."""
    gradient: Array | float = 0.0
    if isinstance(claims, Claims) and one.position is not None and np.count_nonzero(at_kink):
        gradient = sum(part[one.position] for part in claims.gradients)
    rows = judge(criteria, Directions.of(criteria.problem, {}, apart(along, at_kink, gradient)), claims)
    again = Probes(one.position, rows, slice(0, rows.directions.count), one.size)
    tell_resolution(criteria, claims, again)
    return one if again.unprobed else again


def _with_ties_kept(criteria: Criteria, claims: Claimed, one: Probes) -> Probes | None:
    """Probe a large input at a kink along a direction past the kinks that are ties, if it has any."""
    i, problem = one.position, criteria.problem
    if i is None or one.by_entry or (d := keeping_ties(problem, i)) is None or not d.any():
        return None
    rows = judge(criteria, Directions.of(problem, {}, [{i: d}]), claims)
    return Probes(i, rows, slice(0, 1), one.size)


def _sorted_anew(criteria: Criteria, claims: Claimed, one: Probes) -> Probes:
    """Probe a large input of very different magnitudes once more if that tells little, each on its own scale.

    What an entry does over the scale of the largest is no measure of what it does over its own. So they are
    sorted anew, and measured by what is found there alone.
    """
    i, problem = one.position, criteria.problem
    tells_little = one.undecided or (one.resolution or 0.0) >= 1
    if i is None or one.by_entry or not tells_little or one.kinked.any() or one.wrong.any():
        return one
    scale, own = problem.reach(i), problem.own_magnitude(i)
    far_smaller = np.count_nonzero(own < scale / MANY_TIMES)
    if i in problem.constraints.projections or MANY_TIMES * far_smaller < scale.size:
        return one
    alone = Criteria(problem, rtol=criteria.rtol, atol=criteria.atol)
    reach, rng = np.minimum(scale, own), np.random.default_rng(0)
    along = [*along_strata(claims, i, alone.rtol, rng, twice=False, reach=reach)]
    rows = judge(alone, Directions.of(problem, {}, along), claims, on_own_scale=False)
    again = Probes(i, rows, slice(0, rows.directions.count), one.size)
    tell_resolution(alone, claims, again)
    better = again.wrong.any() or not again.undecided
    return again if better and not again.unprobed else one


def _leaves_room(criteria: Criteria, rows: Rows) -> bool:
    joint = ~rows.single
    return bool((rows.kinks.room[joint] > WIDE * criteria.rtol * rows.size[joint]).any())


def _outputs_at_kinks_apart(
    criteria: Criteria, rows: Rows, claims: Claimed
) -> tuple[Rows, list[Probes], list[str]]:
    """Judge large inputs once more with an upstream gradient that leaves out outputs at a kink.

    These rows hold other claims than those that are compared everywhere else. And further probes, of these
    outputs, all together.
    """
    kinked = rows.kinks.outputs
    without = claims.without(kinked)
    if without is None or kinked.all() or rows.directions.singles:
        return rows, [], []
    again = judge(criteria, rows.directions, without)
    if not (again.right | again.wrong).any():
        return rows, [], []
    note = (
        f"{kinked.sum()} of {kinked.size} outputs, at a kink, were left out: entries that matter only there "
        "were compared only all together"
    )
    return again, _of_kinked_outputs(criteria, claims, kinked), [note]


def _of_kinked_outputs(criteria: Criteria, claims: Claimed, kinked: Mask) -> list[Probes]:
    """Return further probes of the inputs that are wrong where outputs at a kink are concerned, all together.

    They move along the gradient: terms that have one sign are no smaller than the slopes allow.
    """
    at_kink = claims.without(~kinked)
    if not isinstance(at_kink, Claims):
        return []
    problem, joint = criteria.problem, dict[int, Array]()
    for i, gradient in at_kink.gradients[0].items():
        moves = problem.direction(i, np.sign(gradient) * problem.reach(i))
        joint[i] = exact_displacement(problem.value(i), moves)
    joint = {i: d for i, d in joint.items() if d.any()}
    rows = judge(criteria, Directions.of(problem, {}, [{i: d} for i, d in joint.items()]), at_kink)
    each = (Probes(i, rows, slice(k, k + 1), problem.value(i).size) for k, i in enumerate(joint))
    return [one for one in each if one.wrong.any()]
