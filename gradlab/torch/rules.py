"""`Rule.from_torch`: a function of PyTorch as a rule of NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from gradlab._snippet import Snippet
from gradlab.point.arguments import called_with
from gradlab.point.trees import Leaves, flatten, map_leaves
from gradlab.point.values import is_floating
from gradlab.rule import Rule
from gradlab.strategies.points import longer
from gradlab.strategies.signature import read_signature
from gradlab.torch.arrays import array_of, tensor_of
from gradlab.torch.derivatives import Graph, Point
from gradlab.torch.functions import assembled, looked_at, name_of, names_in, required_in
from gradlab.torch.snippets import torch_snippet


def rule_from_torch(
    kind: Callable[..., Rule],
    func: Any,
    inputs: Any,
    *,
    name: str | None,
    kwargs: Mapping[str, Any] | None,
    reference: Any,
    seed: int | None,
    check_forward_ad: bool,
    known_failure: tuple[str, str] | None,
) -> Rule:
    """Return a rule of a function's inputs, and of a module's parameters; see `gradlab.Rule.from_torch`."""
    if isinstance(inputs, tuple | list):
        inputs = map_leaves(lambda leaf: array_of(leaf) if isinstance(leaf, torch.Tensor) else leaf, inputs)
    count = _count(func, inputs)
    adapter = _Adapter(func, kwargs, seed, count)
    witness = None if reference is None else _Adapter(reference, kwargs, seed, count)
    return kind(
        name_of(func, name),
        adapter.forward,
        adapter.backward,
        longer(inputs, adapter.parameters),
        cached=True,
        jvp=adapter.jvp if check_forward_ad else None,
        reference=witness and Rule("reference", witness.forward, witness.backward, (), cached=True),
        known_failure=known_failure,
    )


@dataclass(frozen=True, eq=False)
class _Call:
    """What one call of forward left: the point, the graph behind its outputs, and the arrays given."""

    point: Point
    graph: Graph
    arrays: tuple[Any, ...]


class _Adapter:
    """A function of tensors that is called with arrays: its inputs, then the parameters of a module."""

    def __init__(
        self, func: Any, kwargs: Mapping[str, Any] | None, seed: int | None, count: int | None
    ) -> None:
        self._func, self._kwargs, self._seed = func, kwargs, seed
        named = func.named_parameters() if isinstance(func, torch.nn.Module) else ()
        parameters = {name: parameter for name, parameter in named if parameter.requires_grad}
        self.parameters = tuple(map(array_of, parameters.values()))
        self._first: Point | None = None

        def forward(*arrays: Any) -> tuple[Any, _Call]:
            return self._forward(arrays)

        self.forward = forward
        if count is not None:
            names = [*names_in(func, count), *(f"{'_' * name[0].isdigit()}{name}" for name in parameters)]
            self.forward = called_with(forward, names, name_of(func), getattr(func, "forward", func))
        self.forward.snippet = partial(  # type: ignore[attr-defined]
            _snippet, func, len(self.parameters), kwargs, seed
        )

    def _forward(self, arrays: tuple[Any, ...]) -> tuple[Any, _Call]:
        given = arrays[: len(arrays) - len(self.parameters)]
        point = assembled(self._func, map_leaves(_as_tensor, given), self._kwargs, seed=self._seed, name=None)
        values = [*_floating(given), *arrays[len(given) :]]
        inputs = dict(zip(point.variables, map(np.asarray, values), strict=True))
        first = self._first = self._first or looked_at(point)
        # It is asked in the dtypes of the first point, and else on the numerical side.
        own = {name: x.to(first.variables.get(name, x).dtype) for name, x in point.variables.items()}
        point = replace(point, variables=own, kept=first.kept, wide=first.wide)
        outputs, graph = point.forward(**inputs)
        return outputs, _Call(point, graph, arrays)

    def backward(self, grad_output: Any, call: _Call) -> tuple[Any, ...]:
        """Return one gradient for each input, nested as that is."""
        gradients = iter(call.point.backward(grad_output, call.graph).values())
        return tuple(
            map_leaves(lambda leaf: next(gradients) if is_floating(leaf) else None, array)
            for array in call.arrays
        )

    def jvp(self, tangents: Any, call: _Call) -> Any:
        """Return the tangents of the outputs."""
        moves = tangents if len(call.arrays) > 1 else (tangents,)
        return call.point.jvp(dict(zip(call.point.variables, _floating(moves), strict=True)), call.graph)


def _snippet(
    func: Any,
    parameters: int,
    kwargs: Mapping[str, Any] | None,
    own_seed: int | None,
    inputs: Any,
    *,
    seed: int,
) -> Snippet:
    """Write the call of `gradlab.torch.gradcheck` that checks one point; a module has its parameters."""
    given = tuple(map_leaves(_as_tensor, tuple(inputs)[: len(inputs) - parameters]))
    return torch_snippet("gradcheck", func, given, {}, kwargs=kwargs, seed=own_seed, rng=seed)


def _count(func: Any, inputs: Any) -> int | None:
    """Return how many inputs there are in a point; ``None`` where that is not known."""
    if isinstance(inputs, tuple | list):
        return len(inputs)
    if isinstance(inputs, str):
        return len(read_signature(inputs))
    if callable(inputs) and not hasattr(inputs, "map"):
        return len(inputs(np.random.default_rng(0)))
    return required_in(func)  # of a strategy, what has to be given


def _as_tensor(leaf: Any) -> Any:
    return tensor_of(leaf) if isinstance(leaf, np.ndarray) or is_floating(leaf) else leaf


def _floating(tree: Any) -> Iterator[Any]:
    """Yield the arrays and numbers in a tree that are differentiated."""
    leaves: Leaves = []
    flatten("", tree, leaves)
    yield from (leaf for _, leaf in leaves if is_floating(leaf))
