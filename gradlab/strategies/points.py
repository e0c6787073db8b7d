"""`inputs`: tuples of arrays from a signature."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradlab._options import whole_number
from gradlab.errors import UsageError
from gradlab.numerics.dtypes import is_complex, is_floating, limits, named
from gradlab.point.options import require
from gradlab.point.values import describe
from gradlab.strategies import elements as of
from gradlab.strategies.elements import NAMED, Elements
from gradlab.strategies.numbers import BIT, Arrays, Shape, Sizes, below
from gradlab.strategies.signature import Core, read_signature

Holds: TypeAlias = Elements | Callable[[Shape, Sizes], Arrays]

MAX_SIDE = 4
BATCH_DIMS, BATCH_SIDE = 2, 3  # at most, of what `broadcast` puts in front
# Of 32 points so many are degenerate, where the arrays can be.
BITS, SHARES = 5, {"ties": 5, "zeros": 5, "magnitude": 3, "layout": 1}


class Point(tuple[Any, ...]):
    """A tuple of inputs, and in which way it was made degenerate: empty for a plain one."""

    degenerate: str = ""


def inputs(
    signature: str,
    *,
    elements: Holds | Sequence[Holds] | None = None,
    broadcast: bool = False,
    dtype: npt.DTypeLike = np.float64,
    degenerate: bool = True,
    max_side: int | Mapping[str, int] = MAX_SIDE,
) -> st.SearchStrategy[tuple[npt.NDArray[Any], ...]]:
    """Draw tuples of arrays from a NumPy gufunc signature.

    Parameters
    ----------
    signature : str
        Such as ``"(n,d),(d,m)"``: a name that occurs twice stands for the same size, and a number for
        itself. Sizes are drawn from 1 up. Outputs, after ``->``, are ignored; optional dimensions are not
        supported.
    elements : sequence of functions, or one for all, optional
        What each array holds: `reals` (the default), `positive`, `probabilities`, `one_hot`, `symmetric`,
        `spd`, ``labels("c")``, ``between(low, high)``, ``constant(value)``, or a function of your own that
        takes the shape and the sizes by name, and returns a Hypothesis strategy.
    broadcast : bool, default False
        Whether to put batch dimensions in front of the signature's, up to two in each array, that are
        compatible by NumPy's rules of broadcasting: some are 1, some are missing.
    dtype : dtype, default float64
        Of the floating-point arrays. ``complex64`` or ``complex128`` makes those of `reals` complex, and
        others as precise; ``bfloat16`` and the float8 formats need the package ``ml_dtypes``.
    degenerate : bool, default True
        Whether about 44 % of the points are made degenerate, each in one way and in one array or all of them:
        16 % have ties (at most two different values, hence duplicate labels too), 16 % have zeros, or ignored
        labels, 9 % numbers scaled by 1/2 … 1/1024 or 4, or close to their bounds (never in float16), and 3 %
        memory that is not in C order. What an array may hold comes first: no zeros among positive numbers.
    max_side : int or mapping of str to int, default 4
        The largest size of the signature's dimensions, for all of them or by name.

    Raises
    ------
    UsageError
        When the signature cannot be read, or does not fit ``elements``.

    Notes
    -----
    `gradlab.verify` leaves a degenerate point out where ``forward`` has no value, as ``1 / x`` has none at
    zero: such a point is not in the function's domain.

    Examples
    --------
    >>> from hypothesis import find
    >>> x, w = find(inputs("(n,d),(d,m)"), lambda point: point[0].size > 1)
    >>> x.shape[1] == w.shape[0]
    True
    >>> find(inputs("(n),(n)", broadcast=True), lambda point: point[0].ndim > point[1].ndim)
    (array([[1.]]), array([1.]))
    """
    cores = read_signature(signature)
    holds = _elements(signature, cores, elements)
    kind_of_float = _floating(dtype)
    names = sorted({name for core in cores for name in core if not name.isdigit()})
    sides = {name: st.integers(1, side) for name, side in _sides(names, max_side)}
    kinds = _kinds(holds, kind_of_float) if degenerate else []

    @st.composite
    def points(draw: st.DrawFn) -> Point:
        kind = _kind(draw, kinds)
        drawn = {name: draw(side) for name, side in sides.items()}
        batches = draw(_batches(len(cores))) if broadcast else ((),) * len(cores)
        arrays = []
        for core, batch, held in zip(cores, batches, holds, strict=True):
            shape = (*batch, *(int(name) if name.isdigit() else drawn[name] for name in core))
            arrays.append(draw(held(shape, drawn)))
            if is_complex(kind_of_float) and held is NAMED[of.reals]:
                arrays[-1] = arrays[-1] + 1j * draw(held(shape, drawn))
        if kind and kind != "layout":
            arrays = _altered(draw, kind, arrays, holds)
        arrays = [_cast(array, kind_of_float) for array in arrays]
        if kind == "layout":  # last: casting would undo it
            arrays = _altered(draw, kind, arrays, holds)
        point = Point(arrays)
        point.degenerate = kind
        return point

    return points()


def longer(given: Any, values: tuple[Any, ...]) -> Any:
    """Return where points come from, with further inputs at the end of each, such as a layer's parameters.

    Parameters
    ----------
    given : str, strategy, tuple or callable
        As in `gradlab.Rule`.
    values : tuple
        The further inputs.

    Examples
    --------
    >>> longer((1.0, 2.0), (3.0,))
    (1.0, 2.0, 3.0)
    """

    def extended(point: Any) -> Any:
        together = (*point, *values)
        if not isinstance(point, Point):
            return together
        drawn = Point(together)
        drawn.degenerate = point.degenerate
        return drawn

    if isinstance(given, str):
        given = inputs(given)
    if isinstance(given, tuple | list):
        return extended(given)
    if hasattr(given, "map"):
        return given.map(extended)
    if callable(given):
        return functools.wraps(given)(lambda rng: extended(given(rng)))
    raise UsageError(
        f"inputs is {describe(given)}; expected a signature such as '(n,d)', a Hypothesis strategy, a "
        "tuple of example inputs, or a function of a numpy Generator"
    )


def _altered(draw: st.DrawFn, kind: str, arrays: list[Any], holds: Sequence[Elements]) -> list[Any]:
    """Make one of the arrays that can be degenerate in this way so, or all of them."""
    able = [i for i, held in enumerate(holds) if kind in held.alterations]
    everyone = [able] if len(able) > 1 and kind != "magnitude" else []  # products of large ones overflow
    choices = [*([i] for i in able), *everyone]
    chosen = choices[draw(below(len(choices)))]
    return [
        held.alterations[kind](draw, array) if i in chosen else array
        for i, (array, held) in enumerate(zip(arrays, holds, strict=True))
    ]


def _kinds(holds: Sequence[Elements], dtype: np.dtype[Any]) -> list[str]:
    """Return the kinds of degeneration that the arrays allow, each as often as it is to be drawn."""
    able = {kind for held in holds for kind in held.alterations}
    if limits(dtype).bits < np.finfo(np.float32).bits:
        able.discard("magnitude")  # squares of small numbers vanish in float16
    return [kind for kind, share in SHARES.items() if kind in able for _ in range(share)]


def _kind(draw: st.DrawFn, kinds: Sequence[str]) -> str:
    """Draw one of the kinds, or none.

    Bit by bit, and before all else: when Hypothesis makes a new point of an old one, it exchanges choices of
    the same strategy, and one integer in place of another that is out of bounds counts as zero. Nearly half
    of the degenerate points became plain ones, before.
    """
    if not kinds:
        return ""
    number = sum(draw(BIT) << k for k in range(BITS))
    return "" if number < 2**BITS - len(kinds) else kinds[number - 2**BITS]


def _elements(
    signature: str, cores: Sequence[Core], elements: Holds | Sequence[Holds] | None
) -> list[Elements]:
    given = of.reals if elements is None else elements
    chosen = [given] * len(cores) if callable(given) else given
    if not isinstance(chosen, list | tuple):
        raise UsageError(f"elements is {describe(chosen)}; expected {EXPECTED}, or a tuple of these")
    if len(chosen) != len(cores):
        raise UsageError(
            f"signature {signature!r} names {len(cores)} arrays; elements are given for {len(chosen)}"
        )
    names = sorted({name for core in cores for name in core})
    found = []
    for k, (core, held) in enumerate(zip(cores, chosen, strict=True)):
        if not callable(held):
            raise UsageError(f"elements[{k}] is {describe(held)}; expected {EXPECTED}")
        if held in FACTORIES:
            raise UsageError(f"elements[{k}] is {held.__name__} itself; expected {FACTORIES[held]}")
        known = held if isinstance(held, Elements) else NAMED.get(held, Elements(held))
        complaint = known.complaint(core, names)
        if complaint:
            raise UsageError(f"elements[{k}] does not fit signature {signature!r}: {complaint}")
        found.append(known)
    return found


FACTORIES: dict[Any, str] = {
    of.labels: "labels('c')",
    of.between: "between(0, 1)",
    of.constant: "constant(1)",
}
EXPECTED = f"{', '.join([*(named.__name__ for named in NAMED), *FACTORIES.values()])} or a function"


def _batches(count: int) -> st.SearchStrategy[tuple[Shape, ...]]:
    """Draw as many shapes that broadcast with each other."""
    drawn = hnp.mutually_broadcastable_shapes(num_shapes=count, max_dims=BATCH_DIMS, max_side=BATCH_SIDE)
    return drawn.map(lambda shapes: shapes.input_shapes)


def _sides(names: Sequence[str], max_side: int | Mapping[str, int]) -> list[tuple[str, int]]:
    if isinstance(max_side, Mapping):
        unknown = [name for name in max_side if name not in names]
        if unknown:
            raise UsageError(
                f"max_side names {unknown[0]!r}; expected dimensions of the signature: {', '.join(names)}"
            )
    by_name = max_side if isinstance(max_side, Mapping) else dict.fromkeys(names, max_side)
    for side in by_name.values():
        require(whole_number(1), optional=False, max_side=side)
    return [(name, int(by_name.get(name, MAX_SIDE))) for name in names]


def _floating(dtype: npt.DTypeLike) -> np.dtype[Any]:
    try:
        found = named(dtype) if isinstance(dtype, str) else np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if not is_floating(found):
        raise UsageError(f"dtype is {dtype!r}; expected a floating dtype such as 'float32'")
    return found


def _cast(array: Any, dtype: np.dtype[Any]) -> Any:
    if not isinstance(array, np.ndarray) or not is_floating(array.dtype):
        return array
    if is_complex(dtype) and not is_complex(array.dtype):
        dtype = np.empty(0, dtype).real.dtype
    return array.astype(dtype, copy=False)
