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
from gradlab._framework import new_name, random_like
from gradlab.errors import UsageError, is_deliberate
from gradlab.point.trees import Leaves, flatten, map_leaves, unflatten
from gradlab.point.values import describe, is_floating

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
        pull, y = make_vjp(partial(_traced, f), tuple(inputs.values()))
        outputs, rebuilt = _leaves(y)
        return outputs, lambda grad_output: dict(zip(inputs, pull(rebuilt(grad_output)), strict=True))

    def jvp(inputs: Mapping[str, Any], tangents: Mapping[str, Any]) -> tuple[Any, Any]:
        y, moved = make_jvp(partial(_traced, f), tuple(inputs.values()))(tuple(tangents.values()))
        return _leaves(y)[0], _leaves(moved)[0]

    derivative = Derivative(
        title,
        value,
        point,
        vjp=vjp if REVERSE in asked.modes else None,
        jvps={FORWARD: jvp} if FORWARD in asked.modes else {},
        known=known,
    ).possible(lambda error: isinstance(error, NotImplementedError), asked.notes)
    yield derivative
    if order < 2:
        return
    outputs, rebuilt = _leaves(f(*point.values()))
    drawn = partial(random_like, rng=asked.rng)
    for mode in derivative.modes:
        if mode == REVERSE:
            upstream = rebuilt(map_leaves(drawn, outputs))
            named = {**point, new_name("grad_output", point): upstream}
            yield from derivatives(asked, partial(_vjp, f), named, order - 1, f"vjp of {title}")
        else:
            tangents = {new_name(f"d{name}", point): map_leaves(drawn, x) for name, x in point.items()}
            named = {**point, **tangents}
            twice = partial(_by_reverse, f, point, tangents, rebuilt) if derivative.vjp is not None else None
            yield from derivatives(asked, partial(_jvp, f), named, order - 1, f"jvp of {title}", twice)


def _traced(f: Callable[..., Any], values: Any) -> Any:
    """Call a function of several arguments with a tuple of them, as autograd traces it."""
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
    return make_vjp(lambda values: f(*values), tuple(values))[0](grad_output)


def _jvp(f: Callable[..., Any], *arguments: Any) -> Any:
    """Return the Jacobian-vector product of a function; behind its arguments stand their tangents."""
    count = len(arguments) // 2
    return make_jvp(lambda values: f(*values), arguments[:count])(arguments[count:])[1]


def _by_reverse(
    f: Callable[..., Any],
    point: Mapping[str, Any],
    tangents: Mapping[str, Any],
    rebuilt: Callable[[Any], Any],
    u: Any,
    moved: Mapping[str, Any],
) -> Any:
    """Return the terms of ⟨u, d(J v)⟩, by what reverse mode says of it: ⟨d(Jᵀu), v⟩ + ⟨Jᵀu, dv⟩."""
    changes, count = list(moved.values()), len(point)
    upstream = rebuilt(u)
    gradients = make_jvp(lambda values: _vjp(f, *values, upstream), tuple(point.values()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where f is linear, its Jacobian does not depend on x
        pulled, change = gradients(tuple(changes[:count]))
    return products([change, pulled], [list(tangents.values()), changes[count:]])


def _leaves(y: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return the arrays in an output, in the form of forward, and what puts others in their places."""
    leaves: Leaves = []
    tree = flatten("y", floating(y), leaves)
    places = [k for k, (_, leaf) in enumerate(leaves) if is_floating(leaf)]
    several = not isinstance(tree, int)

    def rebuilt(arrays: Any) -> Any:
        new = dict(zip(places, arrays if several else (arrays,), strict=True))
        return unflatten(tree, [new.get(k, leaf) for k, (_, leaf) in enumerate(leaves)])

    arrays = tuple(leaves[k][1] for k in places)
    return arrays if several else arrays[0], rebuilt


def floating(value: Any) -> Any:
    """Return a value with floats in the place of integers: to autograd, these are differentiable too."""
    if isinstance(value, dict):
        return {key: floating(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(map(floating, value))
    return value if np.asarray(value).dtype.kind in "fc" else np.asarray(value, dtype=np.float64)
