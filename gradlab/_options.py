"""The values that an option takes: in words, as a test, and as they are read from a command line.

NumPy's scalars are numbers as Python's are, which `numbers` knows, so that this needs no NumPy. Truth values
are no numbers.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What values an option takes.

    Attributes
    ----------
    expected : str
        In words.
    accepts : callable
        Whether a value is one of them.
    read : callable
        What makes one of a text.
    """

    expected: str
    accepts: Callable[[Any], bool]
    read: Callable[[str], Any] = str

    def argument(self, text: str) -> Any:
        """Return the value of an argument on a command line: for ``type=`` of `argparse`.

        >>> whole_number(1).argument("3")
        3
        """
        try:
            value = self.read(text)
        except ValueError:
            value = None
        if not self.accepts(value):
            from argparse import ArgumentTypeError

            raise ArgumentTypeError(f"{text!r} was given; expected {self.expected}")
        return value


def is_integer(value: Any) -> bool:
    """Whether a value is an integer, Python's or NumPy's.

    >>> is_integer(3), is_integer(True), is_integer(3.0)
    (True, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_real(value: Any) -> bool:
    """Whether a value is a real number, Python's or NumPy's.

    >>> is_real(3), is_real(0.5), is_real(True), is_real("0.5")
    (True, True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool)


def whole_number(least: int) -> Kind:
    """Return the kind of whole numbers from ``least`` on.

    >>> whole_number(1).accepts(1), whole_number(1).accepts(0)
    (True, False)
    """
    return Kind(
        f"a whole number, at least {least}",
        lambda value: is_integer(value) and bool(value >= least),
        read=int,
    )


SECONDS = Kind(
    "a positive number of seconds",
    lambda value: is_real(value) and bool(0 < value <= sys.float_info.max),
    read=float,
)
NOT_NEGATIVE = Kind("a number, zero or more", lambda value: is_real(value) and bool(0 <= value < math.inf))
FRACTION = Kind("a number between 0 and 1", lambda value: is_real(value) and bool(0 < value < 1), read=float)
TEXT = Kind("a string", lambda value: isinstance(value, str))
