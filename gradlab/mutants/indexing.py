"""Indexing: what is read several times gets all contributions, added up.

::

    embedding    Y[b] = C[i_b]                  dC[v] = Σ_{b: i_b = v} dY[b]
    scatter_add  Y = B, then Y[i_b] += X[b]     dB = dY, dX[b] = dY[i_b]
    segment_mean Y[k] = mean of X[b], s_b = k   dX[b] = dY[s_b] / |{c: s_c = s_b}|
    cumsum       Y[t] = Σ_{s ≤ t} X[s]          dX[s] = Σ_{t ≥ s} dY[t]
    sort         Y = X[p]                       dX[p] = dY
"""

from __future__ import annotations

import numpy as np

from gradlab.mutants._points import Array, labels_with_duplicates, normal
from gradlab.mutants.model import Case, Defect
from gradlab.rules import embedding

ROWS, SEGMENTS = 5, 3


def looked_up(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw a table, and indices of which row 0 is read twice and others too."""
    index = labels_with_duplicates(rng, ROWS, 4, 2)
    index[0, 0] = index[1, 1] = index[-1, -1] = 0
    return rng.normal(size=(ROWS, 3)), index


def assigned(dy: Array, table: Array, index: Array) -> Array:
    """Assign."""
    d = np.zeros_like(table)
    d[index] = dy
    return d


def added_with_buffering(dy: Array, table: Array, index: Array) -> Array:
    """Add in a form that buffers."""
    d = np.zeros_like(table)
    d[index] += dy
    return d


def averaged(dy: Array, table: Array, index: Array) -> Array:
    """Divide by the number of occurrences."""
    counts = np.bincount(index.ravel(), minlength=len(table))
    return np.asarray(embedding.backward(dy, table, index) / np.maximum(counts, 1)[:, None])


def first_only(dy: Array, table: Array, index: Array) -> Array:
    """Keep the first contribution to each row."""
    d = np.zeros_like(table)
    rows, first = np.unique(index, return_index=True)
    d[rows] = dy.reshape(-1, dy.shape[-1])[first]
    return d


def padding_row_dropped(dy: Array, table: Array, index: Array) -> Array:
    """Leave row 0 without a gradient."""
    d = embedding.backward(dy, table, index)
    d[0] = 0
    return np.asarray(d)


EMBEDDING = Case(
    "embedding",
    embedding.forward,
    embedding.backward,
    looked_up,
    defects=(
        Defect(
            "assigned",
            assigned,
            kind="indexing",
            remakes="assigns instead of accumulating at duplicate indices",
            cause="last-write-wins",
        ),
        Defect(
            "added with +=",
            added_with_buffering,
            kind="indexing",
            remakes="d[index] += dy, which adds only once per index",
            cause="last-write-wins",
        ),
        Defect(
            "averaged",
            averaged,
            kind="indexing",
            remakes="gradients scaled by frequency without being asked to",
            cause="averaged-instead-of-summed",
        ),
        Defect(
            "first occurrence only",
            first_only,
            kind="indexing",
            remakes="duplicates removed before the gradients are written",
        ),
        Defect(
            "no gradient for row 0",
            padding_row_dropped,
            kind="mask",
            remakes="index 0 taken for padding where it is a word",
            cause="zero-where-it-should-not-be",
        ),
    ),
)


def scatter_add(base: Array, x: Array, index: Array) -> Array:
    """Return the base with each value added at its index."""
    y = base.copy()
    np.add.at(y, index, x)
    return y


def base_and_values(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Draw a base of five numbers, and four values of which two go to the same place."""
    return rng.normal(size=ROWS), rng.normal(size=4), np.array([3, 1, 3, 0])


def overwritten(dy: Array, base: Array, x: Array, index: Array) -> tuple[Array, Array]:
    """Give the base no gradient where something was added to it."""
    return np.asarray(np.where(np.isin(np.arange(len(base)), index), 0, dy)), dy[index]


def last_value_only(dy: Array, base: Array, x: Array, index: Array) -> tuple[Array, Array]:
    """Give only the last of several values at one place a gradient."""
    last = np.array([not np.isin(i, index[k + 1 :]) for k, i in enumerate(index)])
    return dy, dy[index] * last


SCATTER_ADD = Case(
    "scatter_add",
    scatter_add,
    lambda dy, base, x, index: (dy, dy[index]),
    base_and_values,
    defects=(
        Defect(
            "base overwritten",
            overwritten,
            kind="indexing",
            remakes="the gradient of scatter for that of scatter-add",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "last value only",
            last_value_only,
            kind="indexing",
            remakes="duplicates handled as if the last write won",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "shared among duplicates",
            lambda dy, base, x, index: (dy, dy[index] / np.bincount(index)[index]),
            kind="indexing",
            remakes="the gradient divided by how many values were added",
        ),
        Defect(
            "not indexed",
            lambda dy, base, x, index: (dy, dy[: len(x)]),
            kind="indexing",
            remakes="the index forgotten on the way back",
        ),
    ),
)


def segment_mean(x: Array, segment: Array) -> Array:
    """Return the mean of each segment's entries."""
    return np.asarray(
        np.bincount(segment, weights=x, minlength=SEGMENTS) / np.bincount(segment, minlength=SEGMENTS)
    )


SEGMENT_MEAN = Case(
    "segment_mean",
    segment_mean,
    lambda dy, x, segment: (dy / np.bincount(segment))[segment],
    lambda rng: (rng.normal(size=7), np.array([2, 0, 1, 0, 2, 2, 0])),
    defects=(
        Defect(
            "not divided",
            lambda dy, x, segment: dy[segment],
            kind="reduction",
            remakes="the gradient of the segment sum for that of the segment mean",
            cause="summed-instead-of-averaged",
        ),
        Defect(
            "divided by all",
            lambda dy, x, segment: dy[segment] / len(x),
            kind="reduction",
            remakes="divided by the batch instead of the segment",
        ),
        Defect(
            "segments taken for sorted",
            lambda dy, x, segment: (dy / np.bincount(segment))[np.sort(segment)],
            kind="indexing",
            remakes="repeat(dy, counts), which is right for sorted segments only",
            cause="permuted",
        ),
        Defect(
            "segment 0 dropped",
            lambda dy, x, segment: (dy / np.bincount(segment))[segment] * (segment > 0),
            kind="mask",
            remakes="segment 0 taken for padding",
            cause="zero-where-it-should-not-be",
        ),
    ),
)

CUMSUM = Case(
    "cumsum",
    np.cumsum,
    lambda dy, x: np.cumsum(dy[::-1])[::-1],
    normal((6,)),
    defects=(
        Defect(
            "forwards",
            lambda dy, x: np.cumsum(dy),
            kind="layout",
            remakes="the Jacobian in place of its transpose",
        ),
        Defect(
            "not reversed back",
            lambda dy, x: np.cumsum(dy[::-1]),
            kind="layout",
            remakes="one of two reversals forgotten",
            cause="permuted",
        ),
        Defect(
            "itself excluded",
            lambda dy, x: np.cumsum(dy[::-1])[::-1] - dy,
            kind="arithmetic",
            remakes="exclusive where inclusive is meant",
            cause="missing-term",
        ),
        Defect(
            "passed straight through",
            lambda dy, x: dy,
            kind="arithmetic",
            remakes="only the direct contribution counted",
            cause="diagonal-only",
        ),
    ),
)


def rolled(rng: np.random.Generator) -> tuple[Array]:
    """Draw seven numbers that sorting moves by the same distance: a permutation unlike its inverse."""
    return (np.roll(np.sort(rng.normal(size=7)), rng.integers(1, 7)),)


def unsorted(dy: Array, x: Array) -> Array:
    """Return each gradient to where its entry came from."""
    dx = np.empty_like(dy)
    dx[np.argsort(x)] = dy
    return dx


SORT = Case(
    "sort",
    np.sort,
    unsorted,
    rolled,
    defects=(
        Defect(
            "permuted once more",
            lambda dy, x: dy[np.argsort(x)],
            kind="layout",
            remakes="the permutation in place of its inverse, unseen when it swaps pairs",
            cause="permuted",
        ),
        Defect(
            "left sorted",
            lambda dy, x: dy,
            kind="layout",
            remakes="the order of the output kept",
            cause="permuted",
        ),
        Defect(
            "gradient sorted",
            lambda dy, x: np.sort(dy),
            kind="upstream",
            remakes="the forward function applied to the gradient",
            cause="nonlinear-in-upstream",
        ),
    ),
)

CASES = (EMBEDDING, SCATTER_ADD, SEGMENT_MEAN, CUMSUM, SORT)
