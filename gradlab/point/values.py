"""Single values that pass between gradlab and the functions under test: their kinds, copies, descriptions."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.numerics import dtypes

FOREIGN = ("__array__", "__array_interface__", "__dlpack__")  # how libraries hand their arrays to NumPy


def describe(value: Any) -> str:
    """Say in a few words what a value is, for a message.

    >>> describe(np.zeros((2, 3), dtype=np.float32))
    'a float32 array of shape (2, 3)'
    >>> describe([1, 2])
    'a list of length 2'
    >>> describe(None)
    'None'
    """
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"{_article(str(value.dtype))} array of shape {value.shape}"
    if isinstance(value, tuple) and value:
        return f"a tuple ({', '.join(type(item).__name__ for item in value)})"
    if isinstance(value, Sequence | Mapping) and not isinstance(value, str | bytes):
        return f"{_article(type(value).__name__)} of length {len(value)}"
    if isinstance(value, str | int | float | complex):
        text = repr(value)
        shown = text if len(text) <= 40 else f"{text[:37]}..."
        return f"the {type(value).__name__} {shown}"
    return _article(type(value).__name__)


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in set('aeiou') else 'a'} {noun}"


def text_of(error: BaseException) -> str:
    """Return an exception's message, also when its own ``__str__`` is broken."""
    try:
        return str(error)
    except BaseException:  # whatever it is, it comes from a message
        return "(its message cannot be printed)"


def is_floating(value: Any) -> bool:
    """Whether a value is differentiated: an array or a scalar that is floating-point or complex."""
    if isinstance(value, np.ndarray | np.generic):
        return dtypes.is_floating(value.dtype)
    return isinstance(value, float | complex)


def is_numeric(value: Any) -> bool:
    """Whether a value is an array, of any kind, or a number that is no integer."""
    return isinstance(value, np.ndarray) or is_floating(value) or is_foreign(value)


def is_foreign(value: Any) -> bool:
    """Whether a value is an array of another library.

    >>> is_foreign(np.ones(2)), is_foreign(2.0), is_foreign(np.ndarray)
    (False, False, False)
    """
    known = isinstance(value, np.ndarray | np.generic | numbers.Number)
    # Of the type, because an object may answer to any name, and a class has the attributes of its instances.
    return not known and any(hasattr(type(value), protocol) for protocol in FOREIGN)


def is_number(value: Any) -> bool:
    """Whether a value is a number, or an array of them."""
    if not isinstance(value, np.ndarray | np.generic | int | float | complex):
        return False
    dtype = np.asarray(value).dtype
    return dtype.kind in "biu" or dtypes.is_floating(dtype)


def as_array(value: Any) -> npt.NDArray[Any]:
    """Return a value as an array, where it is an array of anything; one of no dimensions otherwise.

    >>> as_array([1, 2]).shape, as_array((None, [1, 2])).shape
    ((2,), ())
    """
    try:
        return np.asarray(value)
    except ValueError:  # a ragged list
        return np.asarray(None)


def private(value: Any) -> Any:
    """Copy what could be written to: arrays, and containers with all that is in them."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return np.array(value, copy=True, subok=True)
    if isinstance(value, np.ndarray | list | dict | set | tuple):
        try:
            return copy.deepcopy(value)
        except Exception:  # something in it cannot be copied, such as an open file
            return value
    return value


def copier(value: Any) -> Callable[[], Any]:
    """Return a function that makes private copies of one value, its kind looked at once.

    >>> copies = copier(np.ones(2))
    >>> copies(), copies() is copies()
    (array([1., 1.]), False)
    """
    if type(value) is np.ndarray and value.dtype != object:
        return partial(value.copy, "K")
    return partial(private, value)


def like(original: Any, value: npt.NDArray[Any]) -> Any:
    """Give ``value`` the type of ``original``: an array, a subclass with its attributes, or a scalar.

    >>> like(2.0, np.array(3.0))
    3.0
    """
    if type(original) is np.ndarray:
        return np.asarray(value)  # a sum of arrays without axes is a scalar
    if isinstance(original, np.ndarray):
        twin = np.array(original, dtype=value.dtype, copy=True, subok=True)
        twin.view(np.ndarray)[...] = value  # past what the subclass makes of an assignment
        return twin
    scalar = value[()]
    return type(original)(scalar) if type(original) in (float, complex) else scalar


def strided(value: Any) -> Any:
    """Return an array's twin with gaps in memory, where it lies in Fortran order; any other value as it is.

    >>> strided(np.ones((2, 3))).strides
    (16, 32)
    """
    if type(value) is not np.ndarray or value.ndim == 0:
        return value
    room = np.zeros((*value.shape[:0:-1], 2 * value.shape[0]), dtype=value.dtype)
    twin: npt.NDArray[Any] = room[..., ::2].T
    twin[...] = value
    return twin


def reversed_in_memory(value: Any) -> Any:
    """Return an array's twin whose entries lie in memory in reverse order; any other value as it is.

    >>> reversed_in_memory(np.arange(3.0)).strides
    (-8,)
    """
    if type(value) is not np.ndarray or value.ndim == 0:
        return value
    backwards = (slice(None, None, -1),) * value.ndim
    return value[backwards].copy()[backwards]


def transposed_in_memory(value: Any) -> Any:
    """Return an array's twin that is a view, in Fortran order; any other value as it is.

    That of a vector, or of what is long along one axis alone, goes from its last entry to its first, and has
    gaps.

    >>> transposed_in_memory(np.ones((2, 3))).strides, transposed_in_memory(np.ones(3)).strides
    ((8, 16), (-16,))
    """
    if type(value) is not np.ndarray or value.ndim == 0:
        return value
    if value.ndim > 1 and sum(length > 1 for length in value.shape) > 1:
        return value.T.copy().T
    backwards = (slice(None, None, -1),) * value.ndim
    room = np.zeros(tuple(2 * length for length in value.shape), dtype=value.dtype)
    gaps = room[(slice(None, None, 2),) * value.ndim][backwards]
    gaps[...] = value
    return gaps


def broadcast_in_memory(value: Any) -> Any:
    """Return the twin of an array of equal entries that is one number in memory; any other value as it is.

    >>> broadcast_in_memory(np.ones((2, 3))).strides
    (0, 0)
    """
    if type(value) is not np.ndarray or value.ndim == 0 or not value.size:
        return value
    one = value.flat[:1].tobytes()  # which nobody can write to
    return np.ndarray(value.shape, value.dtype, one, strides=(0,) * value.ndim)


def same(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> bool:
    """Whether two arrays are equal in shape and in every entry, NaN included."""
    before, after = np.asarray(before), np.asarray(after)
    if before.shape != after.shape:
        return False
    if not np.count_nonzero(before != after):
        return True  # by far the most frequent
    return bool(np.array_equal(before, after, equal_nan=dtypes.is_floating(before.dtype)))
