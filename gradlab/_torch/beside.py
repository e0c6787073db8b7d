"""What is asked of a derivative beside differences: all of it is compared with what backward has returned.

A framework may ask for a derivative in other ways than a test does: of one input alone, with an upstream
gradient that is missing, of many upstream gradients at once, in forward mode.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from gradlab._torch.point import Graph, Point
from gradlab._torch.tensors import not_a_leaf
from gradlab.checks.answers import Allowed
from gradlab.checks.claims import claims_of
from gradlab.checks.criteria import default_rtol
from gradlab.checks.maps import FirstAnswer, backward_map, jvp_map
from gradlab.checks.tangent_claims import TangentClaims
from gradlab.checks.transpose import not_transposed
from gradlab.errors import is_deliberate
from gradlab.numerics import Array
from gradlab.numerics.scales import scales
from gradlab.point.problem import Problem
from gradlab.point.returned import read_gradients
from gradlab.report import Finding

__tracebackhide__ = is_deliberate


class Beside:
    """A point at which backward has answered, and was not found to be wrong.

    Parameters
    ----------
    point : Point
        The function.
    seed : int
        Draws upstream gradients and tangents.
    """

    def __init__(self, point: Point, seed: int) -> None:
        self.point = point = point.in_pairs()
        self._rng = np.random.default_rng([seed, 3])  # not what the check itself draws
        self._problem = Problem(
            point.forward, point.backward, point.arrays, jvp=point.jvp, cached=True, rng=self._rng
        )
        self._graph: Graph = self._problem.first_cache
        self._claimed = FirstAnswer.of(backward_map(self._problem))
        self._claims = claims_of(self._problem, self._claimed.answer)
        self._influence = max(
            float((np.abs(g) * scales(self._problem.value(i))).max(initial=0.0))
            for i, g in self._claimed.answer.items()
        )

    @property
    def calls(self) -> dict[str, int]:
        """How often functions were called, as reports count it."""
        problem = self._problem
        return {
            "forward_calls": problem.forward_calls,
            "backward_calls": problem.backward_calls,
            "jvp_calls": problem.jvp_calls,
        }

    def undefined(self) -> Iterator[Finding]:
        """Find out whether an upstream gradient that is missing is taken for zeros."""
        form, linear = self._problem.form, self._claimed.map
        kind = "undefined-upstream"
        ends = np.cumsum(form.sizes)
        for k, end in enumerate(ends if len(ends) > 1 else ()):
            alone = np.zeros(form.size)
            alone[end - form.sizes[k] : end] = linear.vector[end - form.sizes[k] : end]
            upstream: list[torch.Tensor | None] = [None] * len(ends)
            upstream[k] = self._upstream(alone)[k]
            what = f"where output {k} alone has an upstream gradient"
            yield from self._differs(kind, what, linear.ask(alone), self._graph, upstream)
        nothing = {i: np.zeros_like(g) for i, g in self._claimed.answer.items()}
        outputs = [output for output in self._graph.outputs if output.requires_grad]
        if outputs:
            cut = [torch._C._functions.UndefinedGrad()(output) for output in outputs]
            graph = Graph(self._graph.leaves, cut)
            upstream = [torch.zeros_like(output) for output in graph.outputs]
            yield from self._differs(kind, "without any upstream gradient", nothing, graph, upstream)

    def partial(self) -> Iterator[Finding]:
        """Find out whether a gradient depends on which others are asked for (`ctx.needs_input_grad`)."""
        point, leaves = self.point, self._graph.leaves
        for k, name in enumerate(point.variables if len(leaves) > 1 else ()):
            alone = [leaf.detach().clone().requires_grad_(i == k) for i, leaf in enumerate(leaves)]
            try:
                outputs = point.run([not_a_leaf(leaf) for leaf in alone])
            except RuntimeError:  # one that takes gradients itself may need all of them
                return
            graph = Graph(alone, outputs)
            if len(outputs) == len(self._graph.outputs) and any(output.requires_grad for output in outputs):
                expected = {k: self._claimed.answer[k]} if k in self._claimed.answer else {}
                upstream = self._upstream(self._claimed.map.vector)
                what = f"where {name} alone requires one"
                yield from self._differs("depends-on-needs-input-grad", what, expected, graph, upstream)

    def batched(self) -> Iterator[Finding]:
        """Find out whether backward gives the same under `torch.vmap` as one at a time."""
        linear = self._claimed.map
        vectors = [linear.vector, linear.constant]
        stacked = [torch.stack(parts) for parts in zip(*map(self._upstream, vectors), strict=True)]
        kind = "not-batchable"
        try:
            found = self._graph.vjp(stacked, is_grads_batched=True)
        except RuntimeError as error:
            yield Finding("contract", None, kind, f"under torch.vmap, backward raises {error}")
            return
        for k, vector in enumerate(vectors):
            each = [None if gradient is None else gradient[k] for gradient in found]
            yield from self._compared(kind, "under torch.vmap", linear.ask(vector), each)

    def forward_mode(self, rtol: float | None) -> str | None:
        """Say what the dot-product test of jvp and backward finds; ``None`` where they agree.

        Raises
        ------
        RuleRaised
            When jvp raises, `NotImplementedError` where there is none.
        """
        rtol = rtol or default_rtol(self._problem.given_eps)
        pushed = FirstAnswer.of(jvp_map(self._problem, self._rng))
        if pushed.findings:
            return pushed.findings[0].message
        tangents = TangentClaims(self._problem, None, self._problem.wrt, self._claims)
        return not_transposed(self._claimed, pushed, self._claims, tangents, rtol=rtol)

    def _upstream(self, vector: Array) -> list[torch.Tensor]:
        return self.point.upstream(self._problem.form.upstream(vector), self._graph)

    def _differs(
        self, kind: str, what: str, expected: dict[int, Array], graph: Graph, upstream: Sequence[Any]
    ) -> Iterator[Finding]:
        try:
            found = graph.vjp(upstream)
        except Exception as error:
            message = f"{what}, backward raises {type(error).__name__}: {error}"
            yield Finding("contract", None, kind, message)
            return
        yield from self._compared(kind, what, expected, found)

    def _compared(
        self, kind: str, what: str, expected: dict[int, Array], found: Sequence[torch.Tensor | None]
    ) -> Iterator[Finding]:
        """Compare gradients with those that they have to be, up to rounding."""
        problem, linear = self._problem, self._claimed.map
        named = dict(zip(problem.names, self.point.gradients(found, self._graph), strict=True))
        answers, _ = read_gradients(problem, named)
        for i, g in expected.items():
            allowed = Allowed(linear, i, self._influence, self._rounding)
            at = allowed.differ(g, answers[i]) if i in answers else None
            if i not in answers or at is not None:
                k = at or 0
                given = f"{answers[i].flat[k]:.6g}" if i in answers else "not one"
                message = (
                    f"{what}, the {linear.what(i)} is {given} at {linear.label(i, k)}; expected "
                    f"{g.flat[k]:.6g}"
                )
                yield Finding("contract", problem.names[i], kind, message)

    def _rounding(self, i: int) -> Array:
        changes = self._claims.rounding_of(i, vanishes=True)
        vanishes = np.abs(self._claimed.answer[i]).max(initial=0.0) <= changes.max(initial=0.0)
        return changes if vanishes else self._claims.rounding_of(i, vanishes=False)
