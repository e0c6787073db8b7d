"""A layer seen as a rule: its parameters become inputs, and what it keeps in itself is put back.

A layer is an object with ``forward(x)`` and ``backward(dy)``. Its parameters stand in a dict or a list of
arrays, in attributes, or in objects with ``data`` and ``grad``; their gradients are stored beside them or
returned. The rule is

::

    forward(x, …, *params)         put the parameters into the layer, call its forward
    backward(dy, x, …, *params)    the same, then its backward; collect the gradients

and after each call the layer is as it was.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradlab.errors import UsageError, is_deliberate
from gradlab.point.arguments import called_with, names_of
from gradlab.point.calls import signature_of
from gradlab.point.parameters import (
    Places,
    attribute_of,
    gradient_names,
    grouped,
    leaves,
    names_of_attributes,
    of_objects,
    picked,
    plain,
    read_back,
    renamed,
    tree_at,
    twin_names,
)
from gradlab.point.paths import NOTHING, at, held_by_classes, place_of, slot_of
from gradlab.point.state import State
from gradlab.point.trees import items_of
from gradlab.point.values import describe, is_floating, private, same

__tracebackhide__ = is_deliberate

OUTPUT = "output"  # where a forward that returns nothing leaves its output
GRADS = "grads"  # where the gradients of all parameters are, where nobody says it


class Layer:
    """A layer, and where its parameters and gradients are.

    Parameters
    ----------
    layer : object
        As in `gradlab.check_layer`, like the other arguments.
    count : int
        How many inputs ``forward`` is given.

    Attributes
    ----------
    names : tuple of str
        The inputs of the rule: those of ``forward``, then the parameters.
    values : tuple
        The parameters at this moment, as trees of arrays.
    forward_calls : int
        How often the layer's forward was called.

    Raises
    ------
    UsageError
        When the layer lacks what it is said to have.
    """

    def __init__(
        self,
        layer: Any,
        count: int,
        *,
        params: str | Sequence[str],
        grads: str | Sequence[str] | None,
        forward: str,
        backward: str,
        reset: str | Callable[[Any], Any] | None,
        seed: int | None,
    ) -> None:
        self.layer, self.count, self.seed, self.forward_calls = layer, count, seed, 0
        self._forward, self._backward = (_method(layer, name) for name in (forward, backward))
        _check_takes_upstream(backward, self._backward)
        self._reset = _method(layer, reset) if isinstance(reset, str) else reset and partial(reset, layer)
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
            raise UsageError(f"seed is {describe(seed)}; expected None or a non-negative integer")
        paths, self._grads = names_of_attributes(params, "params"), grads
        if grads is not None and len(names_of_attributes(grads, "grads")) not in (1, len(paths)):
            raise UsageError(
                f"grads names {len(grads)} attributes, and params {len(paths)}; expected as many"
            )
        self._pairs = isinstance(grads, str) and paths == (grads,)
        self._roots = (layer, *(held for path in paths for held in held_by_classes(layer, path)))
        self._state = State(*self._roots)
        trees = {path: tree_at(layer, path, self._pairs, 0) for path in paths}
        self._paths = tuple(path for path in paths if any(True for _ in leaves(trees[path])))
        self._held = [trees[path] for path in self._paths]
        self._places = [Places(trees[path], self._state, slot_of(layer, path)) for path in self._paths]
        self.values = tuple(map(plain, self._held))
        inputs = [re.sub(r"\W", "_", name.removesuffix("]")) for name in names_of(self._forward, count)]
        self.names = (*inputs, *(f"self_{path}" if path in inputs else path for path in self._paths))

    def rule(self, name: str, *, point: bool = False) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return forward and backward as functions of the inputs and the parameters.

        With ``point``, backward is mostly asked about the arguments of the first call of forward: what the
        layer holds after that call is kept, so that backward there calls forward no more.
        """
        kept: list[_Kept] = []

        def forward(*arguments: Any, **kwargs: Any) -> Any:
            def output_of(output: Any) -> Any:
                if point and not kept:
                    generator = np.random.get_state()  # noqa: NPY002 - the layer's code draws from there
                    kept.append(_Kept(private(arguments), State(*self._roots), generator))
                return output

            # At the point, what is written to is seen by the first call.
            return self.step(arguments, kwargs, output_of, watch=not (point and kept))

        def backward(grad_output: Any, *arguments: Any, **kwargs: Any) -> Any:
            after = kept[0] if kept and kept[0].holds(arguments) else None
            return self.step(arguments, kwargs, lambda _: self.from_zero(grad_output), after=after)

        backward.derivative_calls_forward = "elsewhere" if point else "always"  # type: ignore[attr-defined]
        backward = called_with(backward, ("grad_output", *self.names), name, self._backward)
        forward = called_with(forward, self.names, name, self._forward)
        forward.input_names = self.names  # type: ignore[attr-defined]  # paths, which no signature can have
        return forward, backward

    def step(
        self,
        arguments: Sequence[Any],
        kwargs: Mapping[str, Any],
        then: Callable[[Any], Any],
        *,
        after: _Kept | None = None,
        watch: bool = True,
    ) -> Any:
        """Call forward with the parameters given, then another function of its output; put the layer back.

        With ``after``, the layer is put in the state after such a call instead. With ``watch``, what it has
        written to its parameters is written to those given, so that it is seen.
        """
        inputs, values = arguments[: self.count], arguments[self.count :]
        try:
            if after is None:
                for places, value in zip(self._places, values, strict=True):
                    places.write(value)
                result = private(then(self.call(inputs, kwargs)))
            else:
                after.restore(self.seed)
                result = private(then(None))
            if watch:
                self._read_back(values)
            return result
        finally:
            self._state.restore()

    def call(self, inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call the layer's forward as its user would: after a reset, under the seed."""
        if self._reset is not None:
            self._reset()
        if self.seed is not None:
            np.random.seed(self.seed)  # noqa: NPY002 - the layer's code draws from there
            random.seed(self.seed)
        self.forward_calls += 1
        output = self._forward(*inputs, **kwargs)
        return getattr(self.layer, OUTPUT, None) if output is None else output

    def from_zero(self, grad_output: Any) -> Any:
        """Set the stored gradients to zero, as a training loop does between two steps; call backward."""
        self.fill(0)
        return self.gradients(grad_output)

    def gradients(self, grad_output: Any) -> Any:
        """Call the layer's backward; return the gradients of inputs and parameters."""
        returned = self._backward(grad_output)
        stored = [self._stored(k) for k in range(len(self._paths))]
        inputs, own = self.names[: self.count], self.names[self.count :]
        missing = [name for name, value in zip(own, stored, strict=True) if value is NOTHING]
        if isinstance(returned, Mapping):
            named = {name: picked(returned, name) for name in (*inputs, *missing)}
            for name, held in zip(own, self._held, strict=True):
                if named.get(name) is NOTHING and isinstance(held, Mapping):  # they stand there one by one
                    named[name] = {key: picked(returned, key) for key in held}
            named |= {n: value for n, value in zip(own, stored, strict=True) if value is not NOTHING}
            return {name: value for name, value in named.items() if value is not NOTHING}
        if own and len(missing) == len(own) and isinstance(returned, tuple | list):
            return grouped(returned, self.values, len(inputs))
        if returned is None:
            first: tuple[Any, ...] = tuple(attribute_of(self.layer, gradient_names(name)) for name in inputs)
        else:
            several = isinstance(returned, tuple | list) and (len(inputs) > 1 or len(returned) == 1)
            first = tuple(returned) if several else (returned,)
        return tuple(None if value is NOTHING else value for value in (*first, *stored))

    def without_gradient(self) -> list[str]:
        """Return the parameters of which no gradient is stored, just after backward."""
        own = self.names[self.count :]
        return [name for k, name in enumerate(own) if self._stored(k) is NOTHING]

    def fill(self, number: float) -> None:
        """Put one number into all stored gradients."""
        for k, value in enumerate(self._held):
            stored = self._stored(k)
            mine = {id(leaf) for leaf, _ in leaves(value)}
            for leaf, _ in leaves(None if stored is NOTHING else stored):
                if isinstance(leaf, np.ndarray) and is_floating(leaf) and id(leaf) not in mine:
                    leaf[...] = number

    def restore(self) -> None:
        """Put the layer back as it was."""
        self._state.restore()

    def restore_generators(self) -> None:
        """Put the layer's random generators back, and nothing else."""
        self._state.restore_generators()

    def _read_back(self, values: Sequence[Any]) -> None:
        for path, value in zip(self._paths, values, strict=True):
            read_back(value, tree_at(self.layer, path, self._pairs, 0))

    def _stored(self, k: int) -> Any:
        """Return the gradient of a parameter where the layer keeps it, in the parameter's form."""
        path = self._paths[k]
        owner, last = place_of(self.layer, path)
        if self._pairs:
            return tree_at(self.layer, path, True, 1)
        beside = gradient_names(last) if self._grads is None else twin_names(last)
        found = NOTHING
        if owner is not self.layer and self._grads == GRADS:  # nearer than what the whole keeps
            found = attribute_of(owner, beside, NOTHING)
        if found is NOTHING and isinstance(self._grads, str):
            found = tree_at(self.layer, self._grads, False, 0, NOTHING)
            if len(self._paths) > 1 and found is not NOTHING:
                found = picked(items_of(found) or {}, last, k)
        elif found is NOTHING and self._grads is not None:
            found = tree_at(self.layer, self._grads[k], False, 0, NOTHING)
        if found is NOTHING or found is None:
            found = of_objects(self._held[k])
        if found is NOTHING:
            found = attribute_of(owner, beside, NOTHING)
        return found if found is NOTHING else renamed(found, self._held[k])


@dataclass(frozen=True)
class _Kept:
    """What a layer holds after forward was called with some arguments."""

    arguments: Sequence[Any]
    state: State
    generator: Any

    def holds(self, arguments: Sequence[Any]) -> bool:
        """Whether these are the same arguments, also in their dtypes and layout in memory."""
        pairs = [[leaf for leaf, _ in leaves(tuple(side))] for side in (self.arguments, arguments)]
        return len(pairs[0]) == len(pairs[1]) and all(map(_identical, *pairs))

    def restore(self, seed: int | None) -> None:
        self.state.restore()
        if seed is not None:
            np.random.set_state(self.generator)  # noqa: NPY002 - likewise


def _identical(one: Any, other: Any) -> bool:
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return type(one) is type(other) and bool(one is other or one == other)
    return one.dtype == other.dtype and one.strides == other.strides and same(one, other)


def _method(layer: Any, name: Any) -> Callable[..., Any]:
    if not isinstance(name, str):
        raise UsageError(f"a method is given as {describe(name)}; expected its name")
    method: Callable[..., Any] | None = at(layer, name, None)
    if not callable(method):
        known = [n for n in dir(layer) if not n.startswith("_") and callable(getattr(layer, n, None))]
        raise UsageError(
            f"{describe(layer)} has no method {name!r}; its methods are {', '.join(known) or 'none'}"
        )
    return method


def _check_takes_upstream(name: str, backward: Callable[..., Any]) -> None:
    """Refuse a backward that cannot be called with an upstream gradient, such as that of many a loss."""
    signature = signature_of(backward)
    try:
        if signature is not None:
            signature.bind(None)
    except TypeError as error:
        raise UsageError(
            f"{name}{signature} cannot be called with grad_output, the gradient of what forward returns: "
            f"{error}; a loss may take it as dout=1, and multiply by it"
        ) from None


def ones_like(output: Any) -> Any:
    """Return an upstream gradient of ones, a scalar where the output is one."""
    if isinstance(output, tuple):
        return tuple(map(ones_like, output))
    return np.ones_like(output) if isinstance(output, np.ndarray) else np.float64(1.0)
