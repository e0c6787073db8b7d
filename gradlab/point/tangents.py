"""Tangents of the inputs, seen as one flat vector: one entry for each entry that is differentiated."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradlab.numerics import Array
from gradlab.point.problem import Problem


def joined(problem: Problem, tangents: Mapping[int, Array]) -> Array:
    """Return the tangents of all differentiated inputs as one vector, zero where there is none."""
    parts = [tangents[i] if i in tangents else np.zeros(problem.value(i).shape) for i in problem.wrt]
    return np.concatenate([np.asarray(part, dtype=np.float64).reshape(-1) for part in parts])


def parted(problem: Problem, vector: Array) -> dict[int, Array]:
    """Return such a vector as tangents by position, in the inputs' shapes."""
    found, start = {}, 0
    for i in problem.wrt:
        x = problem.value(i)
        found[i] = vector[start : start + x.size].reshape(x.shape)
        start += x.size
    return found


def rounded(problem: Problem, vector: Array) -> Array:
    """Return such a vector as rounded as the inputs' dtypes have it; zero at entries that are constants."""
    parts = parted(problem, vector)
    if not problem.fixed and all(problem.arguments.value(i).dtype == np.float64 for i in parts):
        return vector.copy()
    for i, part in parts.items():
        exact = part.astype(problem.arguments.value(i).dtype)
        parts[i] = np.where(problem.fixed[i], 0, exact) if i in problem.fixed else exact
    return joined(problem, parts)
