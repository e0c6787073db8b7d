"""The upstream gradient, split where outputs of very different magnitude would drown each other.

One pair of forward calls serves all parts: only backward is called once for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array
from gradlab.numerics.differences import norm
from gradlab.point.problem import Problem, RuleRaised
from gradlab.point.returned import read_gradients

SPREAD = 1e6  # outputs further apart than this are not contracted together
MOST = 4  # parts
FEW = 0.01  # of the outputs; fewer join those of the next larger magnitude


@dataclass(frozen=True)
class Upstream:
    """An upstream gradient in parts.

    Attributes
    ----------
    problem : Problem
        Whose ``grad_output`` it is.
    labels : array of int, or None
        The part that each output belongs to; ``None`` for a single part.
    gradients : tuple of dict
        What backward returned for each part, by position.
    """

    problem: Problem
    labels: npt.NDArray[np.int8] | None
    gradients: tuple[dict[int, Array], ...]

    def contract(self, outputs: Array) -> Array:
        """Return ``⟨u_s, y⟩`` for each part ``s``: of ``(..., m)`` outputs, shape ``(..., s)``."""
        if self.labels is None:
            return np.asarray((outputs @ self.problem.grad_output)[..., np.newaxis])
        return self._sum(self.problem.grad_output * outputs)

    def spread(self, errors: Array) -> Array:
        """Return what independent errors of the outputs amount to in each part."""
        weighted = self.problem.grad_output * errors
        if self.labels is None:
            return np.array([norm(weighted)])
        return np.array([norm(weighted[self.labels == s]) for s in range(len(self.gradients))])

    def rounding(self, moving: npt.NDArray[np.bool_]) -> Array:
        """Return in each part the norm of ``u ∘ y`` over the outputs that move, their rounding over eps."""
        largest, squares = self._squares
        if self.labels is None:
            return np.asarray(largest * np.sqrt(moving @ squares)[..., np.newaxis])
        return np.asarray(largest * np.sqrt(self._sum(squares * moving)))

    def _sum(self, terms: Array) -> Array:
        """Return the sums over each part. No product with zeros: what is not finite stays in its part."""
        order, starts = self._order
        return np.add.reduceat(terms[..., order], starts, axis=-1)

    @cached_property
    def _order(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """The outputs sorted by part, and where each part begins."""
        labels = np.zeros(self.problem.form.size, np.int8) if self.labels is None else self.labels
        order = np.argsort(labels, kind="stable")
        return order, np.searchsorted(labels[order], np.arange(len(self.gradients)))

    @cached_property
    def _squares(self) -> tuple[Array, Array]:
        """The largest ``|u ∘ y|`` of each part, and the squares of all relative to it, without overflow."""
        size = np.abs(self.problem.grad_output * self.problem.output)
        if self.labels is None:
            largest = np.array([size.max(initial=0.0)])
            size /= largest[0] or 1.0
        else:
            largest = np.zeros(len(self.gradients))
            np.maximum.at(largest, self.labels, size)
            size /= np.where(largest > 0, largest, 1.0)[self.labels]
        return largest, np.square(size, out=size)

    def part(self, s: int) -> Array:
        """Return ``u_s``, zero outside its part."""
        u = self.problem.grad_output
        return u if self.labels is None else np.where(self.labels == s, u, 0.0)


def split_upstream(problem: Problem, gradients: dict[int, Array]) -> Upstream:
    """Split the upstream gradient by the magnitude of the outputs.

    Parameters
    ----------
    problem : Problem
        The point.
    gradients : dict of int to Array
        What backward returned for the whole upstream gradient.

    Returns
    -------
    Upstream
        In one part when the outputs are of similar magnitude, or when backward cannot be called again.
    """
    whole = Upstream(problem, None, (gradients,))
    size = np.abs(problem.grad_output * problem.output)
    present = size[size > 0]
    if not present.size or present.min() * SPREAD >= present.max():
        return whole
    with np.errstate(divide="ignore"):
        decades = np.log10(size / present.max()) / -np.log10(SPREAD)
    decades[size == 0] = 0.0  # no magnitude at all
    bins = np.clip(decades, 0, 120).astype(np.int8)
    filled = np.bincount(bins) >= FEW * bins.size  # a few small values of many are no magnitude of their own
    filled[0] = True
    labels = np.minimum(np.cumsum(filled)[bins] - 1, MOST - 1).astype(np.int8)
    if not labels.any():
        return whole
    parts = []
    try:
        for s in range(int(labels.max()) + 1):
            upstream = np.where(labels == s, problem.grad_output, 0.0)
            returned, _ = read_gradients(problem, problem.call_backward(upstream))
            if returned.keys() != gradients.keys():
                return whole
            parts.append(returned)
    except RuleRaised:
        return whole
    return Upstream(problem, labels, tuple(parts))
