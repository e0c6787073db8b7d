"""Numbers in sentences; needs no NumPy."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, in the singular where it is one.

    >>> counted(1, "point"), counted(0, "point"), counted(3, "entry", "entries")
    ('1 point', '0 points', '3 entries')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
