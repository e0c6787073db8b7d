"""The two linear maps that can be claimed at a point, seen alike: what the contract asks of either.

::

    backward    u ↦ Jᵀ u      of the upstream gradient, to one gradient for each input
    jvp         v ↦ J v       of the tangents of the inputs, to one tangent for each output
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab.numerics import Array
from gradlab.numerics.scales import random_direction
from gradlab.point.derivatives import ARGUMENTS
from gradlab.point.problem import Problem
from gradlab.point.returned import imaginary_parts, read_gradients, read_tangents
from gradlab.point.tangents import joined, parted, rounded
from gradlab.report import Finding

Answer = dict[int, Array]  # gradients by the position of their input, or tangents by that of their output
LARGE = 10_000  # numbers: less is made sooner than shared
CONSTANT = 1.5  # every entry of another argument, on the scale of the first


@dataclass(frozen=True, eq=False)
class LinearMap:
    """One of the maps, with what tells it from the other.

    Attributes
    ----------
    problem : Problem
        The point.
    role : str
        ``backward`` or ``jvp``.
    vector : Array
        Shape ``(k,)``: the argument of the first call, flat.
    uniform : Array
        Another, whose entries are one number throughout an array, zero where ``vector`` is.
    call : callable
        ``call(vector, **how)`` calls the function, as `Problem.call_backward`, and returns what it returns.
    read : callable
        Reads that: what can be compared, and what is wrong with the rest.
    rounded : callable
        Returns a vector as rounded as the function sees it.
    what : callable
        Names an answer: ``gradient of x``.
    input : callable
        Returns the input that findings about an answer name, or ``None``.
    label : callable
        Names one entry of an answer, by its flat index there.
    to_influence : callable
        Returns for the entries of an answer what they have to be multiplied by to be an influence.
    """

    problem: Problem
    role: str
    vector: Array
    uniform: Array
    call: Callable[..., Any]
    read: Callable[[Any], tuple[Answer, list[Finding]]]
    rounded: Callable[[Array], Array]
    what: Callable[[int], str]
    input: Callable[[int], str | None]
    label: Callable[[int, int], str]
    to_influence: Callable[[int], Array | float]

    @property
    def argument(self) -> str:
        """The name of what it is linear in: ``grad_output`` or ``tangents``."""
        return ARGUMENTS[self.role]

    @property
    def word(self) -> str:
        """What that is called in kinds of findings, such as ``ignores-upstream``."""
        return {"backward": "upstream", "jvp": "tangents"}[self.role]

    def ask(self, vector: Array, *, finite: bool = True, **how: Any) -> Answer:
        """Return what the function makes of an argument, where it can be compared, and is ``finite``."""
        answer, findings = self.read(self.call(vector, **how))
        if not (finite and findings):
            return answer  # of what is not finite there is a finding
        return {k: a for k, a in answer.items() if np.isfinite(a).all()}


@dataclass(frozen=True, eq=False)
class FirstAnswer:
    """What one of the maps returned when it was first called.

    Attributes
    ----------
    linear : LinearMap
        Which.
    answer : dict of int to Array
        What can be compared.
    findings : tuple of Finding
        What is wrong with the rest.
    imaginary : dict of int to Array
        The imaginary parts of gradients of real inputs, where backward returned any.
    """

    linear: LinearMap
    answer: Answer
    findings: tuple[Finding, ...]
    imaginary: Answer

    @classmethod
    def ask(cls, linear: LinearMap) -> FirstAnswer:
        """Call one of the maps, watch what it writes to, and read what it returns."""
        returned = linear.call(linear.vector, watch=True)
        answer, findings = linear.read(returned)
        imaginary = imaginary_parts(linear.problem, returned) if linear.role == "backward" else {}
        return cls(linear, answer, tuple(findings), imaginary)


def backward_map(problem: Problem) -> LinearMap:
    """Return what backward is, from the upstream gradient to the gradients."""
    u = problem.grad_output
    # Of the same number throughout there is but one in memory, where that matters.
    large = u.size > LARGE and u.all()
    uniform = np.broadcast_to(CONSTANT, u.shape) if large else CONSTANT * (u != 0)

    def label(i: int, k: int) -> str:
        index = np.unravel_index(k, problem.value(i).shape)
        return problem.arguments.label(i, tuple(int(axis) for axis in index))

    return LinearMap(
        problem,
        role="backward",
        vector=u,
        uniform=problem.form.rounded(uniform),
        call=problem.call_backward,
        read=lambda returned: read_gradients(problem, returned),
        rounded=problem.form.rounded,
        what=lambda i: f"gradient of {problem.names[i]}",
        input=lambda i: problem.names[i],
        label=label,
        to_influence=problem.scale,
    )


def jvp_map(problem: Problem, rng: np.random.Generator) -> LinearMap:
    """Return what jvp is, from tangents that move every entry on its own scale to those of the outputs."""
    length = {i: problem.scale(i) for i in problem.wrt}
    drawn = {i: random_direction(problem.value(i), rng, length[i]) for i in problem.wrt}
    vector = rounded(problem, joined(problem, drawn))
    moved = parted(problem, vector)
    # One number for each input, of the size of its entries.
    size = {i: 2.0 ** round(math.log2(x.sum() / x.size)) for i, x in length.items() if x.size}
    alike = {i: np.where(d == 0, 0.0, CONSTANT * size.get(i, 1.0)) for i, d in moved.items()}

    def label(k: int, flat: int) -> str:
        index = np.unravel_index(flat, problem.form.shapes[k])
        return problem.form.label(k, tuple(int(axis) for axis in index))

    return LinearMap(
        problem,
        role="jvp",
        vector=vector,
        uniform=rounded(problem, joined(problem, alike)),
        call=lambda vector, **how: problem.call_jvp(parted(problem, vector), **how),
        read=lambda returned: read_tangents(problem, returned),
        rounded=lambda vector: rounded(problem, vector),
        what=lambda k: f"tangent of {problem.form.name(k)}",
        input=lambda k: None,
        label=label,
        to_influence=lambda k: 1.0,
    )
