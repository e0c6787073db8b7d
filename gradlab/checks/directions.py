"""Directions in the inputs along which forward and backward are compared: single entries, and joint ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gradlab.numerics import Array
from gradlab.numerics.differences import Sample, exact_displacement, norm, random_direction
from gradlab.numerics.jacobian import entry_sample
from gradlab.point.problem import Problem


class Direction(Protocol):
    """A direction ``d`` in the inputs of a problem."""

    def sample(self, problem: Problem) -> Sample:
        """Return ``h -> (f(x + hd), f(x − hd), width)``."""
        ...

    def project(self, gradients: Mapping[int, Array]) -> float:
        """Return ``⟨g, d⟩``, in units of the sample's width."""
        ...

    def contributions(self, gradients: Mapping[int, Array]) -> list[Array]:
        """Return the terms of which `project` is the sum, an array for each input."""
        ...

    def joint(self, problem: Problem) -> tuple[Joint, float]:
        """Return the same direction as arrays of the inputs' shapes, and its length in units of the claim."""
        ...

    def closer(self, problem: Problem) -> Direction | None:
        """Return the same with every entry on the scale of its own magnitude, where it is not yet."""
        ...

    def moves_zeros(self, problem: Problem) -> bool:
        """Whether it moves entries that are zero, which have no magnitude of their own to be moved by."""
        ...

    def spread(self, errors: Mapping[int, Array]) -> float:
        """Return what independent errors of the gradients' entries amount to along ``d``."""
        ...


@dataclass(frozen=True)
class SingleEntry:
    """One entry of one input, moved on its own scale; the displacement is measured as it was taken."""

    position: int
    index: int
    scale: float

    def sample(self, problem: Problem) -> Sample:
        """Return ``h -> (f(x + he), f(x − he), width)``."""
        position = self.position
        return entry_sample(
            lambda moved: problem.evaluate({position: moved}), problem.value(position), self.index, self.scale
        )

    def project(self, gradients: Mapping[int, Array]) -> float:
        """Return the entry of the gradient."""
        return float(gradients[self.position].flat[self.index])

    def contributions(self, gradients: Mapping[int, Array]) -> list[Array]:
        """Return the one entry of the gradient."""
        return [np.array([self.project(gradients)])]

    def joint(self, problem: Problem) -> tuple[Joint, float]:
        """Return the direction that is zero but for the entry, and its length in the entry."""
        direction = np.zeros(problem.value(self.position).shape)
        direction.flat[self.index] = self.scale
        return Joint({self.position: direction}), self.scale

    def closer(self, problem: Problem) -> SingleEntry | None:
        """Return the same entry on the scale of its own magnitude, if that is smaller and not zero."""
        x = problem.value(self.position).ravel()[[self.index]]
        own = float(exact_displacement(x, np.abs(x))[0])
        return SingleEntry(self.position, self.index, own) if 0 < own < self.scale else None

    def moves_zeros(self, problem: Problem) -> bool:
        """Whether the entry is zero."""
        return bool(problem.value(self.position).flat[self.index] == 0)

    def spread(self, errors: Mapping[int, Array]) -> float:
        """Return the error of that entry."""
        return float(errors[self.position].flat[self.index])


@dataclass(frozen=True, eq=False)
class Joint:
    """Many entries at once, of one input or of several."""

    parts: Mapping[int, Array]

    def sample(self, problem: Problem) -> Sample:
        """Return ``h -> (f(x + hd), f(x − hd), 2h)``."""
        return problem.line(self.parts)

    def project(self, gradients: Mapping[int, Array]) -> float:
        """Return ``Σ g ∘ d``."""
        return float(sum(np.vdot(gradients[i], d) for i, d in self.parts.items()))

    def contributions(self, gradients: Mapping[int, Array]) -> list[Array]:
        """Return ``g ∘ d``."""
        return [gradients[i] * d for i, d in self.parts.items()]

    def joint(self, problem: Problem) -> tuple[Joint, float]:
        """Return the direction itself, which is its own unit."""
        return self, 1.0

    def closer(self, problem: Problem) -> Joint | None:
        """Return the same direction, no entry moved by more than its own magnitude."""
        parts = {}
        for i, d in self.parts.items():
            x = problem.value(i)
            parts[i] = exact_displacement(x, np.clip(d, -np.abs(x), np.abs(x)))
        smaller = any((np.abs(parts[i]) < np.abs(d)).any() for i, d in self.parts.items())
        return Joint(parts) if smaller and any(d.any() for d in parts.values()) else None

    def moves_zeros(self, problem: Problem) -> bool:
        """Whether some of the entries are zero."""
        return any(bool((problem.value(i)[d != 0] == 0).any()) for i, d in self.parts.items())

    def spread(self, errors: Mapping[int, Array]) -> float:
        """Return the norm of the errors times ``d``."""
        return norm(*(errors[i] * d for i, d in self.parts.items()))


def random_joint(problem: Problem, positions: Mapping[int, object], rng: np.random.Generator) -> Joint:
    """Draw a direction in which every entry of some inputs moves."""
    return Joint({i: random_direction(problem.value(i), rng) for i in positions})
