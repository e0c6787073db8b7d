"""What is asked of a derivative beside differences: all of it is compared with what backward has returned.

A framework may ask for a derivative in other ways than a test does: of one input alone, with an upstream
gradient that is missing, of many upstream gradients at once, in forward mode.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch

from gradlab._framework import random_like
from gradlab.checks.answers import Allowed
from gradlab.checks.claims import Claims, claims_of
from gradlab.checks.criteria import default_rtol, left_of_cancelled
from gradlab.checks.maps import CONSTANT, FirstAnswer, backward_map, jvp_map
from gradlab.checks.tangent_claims import TangentClaims
from gradlab.checks.transpose import not_transposed
from gradlab.errors import is_deliberate
from gradlab.numerics import Array
from gradlab.point.problem import Problem
from gradlab.point.returned import read_gradients
from gradlab.report import Finding
from gradlab.torch.arrays import array_of, not_a_leaf, tensor_like
from gradlab.torch.derivatives import Graph, Point

__tracebackhide__ = is_deliberate


class Beside:
    """A point at which backward has answered, and was not found to be wrong.

    Gradients that are the same bit by bit need no second look; by how much others may differ is worked out
    where there are any.

    Parameters
    ----------
    point : Point
        The function.
    seed : int
        Draws upstream gradients and tangents.
    """

    def __init__(self, point: Point, seed: int) -> None:
        self.point = point.in_pairs()
        self._seed = seed
        self._called = {"forward_calls": 0, "backward_calls": 0}

    @property
    def calls(self) -> dict[str, int]:
        """How often functions were called, as reports count it."""
        counted = {**self._called, "jvp_calls": 0}
        if "_problem" in vars(self):
            for kind in counted:
                counted[kind] += getattr(self._problem, kind)
        return counted

    def undefined(self) -> Iterator[Finding]:
        """Find out whether an upstream gradient that is missing is taken for zeros."""
        kind = "undefined-upstream"
        outputs = self._graph.outputs
        for k in range(len(outputs) if len(outputs) > 1 else 0):
            what = f"where output {k} alone has an upstream gradient"
            zeros = [u if j == k else torch.zeros_like(u) for j, u in enumerate(self._upstream)]
            nothing = [u if j == k else None for j, u in enumerate(self._upstream)]
            yield from self._differs(kind, what, self._vjp(self._graph, zeros), self._graph, nothing)
        cut = [torch._C._functions.UndefinedGrad()(output) for output in outputs if output.requires_grad]
        if cut:
            graph = Graph(self._graph.leaves, cut)
            upstream = [torch.zeros_like(output) for output in cut]
            zero = [torch.zeros_like(leaf) for leaf in graph.leaves]
            yield from self._differs(kind, "without any upstream gradient", zero, graph, upstream)

    def partial(self) -> Iterator[Finding]:
        """Find out whether a gradient depends on which others are asked for (`ctx.needs_input_grad`)."""
        point, leaves = self.point, self._graph.leaves
        for k, name in enumerate(point.variables if len(leaves) > 1 else ()):
            alone = [leaf.detach().clone().requires_grad_(i == k) for i, leaf in enumerate(leaves)]
            self._called["forward_calls"] += 1
            try:
                outputs = point.run([not_a_leaf(leaf) for leaf in alone])
            except RuntimeError:  # one that takes gradients itself may need all of them
                return
            graph = Graph(alone, outputs)
            if len(outputs) == len(self._graph.outputs) and any(output.requires_grad for output in outputs):
                expected = [gradient if i == k else None for i, gradient in enumerate(self._gradients)]
                what = f"where {name} alone requires one"
                kind = "depends-on-needs-input-grad"
                yield from self._differs(kind, what, expected, graph, self._upstream, only=k)

    def batched(self) -> Iterator[Finding]:
        """Find out whether backward gives the same under `torch.vmap` as one at a time."""
        several = [self._upstream, [torch.full_like(u, CONSTANT) for u in self._upstream]]
        stacked = [torch.stack(parts) for parts in zip(*several, strict=True)]
        kind = "not-batchable"
        self._called["backward_calls"] += 1
        try:
            found = self._graph.vjp(stacked, is_grads_batched=True)
        except RuntimeError as error:
            yield Finding("contract", None, kind, f"under torch.vmap, backward raises {error}")
            return
        for k, upstream in enumerate(several):
            each = [None if gradient is None else gradient[k] for gradient in found]
            yield from self._compared(kind, "under torch.vmap", self._vjp(self._graph, upstream), each)

    def forward_mode(self, rtol: float | None) -> str | None:
        """Say what the dot-product test of jvp and backward finds; ``None`` where they agree.

        Raises
        ------
        RuleRaised
            When jvp raises, `NotImplementedError` where there is none.
        """
        rtol = rtol or default_rtol(self._problem.given_eps)
        pushed = FirstAnswer.ask(jvp_map(self._problem, np.random.default_rng([self._seed, 5])))
        if pushed.findings:
            return pushed.findings[0].message
        tangents = TangentClaims(self._problem, None, self._problem.wrt, self._claims)
        return not_transposed(self._claimed, pushed, self._claims, tangents, rtol=rtol)

    @cached_property
    def _graph(self) -> Graph:
        self._called["forward_calls"] += 1
        copies = {name: array.copy() for name, array in self.point.arrays.items()}
        graph: Graph = self.point.forward(**copies)[1]
        return graph

    @cached_property
    def _upstream(self) -> list[torch.Tensor]:
        rng = np.random.default_rng([self._seed, 3])  # not what the check itself draws
        drawn = [tensor_like(random_like(array_of(output), rng), output) for output in self._graph.outputs]
        return [
            torch.where(torch.isfinite(output.detach()), upstream, torch.zeros_like(upstream))
            for upstream, output in zip(drawn, self._graph.outputs, strict=True)
        ]

    @cached_property
    def _gradients(self) -> list[torch.Tensor | None]:
        return self._vjp(self._graph, self._upstream)

    def _vjp(self, graph: Graph, upstream: Sequence[torch.Tensor | None]) -> list[torch.Tensor | None]:
        self._called["backward_calls"] += 1
        return graph.vjp(upstream)

    def _differs(
        self,
        kind: str,
        what: str,
        expected: Sequence[torch.Tensor | None],
        graph: Graph,
        upstream: Sequence[torch.Tensor | None],
        *,
        only: int | None = None,
    ) -> Iterator[Finding]:
        try:
            found = self._vjp(graph, upstream)
        except Exception as error:
            message = f"{what}, backward raises {type(error).__name__}: {error}"
            yield Finding("contract", None, kind, message)
            return
        yield from self._compared(kind, what, expected, found, only=only)

    def _compared(
        self,
        kind: str,
        what: str,
        expected: Sequence[torch.Tensor | None],
        found: Sequence[torch.Tensor | None],
        *,
        only: int | None = None,
    ) -> Iterator[Finding]:
        """Compare gradients, or but one of them, with those that they have to be, up to rounding."""
        differing = [
            i
            for i, pair in enumerate(zip(expected, found, strict=True))
            if only in (None, i) and not _same_bits(*pair)
        ]
        if not differing:
            return
        problem, linear = self._problem, self._claimed.linear
        read = []
        for gradients in (expected, found):
            named = dict(zip(problem.names, self.point.gradients(gradients, self._graph), strict=True))
            read.append(read_gradients(problem, named)[0])
        for i in differing:
            g, other = (answers.get(i) for answers in read)
            if g is None or not np.isfinite(g).all():
                continue
            at = (
                None
                if other is None
                else Allowed(linear, i, floor=self._floor, rounding=self._rounding).differ(g, other)
            )
            if other is None or at is not None:
                k = at or 0
                given = "not one" if other is None else f"{other.flat[k]:.6g}"
                message = (
                    f"{what}, the {linear.what(i)} is {given} at {linear.label(i, k)}; expected "
                    f"{g.flat[k]:.6g}"
                )
                yield Finding("contract", problem.names[i], kind, message)

    @cached_property
    def _problem(self) -> Problem:
        point = self.point
        seed = (self._seed, 4)
        return Problem(point.forward, point.backward, point.arrays, jvp=point.jvp, cached=True, seed=seed)

    @cached_property
    def _claimed(self) -> FirstAnswer:
        return FirstAnswer.ask(backward_map(self._problem))

    @cached_property
    def _claims(self) -> Claims:
        return claims_of(self._problem, self._claimed.answer)

    @cached_property
    def _floor(self) -> float:
        influence = max(
            float((np.abs(g) * self._problem.scale(i)).max(initial=0.0))
            for i, g in self._claimed.answer.items()
        )
        return left_of_cancelled(influence, self._problem.given_eps)

    def _rounding(self, i: int) -> Array:
        changes = self._claims.rounding_of(i, vanishes=True)
        vanishes = np.abs(self._claimed.answer[i]).max(initial=0.0) <= changes.max(initial=0.0)
        return changes if vanishes else self._claims.rounding_of(i, vanishes=False)


def _same_bits(expected: torch.Tensor | None, found: torch.Tensor | None) -> bool:
    """Whether two gradients are the same number by number; none is zeros."""
    if expected is None or found is None:
        gradient = found if expected is None else expected
        return gradient is None or not bool(array_of(gradient).any())
    return bool(torch.equal(*(g if g.layout is torch.strided else g.to_dense() for g in (expected, found))))
