"""Many rules: which are meant, how they are checked, and what became of each and of the whole.

What checks them is loaded when it is first used, so that a command line that checks nothing is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gradlab.run.outcomes import (
    INCONCLUSIVE,
    INTERRUPTED,
    OK,
    USAGE,
    WRONG,
    Outcome,
    Run,
    Status,
)

if TYPE_CHECKING:
    from gradlab.run.many import check_all
    from gradlab.run.one import Options, Result

_HOME = {
    "Options": "gradlab.run.one",
    "Result": "gradlab.run.one",
    "check_all": "gradlab.run.many",
}

__all__ = [
    "INCONCLUSIVE",
    "INTERRUPTED",
    "OK",
    "USAGE",
    "WRONG",
    "Options",
    "Outcome",
    "Result",
    "Run",
    "Status",
    "check_all",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gradlab.run' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value
