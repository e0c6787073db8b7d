"""NumPy's gufunc signatures, read: which dimensions each array has."""

from __future__ import annotations

import re
from typing import TypeAlias

from gradlab.errors import UsageError
from gradlab.point.values import describe

Core: TypeAlias = tuple[str, ...]

DIMENSION = r"(?:[A-Za-z_]\w*|\d+)\??"
ARGUMENT = rf"\((?:{DIMENSION}(?:,{DIMENSION})*)?\)"
ARGUMENTS = rf"{ARGUMENT}(?:,{ARGUMENT})*"
SIGNATURE = re.compile(rf"({ARGUMENTS})(?:->{ARGUMENTS})?", re.ASCII)


def read_signature(signature: str) -> list[Core]:
    """Return the dimensions of each input: names, and digits for sizes that are fixed.

    Parameters
    ----------
    signature : str
        The inputs as in ``numpy.linalg`` and ``ufunc.signature``; outputs after ``->`` are read and ignored.

    Raises
    ------
    UsageError
        When it cannot be read, or has optional dimensions.

    Examples
    --------
    >>> read_signature("(n, 3), (), (n)")
    [('n', '3'), (), ('n',)]
    """
    if not isinstance(signature, str):
        raise UsageError(f"signature is {describe(signature)}; expected a string such as '(n,d),(d,m)'")
    read = SIGNATURE.fullmatch(re.sub(r"\s", "", signature))
    if not read:
        raise UsageError(f"signature is {signature!r}; expected something like '(n,d),(d,m)'")
    if "?" in signature:
        raise UsageError(
            f"signature {signature!r} has optional dimensions, which are not supported; "
            "expected one signature, and one rule, for each number of dimensions"
        )
    return [tuple(re.findall(r"\w+", core)) for core in re.findall(r"\(([^)]*)\)", read[1])]
