"""Which entries are moved for a picture of one input, and where they stand in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gradlab.checks.directions import Directions, along_projections, movable
from gradlab.numerics import Indices
from gradlab.numerics.scales import random_direction
from gradlab.point.problem import Problem

ENTRIES = 1000  # of an input, up to which each is a cell of its own
SIDE = 16  # blocks along each side of a larger one
HELD = 4_000_000  # entries of directions that are in memory at the same time
WRAPPED = 32  # cells of a line of a vector


@dataclass(frozen=True, eq=False)
class Grid:
    """The probes of one picture; what is not said here is as in `gradlab.pictures.Comparison`.

    Attributes
    ----------
    count : int
        How many probes there are.
    some : callable
        ``some(which)`` returns the directions of some of them, in ascending order.
    index : array of int, shape (count,)
        The flat indices of the entries; empty for blocks.
    at_once : int
        How many directions are in memory at the same time.
    """

    count: int
    some: Callable[[Indices], Directions]
    index: Indices
    at_once: int
    labels: tuple[str, ...]
    cells: Indices
    row_labels: tuple[str, ...]
    blocks: bool

    def parts(self) -> Iterator[Directions]:
        """Yield all directions, some at a time: each block of a large input is an array as large as that."""
        for start in range(0, self.count, self.at_once):
            yield self.some(np.arange(start, min(start + self.at_once, self.count)))


def grid_of(problem: Problem, i: int, *, side: int = SIDE) -> Grid:
    """Return a probe for each entry of a small input, for each of ``side²`` blocks of a larger one."""
    if i in problem.constraints.projections:
        return _tangents(problem, i)
    if problem.value(i).size <= ENTRIES:
        return _entries(problem, i)
    return _blocks(problem, i, side)


def _entries(problem: Problem, i: int) -> Grid:
    shape = problem.value(i).shape
    moved = movable(problem, i)
    probe = np.full(math.prod(shape), -1, dtype=np.intp)
    probe[moved] = np.arange(moved.size)
    labels = tuple(_label(problem, i, int(k)) for k in moved)
    rows, columns = _matrix(shape)
    if rows == 1 and columns > WRAPPED:
        cells, heads = _wrapped(probe, [f"[{k}]" for k in range(columns)])
    else:
        leading = shape[:-1]
        cells = probe.reshape(rows, columns)
        heads = tuple(_index(np.unravel_index(r, leading)) if leading else "" for r in range(rows))
    entries = Directions.of(problem, {i: moved})
    return Grid(moved.size, entries.some, moved, ENTRIES, labels, cells, heads, blocks=False)


def _blocks(problem: Problem, i: int, side: int) -> Grid:
    """Move blocks of a matrix, or of an array whose leading axes are taken as one; parts of a vector."""
    x = problem.value(i)
    rows, columns = _matrix(x.shape)
    down, across = (1, side * side) if rows == 1 else (min(rows, side), min(columns, side))
    edges = [np.linspace(0, n, parts + 1).astype(int) for n, parts in ((rows, down), (columns, across))]
    rng = np.random.default_rng(0)
    whole = problem.direction(i, random_direction(x, rng, problem.reach(i))).reshape(rows, columns)
    places, labels = [], []
    name = problem.names[i]
    for r in range(down):
        for c in range(across):
            places.append(np.s_[edges[0][r] : edges[0][r + 1], edges[1][c] : edges[1][c + 1]])
            span = [f"{s.start}:{s.stop}" for s in places[-1]]
            at = span[1] if x.ndim == 1 else ", ".join(span)
            labels.append(f"{name}[{at}]" if x.ndim <= 2 else f"{name}.reshape({rows}, {columns})[{at}]")

    def some(which: Indices) -> Directions:
        joint = []
        for k in which.tolist():
            d = np.zeros((rows, columns))
            d[places[k]] = whole[places[k]]
            joint.append({i: d.reshape(x.shape)})
        return Directions.of(problem, {}, joint)

    probe = np.arange(down * across)
    if down == 1:
        cells, heads = _wrapped(probe, [f"[{edge}:]" for edge in edges[1][:-1]])
    else:
        cells, heads = probe.reshape(down, across), tuple(f"[{edge}:]" for edge in edges[0][:-1])
    at_once = max(1, HELD // x.size)
    nothing = np.empty(0, dtype=np.intp)
    return Grid(probe.size, some, nothing, at_once, tuple(labels), cells, heads, blocks=True)


def _tangents(problem: Problem, i: int) -> Grid:
    """Move an input along its tangents, the directions in which it may."""
    joint = list(along_projections(problem, i, most=ENTRIES))
    name = problem.names[i]
    labels = tuple(f"{name} along tangent {k}" for k in range(len(joint)))
    cells, heads = _wrapped(np.arange(len(joint)), [f"tangent {k}" for k in range(len(joint))])
    directions, nothing = Directions.of(problem, {}, joint), np.empty(0, dtype=np.intp)
    return Grid(len(joint), directions.some, nothing, ENTRIES, labels, cells, heads, blocks=True)


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return a shape as rows and columns: leading axes are rows, taken as one."""
    return (math.prod(shape[:-1]), shape[-1]) if shape else (1, 1)


def _wrapped(probe: Indices, heads: list[str]) -> tuple[Indices, tuple[str, ...]]:
    """Lay a long vector out in lines."""
    lines = max(1, math.ceil(probe.size / WRAPPED))
    width = min(WRAPPED, probe.size)
    cells = np.full(lines * width, -1, dtype=np.intp)
    cells[: probe.size] = probe
    return cells.reshape(lines, width), tuple(heads[::WRAPPED])


def _label(problem: Problem, i: int, flat: int) -> str:
    index = np.unravel_index(flat, problem.value(i).shape)
    return problem.arguments.label(i, tuple(int(k) for k in index))


def _index(index: tuple[np.intp, ...]) -> str:
    return f"[{', '.join(str(int(k)) for k in index)}]"
