"""A direction in the entries of one stratum of a large input: a part of one in all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array

# How far the upper one of two strata moves that are joined. Steps down to 2⁻²⁶ are exact so;
# below, points are rounded, by less than 2⁻¹⁶ of the movement.
DAMPED = 2.0**-10


class StratumDirection(Mapping[int, Array]):
    """A direction in the entries of one stratum: of those in all entries, that part, made when it is needed.

    Parameters
    ----------
    position : int
        The input.
    direction, labels : Array
        A direction in all of its entries, and the stratum of each.
    stratum : int
        Which.
    joined : bool
        Whether the stratum above moves along, `DAMPED`.
    at_kink : bool
        Whether these are entries at a kink.
    """

    def __init__(
        self,
        position: int,
        direction: npt.NDArray[Any],
        labels: npt.NDArray[Any],
        stratum: int,
        *,
        joined: bool = False,
        at_kink: bool = False,
    ) -> None:
        self.position, self.direction, self.labels, self.stratum = position, direction, labels, stratum
        self.joined, self.at_kink = joined, at_kink
        self.is_part = joined or bool((labels != stratum).any())

    @property
    def moved(self) -> dict[int, float]:
        """Which strata move, and how far: as parts of the direction in all entries."""
        return {self.stratum: 1.0, self.stratum - 1: DAMPED} if self.joined else {self.stratum: 1.0}

    def along(self, direction: npt.NDArray[Any]) -> StratumDirection:
        """Return the same part of another direction."""
        return StratumDirection(
            self.position, direction, self.labels, self.stratum, joined=self.joined, at_kink=self.at_kink
        )

    def each(self) -> Iterator[tuple[int, float, StratumDirection]]:
        """Yield each stratum that moves, how far, and the direction in it alone that moves it all the way."""
        for stratum, part in self.moved.items():
            alone = StratumDirection(
                self.position, self.direction, self.labels, stratum, at_kink=self.at_kink
            )
            yield stratum, part, alone

    def __getitem__(self, position: int) -> Array:
        if position != self.position:
            raise KeyError(position)
        if not self.is_part:
            return self.direction
        part = self.direction * (self.labels == self.stratum)
        if self.joined:
            part += self.direction * (np.float32(DAMPED) * (self.labels == self.stratum - 1))
        return np.asarray(part)

    def __iter__(self) -> Iterator[int]:
        return iter((self.position,))

    def __len__(self) -> int:
        return 1
