"""Many rules: which are meant, how they are checked, and what became of each and of the whole.

The process that asks for all this runs none of the rules, and loads nothing of what checks them: processes of
a `Pool` do.
"""

from __future__ import annotations

from gradlab.runs.outcomes import (
    INCONCLUSIVE,
    INTERRUPTED,
    NOT_AS_EXPECTED,
    OK,
    USAGE,
    WORST_FIRST,
    WRONG,
    ErrorKind,
    Listed,
    Options,
    Outcome,
    Progress,
    Result,
    RuleError,
    Run,
    Status,
)

__all__ = [
    "INCONCLUSIVE",
    "INTERRUPTED",
    "NOT_AS_EXPECTED",
    "OK",
    "USAGE",
    "WORST_FIRST",
    "WRONG",
    "ErrorKind",
    "Listed",
    "Options",
    "Outcome",
    "Progress",
    "Result",
    "RuleError",
    "Run",
    "Status",
]
