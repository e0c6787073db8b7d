"""Which directions are probed, and what they say together of each input, of backward or of jvp.

Of small inputs every entry is probed by itself: the table of differences is then the Jacobian. Large ones are
probed along random directions, whose number does not grow with the size. So that entries of small gradients
are not drowned by large ones, the entries are sorted into strata of similar influence, each of which has
directions of its own; entries whose gradient is exactly zero are a stratum too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from gradlab.checks.claims import Claims
from gradlab.checks.criteria import CERTAIN, NOTHING, ROUNDINGS, Criteria
from gradlab.checks.directions import Directions, Gradients, along_tangents, count_movable
from gradlab.checks.judge import BEYOND, insist, judge, measure_noise, refine
from gradlab.checks.ladders import LADDER
from gradlab.checks.rows import Mask, Rows
from gradlab.checks.tangent_claims import TangentClaims
from gradlab.errors import UsageError
from gradlab.numerics import Array
from gradlab.numerics.scales import blocks, random_direction
from gradlab.numerics.table import LONG_STEPS, Indices, Table, coarse_steps, usual_step
from gradlab.point.problem import Problem

SMALL = 1000  # entries; up to here every entry is probed by itself
PER_STRATUM = 2  # random directions
STRATUM = 1e3  # entries of one stratum differ by at most this factor
STRATA = 4  # at most, besides that of exact zeros
WIDE = 10  # times rtol: where kinks in large outputs leave more room than this, these outputs are left out
INSISTED = 8  # entries that are looked at of an input of which nothing was seen
AT_BOUND = 2.0**-9  # of the scale: an entry that is nearer to a bound moves away from it alone


@dataclass(frozen=True, eq=False)
class Probes:
    """The probes of one input, or of several inputs jointly.

    Attributes
    ----------
    position : int or None
        The input; ``None`` for joint directions in several of them.
    rows : Rows
        What is known; shared with other inputs whose entries were probed together with these.
    which : Indices
        Shape ``(k,)``: the rows of this input.
    stratum : array of shape (k,)
        Which entries a probe moves: probes of the same stratum move the same ones.
    size : int
        How many entries were to be probed.
    too_small : int
        How many entries could not be told, and cannot matter.
    resolution : float or None
        The smallest relative change of any single entry that was certain to be caught.
    blunt : bool
        Whether, kinks aside, a change of any entry by all that it is could have been missed.
    """

    position: int | None
    rows: Rows
    which: Indices
    stratum: npt.NDArray[np.int_]
    size: int
    too_small: int = 0
    resolution: float | None = None
    blunt: bool = False

    @property
    def by_entry(self) -> bool:
        """Whether each probe moves one entry alone."""
        return bool(self.which.size) and int(self.which[-1]) < self.rows.directions.single

    @property
    def unprobed(self) -> int:
        """How many entries were left out because no call was left."""
        seen = self.rows.seen[self.which]
        if self.by_entry:
            return int((~seen).sum())
        return self.size if self.position is not None and not seen.all() else 0

    def mask(self, state: Mask) -> Mask:
        """Return one of the masks of the rows, for these probes."""
        return np.asarray(state[self.which])

    def index(self, k: int) -> int:
        """Return the flat index of the entry that the ``k``-th probe moves."""
        return int(self.rows.directions.index[self.which[k]])

    def wrong_direction(self) -> Gradients | None:
        """Return, of the joint directions that contradict backward, the one that moves the most entries."""
        wrong = [int(k) for k in self.which if self.rows.wrong[k] and k >= self.rows.directions.single]
        found = [self.rows.directions.joint[k - self.rows.directions.single] for k in wrong]
        return max(found, key=lambda parts: sum(int((d != 0).sum()) for d in parts.values()), default=None)


@dataclass(frozen=True, eq=False)
class Plan:
    """Along which directions a point is probed.

    Attributes
    ----------
    directions : Directions
        The entries of some inputs, then random directions in the others.
    small : tuple of int
        The inputs whose entries are probed each by itself.
    joint : tuple of (int, int)
        For each of the random directions, the input and the stratum of its entries.
    """

    directions: Directions
    small: tuple[int, ...]
    joint: tuple[tuple[int, int], ...]


def plan(
    problem: Problem, claims: Claims | TangentClaims, *, probes: str | None = None, rng: np.random.Generator
) -> Plan:
    """Choose the directions along which every input is probed.

    Parameters
    ----------
    problem : Problem
        The point.
    claims : Claims or TangentClaims
        By which the entries of large inputs are sorted into strata.
    probes : {"entries", "directions", None}
        How; by size for ``None``.
    rng : numpy.random.Generator
        Draws the random directions.

    Raises
    ------
    UsageError
        When the tangents of an input leave no direction.
    """
    size = {i: count_movable(problem, i) for i in claims.positions}
    small = [i for i in size if probes == "entries" or (probes is None and problem.value(i).size <= SMALL)]
    if probes is None and 2 * sum(size[i] for i in small) + 2 > problem.calls_left:
        small = []  # too dear: directions tell less, but of all entries
    planned: list[tuple[int, int, Gradients]] = []  # input, stratum, direction
    for i, count in size.items():
        if i in small and i in problem.constraints.tangents:
            planned += [(i, 0, d) for d in along_tangents(problem, i)]
            if count and not any(at == i for at, _, _ in planned):
                raise UsageError(f"tangents of {problem.names[i]} leave no direction at this point")
            small = [k for k in small if k != i]
        elif i not in small and count:
            planned += [(i, *one) for one in _strata(claims, i, rng)]
    # Of the scalar entries of small inputs all are probed; jointly, large ones are, each by itself.
    directions = Directions.entries(problem, dict.fromkeys(small), [d for _, _, d in planned])
    return Plan(directions, tuple(small), tuple((i, stratum) for i, stratum, _ in planned))


def probe(
    criteria: Criteria, claims: Claims | TangentClaims, plan: Plan, known: Table | None = None
) -> tuple[list[Probes], list[str]]:
    """Probe what backward or jvp claims along the directions of a plan.

    Parameters
    ----------
    criteria : Criteria
        Of the point.
    claims : Claims or TangentClaims
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
    problem, directions = criteria.problem, plan.directions
    notes: list[str] = []
    rows = judge(criteria, directions, claims, known=known)
    if problem.output.size > 1 and _leaves_room(criteria, rows):
        rows, notes = _without_kinked_outputs(criteria, rows, claims)
    seen = []
    for i in claims.positions:
        alone = np.flatnonzero(directions.position == i)
        joint = [(k, s) for k, (at, s) in enumerate(plan.joint, directions.single) if at == i]
        which = alone if i in plan.small else np.array([k for k, _ in joint], dtype=np.intp)
        stratum = np.arange(alone.size) if i in plan.small else np.array([s for _, s in joint], dtype=int)
        seen.append(Probes(i, rows, which, stratum, count_movable(problem, i)))
        _insist(criteria, seen[-1])
    noticed = _noticed(criteria, rows)
    found = [_summed_up(criteria, one, noticed) for one in seen]
    kinks = _Kinks(problem)
    kinks.add(rows)
    if kinks.count >= 2:
        criteria.towards = kinks.towards
        together = [
            d for d in (kinks.across, kinks.towards, kinks.together) if any(x.any() for x in d.values())
        ]
        joint_rows = judge(criteria, Directions.entries(problem, {}, together), claims)
        found.append(Probes(None, joint_rows, np.arange(len(together)), np.arange(len(together)), 0))
    return found, notes


