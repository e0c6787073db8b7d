"""Derivatives by JAX of a function of arrays, and of those derivatives in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from gradlab._derivative import BOTH, REVERSE, Derivative, Pull, products
from gradlab._framework import apart, new_name, random_like, with_tangents
from gradlab.errors import is_deliberate
from gradlab.jax.arrays import Arrays, Function, as_outputs, precision
from gradlab.jax.widened import widened

__tracebackhide__ = is_deliberate

LINEARIZED = "lin"  # forward mode by `jax.linearize`
MODES = (*BOTH, LINEARIZED)
# Entries, from which on compiling a function takes less time than calling it so often: three layers of a
# perceptron, at 76 entries, took 1.6 s of CPU time called and 0.6 s compiled; one primitive differs little.
MANY = 50
# The same of a derivative, which JAX traces in each call: for that of a primitive, 10 ms.
FEW = 4


@dataclass(frozen=True)
class Asked:
    """What is asked of a function and of its derivatives alike; what is to be said of it is added."""

    wide: bool
    modes: Sequence[str]
    rng: np.random.Generator
    notes: list[str]


def derivatives(
    asked: Asked,
    function: Function,
    inputs: Arrays,
    order: int,
    title: str,
    *,
    value: Callable[..., Any] | None = None,
    witness: tuple[Callable[..., Any], Callable[..., Any]] | None = None,
    known: Callable[..., Any] | None = None,
    many: int = MANY,
) -> Iterator[Derivative]:
    """Yield a function at a point, then its derivatives there, as functions, as often as ``order`` says."""
    wide = asked.wide
    derivative = Derivative(
        title,
        value or valued(function, inputs, wide, many),
        inputs,
        vjp=partial(vjp, function, wide) if REVERSE in asked.modes else None,
        jvps={mode: partial(jvp, function, mode, wide) for mode in asked.modes if mode != REVERSE},
        known=known,
        reference=witness,
        is_missing=_is_missing,
        notes=asked.notes,
    )
    yield derivative
    if order < 2:
        return
    count = len(inputs)
    with precision(inputs, wide):
        outputs = function(*map(jax.numpy.asarray, inputs.values()))
    for mode in derivative.modes:
        named = dict(inputs)
        if mode == REVERSE:
            for output in outputs:
                named[new_name("grad_output", named)] = random_like(output, asked.rng)
            pull = partial(_pulled, function, count)
            yield from derivatives(asked, pull, named, order - 1, f"vjp of {title}", many=FEW)
        else:
            named = with_tangents(inputs, asked.rng)
            push = partial(_pushed, function, mode, count)
            twice = (
                partial(_by_reverse, function, count, wide, named) if REVERSE in derivative.modes else None
            )
            yield from derivatives(asked, push, named, order - 1, f"jvp of {title}", known=twice, many=FEW)


def _pulled(function: Function, count: int, *arrays: Any) -> list[Any]:
    """Return the vector-Jacobian product of a function; behind its arguments stand upstream gradients."""
    return list(jax.vjp(function, *arrays[:count])[1](list(arrays[count:])))


def _pushed(function: Function, mode: str, count: int, *arrays: Any) -> list[Any]:
    """Return the Jacobian-vector product of a function; behind its arguments stand tangents."""
    return _with_tangents(function, mode, arrays[:count], arrays[count:])[1]


def _with_tangents(
    function: Function, mode: str, primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    if mode == LINEARIZED:
        value, linear = jax.linearize(function, *primals)
        return value, linear(*tangents)
    value, pushed = jax.jvp(function, tuple(primals), tuple(tangents))
    return value, pushed


def _by_reverse(function: Function, count: int, wide: bool, named: Arrays, u: Any, moved: Arrays) -> Any:
    """Return the terms of ⟨u, d(J v)⟩, by what reverse mode says of it: ⟨d(Jᵀu), v⟩ + ⟨Jᵀu, dv⟩."""
    arrays, changes = ([*map(np.asarray, part.values())] for part in (named, moved))
    upstream = list(u) if isinstance(u, tuple) else [u]
    with precision(named, wide):
        x, dx, *_ = ([*map(jax.numpy.asarray, part)] for part in (arrays[:count], changes[:count]))
        upstream = [*map(jax.numpy.asarray, upstream)]
        pulled, change = jax.jvp(lambda *x: _pulled(function, count, *x, *upstream), tuple(x), tuple(dx))
    return products([*map(np.asarray, [*change, *pulled])], [*arrays[count:], *changes[count:]])


def _is_missing(error: Exception) -> bool:
    """Whether JAX says that a function has no forward mode."""
    return isinstance(error, NotImplementedError) or (
        isinstance(error, TypeError) and "custom_vjp" in str(error)
    )


def evaluated(function: Function, wide: bool, /, **inputs: Any) -> Any:
    """Return the outputs of a function of JAX at NumPy arrays."""
    with precision(inputs, wide):
        return as_outputs(function(*map(jax.numpy.asarray, inputs.values())))


def vjp(function: Function, wide: bool, /, **inputs: Any) -> tuple[Any, Pull]:
    """Return the outputs, and what pulls upstream gradients back."""
    with precision(inputs, wide):
        outputs, pull = jax.vjp(function, *map(jax.numpy.asarray, inputs.values()))

    def gradients(grad_output: Any) -> dict[str, npt.NDArray[Any]]:
        upstream = grad_output if len(outputs) > 1 else (grad_output,)
        with precision(inputs, wide):
            pulled = pull([jax.numpy.asarray(part) for part in upstream])
        return {name: np.asarray(gradient) for name, gradient in zip(inputs, pulled, strict=True)}

    return as_outputs(outputs), gradients


def jvp(function: Function, mode: str, wide: bool, inputs: Arrays, tangents: Arrays) -> tuple[Any, Any]:
    """Return the outputs, and their tangents."""
    with precision(inputs, wide):
        primals, moved = ([*map(jax.numpy.asarray, part.values())] for part in (inputs, tangents))
        value, pushed = _with_tangents(function, mode, primals, moved)
        return as_outputs(value), as_outputs(pushed)


def rule(function: Function) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return forward and backward of a function that JAX differentiates."""
    forward = partial(evaluated, function, True)
    return forward, lambda grad_output, /, **inputs: vjp(function, True, **inputs)[1](grad_output)


