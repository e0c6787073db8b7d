"""``-k EXPRESSION``: which names are meant, as in pytest."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from gradlab.errors import UsageError

WORDS = re.compile(r"[()]|[^\s()]+")
OPERATORS = {"(", ")", "and", "or", "not"}


def selector(expression: str) -> Callable[[str], bool]:
    """Return the test of a name that an expression stands for.

    A word stands for the names that contain it, in either case; ``and``, ``or``, ``not`` and parentheses
    join them. An empty expression selects everything.

    Parameters
    ----------
    expression : str
        Such as ``"softmax and not cross"``.

    Raises
    ------
    UsageError
        When the expression cannot be read.

    Examples
    --------
    >>> selected = selector("softmax and not (cross or log)")
    >>> selected("softmax"), selected("softmax_cross_entropy")
    (True, False)
    """
    words: list[str] = []
    symbols: list[str] = []
    for word in WORDS.findall(expression):
        if word in OPERATORS:
            symbols.append(word)
        else:  # a name may hold what no Python identifier does; Python's grammar sees its number
            symbols.append(f"_{len(words)}")
            words.append(word.casefold())
    if not symbols:
        return lambda name: True
    try:
        tree = ast.parse(" ".join(symbols), mode="eval").body
        _holds(tree, words, "")
    except (SyntaxError, RecursionError, MemoryError):
        raise UsageError(
            f"-k was given {expression!r}; expected parts of names, joined by and, or, not and parentheses"
        ) from None
    return lambda name: _holds(tree, words, name.casefold())


def _holds(node: ast.expr, words: list[str], name: str) -> bool:
    match node:
        case ast.Name(id=symbol):
            return words[int(symbol[1:])] in name
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _holds(operand, words, name)
        case ast.BoolOp(op=operator, values=values):
            parts = [_holds(value, words, name) for value in values]  # every part, so that a bad one shows
            return all(parts) if isinstance(operator, ast.And) else any(parts)
    raise SyntaxError("a call or a tuple, which names and parentheses can spell")
