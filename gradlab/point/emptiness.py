"""Points without a number: empty inputs or outputs, where a contract is to be kept and nothing compared."""

from __future__ import annotations

from collections.abc import Mapping

NOTHING = "no derivative could be compared"


def about_nothing(sizes: Mapping[str, int], *, outputs: int) -> list[str]:
    """Say that there is no derivative to compare, and which side has no number, where that is so.

    >>> about_nothing({"x": 0, "w": 6}, outputs=0)
    ['no derivative could be compared: forward returns no number']
    >>> about_nothing({"x": 0}, outputs=4), about_nothing({"x": 0, "w": 6}, outputs=4)
    (['no derivative could be compared: x has no entry'], [])
    """
    if not any(sizes.values()):
        return [f"{NOTHING}: {' and '.join(sizes)} {'has' if len(sizes) == 1 else 'have'} no entry"]
    return [] if outputs else [f"{NOTHING}: forward returns no number"]


def says_nothing(note: str) -> bool:
    """Whether a note is one of `about_nothing`."""
    return note.startswith(f"{NOTHING}: ")
