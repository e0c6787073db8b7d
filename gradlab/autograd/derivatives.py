"""Derivatives by autograd of a function of some values, and of those derivatives in turn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from autograd.core import make_jvp, make_vjp
from autograd.tracer import isbox

from gradlab._derivative import FORWARD, REVERSE, Derivative, Pull, products
from gradlab._framework import new_name, random_like, with_tangents
from gradlab.errors import UsageError, is_deliberate
from gradlab.point.trees import Leaves, flatten, map_leaves, unflatten
from gradlab.point.values import as_array, describe, is_floating

__tracebackhide__ = is_deliberate


@dataclass(frozen=True)
class Asked:
    """What is asked of a function and of its derivatives alike; what is to be said of it is added."""

    modes: Sequence[str]
    rng: np.random.Generator
    notes: list[str]


def derivatives(
    asked: Asked,
    f: Callable[..., Any],
    point: Mapping[str, Any],
    order: int,
    title: str,
    known: Callable[..., Any] | None = None,
) -> Iterator[Derivative]:
    """Yield a function at a point, then its derivatives there, as functions, as often as ``order`` says."""

    def value(**inputs: Any) -> Any:
        return _leaves(f(*inputs.values()))[0]

    def vjp(**inputs: Any) -> tuple[Any, Pull]:
        pull, y = make_vjp(*_unary(partial(_traced, f), *inputs.values()))
        outputs, rebuilt = _leaves(y)

        def gradients(grad_output: Any) -> dict[str, Any]:
            pulled = pull(rebuilt(grad_output))
            return dict(zip(inputs, pulled if len(inputs) > 1 else (pulled,), strict=True))

        return outputs, gradients

    def jvp(inputs: Mapping[str, Any], tangents: Mapping[str, Any]) -> tuple[Any, Any]:
        push = make_jvp(*_unary(partial(_traced, f), *inputs.values()))
        y, moved = push(_one(*tangents.values()))
        return _leaves(y)[0], _leaves(moved)[0]

    derivative = Derivative(
        title,
        value,
        point,
        vjp=vjp if REVERSE in asked.modes else None,
        jvps={FORWARD: jvp} if FORWARD in asked.modes else {},
        known=known,
        is_missing=lambda error: isinstance(error, NotImplementedError),
        notes=asked.notes,
    )
    yield derivative
    if order < 2:
        return
    outputs, rebuilt = _leaves(f(*point.values()))
    for mode in derivative.modes:
        if mode == REVERSE:
            upstream = rebuilt(map_leaves(partial(random_like, rng=asked.rng), outputs))
            named = {**point, new_name("grad_output", point): upstream}
            yield from derivatives(asked, partial(_vjp, f), named, order - 1, f"vjp of {title}")
        else:
            named = with_tangents(point, asked.rng)
            twice = partial(_by_reverse, f, named, rebuilt) if derivative.vjp is not None else None
            yield from derivatives(asked, partial(_jvp, f), named, order - 1, f"jvp of {title}", twice)


def _one(*values: Any) -> Any:
    """Return several values as one: autograd traces an array in less time than a tuple of one array."""
    return values if len(values) > 1 else values[0]


def _unary(f: Callable[..., Any], *values: Any) -> tuple[Callable[[Any], Any], Any]:
    """Return a function of several values as one of one value, and that value."""
    return (lambda values: f(*values)) if len(values) > 1 else f, _one(*values)


def _traced(f: Callable[..., Any], *values: Any) -> Any:
    """Call a function as autograd traces it."""
    y = f(*values)
    if isinstance(y, tuple | list | dict) and any(map(isbox, y.values() if isinstance(y, dict) else y)):
        raise UsageError(
            f"f returns {describe(y)}, which autograd does not trace; expected one array, or "
            f"autograd.builtins.{type(y).__name__}(...)"
        )
    return y


def _vjp(f: Callable[..., Any], *arguments: Any) -> Any:
    """Return the vector-Jacobian product of a function; the upstream gradient is the last argument."""
    *values, grad_output = arguments
    return make_vjp(*_unary(f, *values))[0](grad_output)


def _jvp(f: Callable[..., Any], *arguments: Any) -> Any:
    """Return the Jacobian-vector product of a function; behind its arguments stand their tangents."""
    count = len(arguments) // 2
    return make_jvp(*_unary(f, *arguments[:count]))(_one(*arguments[count:]))[1]


def _by_reverse(
    f: Callable[..., Any],
    named: Mapping[str, Any],
    rebuilt: Callable[[Any], Any],
    u: Any,
    moved: Mapping[str, Any],
) -> Any:
    """Return the terms of ⟨u, d(J v)⟩, by what reverse mode says of it: ⟨d(Jᵀu), v⟩ + ⟨Jᵀu, dv⟩.

    ``named`` are the inputs, and then their tangents.
    """
    values, changes, count = list(named.values()), list(moved.values()), len(named) // 2
    upstream = rebuilt(u)
    gradients = make_jvp(*_unary(lambda *values: _vjp(f, *values, upstream), *values[:count]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where f is linear, its Jacobian does not depend on x
        pulled, change = gradients(_one(*changes[:count]))
    return products([change, pulled], [_one(*values[count:]), _one(*changes[count:])])


def _leaves(y: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return the arrays in an output, in the form of forward, and what puts others in their places."""
    if isinstance(y, np.ndarray) and y.dtype.kind in "fc":
        return y, lambda array: array  # by far the most frequent
    leaves: Leaves = []
    tree = flatten("y", floating(y, "f returns"), leaves)
    places = [k for k, (_, leaf) in enumerate(leaves) if is_floating(leaf)]
    several = not isinstance(tree, int)

    def rebuilt(arrays: Any) -> Any:
        new = dict(zip(places, arrays if several else (arrays,), strict=True))
        return unflatten(tree, [new.get(k, leaf) for k, (_, leaf) in enumerate(leaves)])

    arrays = tuple(leaves[k][1] for k in places)
    return arrays if several else arrays[0], rebuilt


def floating(value: Any, what: str) -> Any:
    """Return a value with floats in the place of integers: to autograd, these are differentiable too.

    Raises
    ------
    UsageError
        When it holds what is no number; ``what`` begins the message.
    """
    if isinstance(value, dict):
        return {key: floating(item, what) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(floating(item, what) for item in value)
    kind = as_array(value).dtype.kind
    if kind not in "biufc":
        raise UsageError(
            f"{what} {describe(value)}; expected a number, an array, or a tuple, list or dict of them"
        )
    return value if kind in "fc" else np.asarray(value, dtype=np.float64)
