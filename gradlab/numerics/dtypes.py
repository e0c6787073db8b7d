"""The dtypes that are differentiated: floating ones, complex ones, and narrow ones that NumPy lacks.

bfloat16 and the float8 formats are those of ``ml_dtypes``. It is never loaded here for its own sake: who has
an array of such a dtype has loaded it.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np

from gradlab.errors import UsageError

NARROW = "ml_dtypes"  # the package; its dtypes are of kind "V" or "f", and NumPy knows no limits of them
STORAGE = 8  # bits
DType = np.dtype[Any]


def named(name: str) -> DType:
    """Return the dtype of a name, one of ``ml_dtypes`` where NumPy has none and that is installed.

    Raises
    ------
    UsageError
        When it is one of ``ml_dtypes``, which is not installed.
    TypeError
        When there is none.
    """
    try:
        return np.dtype(str(name))
    except TypeError:
        if not name.startswith(("bfloat", "float")):
            raise
    try:
        found: DType = np.dtype(getattr(importlib.import_module(NARROW), name))
    except ImportError:
        raise UsageError(
            f"dtype is {name!r}, which NumPy lacks; expected ml_dtypes to be installed: "
            "pip install 'gradlab-verify[narrow]'"
        ) from None
    except AttributeError:
        raise TypeError(name) from None
    return found


def is_floating(dtype: DType) -> bool:
    """Whether numbers of a dtype are differentiated.

    >>> [is_floating(np.dtype(kind)) for kind in ("float16", "complex64", "int64", "V2")]
    [True, True, False, False]
    """
    return dtype.kind in "fc" or is_narrow(dtype)


def is_complex(dtype: DType) -> bool:
    """Whether numbers of a dtype are pairs of real ones."""
    return dtype.kind == "c"


def widened(dtype: DType) -> DType:
    """Return float64, or complex128 for a complex dtype."""
    return np.dtype(np.complex128 if is_complex(dtype) else np.float64)


@cache
def limits(dtype: DType) -> Any:
    """Return what `numpy.finfo` says of a dtype, of narrow ones too.

    >>> float(limits(np.dtype("complex64")).eps) == 2.0**-23
    True
    """
    return importlib.import_module(NARROW).finfo(dtype) if is_narrow(dtype) else np.finfo(dtype)


def is_storage(dtype: DType) -> bool:
    """Whether a dtype has eight bits: numbers are stored in it, nothing that has digits is computed in it."""
    return bool(limits(dtype).bits <= STORAGE)


def loses_digits(given: DType, expected: DType) -> bool:
    """Whether a floating dtype has fewer digits than another.

    >>> loses_digits(np.dtype("float32"), np.dtype("complex128"))
    True
    """
    return bool(limits(given).nmant < limits(expected).nmant)


def is_narrow(dtype: DType) -> bool:
    """Whether a dtype is a floating one that NumPy lacks."""
    return dtype.type.__module__ == NARROW and not issubclass(dtype.type, np.integer) and _has_limits(dtype)


@cache
def _has_limits(dtype: DType) -> bool:
    try:
        importlib.import_module(NARROW).finfo(dtype)
    except ValueError:  # its integers
        return False
    return True
