"""Numbers and matrices as text."""

from __future__ import annotations

import math
from typing import Any, SupportsFloat

import numpy as np
import numpy.typing as npt


def number(value: SupportsFloat) -> str:
    """Return a number with five significant digits.

    >>> number(0.1), number(-2.0), number(1 / 3)
    ('0.1', '-2', '0.33333')
    """
    return f"{float(value) + 0.0:.5g}"


def factor(value: SupportsFloat) -> str:
    """Return a number as one factor of a product, in brackets when it is negative.

    >>> factor(-2.0)
    '(-2)'
    """
    return number(value) if float(value) >= 0 else f"({number(value)})"


def matrix(array: npt.NDArray[Any], indent: int) -> str:
    """Return an array as text, rows below each other at one indent.

    >>> print(matrix(np.eye(2), 2))
    [[1 0]
       [0 1]]
    """
    cells = np.vectorize(number, otypes=[object])(array) if array.size else array.astype(object)
    width = max((len(str(cell)) for cell in cells.ravel()), default=0)
    text = np.array2string(
        cells, formatter={"object": lambda cell: str(cell).rjust(width)}, max_line_width=100, separator=" "
    )
    return text.replace("\n", "\n" + " " * indent)


def labelled(label: str, given: Any, *, indent: int = 2) -> str:
    """Return ``label = array``, the rows aligned; what is not an array of numbers as Python writes it.

    >>> print(labelled("X", np.array([[1.0, 2.0], [3.0, 4.0]])))
      X = [[1 2]
           [3 4]]
    """
    head = f"{' ' * indent}{label} = "
    array = np.asarray(given) if isinstance(given, np.ndarray | np.number | int | float) else None
    if array is None or array.dtype.kind not in "biuf":
        return head + repr(given)
    return head + matrix(array, len(head))


def digits(one: float, other: float) -> str:
    """Say to how many decimal digits two numbers agree.

    >>> digits(1.0, 1.0), digits(1.0, 1.00001), digits(1.0, -1.0)
    ('all', '5', '0')
    """
    if one == other:
        return "all"
    size = max(abs(one), abs(other))
    agreed = -math.log10(abs(one - other) / size) if math.isfinite(one - other) else 0.0
    return "12 or more" if agreed >= 12 else str(max(0, round(agreed)))
