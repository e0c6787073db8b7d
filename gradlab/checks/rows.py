"""What is known about some directions: the claim along each, beside what forward shows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gradlab.checks.claimed import ClaimedAlong
from gradlab.checks.directions import Directions
from gradlab.numerics import Array, Indices, Mask
from gradlab.numerics.step_sizes import usual_step
from gradlab.numerics.table import Table
from gradlab.point.problem import Problem

KEPT = 100_000  # entries of a Jacobian up to which it is kept
LARGEST = float(np.finfo(np.float64).max)  # relative to an overflow, any two numbers would agree


@dataclass(eq=False)
class Sides:
    """What is claimed, beside what forward shows: what a verdict is made of.

    Attributes
    ----------
    claim, value, error_bar : Array
        Of one shape. Where forward shows nothing, the error bar is infinite.
    divisors : Array or float
        What an influence has to be divided by to be the derivative: the scale of the entry.
    single, strict : array of bool, or bool
        Which move one entry alone, and which have to be found right: nothing else was seen of their input.
    """

    claim: Array
    value: Array
    error_bar: Array
    divisors: Array | float = field(init=False, default=1.0)
    single: Mask | bool = field(init=False, default=True)
    strict: Mask | bool = field(init=False, default=False)

    @property
    def gap(self) -> Array:
        """How far both sides are apart: ``|c - v|``."""
        gap: Array = np.abs(self.claim - self.value)
        return gap

    @property
    def size(self) -> Array:
        """What a disagreement is relative to: the larger side."""
        return np.fmin(np.fmax(np.abs(self.claim), np.abs(self.value)), LARGEST)

    @property
    def known_of_parts(self) -> Array | float:
        """How large what was found right is in the same part; by default, each is a part of its own."""
        return 0.0


@dataclass(eq=False)
class Kinks:
    """The kinks along ``r`` directions; at first, none.

    Attributes
    ----------
    found, rises : arrays of bool, shape (r,)
        Along which rows there is one, and at which the slope is higher on the far side.
    middle, swing, room : Array
        Shape ``(r, s)``: the mean of the slopes on both sides, how far apart they are, and how far apart two
        claims may be of which both are right.
    outputs : array of bool, shape (m,)
        Which outputs have a kink along one of the directions.
    """

    found: Mask
    rises: Mask
    middle: Array
    swing: Array
    room: Array
    outputs: Mask

    @classmethod
    def none(cls, rows: int, parts: int, outputs: int) -> Kinks:
        """Return none, of so many rows, parts and outputs."""
        found, rises = np.zeros((2, rows), dtype=bool)
        middle, swing, room = np.zeros((3, rows, parts))
        return cls(found, rises, middle, swing, room, np.zeros(outputs, dtype=bool))

    def take_over(self, into: Indices, other: Kinks, which: Indices, longer: Array | float) -> None:
        """Put what is known of other rows in the place of some of these."""
        for name in ("middle", "swing", "room"):
            getattr(self, name)[into] = getattr(other, name)[which] * longer
        for name in ("found", "rises"):
            getattr(self, name)[into] = getattr(other, name)[which]
        self.outputs |= other.outputs


@dataclass(eq=False)
class Rows(Sides):
    """What is known about ``r`` directions, and what becomes of each; at first all are open.

    Columns are the ``s`` parts of the upstream gradient: most often one; where outputs are of very different
    magnitudes, one for those of each, so that none drowns another (`claims.upstreams_by_magnitude`).

    Attributes
    ----------
    directions : Directions
        The rows.
    claims : ClaimedAlong
        What backward returned, or what jvp returns along directions.
    claim, terms : Array
        Shape ``(r, s)``: what it says along each direction, and how large the terms of that are.
    value, error_bar : Array
        Shape ``(r, s)``: what forward shows. At a kink, the slope nearest to the claim. The bar is that of
        rounding alone at first; of what one difference settled, in `Criteria.accept`, it is the larger of 8
        roundings and of what both sides still differ by. After a second ladder it has the rounding of the
        claim in it.
    table : Table
        The differences.
    scale : Array, optional
        Shape ``(r, s)``: what takes the place of how far forward moves, where differences do not tell it.
    kinks : Kinks
        Those along the rows.
    right : array of bool, shape (r,)
        Which are right: both sides agree, with an error bar that is narrow enough to tell.
    small : array of bool, shape (r,)
        Which are too small to matter: claim, value and error bar together are below ``rtol`` of the largest
        influence, and both sides do not differ.
    suspect, wrong : arrays of bool, shape (r,)
        Which differ by more than the error bar explains: before and after a second ladder has confirmed it.
        A row that is none of these four is open.
    imprecise : array of bool, shape (r,)
        What is wrong only in the dtype given.
    unresolved : array of bool, shape (r,)
        Along which forward bends the more the closer to the point: what is narrower than any step hides, and
        nothing is too small to matter.
    further : array of bool, shape (r, s)
        What is known of which is from shorter steps than the usual one, where a ladder ends.
    elsewhere : array of bool, shape (r,)
        What is known of which joint directions is not from the table, which holds longer ones.
    """

    directions: Directions
    claims: ClaimedAlong
    terms: Array
    table: Table
    scale: Array | None = None
    kinks: Kinks = field(init=False)
    right: Mask = field(init=False)
    small: Mask = field(init=False)
    suspect: Mask = field(init=False)
    wrong: Mask = field(init=False)
    imprecise: Mask = field(init=False)
    single: Mask = field(init=False)
    strict: Mask = field(init=False)
    unresolved: Mask = field(init=False)
    further: Mask = field(init=False)
    elsewhere: Mask = field(init=False)

    def __post_init__(self) -> None:
        """Begin with all rows open, and no kink."""
        self.divisors = self.directions.divisors[:, np.newaxis]
        self.single = np.arange(self.directions.count) < self.directions.singles
        rows, parts = self.claim.shape
        self.kinks = Kinks.none(rows, parts, self.table.output.size)
        none = np.zeros((8, rows), dtype=bool)
        self.right, self.small, self.suspect, self.wrong = none[:4]
        self.imprecise, self.strict, self.unresolved, self.elsewhere = none[4:]
        self.further = np.zeros(self.claim.shape, dtype=bool)

    @property
    def kinked(self) -> Mask:
        """At which a kink was found."""
        return self.kinks.found

    @property
    def seen(self) -> Mask:
        """Which rows were evaluated."""
        return self.table.seen

    @property
    def size(self) -> Array:
        """What a disagreement is relative to: the larger side; of a claim, its terms."""
        return np.fmin(np.fmax(self.terms, np.abs(self.value)), LARGEST)

    @property
    def nearby(self) -> Array:
        """How steep forward is over the longest step of a ladder that was taken, beyond rounding."""
        return self.table.steepness()[0]

    @property
    def afar(self) -> Array:
        """How steep it is over the first of the `LONG_STEPS` beyond at which any row moves."""
        return self.table.steepness()[1]

    @property
    def movement(self) -> Array:
        """How steep forward is nearby; from farther away only if nothing at all moves there.

        What it does far away, as an exponential may, is no scale for what it does here.
        """
        if self.scale is not None:
            return self.scale
        nearby, afar = self.table.steepness()
        return nearby if np.count_nonzero(nearby) else afar

    @property
    def known_of_parts(self) -> Array:
        """How large what was found right is in each part, shape ``(s,)``.

        Where each output is a part, one that hardly moves may have been computed from its value, as
        ``1 - y²`` is.
        """
        largest = np.fmax(self.terms, np.abs(self.value))[self.right].max(axis=0, initial=0.0)
        own = 0.0 if self.table.upstreams is not None else np.abs(self.table.output)
        return np.asarray(np.fmax(largest, own))

    @property
    def idle(self) -> Mask:
        """Along which backward claims nothing at all, and no output moved at any step."""
        return np.asarray(self.seen & ~self.table.moved & (self.claim == 0).all(axis=1))

    @property
    def open(self) -> Mask:
        """Which rows were evaluated, and are neither settled nor suspects."""
        return self.seen & ~(self.right | self.small | self.suspect | self.wrong)

    def mask(self, chosen: Indices) -> Mask:
        """Return some rows as a mask of all, shape ``(r,)``."""
        mask = np.zeros(self.right.size, dtype=bool)
        mask[chosen] = True
        return mask

    def take_over(self, into: Indices, other: Rows, which: Indices, longer: Array | float = 1.0) -> None:
        """Put what is known of other rows in the place of some of these.

        Single entries are ``longer`` here by a factor; joint directions become what they are there.
        """
        joint = which[which >= other.directions.singles]
        if joint.size:
            there = [other.directions.joint[k - other.directions.singles] for k in joint.tolist()]
            self.directions = self.directions.with_joint(into[into >= self.directions.singles], there)
            self.elsewhere[into[into >= self.directions.singles]] = True
        for name in ("claim", "terms", "value", "error_bar"):
            getattr(self, name)[into] = getattr(other, name)[which] * longer
        for name in ("right", "small", "wrong", "imprecise", "further"):
            getattr(self, name)[into] = getattr(other, name)[which]
        self.kinks.take_over(into, other.kinks, which, longer)


def first_differences(
    problem: Problem, directions: Directions, claims: ClaimedAlong, known: Table | None = None
) -> Rows:
    """Take one difference along each direction; its error bar knows of rounding, not yet of truncation.

    What a table of the same directions ``known`` has already is not evaluated again.
    """
    step = usual_step(problem.eps)
    keep = not directions.joint and directions.count * problem.output.size <= KEPT
    if known is not None and claims.upstreams is not None and known.upstreams is claims.upstreams:
        table = known
    else:
        table = directions.table(problem, claims.upstreams, keep=keep)
        if known is not None:  # another contraction, of which that table has every output by itself
            table.evaluate = known.remembering(table.evaluate)
    if problem.noise_is_known and not table.noise_is_measured:
        table.know_noise(problem.noise, problem.stepped)
    table.take(np.arange(directions.count), step)
    claim, terms = claims.along(directions)
    value = table.central(step)
    error_bar = np.where(np.isfinite(value), table.rounding(step), np.inf)
    return Rows(
        directions=directions,
        claims=claims,
        claim=claim,
        terms=terms,
        value=value,
        error_bar=error_bar,
        table=table,
    )
