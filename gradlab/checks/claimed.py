"""What backward claims, and what jvp claims, seen alike: numbers along directions, and how far these are off.

`Claims` are those of backward, `TangentClaims` those of jvp, `JacobianClaims` those of a matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Protocol

from gradlab.checks.directions import ByInput, Directions
from gradlab.numerics import Array, Mask
from gradlab.point.problem import Problem


class ClaimedAlong(Protocol):
    """What a derivative claims along directions, as the judge takes it, beside a table of differences."""

    @property
    def problem(self) -> Problem:
        """The point."""

    @property
    def upstreams(self) -> Array | None:
        """Shape ``(s, m)``: what the outputs are contracted with; ``None`` for each output by itself."""

    def along(self, directions: Directions) -> tuple[Array, Array]:
        """Return what is claimed along each direction, and how large the terms of that are: ``(r, s)``."""

    def errors_along(self, directions: Directions) -> tuple[Array, Array]:
        """Return what the claim along each direction scatters by, ``(r, s)``, and that without its leaps."""

    def in_float64_along(self, directions: Directions) -> Array:
        """Return what is claimed in float64: ``(r, s)``; NaN where that cannot be asked."""


class Claimed(ClaimedAlong, Protocol):
    """The same, of what is asked for all of its answers, and in large inputs for strata of entries."""

    @property
    def positions(self) -> tuple[int, ...]:
        """The inputs of which something is claimed."""

    def rounding_of_answer(
        self, k: int, answer: Mapping[int, Array], argument: Array, vanishing: Set[int | None]
    ) -> Array:
        """Return what a few roundings of the inputs change of the ``k``-th part of an answer to an argument.

        Of inputs that are ``vanishing``, nothing but rounding was seen.
        """

    def without(self, outputs: Mask) -> Claimed | None:
        """Return the claims without some outputs; ``None`` where there are none."""

    def magnitudes(self, i: int) -> list[Array]:
        """Return by what the entries of a large input are sorted into strata."""

    def largest(self, direction: ByInput, claim: Array) -> Array:
        """Return what the entry that matters most contributes to a claim along a direction: ``(s,)``."""

    def about(self, i: int, mask: Mask) -> str:
        """Say in words which entries a stratum holds."""
