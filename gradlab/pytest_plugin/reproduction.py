"""How a failure is reproduced, in a section of its own: among pytest's lines it could not be pasted."""

from __future__ import annotations

from typing import Any

import pytest

from gradlab.errors import GradientError

TITLE = "gradlab: reproduce"


def set_apart(report: pytest.TestReport, error: BaseException) -> None:
    """Move the snippet of a wrong gradient from where pytest puts ``E`` before each line to a section."""
    snippet = error.report.snippet if isinstance(error, GradientError) else None
    if snippet is None:
        return
    report.sections.append((TITLE, snippet))
    count = len(snippet.splitlines())
    for entry in _entries(report.longrepr):
        lines = entry.lines
        start = next((k for k, line in enumerate(lines) if line[:1] == "E" and "  reproduce" in line), None)
        if start is not None:
            del lines[start : start + count + 1]


def _entries(longrepr: Any) -> list[Any]:
    """Return the entries of a traceback that have lines; none of one that pytest writes otherwise."""
    tracebacks = [chained[0] for chained in getattr(longrepr, "chain", [])]
    return [
        entry
        for traceback in tracebacks
        for entry in traceback.reprentries
        if isinstance(getattr(entry, "lines", None), list)
    ]
