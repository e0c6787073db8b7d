"""Points beside the point of a problem, written down: to be evaluated here, in a batch, or somewhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array, Indices
from gradlab.point.arguments import Displaced

KEY = 16  # bytes: among 10⁹ points, two have the same key with a probability of 10⁻²¹


@dataclass(frozen=True, eq=False)
class EntryMoves:
    """Points at each of which one entry of one input has another value.

    Attributes
    ----------
    position, entries : Indices
        Shape ``(k,)``: which input, and which of its entries, as a flat index; those of an input stand
        together.
    values : array, shape (k,)
        Its value there, which the dtype of the input can hold.
    base : mapping of int to array
        The inputs that differ from the problem's own at all of these points.
    """

    position: Indices
    entries: Indices
    values: npt.NDArray[Any]
    base: Displaced = field(default_factory=dict)

    def __len__(self) -> int:
        return self.entries.size

    def some(self, which: Indices) -> EntryMoves:
        """Return some of the points."""
        return EntryMoves(self.position[which], self.entries[which], self.values[which], self.base)

    def keys(self) -> list[bytes]:
        """Return what tells each point from all others beside the same point."""
        start = blake2b(_told(self.base), digest_size=KEY)
        keys = []
        for move in zip(self.position, self.entries, self.values, strict=True):
            key = start.copy()
            key.update(b"".join(number.tobytes() for number in move))
            keys.append(key.digest())
        return keys


@dataclass(frozen=True, eq=False)
class InputMoves:
    """Points at which whole inputs have other values.

    Attributes
    ----------
    points : tuple of mappings of int to array
        At each point, the inputs that differ from the problem's own.
    """

    points: tuple[Displaced, ...]

    def __len__(self) -> int:
        return len(self.points)

    def some(self, which: Indices) -> InputMoves:
        """Return some of the points."""
        return InputMoves(tuple(self.points[k] for k in which.tolist()))

    def keys(self) -> list[bytes]:
        """Return what tells each point from all others beside the same point."""
        return [blake2b(_told(point), digest_size=KEY).digest() for point in self.points]


Moves: TypeAlias = EntryMoves | InputMoves


@dataclass(frozen=True, eq=False)
class Outputs:
    """What ``forward`` returns at some of the points of `Moves`.

    Attributes
    ----------
    which : Indices
        Shape ``(k,)``: which of the points.
    values : Array
        Shape ``(k, m)``: all outputs as one vector; NaN where ``forward`` has no value.
    obstacles : mapping of int to str
        Why it has none, by the row of ``values``.
    read : int
        How many of the points were read from a file, which took no time.
    """

    which: Indices
    values: Array
    obstacles: Mapping[int, str]
    read: int = 0


def runs(position: Indices) -> Iterator[tuple[int, slice]]:
    """Yield each input, and where its entries stand among those of all.

    >>> list(runs(np.array([0, 0, 3])))
    [(0, slice(0, 2, None)), (3, slice(2, 3, None))]
    """
    if position.size and position[0] == position[-1]:  # most often there is one
        yield int(position[0]), slice(0, position.size)
    elif position.size:
        ends = [*((position[1:] != position[:-1]).nonzero()[0] + 1).tolist(), position.size]
        for start, end in pairwise([0, *ends]):
            yield int(position[start]), slice(start, end)


def chunks(count: int, size: int) -> Iterator[Indices]:
    """Yield the numbers up to a count, some at a time.

    >>> [chunk.tolist() for chunk in chunks(5, 2)]
    [[0, 1], [2, 3], [4]]
    """
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def _told(displaced: Displaced) -> bytes:
    """Return a digest of new values of some inputs."""
    told = blake2b(digest_size=KEY)
    for i in sorted(displaced):
        x = displaced[i]
        told.update(f"{i} {x.dtype.str} {x.shape} ".encode())
        told.update(np.ascontiguousarray(x).tobytes())
    return told.digest()