def has_derivative(function: Function, inputs: Arrays) -> bool:
    """Whether JAX differentiates a function at a point, and gives numbers."""
    try:
        outputs, pull = vjp(function, True, **inputs)
        gradients = pull(jax.tree.map(np.ones_like, outputs))
        return all(np.isfinite(gradient).all() for gradient in gradients.values())
    except Exception:  # whatever it is, there is no derivative
        return False


def compiled(function: Function, inputs: Arrays, many: int = MANY) -> Callable[..., Any]:
    """Return a function compiled, where it is called so often that this pays, and where it can be."""
    if sum(array.size for array in inputs.values()) < many:
        return function
    fast: Callable[..., Any] = jax.jit(function)
    not_so: set[tuple[Any, ...]] = set()

    def called(*arrays: Any) -> Any:
        dtypes = tuple(array.dtype for array in arrays)
        if dtypes not in not_so:
            try:
                return fast(*arrays)
            except Exception:  # it looks at its values, and is no function for `jax.jit`; or it just raises
                not_so.add(dtypes)
        return function(*arrays)

    return called


def valued(function: Function, inputs: Arrays, wide: bool, many: int = MANY) -> Callable[..., Any]:
    """Return a function of named NumPy arrays: at wider ones than ``inputs``, its program in float64."""
    if not wide or not has_narrow(inputs):
        return partial(evaluated, compiled(function, inputs, many), wide)
    program = compiled(widened(function, inputs), inputs, 0)  # which no more than differences call

    def value(**arrays: Any) -> Any:
        return evaluated(function if has_narrow(arrays) else program, wide, **arrays)

    return value


def numerical(function: Function, inputs: Arrays) -> tuple[Callable[..., Any], bool]:
    """Return what differences are taken of, and whether in float64: where the function is the same there."""
    value = valued(function, inputs, wide=True)
    wide = is_same_in_float64(value, inputs)
    return (value if wide else valued(function, inputs, wide=False)), wide


def is_same_in_float64(value: Callable[..., Any], inputs: Arrays) -> bool:
    """Whether a function returns the same where its arguments are wider; it may not, or may not take them."""
    if not has_narrow(inputs):
        return True
    doubles = {name: array.astype(np.result_type(array, np.float64)) for name, array in inputs.items()}
    given = value(**inputs)
    try:
        wide = value(**doubles)
    except Exception:  # such as what works on the bits of a float32
        return False
    if not isinstance(given, tuple):
        given, wide = (given,), (wide,)
    return not any(starmap(apart, zip(given, wide, strict=True)))


def has_narrow(inputs: Arrays) -> bool:
    """Whether there are arrays that are narrower than float64."""
    return any(np.result_type(array, np.float64) != array.dtype for array in inputs.values())
