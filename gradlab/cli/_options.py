"""How options read their values."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from gradlab.runs.config import Kind


def of_kind(kind: Kind) -> Callable[[str], Any]:
    """Return the ``type=`` of an option whose values are of that kind.

    >>> from gradlab.runs.config import whole_number
    >>> of_kind(whole_number(1))("3")
    3
    """

    def read(text: str) -> Any:
        try:
            value = kind.read(text)
        except ValueError:
            value = None
        if not kind.accepts(value):
            raise argparse.ArgumentTypeError(f"{text!r} was given; expected {kind.expected}")
        return value

    return read
