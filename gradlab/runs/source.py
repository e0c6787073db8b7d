"""Where a function is written down."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


def source_of(function: Callable[..., Any]) -> tuple[str, int] | None:
    """Return the file and the first line of a function, behind its decorators.

    Parameters
    ----------
    function : callable
        A function, a method, a `functools.partial` or an object with ``__call__``.

    Returns
    -------
    tuple of str and int, or None
        ``None`` where it is not written in Python, or in no file.

    Examples
    --------
    >>> from gradlab.rules import linear
    >>> file, line = source_of(linear.backward)
    >>> file.endswith("linear.py"), source_of(len)
    (True, None)
    """
    try:
        while isinstance(function, functools.partial):
            function = function.func
        function = inspect.unwrap(function)
        if not (inspect.isroutine(function) or inspect.isclass(function)):
            function = type(function).__call__
        file = inspect.getsourcefile(function)
        _, line = inspect.getsourcelines(function)
    except (TypeError, OSError, ValueError, SyntaxError):
        return None
    return (file, line) if file is not None else None
