"""A function of PyTorch at one point, as functions of named NumPy arrays: its value, its vjp and its jvp."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy.typing as npt
import torch
from torch.autograd import forward_ad

from gradlab.errors import is_deliberate
from gradlab.point.pairs import as_complex, as_pairs
from gradlab.torch.arrays import array_of, not_a_leaf, tensor_of

__tracebackhide__ = is_deliberate


@dataclass(frozen=True, eq=False)
class Graph:
    """What a call left to go back through.

    Attributes
    ----------
    leaves, outputs : list of Tensor
        What the call was given, and what it returned.
    """

    leaves: list[torch.Tensor]
    outputs: list[torch.Tensor]

    def vjp(self, grad_outputs: Sequence[torch.Tensor | None], **options: Any) -> list[torch.Tensor | None]:
        """Return the gradients of the leaves that require one; ``None`` is no upstream gradient, or none."""
        asked = [k for k, leaf in enumerate(self.leaves) if leaf.requires_grad]
        pairs = [
            (output, upstream)
            for output, upstream in zip(self.outputs, grad_outputs, strict=True)
            if output.requires_grad and upstream is not None
        ]
        found: list[torch.Tensor | None] = [None] * len(self.leaves)
        if pairs and asked:
            outputs, upstream = zip(*pairs, strict=True)
            leaves = [self.leaves[k] for k in asked]
            options = {"retain_graph": True, "allow_unused": True, **options}
            for k, gradient in zip(
                asked, torch.autograd.grad(outputs, leaves, upstream, **options), strict=True
            ):
                found[k] = gradient
        return found


@dataclass(frozen=True, eq=False)
class Point:
    """A function, and the tensors at which its derivative is asked for.

    Attributes
    ----------
    title : str
        What reports call it.
    variables : dict of str to Tensor
        What is differentiated, by name.
    call : callable
        ``call(tensors, wide)`` returns the floating outputs for others in the places of the variables; with
        ``wide``, constants are as wide as they can be.
    outputs : int
        How many floating outputs there are.
    kept : tuple of int
        Which outputs are compared: those that require a gradient; where none does, all, for their
        derivatives then have to be zero.
    seed : int or None
        Of torch's generators, before each call.
    wide : bool
        Whether it is the same function in float64, so that differences may be taken there.
    paired : bool
        Whether complex tensors are arrays of pairs of real numbers, as in `gradlab.point.pairs`.
    contiguous : bool
        Whether tensors are contiguous in memory, whatever the arrays are.
    notes : tuple of str
        What is worth knowing of the function.
    call_batch : callable, optional
        ``call_batch(tensors)`` returns the outputs for tensors with one more axis, the first; by default,
        `torch.vmap` of ``call`` does.
    """

    title: str
    variables: Mapping[str, torch.Tensor]
    call: Callable[[list[torch.Tensor], bool], list[torch.Tensor]]
    seed: int | None = None
    outputs: int = 0
    kept: tuple[int, ...] = ()
    wide: bool = True
    paired: bool = False
    contiguous: bool = False
    notes: tuple[str, ...] = ()
    call_batch: Callable[[list[torch.Tensor]], list[torch.Tensor]] | None = None

    @property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The variables as arrays."""
        return {name: self.array(tensor) for name, tensor in self.variables.items()}

    def forward(self, **inputs: npt.NDArray[Any]) -> tuple[Any, Graph]:
        """Return the outputs, and as a cache the graph behind them."""
        leaves = self.tensors(inputs)
        passed = [not_a_leaf(leaf.requires_grad_()) for leaf in leaves]
        nodes = [tensor.grad_fn for tensor in passed]
        graph = Graph(leaves, self.run(passed))
        for array, leaf, tensor, node in zip(inputs.values(), leaves, passed, nodes, strict=True):
            # What is written to behind autograd's back shows in the array; of what it knows, it takes care.
            if tensor.grad_fn is node and not torch.equal(tensor, leaf):
                array[...] = self.array(tensor)
        outputs = tuple(map(self.array, graph.outputs))
        return (outputs if len(outputs) > 1 else outputs[0]), graph

    def forward_of_batch(self, **inputs: npt.NDArray[Any]) -> Any:
        """Return the outputs at many points: each array has one more axis, the first."""
        outputs = tuple(map(self.array, self.run_batch(self.tensors(inputs))))
        return outputs if len(outputs) > 1 else outputs[0]

    def backward(self, grad_output: Any, graph: Graph) -> dict[str, npt.NDArray[Any]]:
        """Return the gradients by name; where there is none, they are zeros."""
        gradients = graph.vjp(self.upstream(grad_output, graph))
        return dict(zip(self.variables, self.gradients(gradients, graph), strict=True))

    def upstream(self, grad_output: Any, graph: Graph) -> list[torch.Tensor]:
        """Return an upstream gradient as tensors."""
        arrays = grad_output if len(graph.outputs) > 1 else (grad_output,)
        return [self.tensor(array, like=y) for array, y in zip(arrays, graph.outputs, strict=True)]

    def gradients(self, gradients: Sequence[torch.Tensor | None], graph: Graph) -> Iterator[npt.NDArray[Any]]:
        """Yield gradients as arrays."""
        for gradient, leaf in zip(gradients, graph.leaves, strict=True):
            yield self.array(torch.zeros_like(leaf) if gradient is None else gradient)

    def jvp(self, tangents: Any, graph: Graph) -> Any:
        """Return the tangents of the outputs."""
        moves = [
            self.tensor(tangents[name], like=leaf)
            for name, leaf in zip(self.variables, graph.leaves, strict=True)
        ]
        _load_forward_mode()
        with forward_ad.dual_level():
            duals = [
                forward_ad.make_dual(not_a_leaf(leaf), move)
                for leaf, move in zip(graph.leaves, moves, strict=True)
            ]
            found = []
            for output in self.run(duals):
                tangent = forward_ad.unpack_dual(output).tangent
                found.append(self.array(torch.zeros_like(output) if tangent is None else tangent))
        return tuple(found) if len(found) > 1 else found[0]

    def run(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the outputs that are compared; grad mode is on, as it is in the user's own calls."""
        wide = any(t.dtype != own.dtype for t, own in zip(tensors, self.variables.values(), strict=True))
        with torch.enable_grad(), _seeded(self.seed):
            return self._compared(self.call(tensors, wide))

    def run_batch(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the outputs that are compared, for tensors with one more axis, the first."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of operators that vmap calls one point at a time
            if self.call_batch is not None:
                return self._compared(self.call_batch(tensors))
            draws = "error" if self.seed is None else "same"  # as in the calls of single points
            return list(torch.vmap(lambda *each: tuple(self.run(list(each))), randomness=draws)(*tensors))

    def _compared(self, outputs: list[torch.Tensor]) -> list[torch.Tensor]:
        return [outputs[k] for k in self.kept if k < len(outputs)] if self.kept else outputs

    def tensors(self, inputs: Mapping[str, Any]) -> list[torch.Tensor]:
        """Return arrays as tensors like the variables: in their own dtype too, where it has to be that."""
        found = []
        for own, array in zip(self.variables.values(), inputs.values(), strict=True):
            tensor = self.tensor(array, like=own)
            found.append(tensor if self.wide else tensor.to(own.dtype))
        return found

    def tensor(self, array: Any, *, like: torch.Tensor) -> torch.Tensor:
        """Return an array as a tensor, on the device of another, in the same memory where that can be."""
        if self.paired and like.is_complex():
            array = as_complex(array)
        tensor = tensor_of(array, contiguous=self.contiguous)
        return tensor if like.device.type == "cpu" else tensor.to(like.device)

    def array(self, tensor: torch.Tensor) -> npt.NDArray[Any]:
        """Return a tensor as an array."""
        array = array_of(tensor)
        return as_pairs(array) if self.paired else array

    def in_pairs(self) -> Point:
        """Return the same function of pairs of real numbers, where it is one of complex numbers."""
        return replace(self, paired=True)


@cache
def _load_forward_mode() -> None:
    """Let torch load what its forward mode needs, which warns that it is deprecated, and takes a second."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore")
        forward_ad.make_dual(torch.zeros(()), torch.zeros(()))


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Seed torch's generators, and put them back afterwards."""
    if seed is None:
        yield
        return
    # Not by `torch.manual_seed`, which takes a millisecond where CUDA has not been used yet.
    generators = [torch.default_generator, *torch.cuda.default_generators]
    states = [generator.get_state() for generator in generators]
    for generator in generators:
        generator.manual_seed(seed)
    try:
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