def _summed_up(criteria: Criteria, probes: Probes, noticed: Array) -> Probes:
    """Count what is too small of an input, and find the resolution."""
    resolution, too_small = _resolution(criteria, probes, noticed + probes.rows.swing)
    blunt = _is_drowned(criteria, probes) if probes.by_entry else not _is_seen(probes, noticed)
    return replace(probes, too_small=too_small, resolution=resolution, blunt=blunt)


def _insist(criteria: Criteria, probes: Probes) -> None:
    """Look harder at an input of which nothing was seen, unless backward and forward show that it is zero.

    Zero within rounding is a claim that is no larger than what a few roundings of the inputs make of it, or
    than a few roundings of the largest influence; forward then must not move either, by its measured noise.
    """
    rows, problem = probes.rows, criteria.problem
    told = probes.mask(rows.told)
    if not told.size or told.any() or probes.mask(rows.wrong | ~rows.seen).any():
        return
    mine = np.zeros(rows.told.shape, dtype=bool)
    mine[probes.which] = True
    rows.table.take(np.flatnonzero(mine & rows.open & rows.idle), BEYOND)
    tried = np.isfinite(rows.table.secant(BEYOND)).all(axis=1)
    rows.small |= mine & rows.open & rows.idle & tried
    if not (mine & ~(rows.small & rows.idle)).any():
        return
    rounding, _ = rows.claims.errors_along(rows.directions.rows(probes.which))
    # Rounding is of one size throughout an input, though at some entries it happens to be none.
    floor = np.fmax(rounding.max(axis=0), NOTHING * problem.given_eps * criteria.influence)
    zero = (np.abs(rows.claim) <= floor).all(axis=1)
    # Where the largest influence is no more than its own rounding, nothing that is small is known to be zero.
    zero &= NOTHING * problem.given_eps < 1
    if not problem.noise_is_known:
        measure_noise(criteria, rows)
    refine(criteria, rows)
    open_ = mine & rows.open & zero
    if open_.any():  # nothing at all was seen to move
        rows.small |= open_ & _stays(rows, open_, floor)
    claimed = np.flatnonzero(mine & rows.small & ~zero)
    if claimed.size:
        size = np.abs(rows.claim[claimed]).max(axis=1)
        most = claimed[np.argsort(-size, kind="stable")[:INSISTED]]
        insist(criteria, rows, np.isin(np.arange(mine.size), most))
        if not rows.told[most].any():
            rows.small &= ~(mine & ~zero)


