"""A function of PyTorch made a `Point`: its inputs, the names of them, and how it is called with others."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch.autograd import Function

from gradlab.errors import UsageError, is_deliberate
from gradlab.point.arguments import names_of
from gradlab.point.options import title_of
from gradlab.point.trees import Leaves, flatten, unflatten
from gradlab.point.values import describe
from gradlab.torch.arrays import floating_in, is_floating, not_a_leaf, own_copy, require_dense
from gradlab.torch.derivatives import Point

__tracebackhide__ = is_deliberate


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
        values = [new[k] if k in new else own_copy(leaf, wide) for k, (_, leaf) in enumerate(leaves)]
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
        return list(floating_in(returned))

    taken: dict[str, torch.Tensor] = {}
    for k in places:
        label = leaves[k][0]
        while label in taken:
            label += "_"
        taken[label] = leaves[k][1].detach()
    return Point(name_of(func, name), taken, call, seed=seed)


def name_of(func: Any, name: str | None = None) -> str:
    """Return what reports call a function; of a `torch.library.custom_op`, that which is decorated."""
    return title_of(getattr(func, "_init_fn", func), name)


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
    kept = tuple(needed) or tuple(range(len(outputs)))
    point = replace(point, outputs=len(outputs), kept=kept)
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
    floating = [k for k in which if is_floating(leaves[k][1])]
    required = [k for k in floating if leaves[k][1].requires_grad]
    chosen = required if required or parameters else floating
    for k in chosen:
        name, tensor = leaves[k]
        require_dense(tensor, f"input {name}", "give its values, and make it in func")
    return chosen
