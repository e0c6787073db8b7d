"""A function of PyTorch at one point, as functions of named NumPy arrays: its value, its vjp and its jvp."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.autograd import Function, forward_ad

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics.dtypes import is_narrow, named
from gradlab.point.arguments import names_of
from gradlab.point.pairs import as_complex, as_pairs
from gradlab.point.trees import Leaves, flatten, unflatten
from gradlab.point.values import describe

__tracebackhide__ = is_deliberate

# Those that NumPy lacks; they travel as the bits of integers.
NARROW = {torch.bfloat16, *(getattr(torch, name) for name in dir(torch) if name.startswith("float8_"))}


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
    """

    title: str
    variables: Mapping[str, torch.Tensor]
    call: Callable[[list[torch.Tensor], bool], list[torch.Tensor]]
    seed: int | None = None
    kept: tuple[int, ...] = ()
    wide: bool = True
    paired: bool = False
    contiguous: bool = False
    notes: tuple[str, ...] = ()

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
            outputs = self.call(tensors, wide)
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


def point_of(
    func: Any, inputs: Any, kwargs: Mapping[str, Any] | None = None, *, seed: int | None, name: str | None
) -> Point:
    """Return a function at a point, looked at; see `gradlab.torch.gradcheck`."""
    return looked_at(assembled(func, inputs, kwargs, seed=seed, name=name))


def assembled(
    func: Any, inputs: Any, kwargs: Mapping[str, Any] | None, *, seed: int | None, name: str | None
) -> Point:
    """Return a function at a point that it was not called at yet.

    Raises
    ------
    UsageError
        When there is nothing to be differentiated, or it is no function.
    """
    if not callable(func):
        raise UsageError(f"func is {describe(func)}; expected a function, a Function class or a module")
    given = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    keywords = dict(kwargs or {})
    leaves: Leaves = []
    names = [*names_in(func, len(given)), *keywords]
    trees = [flatten(*item, leaves) for item in zip(names, (*given, *keywords.values()), strict=True)]
    of_arguments = range(len(leaves))
    is_module = isinstance(func, torch.nn.Module)
    if is_module:
        leaves += [*func.named_parameters(), *func.named_buffers()]
    of_state = range(len(of_arguments), len(leaves))
    places = [*_differentiated(leaves, of_arguments), *_differentiated(leaves, of_state, parameters=True)]
    if not places:
        raise UsageError(
            f"nothing to differentiate: inputs is {describe(inputs)}; expected at least one floating-point "
            "tensor"
        )

    def call(tensors: list[torch.Tensor], wide: bool) -> list[torch.Tensor]:
        new = dict(zip(places, tensors, strict=True))
        values = [new[k] if k in new else _constant(leaf, wide) for k, (_, leaf) in enumerate(leaves)]
        arguments = [unflatten(tree, values) for tree in trees]
        positional, keyword = (
            arguments[: len(given)],
            dict(zip(keywords, arguments[len(given) :], strict=True)),
        )
        if is_module:
            state = {leaves[k][0]: values[k] for k in of_state}
            returned = torch.func.functional_call(func, state, tuple(positional), keyword)
        elif _is_function_class(func):
            returned = func.apply(*positional, **keyword)
        else:
            returned = func(*positional, **keyword)
        return list(_floating_in(returned))

    taken: dict[str, torch.Tensor] = {}
    for k in places:
        label = leaves[k][0]
        while label in taken:
            label += "_"
        taken[label] = leaves[k][1].detach()
    return Point(name or title_of(func), taken, call, seed=seed)


def title_of(func: Any) -> str:
    """Return what reports call a function."""
    written = getattr(func, "_init_fn", func)  # that of torch.library.custom_op
    return str(getattr(written, "__name__", type(func).__name__))


def looked_at(point: Point) -> Point:
    """Call a function, to see which of its outputs are compared, and whether it is the same in float64."""
    variables = list(point.variables.values())
    outputs = point.run([not_a_leaf(x.clone().requires_grad_()) for x in variables])
    if not outputs:
        raise UsageError(f"{point.title} returns no floating-point tensor; expected one at least")
    needed = [k for k, output in enumerate(outputs) if output.requires_grad]
    notes = []
    if 0 < len(needed) < len(outputs):
        others = ", ".join(str(k) for k in range(len(outputs)) if k not in needed)
        notes.append(f"output {others} requires no gradient, and is not compared")
    point = replace(point, kept=tuple(needed) or tuple(range(len(outputs))))
    if any(x.dtype not in (torch.float64, torch.complex128) for x in variables):
        wide = [x.to(torch.complex128 if x.is_complex() else torch.float64) for x in variables]
        try:
            exact = point.run([not_a_leaf(x.requires_grad_()) for x in wide])
        except Exception:  # such as a kernel that there is in float32 only
            exact = []
        same = len(exact) == len(point.kept) and all(
            _alike(outputs[k], output) for k, output in zip(point.kept, exact, strict=True)
        )
        if exact and not same:
            notes.append("in float64 func returns other numbers: compared in its own precision")
        point = replace(point, wide=same)
    return replace(point, notes=tuple(notes))