def _stays(rows: Rows, which: Mask, floor: Array) -> Mask:
    """Return along which rows the outputs stay as they are, but for rounding, however far the inputs move."""
    table, stays = rows.table, np.zeros(which.shape, dtype=bool)
    for step in (BEYOND, *LONG_STEPS, *coarse_steps(table.eps)[:1]):  # as far as there are values
        if not which.any():
            break
        table.take(np.flatnonzero(which), step)
        secant = table.secant(step)
        seen = which & np.isfinite(secant).all(axis=1)
        stays |= seen & ~(secant > floor + table.rounding(step)).any(axis=1)
        which = which & ~seen
    return stays


def _noticed(criteria: Criteria, rows: Rows) -> Array:
    """Return which change of a claim was certain to be noticed, shape ``(r, s)``.

    Two ladders have to contradict it, the second with up to twice the error bar of the first, which also
    lies on both sides of the value; hence four error bars, and the tolerance on top. (At a kink, it has to
    leave the slopes between both sides, too.)
    """
    # A probe that one difference settled would, had it disagreed, have had the error bar of a ladder.
    bar = np.fmax(rows.error_bar, LADDER * criteria.rtol * rows.scale)
    # And what agrees with the first difference is not asked further, however far that is off.
    step, tolerance = usual_step(rows.table.eps), criteria.tolerance(rows)
    off = np.abs(rows.table.central(step) - rows.value)
    asked = rows.kinked[:, np.newaxis] | (rows.table.rounding(step) > criteria.narrow(rows))
    least = np.where(asked | np.isnan(off), 0.0, off + tolerance)
    return np.asarray(np.fmax(CERTAIN * bar + tolerance, least) + criteria.zero(rows))


