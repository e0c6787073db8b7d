"""What jvp says along directions, and what its answers may be off by.

Along a direction ``d`` in the inputs, jvp claims the slope of every output at once: ``J d``, which is what
the table of differences shows. Where the table has room for it, each output is compared by itself; of many
outputs, contractions with the parts of an upstream gradient are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.checks.claims import Claims, upstreams_by_magnitude
from gradlab.checks.directions import ByInput, Directions
from gradlab.checks.rows import KEPT
from gradlab.errors import UsageError
from gradlab.numerics import Array
from gradlab.numerics.noise import SAFETY, scatter
from gradlab.numerics.scales import norm
from gradlab.point.drawn import drawn_like
from gradlab.point.lines import noise_direction
from gradlab.point.outputs import flatten
from gradlab.point.problem import Problem
from gradlab.point.raised import RuleRaised
from gradlab.point.returned import flat_tangent
from gradlab.point.tangents import parted


@dataclass(frozen=True, eq=False)
class TangentClaims:
    """The tangents of the outputs that jvp gives along directions.

    Attributes
    ----------
    problem : Problem
        Whose jvp it is.
    upstreams : Array or None
        Shape ``(s, m)``: with what the outputs are contracted; ``None`` for each by itself, with ``s = m``.
    positions : tuple of int
        The inputs along which it is asked.
    beside : Claims or None
        What backward claims at the same point, where there is one.
    """

    problem: Problem
    upstreams: Array | None
    positions: tuple[int, ...]
    beside: Claims | None = None

    @property
    def parts(self) -> int:
        """How many numbers a claim along one direction is."""
        return self.problem.output.size if self.upstreams is None else len(self.upstreams)

    @property
    def by_output(self) -> bool:
        """Whether every output is compared by itself."""
        return self.upstreams is None

    def where_there_is_room(self, rows: int) -> TangentClaims:
        """Return the same along so many directions: contracted, if every output by itself is too much."""
        if 0 < rows * self.problem.output.size <= KEPT:
            return self
        upstreams = upstreams_by_magnitude(self.problem) if self.beside is None else self.beside.upstreams
        return replace(self, upstreams=upstreams)

    def along(self, directions: Directions) -> tuple[Array, Array]:
        """Return what jvp says along each direction, and how large the terms of that are: ``(r, s)``."""
        if self.upstreams is None:
            claim = self._rows(list(self._ask(directions)))
            return claim, np.abs(claim)
        tangents = [self._contract(t) for t in self._ask(directions)]
        claim, size = (self._rows([t[k] for t in tangents]) for k in (0, 1))
        return claim, np.fmax(size, np.abs(claim))

    def errors_along(self, directions: Directions) -> tuple[Array, Array]:
        """Return what each claim scatters by, at points so close that it should not: ``(r, s)``.

        The second is the same where it is rounding: not at a kink, where the tangent leaps.
        """
        changes, rounding = [], []
        for noise, tangent in self._scatter(directions):
            changes.append(self._contract(noise)[1])
            rounding.append(self._contract(self._not_a_leap(noise, tangent))[1])
        return self._rows(changes), self._rows(rounding)

    def in_float64_along(self, directions: Directions) -> Array:
        """Return what jvp says when it is given everything in float64: ``(r, s)``."""
        how: dict[str, Any] = {"wide": True}
        try:
            if self.problem.cached:
                how["cache"] = (self.problem.call_forward(wide=True)[2],)
            return self._rows([self._contract(t)[0] for t in self._ask(directions, **how)])
        except (RuleRaised, UsageError):
            return np.full((directions.count, self.parts), np.nan)

    def of_output(self, tangent: Array, direction: ByInput, *, vanishes: bool) -> Array:
        """Return the rounding of a tangent of all outputs, along a direction: ``(m,)``."""
        directions = Directions.of(self.problem, {}, [direction])
        ((noise, _),) = self._scatter(directions)
        return noise if vanishes else self._not_a_leap(noise, tangent)

    def rounding_of_answer(
        self, k: int, answer: Mapping[int, Array], argument: Array, vanishing: Set[int | None]
    ) -> Array:
        """Return the rounding of the tangent of output ``k``, along an argument."""
        problem = self.problem
        tangent = flatten([answer[o] for o in range(len(answer))])
        vanishes = vanishing >= set(problem.wrt)
        return problem.form.parted(self.of_output(tangent, parted(problem, argument), vanishes=vanishes))[k]

    def without(self, outputs: npt.NDArray[np.bool_]) -> TangentClaims | None:
        """Return the claims of a contraction that leaves out some outputs; ``None`` of single outputs."""
        if self.upstreams is None:
            return None
        kept = np.where(outputs, 0.0, self.problem.grad_output)
        return replace(self, upstreams=kept[np.newaxis])

    def magnitudes(self, i: int) -> list[Array]:
        """Return by what entries of a large input are sorted into strata: backward's gradient, or none."""
        return (
            self.beside.magnitudes(i) if self.beside is not None else [np.ones(self.problem.value(i).shape)]
        )

    def largest(self, direction: ByInput, claim: Array) -> Array:
        """Return what matters most of a claim along a direction: of jvp, only the sum is known."""
        return np.abs(claim)

    def about(self, i: int, mask: npt.NDArray[np.bool_]) -> str:
        """Say in words which entries a stratum holds."""
        if self.beside is not None:
            return self.beside.about(i, mask)
        size = self.problem.scale(i)[mask]
        return f"the {mask.sum()} entries of size {size.min():.0e} to {size.max():.0e}"

    def _not_a_leap(self, noise: Array, tangent: Array) -> Array:
        limit = np.sqrt(self.problem.given_eps) * np.abs(tangent).max(initial=0.0)
        return np.where(noise <= limit, noise, 0.0)

    def _rows(self, parts: list[Array]) -> Array:
        return np.stack(parts) if parts else np.empty((0, self.parts))

    def _contract(self, tangent: Array) -> tuple[Array, Array]:
        """Return a tangent of all outputs, or its contractions, and the sizes of what these are sums of."""
        if self.upstreams is None:
            return tangent, np.abs(tangent)
        return self.upstreams @ tangent, np.array([norm(u * tangent) for u in self.upstreams])

    def _ask(self, directions: Directions, t: float = 0.0, **how: Any) -> Iterator[Array]:
        """Yield the tangent of all outputs along each direction, shape ``(m,)``; NaN where there is none.

        At a distance of ``t`` along the line on which noise is looked for, tangents are others, too.
        """
        # A single entry moves by 1, which no dtype rounds; its length is put in afterwards.
        for length, returned in zip(
            directions.divisors.tolist(), self._returned(directions, t, how), strict=True
        ):
            yield flat_tangent(self.problem, returned) * length

    def _returned(self, directions: Directions, t: float, how: Mapping[str, Any]) -> Iterator[Any]:
        """Yield what jvp returns along each direction."""
        first = 0
        if not t and not how:
            yield from self.problem.push_entries(directions.position, directions.entries)
            first = directions.singles
        for k in range(first, directions.count):
            tangent = _moved_by_one(self.problem, directions, k)
            if t:
                tangent = {i: (1 + t * self._drawn[i]) * d for i, d in tangent.items()}
            yield self.problem.call_jvp(tangent, **how)

    def _scatter(self, directions: Directions) -> Iterator[tuple[Array, Array]]:
        """Yield for each direction what each output's tangent scatters by, and the tangent."""
        here = list(self._ask(directions))
        sides = []
        for points in self._nearby:
            rows = [[tangent] for tangent in here]
            for how in points:
                try:
                    there = list(self._ask(directions, **how))
                except RuleRaised:
                    there = here  # it has no value there
                for row, tangent in zip(rows, there, strict=True):
                    row.append(tangent)
            sides.append(rows)
        for k, tangent in enumerate(here):
            yield SAFETY * scatter([np.stack(rows[k]) for rows in sides]), tangent

    @cached_property
    def _drawn(self) -> dict[int, Array]:
        """How tangents are stretched along the line on which noise is looked for."""
        rng = np.random.default_rng(1)
        return {i: drawn_like(self.problem.value(i), rng) for i in self.problem.wrt}

    @cached_property
    def _nearby(self) -> tuple[list[dict[str, Any]], ...]:
        """How to call jvp at very close points of two sides: with the inputs there, and forward's cache."""
        problem = self.problem
        line = noise_direction(problem, np.random.default_rng(0))
        sides = []
        for side in problem.close_places:
            points: list[dict[str, Any]] = []
            for t in side:
                displaced = problem.moved(line, t)
                points.append({"t": t, "displaced": displaced})
                if problem.cached:
                    try:
                        points[-1]["cache"] = (problem.call_forward(dict(displaced))[2],)
                    except (RuleRaised, UsageError):
                        points.pop()  # it has no value there, or may not be called again
            sides.append(points)
        return tuple(sides)


def _moved_by_one(problem: Problem, directions: Directions, k: int) -> ByInput:
    if k >= directions.singles:
        return directions.joint[k - directions.singles]
    position = int(directions.position[k])
    tangent = np.zeros(problem.value(position).shape)
    tangent.flat[directions.entries[k]] = 1.0
    return {position: tangent}