def _alike(output: torch.Tensor, exact: torch.Tensor) -> bool:
    """Whether an output is the same in float64, but for rounding."""
    if output.shape != exact.shape:
        return False
    coarsest = torch.finfo(output.dtype).eps
    output, exact = output.detach().to(exact.dtype), exact.detach()
    known = torch.isfinite(output) & torch.isfinite(exact)
    size = exact[known].abs().max() if known.any() else exact.new_zeros(()).abs()
    return bool(((output - exact)[known].abs() <= coarsest**0.5 * size).all())


def names_in(func: Any, count: int) -> list[str]:
    """Return the names of the positional arguments of a function, as it is written."""
    schema = getattr(getattr(func, "default", func), "_schema", None)  # of an operator in torch.ops
    if type(func).__module__ == "torch._ops" and schema is not None:
        return [argument.name for argument in schema.arguments][:count]
    written, start = _written(func)
    return list(names_of(written, count + start)[start:])


def required_in(func: Any) -> int | None:
    """Return how many arguments of a function have to be given; ``None`` where that is not known."""
    written, start = _written(func)
    try:
        parameters = inspect.signature(written).parameters.values()
    except (TypeError, ValueError):  # of torch's own functions
        return None
    return sum(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters) - start


def _written(func: Any) -> tuple[Callable[..., Any], int]:
    """Return the Python function that says which arguments another takes, and how many are not its own."""
    if _is_function_class(func):
        return func.forward, int(func.setup_context is Function.setup_context)  # ctx
    return (func.forward if isinstance(func, torch.nn.Module) else getattr(func, "_init_fn", func)), 0


def _is_function_class(func: Any) -> bool:
    return isinstance(func, type) and issubclass(func, Function)


def _differentiated(leaves: Leaves, which: range, *, parameters: bool = False) -> list[int]:
    """Return which leaves are differentiated: those that require it; where none does, all floating ones."""
    floating = [k for k in which if _is_floating(leaves[k][1])]
    required = [k for k in floating if leaves[k][1].requires_grad]
    for k in required:
        if leaves[k][1].layout is not torch.strided:
            name, layout = leaves[k][0], leaves[k][1].layout
            raise UsageError(
                f"input {name} is a tensor of layout {layout}; expected torch.strided: give its values, and "
                "make it in func"
            )
    return required if required or parameters else floating


def _is_floating(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())


def _floating_in(returned: Any) -> Iterator[torch.Tensor]:
    """Yield the floating tensors in an output, dense."""
    leaves: Leaves = [("output", returned)]
    if not isinstance(returned, torch.Tensor):  # by far the most frequent
        leaves.clear()
        flatten("output", returned, leaves)
    for _, leaf in leaves:
        if _is_floating(leaf):
            yield leaf if leaf.layout is torch.strided else leaf.to_dense()


def _constant(leaf: Any, wide: bool) -> Any:
    """Return a tensor of one's own; so that float32 and float64 need not mix, in float64 if asked for."""
    if not isinstance(leaf, torch.Tensor):
        return leaf
    if wide and _is_floating(leaf):
        leaf = leaf.to(torch.complex128 if leaf.is_complex() else torch.float64)
    return leaf.detach().clone()


def not_a_leaf(leaf: torch.Tensor) -> torch.Tensor:
    """Return a copy in the same memory layout that may be changed in place, as a leaf may not."""
    with torch.enable_grad():
        if leaf.is_contiguous():
            return leaf.clone()
        copy = torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device=leaf.device)
        return copy.copy_(leaf)


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


def tensors_in(tree: Any) -> list[torch.Tensor]:
    """Return the floating tensors in a tree."""
    return list(_floating_in(tree))


def tensor_like(array: Any, like: torch.Tensor) -> torch.Tensor:
    """Return an array as a tensor on the device of another."""
    return tensor_of(array).to(like.device)


def tensor_of(array: Any, *, contiguous: bool = False) -> torch.Tensor:
    """Return an array as a tensor, in the same memory and layout where torch has that.

    >>> tensor_of(np.ones((2, 3)).T).stride()
    (1, 3)
    """
    array = np.asarray(array)
    flags = array.flags
    if flags.c_contiguous and flags.writeable and array.dtype.isbuiltin == 1:
        return torch.from_numpy(array)  # by far the most frequent
    if is_narrow(array.dtype):
        narrow = getattr(torch, str(array.dtype))
        return tensor_of(array.view(f"u{array.itemsize}"), contiguous=contiguous).view(narrow)
    if contiguous or any(stride < 0 for stride in array.strides):
        array = array.copy()  # torch has no negative strides
    if array.flags.writeable:
        return torch.from_numpy(array)
    if array.size and not any(array.strides):  # one number, everywhere
        return torch.from_numpy(array.reshape(-1)[:1].copy()).reshape(()).expand(array.shape)
    return torch.from_numpy(array.copy())


def array_of(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """Return a tensor as an array, in the same memory where that can be.

    >>> array_of(torch.tensor([1.0, 2.0], dtype=torch.bfloat16)).dtype.name
    'bfloat16'
    """
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    if tensor.dtype in NARROW:
        bits = torch.uint16 if tensor.element_size() > 1 else torch.uint8
        name = str(tensor.dtype).removeprefix("torch.")
        return array_of(tensor.detach().contiguous().view(bits)).view(named(name))
    if tensor.dtype == torch.complex32:
        raise UsageError("a tensor is of dtype torch.complex32, which NumPy lacks; expected complex64")
    array: npt.NDArray[Any] = tensor.numpy(force=True)
    return array
