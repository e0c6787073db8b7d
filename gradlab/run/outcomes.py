"""A run over many rules, as frozen plain data: what became of each, and of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gradlab.report import Report
from gradlab.words import counted

OK, WRONG, USAGE, INCONCLUSIVE, INTERRUPTED = 0, 1, 2, 3, 130  # 130 is 128 + SIGINT, as shells have it


class Status(StrEnum):
    """How a rule counts: its verdict, unless it was known to fail."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    KNOWN_FAILURE = "known failure"
    UNEXPECTED_PASS = "unexpected pass"


@dataclass(frozen=True)
class Outcome:
    """What became of one rule.

    Attributes
    ----------
    report : Report
        What was found.
    target : str
        What was typed to name it.
    known_failure : str or None
        Why it is known to be wrong for now.
    file, line : str and int, or None
        Where its backward function is defined, where that is known.
    """

    report: Report
    target: str
    known_failure: str | None = None
    file: str | None = None
    line: int | None = None

    @property
    def status(self) -> Status:
        """The verdict; with a known failure, whether it is one still: only ``pass`` is not."""
        if self.known_failure is None:
            return Status(self.report.verdict)
        return Status.UNEXPECTED_PASS if self.report.passed else Status.KNOWN_FAILURE

    @property
    def headline(self) -> str:
        """One sentence on what is not as it should be, or why that is known; empty for ``pass``."""
        match self.status:
            case Status.KNOWN_FAILURE:
                unclear = " (this time inconclusive)" if self.report.inconclusive else ""
                return f"{self.known_failure}{unclear}"
            case Status.UNEXPECTED_PASS:
                return f"it passes, so known_failure={self.known_failure!r} has to be removed from the rule"
        return self.report.reason


@dataclass(frozen=True)
class Run:
    """What became of all rules, in their order.

    Attributes
    ----------
    outcomes : tuple of Outcome
        Of those that could be checked.
    problems : tuple of str
        What could not be found, imported or checked, a sentence each.
    settings : mapping
        What the run was asked for, by the names that a user writes.
    seconds : float
        How long it took.
    interrupted : bool
        Whether Ctrl-C ended it before all rules were checked.
    """

    outcomes: tuple[Outcome, ...]
    problems: tuple[str, ...]
    settings: Mapping[str, Any]
    seconds: float
    interrupted: bool = False

    def having(self, *statuses: Status) -> tuple[Outcome, ...]:
        """Return the outcomes of some statuses."""
        return tuple(outcome for outcome in self.outcomes if outcome.status in statuses)

    @property
    def counts(self) -> dict[Status, int]:
        """How many rules there are of each status."""
        return {status: len(self.having(status)) for status in Status}

    @property
    def exit_code(self) -> int:
        """What the process ends with.

        0: nothing is wrong. 1: something is, or a known failure passes. 2: something could not be found or
        checked, or nothing was. 3: nothing is wrong, but something is inconclusive. 130: interrupted.
        """
        if self.interrupted:
            return INTERRUPTED
        if self.problems or not self.outcomes:
            return USAGE
        if self.having(Status.FAIL, Status.UNEXPECTED_PASS):
            return WRONG
        return INCONCLUSIVE if self.having(Status.INCONCLUSIVE) else OK

    def summary(self) -> str:
        """Return one line that counts statuses, such as ``5 rules: 3 pass, 1 fail, 1 known failure``."""
        said = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)
        return f"{counted(len(self.outcomes), 'rule')}: {said or 'none checked'}"
