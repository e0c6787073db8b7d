"""What a check was certain to catch: the resolution of each input."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np

from gradlab.checks.claimed import Claimed
from gradlab.checks.claims import Claims
from gradlab.checks.criteria import Criteria
from gradlab.checks.probes import Probes
from gradlab.checks.rows import Rows
from gradlab.checks.stratum import StratumDirection
from gradlab.checks.widths import CERTAIN, DISCERNING, LADDER
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.scales import blocks
from gradlab.numerics.step_sizes import usual_step

# Error bars more, where shorter steps tell: a second ladder may end in wider ones. Of 171 defects at offsets
# of 1e4 and more, 37 were undecided at 4 bars altogether, 6 at 16, and 3 at 64, of next to no force.
LATER = 12


@dataclass(frozen=True, eq=False)
class Noticed:
    """Which change of a claim was certain to be noticed.

    Attributes
    ----------
    change : Array
        Shape ``(r, s)``: along each row; at a kink, more than all claims that are right.
    relative : Array
        Shape ``(r,)``: that relative to the claim, the least over all parts; NaN where nothing was found
        right or wrong, or what was is too small to matter.
    small, blunt : array of bool, shape (r,)
        Along which rows that were found right a claim of twice as much could have been missed, kinks aside:
        as it would still be too small to matter, or would not.
    """

    change: Array
    relative: Array
    small: Mask
    blunt: Mask

    @classmethod
    def of(cls, criteria: Criteria, rows: Rows) -> Noticed:
        """Return what was noticed along all rows."""
        by_bar, change = _noticed_by(criteria, rows)
        change, size = change + rows.kinks.room, np.abs(rows.claim)
        ratio = change / size
        ratio[size == 0] = np.nan
        if rows.table.upstreams is None:  # each output has an entry of the Jacobian of its own
            ratio[criteria.cannot_matter(rows)] = np.nan
            relative = np.fmax.reduce(ratio, axis=1, initial=np.nan)
        else:
            relative = np.fmin.reduce(ratio, axis=1, initial=np.nan)
        relative[~((rows.right | rows.wrong) & np.isfinite(relative))] = np.nan
        missed = relative >= 1
        if not np.count_nonzero(missed):
            return cls(change, relative, missed, missed)
        negligible = criteria.negligible
        missed &= rows.right & ~rows.kinked
        small = missed & (rows.size + rows.error_bar <= negligible).all(axis=1)
        relative[small] = np.nan
        rounding = criteria.floor_of_parts(rows)
        hides = (by_bar >= size) | ((rounding >= size) & (rounding > negligible))
        return cls(change, relative, small, missed & ~small & hides.all(axis=1))


def tell_resolution(
    criteria: Criteria, claims: Claimed, probes: Probes, noticed: Noticed | None = None
) -> None:
    """Find out the resolution of an input, how many entries are too small, and whether its probes are blunt.

    What was ``noticed`` along their rows is the same for all inputs that share them.
    """
    noticed = Noticed.of(criteria, probes.rows) if noticed is None else noticed
    probes.resolution, probes.too_small = _resolution(criteria, probes, noticed)
    if probes.by_entry:
        probes.blunt = bool(np.count_nonzero(noticed.blunt[probes.which]))
    else:
        probes.blunt = not _would_be_noticed(criteria, claims, probes, noticed)


def _noticed_by(criteria: Criteria, rows: Rows) -> tuple[Array, Array]:
    """Return which change of a claim the error bar lets one notice, and which was certain to be: ``(r, s)``.

    Two ladders have to contradict it, the second with up to twice the error bar of the first, which also
    lies on both sides of the value; hence four error bars, and the tolerance on top. (At a kink, it has to
    leave the slopes between both sides, too.)
    """
    # Had it disagreed, a probe that one difference settled would have gone down a ladder, whose error bar is
    # a tenth of rtol: hence no resolution is below 1.4 rtol.
    size = rows.size
    bar = np.fmax(rows.error_bar, LADDER * criteria.rtol * size)
    # A claim that is near the first difference is right at once. That may be off by truncation; and a ladder
    # that a wrong claim goes down is known no better than it agrees with it, unless shorter steps tell.
    step, tolerance = usual_step(rows.table.eps), criteria.tolerance(rows, size)
    by_bar = CERTAIN * bar + tolerance
    noticed = by_bar + criteria.floor_of_parts(rows)
    off = np.abs(rows.table.central(step) - rows.value)
    if not np.count_nonzero(off):
        return by_bar, noticed
    exempt = (rows.kinked | rows.elsewhere)[:, np.newaxis]
    exempt = exempt | (rows.table.rounding(step) > criteria.widest_bar(rows, size)) | np.isnan(off)
    more = np.fmax(off / DISCERNING - CERTAIN * bar, 0.0)  # than the error bar lets one notice
    return by_bar, noticed + np.where(rows.further, LATER * bar, np.where(exempt, 0.0, more))


def _resolution(criteria: Criteria, probes: Probes, noticed: Noticed) -> tuple[float | None, int]:
    """Return the smallest relative change of an entry that is certain to be caught, and what is too small."""
    which, claims = probes.which, probes.rows.claims
    if probes.unprobed or not probes.count:
        return None, 0
    if probes.by_entry or not isinstance(claims, Claims):
        worst = float(np.fmax.reduce(noticed.relative[which]))
        if not probes.by_entry:
            worst *= math.sqrt(probes.size)  # of jvp, only sums are known: of entries that contribute alike
        return None if math.isnan(worst) else worst, int(
            np.count_nonzero(probes.small | noticed.small[which])
        )
    change, limit = noticed.change[which], criteria.negligible
    if probes.position in claims.problem.constraints.projections:
        return _resolution_along_projections(probes, claims, change, limit)
    return _resolution_in_strata(probes, claims, change, limit)


def _resolution_in_strata(
    probes: Probes, claims: Claims, noticed: Array, limit: float
) -> tuple[float | None, int]:
    """Return the same where a random direction moves all entries of a stratum, each by another amount."""
    rows = probes.rows
    worst, too_small = 0.0, 0
    single = rows.directions.singles
    joint = rows.directions.joint[probes.which.start - single : probes.which.stop - single]
    along = [cast(StratumDirection, d) for d in joint]
    labels, drawn, i = along[0].labels.ravel(), along[0].direction.ravel(), along[0].position
    gradients, left_out = [g[i].ravel() for g in claims.gradients], claims.left_out(i)
    # By stratum and part, along the first direction that moves each: the least that is noticed, and above
    # what a movement matters. Along a second one an entry may move half as far.
    first = {at: (k, part) for k, d in reversed([*enumerate(along)]) for at, part in d.moved.items()}
    for stratum, (k, _) in first.items():
        if along[k].direction is not along[0].direction:  # but on the scale of their own magnitude
            drawn = np.where(labels == stratum, along[k].direction.ravel(), drawn)
    noticed = np.stack([noticed[k] / part for _, (k, part) in sorted(first.items())])
    above = limit - noticed
    for block in blocks(labels.size):
        label, d = labels[block].astype(np.intp), drawn[block]
        seen = np.full(label.size, -1.0)  # times what is noticed: how much each entry moves; of what matters
        for s, g in enumerate(gradients):
            moved = np.abs(g[block] * d)
            times = moved / _of_each(label, noticed[:, s])
            times[~(moved > _of_each(label, above[:, s]))] = -1.0
            np.maximum(seen, times, out=seen)
        seen[d == 0] = 0.0
        too_small += int(np.count_nonzero(seen < 0))
        if left_out is not None:  # what is zero for that is no smaller than it is
            too_small -= int(np.count_nonzero((seen < 0) & left_out.ravel()[block]))
        worst = max(worst, 1 / float(np.where(seen > 0, seen, np.inf).min()))
    return worst or None, too_small


def _of_each(label: Indices, values: Array) -> Array:
    """Return what each entry has of the values of all strata."""
    return values.take(label, mode="clip") if values.size > 1 else values  # unlike "raise", into no copy


def _resolution_along_projections(
    probes: Probes, claims: Claims, noticed: Array, limit: float
) -> tuple[float | None, int]:
    """Return the same where any direction moves any entry: each is known from what shows it best."""
    rows = probes.rows
    best = np.full(claims.problem.value(cast(int, probes.position)).size, np.inf)
    small = np.ones(best.size, dtype=bool)
    for k, row in enumerate(range(probes.which.start, probes.which.stop)):
        ((i, d),) = rows.directions.joint[row - rows.directions.singles].items()
        for s, gradients in enumerate(claims.gradients):
            moved = np.abs(gradients[i].ravel() * d.ravel())
            with np.errstate(divide="ignore"):
                best = np.fmin(best, noticed[k, s] / moved)
            small &= moved + noticed[k, s] <= limit
    finite = best[np.isfinite(best) & ~small]
    return (float(finite.max()) if finite.size else None), int(small.sum())


def _would_be_noticed(criteria: Criteria, claims: Claimed, probes: Probes, noticed: Noticed) -> bool:
    """Whether a change of some entry by all that it is would have been noticed, in each stratum that matters.

    What could hide in the others has to be too small to matter. Of entries at a kink, any slope between those
    on both sides is right.
    """
    rows, limit = probes.rows, criteria.negligible
    seen, hidden = set[int](), set[int]()
    for k in probes.rows_where(probes.right | probes.wrong).tolist():
        direction = rows.directions.joint[k - rows.directions.singles]
        at_kink, each = False, [(0, 1.0, direction)]
        if isinstance(direction, StratumDirection):
            at_kink, each = direction.at_kink, [*direction.each()]
        for stratum, part, alone in each:
            if stratum in seen:
                continue
            change = noticed.change[k] / part
            if (change <= claims.largest(alone, rows.claim[k])).any():
                seen.add(stratum)
            elif (change > limit).all() and not at_kink:
                hidden.add(stratum)
    return hidden <= seen and bool(seen or not (probes.right | probes.wrong).any())
