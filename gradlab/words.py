"""Numbers in sentences; needs no NumPy."""

from __future__ import annotations

import math


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, in the singular where it is one.

    >>> counted(1, "point"), counted(0, "point"), counted(3, "entry", "entries")
    ('1 point', '0 points', '3 entries')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def entries(count: int, *, paired: bool) -> str:
    """Count the entries of an array; of a complex one, the real numbers that these are.

    >>> entries(3, paired=False), entries(6, paired=True)
    ('3 entries', '6 real and imaginary parts')
    """
    return f"{count} real and imaginary parts" if paired else counted(count, "entry", "entries")


def rounded_up(value: float) -> str:
    """Return a bound with one digit, rounded so that it stays a bound.

    >>> rounded_up(1.2e-7), rounded_up(2e-7)
    ('2e-07', '2e-07')
    """
    if not 0 < value < math.inf:
        return f"{value:g}"
    unit = 10.0 ** math.floor(math.log10(value))
    return f"{math.ceil(round(value / unit, 6)) * unit:.0e}"


def told_apart(one: float, other: float) -> tuple[str, str]:
    """Return two numbers to six digits, or to as many more as show in what they differ.

    >>> told_apart(2.0, 1 / 3), told_apart(4.31937379, 4.31936947)
    (('2', '0.333333'), ('4.3193738', '4.3193695'))
    """
    digits = 6
    if one != other and math.isfinite(one) and math.isfinite(other):
        while f"{one:.{digits}g}" == f"{other:.{digits}g}":
            digits += 1  # ends at 17, by which any two numbers differ
        digits += digits > 6
    return f"{one:.{digits}g}", f"{other:.{digits}g}"
