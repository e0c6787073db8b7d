"""Which attributes of a layer are its parameters, where its user has not said so.

They are arrays that have a gradient under one of the usual names, before a step of training or after it. What
forward replaces or writes to is none: it is a cache, or a state.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.point.layer import Layer, ones_like
from gradlab.point.parameters import attribute_parameters, float_arrays, gradient_names
from gradlab.point.values import describe, private, same

__tracebackhide__ = is_deliberate


def find_parameters(
    layer: Layer, inputs: Sequence[Any], kwargs: Mapping[str, Any], *, calls: float = math.inf
) -> tuple[str | tuple[str, ...], list[str]]:
    """Return the names of a layer's parameters, and notes on arrays that were taken for constants.

    Parameters
    ----------
    layer : Layer
        Without parameters; one step is taken with it, if there is more than one call for it.
    inputs, kwargs
        What its forward is given; copies are passed on.
    calls : float
        How often forward may be called.

    Raises
    ------
    UsageError
        When it holds arrays, and of none is there a gradient.
    """
    if hasattr(layer.layer, "params"):
        return "params", []
    arrays = float_arrays(layer.layer)
    if not arrays:
        return (), []
    before = {key: array.copy() for key, array in arrays.items()}
    named = attribute_parameters(layer.layer, layer.names)
    if calls < 2:
        return named, []
    with contextlib.suppress(Exception):  # the check itself says what is wrong
        steady, named = layer.step(private(tuple(inputs)), kwargs, partial(_after_a_step, layer, before))
        arrays = {key: array for key, array in arrays.items() if key in steady}
    gradients = {form for name in (*layer.names, *arrays) for form in gradient_names(name)}
    others = tuple(name for name in arrays if name not in named and name not in gradients)
    if not named and others:
        raise UsageError(
            f"{describe(layer.layer)} has no attribute 'params', and of {', '.join(others)} no gradient was "
            f"found after backward; say what the parameters are: params={others}, or params=() if none is"
        )
    return named, [f"{n} has no gradient and was taken as a constant: is it no parameter?" for n in others]


def _after_a_step(
    layer: Layer, before: Mapping[str, Array], output: Any
) -> tuple[list[str], tuple[str, ...]]:
    """Return which arrays forward has left as they were, and those of them that have a gradient."""
    now = float_arrays(layer.layer)
    steady = [key for key, was in before.items() if key in now and same(was, now[key])]
    layer.gradients(ones_like(output))
    return steady, tuple(key for key in attribute_parameters(layer.layer, layer.names) if key in steady)
