"""Options of calls: what is refused before the work begins, and what a function is called in reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradlab._options import TEXT, Kind
from gradlab.errors import UsageError, is_deliberate
from gradlab.point.values import describe

__tracebackhide__ = is_deliberate


def require(kind: Kind, *, optional: bool = True, **options: Any) -> None:
    """Refuse options whose values are of another kind; those that are ``None`` are not given.

    Raises
    ------
    UsageError
        For the first of them.
    """
    for option, value in options.items():
        if not ((optional and value is None) or kind.accepts(value)):
            raise UsageError(f"{option} is {describe(value)}; expected {kind.expected}")


def title_of(function: Callable[..., Any], name: str | None = None) -> str:
    """Return what reports call a function: the ``name`` that was given, or its own.

    >>> title_of(describe), title_of(describe, "in words")
    ('describe', 'in words')
    """
    require(TEXT, name=name)
    return name or str(getattr(function, "__name__", type(function).__name__))
