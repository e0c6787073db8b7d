"""What backward says along directions, and what its answers may be off by.

The upstream gradient is split where outputs of very different magnitude would drown each other: one table of
differences serves all parts, and only backward is called once for each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gradlab.checks.criteria import NOTHING
from gradlab.checks.directions import ByInput, Directions
from gradlab.checks.kinks import CLOSE
from gradlab.numerics import Array, Mask
from gradlab.numerics.noise import SAFETY, scatter
from gradlab.numerics.step_sizes import usual_step
from gradlab.point.drawn import drawn_like
from gradlab.point.lines import noise_direction
from gradlab.point.problem import Problem
from gradlab.point.raised import RuleRaised
from gradlab.point.returned import read_gradients

SPREAD = 1e6  # outputs further apart than this are not contracted together
MOST = 4  # parts
LEAP = 1e-3  # of a slope: many kinks of little more hide together what one of the others is off by
LINES = 4  # along which entries at a kink are looked for
FEW = 0.01  # of the outputs; fewer join those of the next larger magnitude


@dataclass(frozen=True, eq=False)
class Claims:
    """The gradients that backward returned for an upstream gradient, whole or in parts.

    Attributes
    ----------
    problem : Problem
        Whose backward it is.
    upstreams : Array
        Shape ``(s, m)``: the parts of the upstream gradient.
    gradients : tuple of dict
        What backward returned for each part, by position, in float64.
    whole : Claims or None
        Those of which these leave some outputs out.
    """

    problem: Problem
    upstreams: Array
    gradients: tuple[dict[int, Array], ...]
    whole: Claims | None = None

    @property
    def changes(self) -> tuple[dict[int, Array], ...]:
        """What each entry that backward returned scatters by, at points so close that it should not."""
        return self._close_by[0]

    @cached_property
    def _close_by(self) -> tuple[tuple[dict[int, Array], ...], float]:
        """The same, and the largest entry of all at these points.

        The upstream gradient moves along, for rounding may depend on that alone.
        """
        problem, rng = self.problem, np.random.default_rng(0)
        line = noise_direction(problem, rng)
        drawn = drawn_like(problem.grad_output, rng)
        found, largest = [], 0.0
        for s, gradients in enumerate(self.gradients):
            sides: list[dict[int, list[Array]]] = []
            for places in problem.close_places:
                side = {i: [g.ravel()] for i, g in gradients.items()}
                for t in places:
                    answer = self._answer((1 + t * drawn) * self.upstreams[s], problem.moved(line, t))
                    for i, g in gradients.items():
                        side[i].append(answer.get(i, g).ravel())
                sides.append(side)
                every = [g for answers in side.values() for g in answers]
                largest = max(largest, *(np.abs(g).max(initial=0.0, where=np.isfinite(g)) for g in every))
            noise = {i: scatter([np.stack(side[i]) for side in sides]) for i in gradients}
            found.append({i: SAFETY * noise[i].reshape(g.shape) for i, g in gradients.items()})
        return tuple(found), float(largest)

    @cached_property
    def rounding(self) -> tuple[dict[int, Array], ...]:
        """The same where it is rounding: not at a kink, where the gradient leaps.

        A change that is larger than the square root of a rounding of the largest entry close by is a leap,
        unless there is nothing but rounding in the gradient, which then forward shows: use `changes` there.
        (At the point itself, beside a minimum, all entries may be small.) Where most entries leap, that is no
        kink: backward has lost its digits, and what it changes by is its fault.
        """
        changes, largest = self._close_by
        limit = np.sqrt(self.problem.given_eps) * largest
        return tuple(_without_leaps(part, limit) for part in changes)

    def leaping(self, i: int) -> Mask:
        """Return which entries of a gradient leap beside the point: those at a kink, if backward is right."""
        problem, reach = self.problem, self.problem.reach(i)
        step, rng = usual_step(problem.eps) * CLOSE, np.random.default_rng(0)
        # Of three equal numbers, the one in the middle is that on both sides of the point along one line.
        lines = [noise_direction(problem, rng) for _ in range(LINES)]
        leaps = np.zeros(reach.shape, dtype=bool)
        for upstream, gradients in zip(self.upstreams, self.gradients, strict=True):
            here = gradients[i]
            floor = np.sqrt(problem.given_eps) * np.max(np.abs(here) * reach, initial=0.0)
            for line, t in itertools.product(lines, (step, -step)):
                there = self._answer(upstream, problem.moved(line, t)).get(i, here)
                size, change = np.fmax(np.abs(here), np.abs(there)), np.abs(there - here)
                leaps |= (change > LEAP * size) & (change * reach > floor)
        return leaps

    def rounding_of(self, i: int, *, vanishes: bool) -> Array:
        """Return the rounding of one gradient, all parts together; ``vanishes``: it is nothing else."""
        return np.asarray(sum(part[i] for part in (self.changes if vanishes else self.rounding)))

    def rounding_of_answer(
        self, k: int, answer: Mapping[int, Array], argument: Array, vanishing: Set[int | None]
    ) -> Array:
        """Return the rounding of the gradient of input ``k``, at any argument."""
        return self.rounding_of(k, vanishes=k in vanishing)

    @property
    def positions(self) -> tuple[int, ...]:
        """The inputs for which there is a gradient."""
        return tuple(self.gradients[0])

    def along(self, directions: Directions) -> tuple[Array, Array]:
        """Return what backward says along each direction, and how large the terms of that are: ``(r, s)``."""
        claim, size = (np.array(both).T for both in zip(*map(directions.terms, self.gradients), strict=True))
        return claim, np.fmax(size, np.abs(claim))

    def errors_along(self, directions: Directions) -> tuple[Array, Array]:
        """Return what the claim along each direction scatters by, ``(r, s)``, and that without its leaps."""
        changes, rounding = (
            np.stack([directions.spread(g) for g in of], axis=1) for of in (self.changes, self.rounding)
        )
        return changes, rounding

    def in_float64_along(self, directions: Directions) -> Array:
        """Return what backward says in float64: ``(r, s)``."""
        return np.stack([directions.project(g) for g in self.in_float64], axis=1)

    def magnitudes(self, i: int) -> list[Array]:
        """Return by what the entries of a large input are sorted into strata: its gradient in each part."""
        return [gradients[i] for gradients in self.gradients]

    def largest(self, direction: ByInput, claim: Array) -> Array:
        """Return what the entry that matters most contributes to a claim along a direction: ``(s,)``."""
        terms = ([part[i] * d for i, d in direction.items()] for part in self.gradients)
        return np.array([max(float(np.abs(term).max()) for term in part) for part in terms])

    def about(self, i: int, mask: npt.NDArray[np.bool_]) -> str:
        """Say in words which entries a stratum holds."""
        size = np.abs(self.gradients[0][i][mask])
        count = f"the {mask.sum()} entries whose gradient"
        if not size.any():
            return f"{count} is 0"
        return f"{count} is between {size.min():.0e} and {size.max():.0e} in size"

    @cached_property
    def in_float64(self) -> tuple[dict[int, Array], ...]:
        """What backward returns when it is given everything in float64; NaN where it does not."""
        found = []
        for s, gradients in enumerate(self.gradients):
            try:
                returned, _ = read_gradients(
                    self.problem, self.problem.call_backward(self.upstreams[s], wide=True)
                )
            except RuleRaised:
                returned = {}
            found.append({i: returned.get(i, np.full_like(g, np.nan)) for i, g in gradients.items()})
        return tuple(found)

    def without(self, outputs: npt.NDArray[np.bool_]) -> Claims | None:
        """Return the claims for an upstream gradient without some outputs; ``None`` where there are none."""
        kept = np.where(outputs, 0.0, self.problem.grad_output)
        try:
            gradients, _ = read_gradients(self.problem, self.problem.call_backward(kept))
        except RuleRaised:
            return None
        if gradients.keys() != self.gradients[0].keys():
            return None
        return Claims(self.problem, kept[np.newaxis], (gradients,), whole=self)

    def left_out(self, i: int) -> Mask | None:
        """Return which entries of an input matter only to outputs that are left out; ``None`` if none are."""
        if self.whole is None:
            return None
        here, whole = (np.any([g[i] != 0 for g in some.gradients], axis=0) for some in (self, self.whole))
        return np.asarray(whole & ~here)

    def _answer(self, upstream: Array, displaced: dict[int, Array]) -> dict[int, Array]:
        try:
            returned = self.problem.call_backward(upstream, displaced=displaced)
        except RuleRaised:
            return {}
        return read_gradients(self.problem, returned)[0]


def _without_leaps(changes: dict[int, Array], limit: float) -> dict[int, Array]:
    leaps = np.concatenate([c.ravel() > limit for c in changes.values()])
    if 2 * leaps.sum() > leaps.size:
        return {i: np.zeros_like(c) for i, c in changes.items()}
    return {i: np.where(c <= limit, c, 0.0) for i, c in changes.items()}


def claims_of(problem: Problem, gradients: dict[int, Array]) -> Claims:
    """Split the upstream gradient by the magnitude of the outputs, and ask backward for each part.

    Parameters
    ----------
    problem : Problem
        The point.
    gradients : dict of int to Array
        What backward returned for the whole upstream gradient.

    Returns
    -------
    Claims
        In one part when the outputs are of similar magnitude, or when backward cannot be called again.
    """
    u = problem.grad_output
    whole = Claims(problem, u[np.newaxis], (gradients,))
    upstreams = upstreams_by_magnitude(problem)
    if len(upstreams) == 1:
        return whole
    parts = []
    try:
        for upstream in upstreams:
            returned, _ = read_gradients(problem, problem.call_backward(upstream))
            if returned.keys() != gradients.keys():
                return whole
            parts.append(returned)
    except RuleRaised:
        return whole
    return Claims(problem, upstreams, tuple(parts))


def upstreams_by_magnitude(problem: Problem) -> Array:
    """Return the parts of the upstream gradient, one for outputs of similar magnitude: shape ``(s, m)``."""
    u = problem.grad_output
    size = np.abs(u * problem.output)
    if problem.noise_floor is not None:
        size[np.abs(problem.output) <= problem.noise_floor] = 0.0  # no magnitude at all
    largest = float(size.max(initial=0.0))
    if not 0 < largest < math.inf or size.min() >= largest / SPREAD:
        return u[np.newaxis]
    if np.count_nonzero((size > 0) & (size < largest / SPREAD)) < FEW * size.size:
        return u[np.newaxis]  # no magnitude of their own
    with np.errstate(divide="ignore"):
        decades = np.log10(size / largest) / -np.log10(SPREAD)
    decades[size == 0] = 0.0
    bins = np.clip(decades, 0, 120).astype(np.int8)
    filled = np.bincount(bins) >= FEW * bins.size  # a few small values of many are no magnitude of their own
    filled[0] = True
    labels = np.minimum(np.cumsum(filled)[bins] - 1, MOST - 1)
    return np.stack([np.where(labels == s, u, 0.0) for s in range(int(labels.max()) + 1)])


def noise_floor(claims: Claims) -> dict[int, Array]:
    """Return below which size the gradients that backward returned may be nothing but rounding.

    An entry that moves the contracted output by less than its rounding has no influence that could be seen.
    What a large term absorbs on the way to its gradient is absorbed nearby, too: that rounding shows as no
    noise.
    """
    problem = claims.problem
    size = np.abs(claims.upstreams * problem.output).sum(axis=1)
    found = {}
    for i in claims.positions:  # with the parts of the output that an entry has a share in
        parts = zip(size, claims.gradients, strict=True)
        loss = np.sum([of_part * (gradients[i] != 0) for of_part, gradients in parts], axis=0)
        found[i] = NOTHING * problem.given_eps * loss / problem.scale(i)
    return found