def _resolution(criteria: Criteria, probes: Probes, noticed: Array) -> tuple[float | None, int]:
    """Return the smallest relative change of an entry that is certain to be caught, and what is too small."""
    rows = probes.rows
    noticed = noticed[probes.which]
    if probes.unprobed or not probes.which.size:
        return None, 0
    if probes.by_entry or isinstance(rows.claims, TangentClaims):  # of jvp, only sums are known
        told = probes.mask(rows.told | rows.wrong)
        size = np.abs(rows.claim[probes.which])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(size > 0, noticed / size, np.nan)
        if rows.table.upstreams is None:  # each output has an entry of the Jacobian of its own
            small = criteria.cannot_matter(rows)[probes.which]
            caught = np.fmax.reduce(np.where(small, np.nan, ratio), axis=1, initial=np.nan)
        else:
            caught = np.fmin.reduce(ratio, axis=1, initial=np.nan)
        caught = caught[told & np.isfinite(caught)]
        return (float(caught.max()) if caught.size else None), int(probes.mask(rows.small).sum())
    limit = criteria.rtol * criteria.influence
    if probes.position in rows.claims.problem.constraints.tangents:
        return _resolution_along_tangents(probes, noticed, limit)
    worst, too_small = 0.0, 0
    along = [cast(Stratum, rows.directions.joint[k - rows.directions.single]) for k in probes.which]
    labels, i = along[0].labels.ravel(), along[0].position
    for block in blocks(labels.size):
        seen = np.full(labels[block].size, np.nan)  # times what is noticed: how much each entry moves
        for first in range(0, len(along), len(along) // PER_STRATUM):
            d = along[first].direction.ravel()[block]
            of_stratum = noticed[first : first + len(along) // PER_STRATUM]
            for s, g in enumerate(rows.claims.gradients):
                moved, least = np.abs(g[i].ravel()[block] * d), of_stratum[labels[block], s]
                matters = (moved + least > limit) & (d != 0)
                seen = np.fmax(seen, np.where(matters, moved / least, np.nan))
        too_small += int((np.isnan(seen) & (d != 0)).sum())
        worst = max(worst, float((1 / seen[seen > 0]).max(initial=0.0)))
    return worst or None, too_small


def _resolution_along_tangents(probes: Probes, noticed: Array, limit: float) -> tuple[float | None, int]:
    """Return the same where any direction moves any entry: each is known from what shows it best."""
    rows, claims = probes.rows, probes.rows.claims
    assert isinstance(claims, Claims)  # jvp is not compared along tangents
    best = np.full(claims.problem.value(cast(int, probes.position)).size, np.inf)
    small = np.ones(best.size, dtype=bool)
    for k, row in enumerate(probes.which.tolist()):
        ((i, d),) = rows.directions.joint[row - rows.directions.single].items()
        for s, gradients in enumerate(claims.gradients):
            moved = np.abs(gradients[i].ravel() * d.ravel())
            with np.errstate(divide="ignore"):
                best = np.fmin(best, noticed[k, s] / moved)
            small &= moved + noticed[k, s] <= limit
    finite = best[np.isfinite(best) & ~small]
    return (float(finite.max()) if finite.size else None), int(small.sum())


def _is_seen(probes: Probes, noticed: Array) -> bool:
    """Whether a change of some entry by all that it is would have been noticed, if there is anything."""
    rows, told = probes.rows, probes.rows.told | probes.rows.wrong
    seen = []
    for k in probes.which[told[probes.which]].tolist():
        direction = rows.directions.joint[k - rows.directions.single]
        largest = rows.claims.largest(direction, rows.claim[k])
        seen.append(bool((noticed[k] <= largest).any()))
    return any(seen) or not seen


def _is_drowned(criteria: Criteria, probes: Probes) -> bool:
    """Whether rounding of the largest influence hides all that an entry is, and rtol does not allow it."""
    if ROUNDINGS * criteria.problem.given_eps <= criteria.rtol:
        return False
    rows, told = probes.rows, probes.which[probes.mask(probes.rows.told)]
    return bool((np.abs(rows.claim[told]) < criteria.zero(rows)).all(axis=1).any())


def _leaves_room(criteria: Criteria, rows: Rows) -> bool:
    joint = np.arange(rows.told.size) >= rows.directions.single
    return bool((rows.swing[joint] > WIDE * criteria.rtol * rows.scale[joint]).any())


def _without_kinked_outputs(
    criteria: Criteria, rows: Rows, claims: Claims | TangentClaims
) -> tuple[Rows, list[str]]:
    """Judge once more with an upstream gradient that leaves out the outputs that have a kink at the point."""
    kinked = rows.kinked_outputs
    without = claims.without(kinked)
    if without is None or kinked.all() or rows.directions.single:
        return rows, []
    again = judge(criteria, rows.directions, without)
    if not again.told.any():
        return rows, []
    note = (
        f"{kinked.sum()} of {kinked.size} outputs, at a kink, were left out: entries that matter only there "
        "are unchecked"
    )
    return again, [note]


def _strata(
    claims: Claims | TangentClaims, i: int, rng: np.random.Generator
) -> Iterator[tuple[int, Gradients]]:
    problem, x = claims.problem, claims.problem.value(i)
    labels = strata(claims.magnitudes(i), problem.reach(i))
    if i in problem.constraints.boxes:  # what has room on one side only would leave the others no other
        beside = problem.constraints.boxes[i].room(x) < AT_BOUND * problem.reach(i)
        _, numbered = np.unique(2 * labels + beside, return_inverse=True)
        labels = numbered.reshape(x.shape).astype(np.int8)
    for _ in range(PER_STRATUM):
        drawn = random_direction(x, rng, problem.reach(i))
        if i in problem.constraints.tangents:  # parts of a tangent are none
            for stratum in range(int(labels.max(initial=-1)) + 1):
                yield 0, {i: problem.direction(i, drawn * (labels == stratum))}
            continue
        direction = problem.direction(i, drawn)
        small = direction.astype(np.float32)  # rounded to their grid, directions fit in half the memory
        kept = small if np.array_equal(small, direction) else direction
        for stratum in range(int(labels.max(initial=-1)) + 1):
            yield stratum, Stratum(i, kept, labels, stratum)


class Stratum(Gradients):
    """A direction in the entries of one stratum: of those in all entries, that part, made when it is needed.

    Parameters
    ----------
    position : int
        The input.
    direction, labels : Array
        A direction in all of its entries, and the stratum of each.
    stratum : int
        Which.
    """

    def __init__(
        self, position: int, direction: npt.NDArray[Any], labels: npt.NDArray[np.int8], stratum: int
    ) -> None:
        self.position, self.direction, self.labels, self.stratum = position, direction, labels, stratum

    def __getitem__(self, position: int) -> Array:
        if position != self.position:
            raise KeyError(position)
        return np.asarray(self.direction * (self.labels == self.stratum))

    def __iter__(self) -> Iterator[int]:
        return iter((self.position,))

    def __len__(self) -> int:
        return 1


def strata(gradients: Sequence[Array], length: Array) -> npt.NDArray[np.int8]:
    """Sort entries into strata of similar influence, the largest over all gradients; zeros are their own.

    >>> strata([np.array([1.0, 5.0, 1e-5, 0.0])], np.array([1.0, 0.1, 1.0, 1.0]))
    array([0, 0, 1, 2], dtype=int8)
    """
    labels = np.empty(length.shape, dtype=np.int8)
    weight = np.abs(gradients[0])
    for gradient in gradients[1:]:
        np.maximum(weight, np.abs(gradient), out=weight)
    weight *= length
    largest = float(np.fmax.reduce(weight, axis=None, initial=0.0, where=weight < np.inf))
    if largest == 0.0:
        labels[...] = 0
        return labels
    flat, sorted_ = weight.ravel(), labels.reshape(-1)
    for block in blocks(weight.size):
        here = flat[block]
        sorted_[block] = sum(here <= largest / STRATUM**k for k in range(1, STRATA))
        sorted_[block][here == 0] = STRATA
    filled = np.bincount(labels.ravel(), minlength=STRATA + 1) > 0
    return (np.cumsum(filled, dtype=np.int8) - np.int8(1))[labels]


class _Kinks:
    """The entries at kinks, and three directions in them.

    ``towards`` leads to the side of each kink whose slope backward gives. ``across`` moves each entry by its
    scale in the direction in which backward's slope deviates from the middle of both sides: two equal entries
    of a maximum, each given the full gradient, agree with one side each, and only moved together show twice
    the slope that there is. ``together`` moves entries of equal value by the same amount, so that those tied
    stay tied: whatever share of the gradient each of them gets, the sum is known.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.towards: dict[int, Array] = {}
        self.across: dict[int, Array] = {}
        self._steps: dict[tuple[int, int], float] = {}

    @property
    def count(self) -> int:
        """How many entries there are."""
        return len(self._steps)

    @property
    def together(self) -> dict[int, Array]:
        """The third direction; its step suits the entry that varies on the shortest length."""
        rng = np.random.default_rng(0)
        step = float(np.exp2(np.floor(np.log2(min(self._steps.values())))))
        amounts: dict[float, float] = {}
        direction = {i: np.zeros_like(d) for i, d in self.across.items()}
        for i, j in self._steps:
            value = float(self.problem.value(i).flat[j])
            if value not in amounts:
                amounts[value] = step * rng.choice([-1.0, 1.0]) * rng.uniform(1, 2)
            direction[i].flat[j] = amounts[value]
        return direction

    def add(self, rows: Rows) -> None:
        """Note the entries at which two sides were found."""
        for row in np.flatnonzero(rows.kinked[: rows.directions.single]).tolist():
            i, j = int(rows.directions.position[row]), int(rows.directions.index[row])
            step = float(rows.directions.length[row])
            for directions in (self.towards, self.across):
                directions.setdefault(i, np.zeros(self.problem.value(i).shape))
            gradient, middle, half = rows.claim[row].sum(), rows.middle[row].sum(), rows.swing[row].sum() / 2
            # Of a gradient in the middle, the same side for all entries.
            nearer_highest = abs(gradient - middle - half) <= 1.001 * abs(gradient - middle + half)
            self.towards[i].flat[j] = step if nearer_highest == rows.rises[row] else -step
            self.across[i].flat[j] = step * np.sign(gradient - middle)
            self._steps[i, j] = step
