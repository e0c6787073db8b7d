"""A check as Python text that can be pasted and run: its inputs, a line each, and the call.

What can be written is written exactly: numbers by their shortest text that reads back as the same number,
functions and objects by where they can be imported from. What cannot is named in one comment, with where it
is defined; inputs that are too large are described in the place of their line.

A framework that asks in its own words writes its call by `call_snippet`. A rule that was made of a
framework's function has a forward with an attribute ``snippet``, and ``forward.snippet(inputs, seed=...)``
writes the framework's call at that point.
"""

from __future__ import annotations

from gradlab._snippet.calls import (
    call_snippet,
    derivative_snippet,
    gradcheck_snippet,
    point_snippet,
    verify_call,
)
from gradlab._snippet.literals import PRINTABLE, literal
from gradlab._snippet.writer import Snippet

__all__ = [
    "PRINTABLE",
    "Snippet",
    "call_snippet",
    "derivative_snippet",
    "gradcheck_snippet",
    "literal",
    "point_snippet",
    "verify_call",
]
