"""The transpose of a jvp: a backward rule that is as right, or as wrong, as the jvp is."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from gradlab.point.outputs import flatten
from gradlab.point.problem import Problem
from gradlab.point.raised import RuleRaised
from gradlab.point.returned import read_tangents


class TransposedJvp(Problem):
    """A point whose backward rule is the transpose of its jvp, entry by entry: ``Jᵀu = (⟨u, J e_j⟩)_j``."""

    role = "jvp"

    def claim_of(self, position: int) -> str:
        """Name what jvp claims of one input."""
        return f"jvp along {self.names[position]}"

    def call_backward(self, upstream: Any = None, **how: Any) -> Any:
        """Ask jvp along every entry, and contract what it returns with the upstream gradient."""
        how.pop("layout", None)
        u = self.grad_output if upstream is None else upstream
        if self.cached and how.get("cache") is None and how.get("displaced"):
            how["cache"] = (self.call_forward(dict(how["displaced"]))[2],)
        gradients: dict[int, Any] = {}
        for i in self.wrt:
            gradient = np.zeros(self.value(i).shape)
            for k in range(gradient.size):
                unit = np.zeros(gradient.shape)
                unit.flat[k] = 1.0
                tangents, _ = read_tangents(self, self.call_jvp({i: unit}, **how))
                if len(tangents) < len(self.form.shapes):
                    raise RuleRaised("jvp", ValueError("its answer has not the form of the output"))
                gradient.flat[k] = u @ flatten([tangents[o] for o in range(len(tangents))])
            gradients[i] = gradient
        return self.arguments.in_callers_form(gradients)


@contextlib.contextmanager
def with_transposed_jvp(problem: Problem) -> Iterator[TransposedJvp]:
    """Give a twin of a problem whose backward is the transpose of its jvp; all calls are counted together."""
    twin = copy.copy(problem)
    twin.__class__ = TransposedJvp
    assert isinstance(twin, TransposedJvp)
    try:
        yield twin
    finally:
        problem.forward_calls, problem.jvp_calls = twin.forward_calls, twin.jvp_calls
