"""What an array of a point holds: real numbers, probabilities, labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from gradlab._options import is_integer
from gradlab.errors import UsageError
from gradlab.point.values import describe
from gradlab.strategies import degenerate
from gradlab.strategies.degenerate import Alteration, Array
from gradlab.strategies.matrices import DEFINITE, mirrored, not_square, spd, symmetric
from gradlab.strategies.numbers import Arrays, Shape, Sizes, distinct, grid, sample, steps
from gradlab.strategies.signature import Core


@dataclass(frozen=True, eq=False)  # compared by identity, as functions are
class Elements:
    """What an array holds: called with a shape and the sizes of the dimensions, a strategy of such arrays.

    Attributes
    ----------
    draw : callable
        ``draw(shape, sizes) -> strategy`` of plain arrays.
    alterations : mapping of str to callable
        How to make such an array degenerate without leaving what it may hold, by the kind of degeneration.
    complaint : callable
        ``complaint(core, names) -> str``: what is wrong with these dimensions of the array, of all those that
        the signature names; empty if nothing.
    """

    draw: Callable[[Shape, Sizes], Arrays]
    alterations: Mapping[str, Alteration] = field(default_factory=dict)
    complaint: Callable[[Core, Sequence[str]], str] = lambda core, names: ""

    def __call__(self, shape: Shape, sizes: Sizes | None = None) -> Arrays:
        """Return a strategy of plain arrays of this shape."""
        return self.draw(shape, sizes or {})


def reals(shape: Shape, sizes: Sizes | None = None) -> Arrays:
    """Draw arrays of readable non-zero numbers between -2 and 2, all different.

    Parameters
    ----------
    shape : tuple of int
        The arrays' shape.
    sizes : mapping of str to int, optional
        The sizes of the signature's dimensions; not used here.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(reals((1, 3)), lambda x: True)
    array([[ 1., -1.,  2.]])
    """
    return distinct(shape, signed=True)


def positive(shape: Shape, sizes: Sizes | None = None) -> Arrays:
    """Draw arrays of readable positive numbers up to 2, all different.

    >>> from hypothesis import find
    >>> find(positive((3,)), lambda x: True)
    array([1. , 2. , 0.5])
    """
    return distinct(shape, signed=False)


def probabilities(shape: Shape, sizes: Sizes | None = None) -> Arrays:
    """Draw arrays of positive numbers whose sum over the last axis is 1.

    >>> from hypothesis import find
    >>> find(probabilities((2, 3)), lambda p: True).sum(axis=-1)
    array([1., 1.])
    """
    return distinct(shape, signed=False).map(_normalised)


def one_hot(shape: Shape, sizes: Sizes | None = None) -> Arrays:
    """Draw integer arrays with a single 1 along the last axis, the rest zeros, repetitions included.

    They are integers because a target is a constant, and floating-point inputs are differentiated.

    >>> from hypothesis import find
    >>> find(one_hot((2, 3)), lambda t: True)
    array([[1, 0, 0],
           [1, 0, 0]])
    """
    classes = shape[-1]
    return sample(shape[:-1], range(classes), unique=False).map(
        lambda index: np.eye(classes, dtype=np.int64)[index]
    )


def between(low: float, high: float) -> Elements:
    """Draw arrays of different numbers strictly between two bounds, none of them zero.

    Parameters
    ----------
    low, high : float
        The bounds, at which a function such as the logarithm may have no value.

    Raises
    ------
    UsageError
        When they are not finite, or not in this order.

    Examples
    --------
    >>> from hypothesis import find
    >>> from gradlab.strategies import inputs
    >>> (p,) = find(inputs("(n)", elements=(between(0, 1),)), lambda point: point[0].size == 2)
    >>> p
    array([0.5 , 0.25])
    """
    finite = all(isinstance(bound, int | float | np.number) and np.isfinite(bound) for bound in (low, high))
    if not finite or not low < high:
        raise UsageError(
            f"between was given {describe(low)} and {describe(high)}; expected two finite numbers, "
            "the lower one first"
        )
    low, high = float(low), float(high)

    def draw(shape: Shape, sizes: Sizes) -> Arrays:
        return sample(shape, grid(low, high, steps(shape)))

    def near_a_bound(draw: st.DrawFn, array: Array) -> Array:
        margin = (high - low) / 1024
        return degenerate.set_some(draw, array, draw(st.sampled_from((low + margin, high - margin))))

    alterations = {"ties": degenerate.ties, "magnitude": near_a_bound, **LAYOUT}
    return Elements(draw, alterations | ({"zeros": degenerate.zeros} if low < 0 < high else {}))


def labels(dimension: str, *, ignore: int | None = None) -> Elements:
    """Draw integer arrays that index a dimension of the signature, repetitions included.

    Parameters
    ----------
    dimension : str
        The dimension's name in the signature, or its size.
    ignore : int, optional
        One more value that labels may have, such as -100 or -1. Unless the point is degenerate, at least one
        label is another, since the mean over no label at all has no value.

    Examples
    --------
    >>> from hypothesis import find
    >>> from gradlab.strategies import inputs
    >>> logits, target = find(inputs("(n,c),(n)", elements=(reals, labels("c"))), lambda point: True)
    >>> target
    array([0])
    """
    if not isinstance(dimension, str):
        raise UsageError(
            f"labels was given {describe(dimension)}; expected the name of a dimension, such as labels('c')"
        )
    if not (ignore is None or is_integer(ignore)):
        raise UsageError(f"ignore is {describe(ignore)}; expected an integer such as -100, or None")

    def draw(shape: Shape, sizes: Sizes) -> Arrays:
        size = int(dimension) if dimension.isdigit() else sizes[dimension]
        choices = (*range(size), *(() if ignore is None else (int(ignore),)))
        drawn = sample(shape, choices, unique=False)
        return drawn if ignore is None else drawn.map(lambda a: a if (a != ignore).any() else a * 0)

    def complaint(core: Core, names: Sequence[str]) -> str:
        if dimension.isdigit() or dimension in names:
            return ""
        known = ", ".join(names) or "none"
        return f"labels({dimension!r}) is not a dimension of the signature, whose names are {known}"

    alterations = {"ties": degenerate.ties, **LAYOUT}
    if ignore is not None:
        alterations["zeros"] = lambda draw, array: degenerate.set_some(draw, array, int(ignore))
    return Elements(draw, alterations, complaint)


def constant(value: Any) -> Elements:
    """Give the same value at every point, whatever the shape: an axis, a temperature, a mask, a string.

    Floating-point numbers are inputs like others, whose gradient is checked.

    >>> from hypothesis import find
    >>> from gradlab.strategies import inputs
    >>> find(inputs("(n),()", elements=(reals, constant(-1))), lambda point: True)
    (array([1.]), -1)
    """
    return Elements(lambda shape, sizes: st.just(value))


def _normalised(p: Array) -> Array:
    normalised: Array = p / p.sum(axis=-1, keepdims=True)
    return normalised


def _has_an_axis(core: Core, names: Sequence[str]) -> str:
    return "" if core else "an array without axes has no last axis to sum over"


def _each_then(
    repair: Callable[[Array], Array], alterations: Mapping[str, Alteration]
) -> dict[str, Alteration]:
    """Bring altered arrays back to what they have to be, such as symmetric."""

    def repaired(alteration: Alteration) -> Alteration:
        return lambda draw, array: repair(alteration(draw, array))

    return {kind: repaired(alteration) for kind, alteration in alterations.items()}


LAYOUT: dict[str, Alteration] = {"layout": degenerate.layout}
POSITIVE: dict[str, Alteration] = {"ties": degenerate.ties, "magnitude": degenerate.magnitude}
REAL = POSITIVE | {"zeros": degenerate.zeros}
# The functions that need no arguments stand for themselves.
NAMED: dict[Callable[..., Any], Elements] = {
    reals: Elements(reals, REAL | LAYOUT),
    positive: Elements(positive, POSITIVE | LAYOUT),
    probabilities: Elements(probabilities, _each_then(_normalised, POSITIVE) | LAYOUT, _has_an_axis),
    one_hot: Elements(one_hot, LAYOUT, _has_an_axis),
    symmetric: Elements(symmetric, _each_then(mirrored, REAL) | LAYOUT, not_square),
    spd: Elements(spd, DEFINITE | LAYOUT, not_square),
}
