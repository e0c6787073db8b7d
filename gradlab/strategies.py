"""Hypothesis strategies for the inputs of rules.

Values are readable fractions, all different within an array: a tie would hide a transpose, and a zero a
missing factor. They shrink towards 1, and shapes towards size 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradlab.errors import UsageError

Shape: TypeAlias = tuple[int, ...]
Arrays: TypeAlias = st.SearchStrategy[npt.NDArray[Any]]
Elements: TypeAlias = Callable[[Shape, Mapping[str, int]], Arrays]

MAX_SIDE = 4
SIGNATURE = re.compile(r"\((?:\w+(?:,\w+)*)?\)(?:,\((?:\w+(?:,\w+)*)?\))*", re.ASCII)


def _simplest_first(value: float) -> tuple[int, float, bool]:
    return Fraction(value).denominator, abs(value), value < 0


# Multiples of 1/16 are exact in every floating dtype, and enough of them for an array of distinct ones.
READABLE = sorted((k / 16 for k in range(-32, 33) if k), key=_simplest_first)
POSITIVE = [value for value in READABLE if value > 0]


def reals(shape: Shape, sizes: Mapping[str, int] | None = None) -> Arrays:
    """Draw arrays of readable non-zero numbers between -2 and 2, all different where there is room.

    Parameters
    ----------
    shape : tuple of int
        The arrays' shape.
    sizes : mapping of str to int, optional
        The sizes of the signature's dimensions; not used here.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(reals((1, 3)), lambda x: True).shape
    (1, 3)
    """
    return _distinct(shape, READABLE)


def probabilities(shape: Shape, sizes: Mapping[str, int] | None = None) -> Arrays:
    """Draw arrays of positive numbers whose sum over the last axis is 1.

    >>> from hypothesis import find
    >>> find(probabilities((2, 3)), lambda p: True).sum(axis=-1)
    array([1., 1.])
    """
    return _distinct(shape, POSITIVE).map(lambda p: p / p.sum(axis=-1, keepdims=True))


def labels(dimension: str) -> Elements:
    """Draw integer arrays that index a dimension of the signature, repetitions included.

    Parameters
    ----------
    dimension : str
        The dimension's name in the signature.

    Examples
    --------
    >>> from hypothesis import find
    >>> logits, target = find(inputs("(n,c),(n)", elements=(reals, labels("c"))), lambda point: True)
    >>> target
    array([0])
    """

    def draw(shape: Shape, sizes: Mapping[str, int]) -> Arrays:
        return hnp.arrays(np.int64, shape, elements=st.integers(0, sizes[dimension] - 1))

    return draw


def inputs(
    signature: str, *, elements: Sequence[Elements] | None = None
) -> st.SearchStrategy[tuple[npt.NDArray[Any], ...]]:
    """Draw tuples of arrays from a NumPy gufunc signature.

    Parameters
    ----------
    signature : str
        Such as ``"(n,d),(d,m)"``: a name that occurs twice stands for the same size, and a number for
        itself. Sizes are drawn from 1 up.
    elements : sequence of functions, optional
        What each array holds: `reals` (the default for all), `probabilities`, ``labels("c")``.

    Raises
    ------
    UsageError
        When the signature cannot be read, or names another number of arrays than ``elements``.

    Examples
    --------
    >>> from hypothesis import find
    >>> x, w = find(inputs("(n,d),(d,m)"), lambda point: point[0].size > 1)
    >>> x.shape[1] == w.shape[0]
    True
    """
    compact = signature.replace(" ", "")
    if not SIGNATURE.fullmatch(compact):
        raise UsageError(f"signature is {signature!r}; expected something like '(n,d),(d,m)'")
    cores = [[name for name in core.split(",") if name] for core in re.findall(r"\(([^)]*)\)", compact)]
    elements = [reals] * len(cores) if elements is None else elements
    if len(elements) != len(cores):
        raise UsageError(
            f"signature {signature!r} names {len(cores)} arrays; elements are given for {len(elements)}"
        )
    names = sorted({name for core in cores for name in core})
    sizes = st.fixed_dictionaries(
        {n: st.just(int(n)) if n.isdigit() else st.integers(1, MAX_SIDE) for n in names}
    )

    def arrays(drawn: dict[str, int]) -> st.SearchStrategy[tuple[npt.NDArray[Any], ...]]:
        shapes = [tuple(drawn[name] for name in core) for core in cores]
        return st.tuples(*(draw(shape, drawn) for draw, shape in zip(elements, shapes, strict=True)))

    return sizes.flatmap(arrays)


def _distinct(shape: Shape, values: Sequence[float]) -> Arrays:
    room = int(np.prod(shape)) <= len(values) // 2
    return hnp.arrays(np.float64, shape, elements=st.sampled_from(values), unique=room, fill=st.nothing())
