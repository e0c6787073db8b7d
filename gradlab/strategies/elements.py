"""What an array of a point holds: real numbers, probabilities, labels, matrices of a kind."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradlab.errors import UsageError
from gradlab.strategies import degenerate
from gradlab.strategies.degenerate import Alteration, Array
from gradlab.strategies.signature import Core
from gradlab.values import describe

Shape: TypeAlias = tuple[int, ...]
Sizes: TypeAlias = Mapping[str, int]
Arrays: TypeAlias = st.SearchStrategy[Any]

LARGEST = 2  # of the readable numbers
EVERYWHERE = {"layout": degenerate.layout}


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
    return _distinct(shape, signed=True)


def positive(shape: Shape, sizes: Sizes | None = None) -> Arrays:
    """Draw arrays of readable positive numbers up to 2, all different.

    >>> from hypothesis import find
    >>> find(positive((3,)), lambda x: True)
    array([1. , 2. , 0.5])
    """
    return _distinct(shape, signed=False)


def probabilities(shape: Shape, sizes: Sizes | None = None) -> Arrays:
    """Draw arrays of positive numbers whose sum over the last axis is 1.

    >>> from hypothesis import find
    >>> find(probabilities((2, 3)), lambda p: True).sum(axis=-1)
    array([1., 1.])
    """
    return _distinct(shape, signed=False).map(_normalised)


def one_hot(shape: Shape, sizes: Sizes | None = None) -> Arrays:
    """Draw integer arrays with a single 1 along the last axis, the rest zeros, repetitions included.

    They are integers because a target is a constant, and floating-point inputs are differentiated.

    >>> from hypothesis import find
    >>> find(one_hot((2, 3)), lambda t: True)
    array([[1, 0, 0],
           [1, 0, 0]])
    """
    classes = shape[-1]
    return hnp.arrays(np.int64, shape[:-1], elements=st.integers(0, classes - 1), fill=st.nothing()).map(
        lambda index: np.eye(classes, dtype=np.int64)[index]
    )


def symmetric(shape: Shape, sizes: Sizes | None = None) -> Arrays:
    """Draw symmetric matrices of readable numbers, and stacks of them.

    Whatever is drawn, the forward function is differentiated with respect to every entry by itself: one that
    reads only a triangle, as a Cholesky factorization does, should make its argument symmetric first.

    >>> from hypothesis import find
    >>> find(symmetric((2, 2)), lambda a: True)
    array([[ 1.,  2.],
           [ 2., -2.]])
    """
    return reals(shape).map(_mirrored)


def spd(shape: Shape, sizes: Sizes | None = None) -> Arrays:
    """Draw symmetric positive definite matrices, and stacks of them, all well conditioned.

    The diagonal is between 1 and 2. The entries beside it are so small that their sum along a row is below 1,
    hence no eigenvalue is below ``1 / n``.

    >>> from hypothesis import find
    >>> find(spd((2, 2)), lambda a: True)
    array([[1.  , 0.25],
           [0.25, 1.  ]])
    """
    n = shape[-1]
    from_one = [v for v in _grid(0, 2 * LARGEST, 64) if 1 <= v <= LARGEST]
    room = LARGEST * 2.0 ** n.bit_length()
    diagonal = hnp.arrays(np.float64, shape[:-1], elements=st.sampled_from(from_one), fill=st.nothing())

    def matrix(drawn: tuple[Array, Array]) -> Array:
        beside, on = drawn
        return np.where(np.eye(n, dtype=bool), on[..., None], _mirrored(beside) / room)

    return st.tuples(reals(shape), diagonal).map(matrix)


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
        return _sample(shape, _grid(low, high, _steps(shape)))

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
    if ignore is not None and (isinstance(ignore, bool) or not isinstance(ignore, int | np.integer)):
        raise UsageError(f"ignore is {describe(ignore)}; expected an integer such as -100, or None")

    def draw(shape: Shape, sizes: Sizes) -> Arrays:
        size = int(dimension) if dimension.isdigit() else sizes[dimension]
        choices = [*range(size), *([] if ignore is None else [int(ignore)])]
        drawn = hnp.arrays(np.int64, shape, elements=st.sampled_from(choices), fill=st.nothing())
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


def _simplest_first(value: float) -> tuple[int, float, bool]:
    return Fraction(value).denominator, abs(value), value < 0


def _steps(shape: Shape) -> int:
    """Return how many steps a grid has that leaves plenty of room for an array of this shape."""
    return max(64, 4 << int(np.prod(shape)).bit_length())


@functools.lru_cache
def _grid(low: float, high: float, steps: int) -> tuple[float, ...]:
    """Return the points strictly between two bounds that are not zero, the simplest first."""
    points = {low + (high - low) * k / steps for k in range(1, steps)}
    return tuple(sorted((v for v in points if low < v < high and v), key=_simplest_first))


@functools.lru_cache
def _distinct(shape: Shape, *, signed: bool) -> Arrays:
    # Multiples of a power of two, 1/16 where there is room, are exact in every floating dtype.
    grid = _grid(-2 * LARGEST, 2 * LARGEST, 2 * _steps(shape))
    return _sample(shape, [v for v in grid if abs(v) <= LARGEST and (signed or v > 0)])


def _sample(shape: Shape, values: Sequence[float]) -> Arrays:
    return hnp.arrays(np.float64, shape, elements=st.sampled_from(values), unique=True, fill=st.nothing())


def _normalised(p: Array) -> Array:
    normalised: Array = p / p.sum(axis=-1, keepdims=True)
    return normalised


def _mirrored(a: Array) -> Array:
    return np.tril(a) + np.tril(a, -1).swapaxes(-1, -2)


def _square(core: Core, names: Sequence[str]) -> str:
    if len(core) >= 2 and core[-1] == core[-2]:
        return ""
    return f"a matrix that is symmetric has dimensions such as (n,n), not ({','.join(core)})"


def _has_an_axis(core: Core, names: Sequence[str]) -> str:
    return "" if core else "an array without axes has no last axis to sum over"


def _tied_definite(draw: st.DrawFn, a: Array) -> Array:
    """Give matrices one value on the diagonal and one beside it: eigenvalues that coincide."""
    on = np.broadcast_to(a[..., :1, :1], a.shape)
    return np.where(np.eye(a.shape[-1], dtype=bool), on, np.broadcast_to(a[..., -1:, :1], a.shape))


def _without_some_beside(draw: st.DrawFn, a: Array) -> Array:
    thinned = _mirrored(degenerate.zeros(draw, a))
    return np.where(np.eye(a.shape[-1], dtype=bool), a, thinned)


def _scaled_as_a_whole(draw: st.DrawFn, a: Array) -> Array:
    return a * 2.0 ** draw(st.sampled_from(degenerate.POWERS))


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
DEFINITE: dict[str, Alteration] = {
    "ties": _tied_definite,
    "zeros": _without_some_beside,
    "magnitude": _scaled_as_a_whole,
}
# The functions that need no arguments stand for themselves.
NAMED: dict[Callable[..., Any], Elements] = {
    reals: Elements(reals, REAL | LAYOUT),
    positive: Elements(positive, POSITIVE | LAYOUT),
    probabilities: Elements(probabilities, _each_then(_normalised, POSITIVE) | LAYOUT, _has_an_axis),
    one_hot: Elements(one_hot, LAYOUT, _has_an_axis),
    symmetric: Elements(symmetric, _each_then(_mirrored, REAL) | LAYOUT, _square),
    spd: Elements(spd, DEFINITE | LAYOUT, _square),
}
