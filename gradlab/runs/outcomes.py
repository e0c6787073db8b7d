"""A run over many rules, as frozen plain data: what was asked, what became of each rule, and of the whole.

Nothing here needs NumPy: the process that supervises the checks, and reports them, does none itself.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from gradlab.report import Report
from gradlab.words import counted

if TYPE_CHECKING:
    from gradlab.pictures import Pictures

OK, WRONG, USAGE, INCONCLUSIVE, INTERRUPTED = 0, 1, 2, 3, 130  # 130 is 128 + SIGINT, as shells have it


@dataclass(frozen=True)
class Options:
    """What is asked of every rule alike; the fields are those of `gradlab.verify`.

    With ``pictures``, those of a failing point are taken. With ``keep``, what fails is kept for the next run
    to begin with, in the database of the Hypothesis profile in force.
    """

    max_examples: int = 100
    seed: int = 0
    rtol: float | None = None
    max_seconds: float | None = None
    pictures: bool = False
    keep: bool = True


@dataclass(frozen=True)
class Listed:
    """A rule as other processes know it: by what it is found by there, or as it was sent.

    Attributes
    ----------
    name : str
        The rule's name.
    target : object
        What was typed to name it; where that is not how it is found, what shows as it. Of a rule that is
        sent, the `gradlab.runs.pickled.Given` of this process, or `gradlab.runs.pickled.Pickled`.
    position : int
        Which of the target's rules it is.
    known_failure : (kind, reason) or None
        What is known to be wrong for now, and why.
    file, line : str and int, or None
        Where its backward function is defined, where that is known.
    """

    name: str
    target: Any
    position: int = 0
    known_failure: tuple[str, str] | None = None
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class Progress:
    """How far the check of a rule is: its points so far, and what is being done."""

    points: int
    doing: str


class ErrorKind(StrEnum):
    """Why a rule has no report."""

    USAGE = "usage"  # the question is malformed: inputs of no use, a function that cannot be called so
    ENDED = "ended"  # its process ended: a crash, os._exit, a signal
    TIMEOUT = "timeout"
    MEMORY = "memory"
    RAISED = "raised"  # what no function should: KeyboardInterrupt, a BaseException of its own
    INTERNAL = "internal"  # a defect of gradlab


@dataclass(frozen=True)
class RuleError:
    """Why a rule could not be checked.

    Attributes
    ----------
    kind : ErrorKind
        In a word.
    message : str
        In one sentence.
    stack : str
        Where it was, as lines of a traceback, most recent call last; empty where that is not known.
    call : str or None
        The call that checks the rule again, as in `Report.call`.
    """

    kind: ErrorKind
    message: str
    stack: str = ""
    call: str | None = None


@dataclass(frozen=True)
class Result:
    """What came of a rule: its report, or why there is none.

    Attributes
    ----------
    report : Report or None
        What was found.
    error : RuleError or None
        Why there is no report.
    raised : str
        The end of a traceback, where a report says that a function raised.
    pictures : Pictures or None
        Of the failing point, where they were asked for.
    """

    report: Report | None = None
    error: RuleError | None = None
    raised: str = ""
    pictures: Pictures | None = None


# What is said of a run as it goes on: of a rule, by its position, how far it is, and at last its result.
Said: TypeAlias = Generator[tuple[int, Progress | Result], None, None]


class Status(StrEnum):
    """How a rule counts: by its verdict, unless it was known to fail or could not be checked."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    KNOWN_FAILURE = "known failure"
    UNEXPECTED_PASS = "unexpected pass"


NOT_AS_EXPECTED = (Status.ERROR, Status.FAIL, Status.UNEXPECTED_PASS, Status.INCONCLUSIVE)  # the worst first
WORST_FIRST = (*NOT_AS_EXPECTED, Status.KNOWN_FAILURE, Status.PASS)


@dataclass(frozen=True)
class Outcome:
    """What became of one rule.

    Attributes
    ----------
    rule : Listed
        Which it is.
    report : Report or None
        What was found.
    error : RuleError or None
        Why there is no report.
    raised : str
        The end of a traceback, where a report says that a function raised.
    pictures : Pictures or None
        Of the failing point, where they were asked for.
    """

    rule: Listed
    report: Report | None
    error: RuleError | None = None
    raised: str = ""
    pictures: Pictures | None = None

    @classmethod
    def of(cls, rule: Listed, result: Result) -> Outcome:
        """Return what became of a rule by what came of it."""
        shown = replace(rule, target=str(rule.target))  # without what was sent
        return cls(shown, result.report, result.error, result.raised, result.pictures)

    @property
    def status(self) -> Status:
        """The verdict; of a known failure, whether it is still that one: another is not excused by it."""
        if self.report is None:
            return Status.ERROR
        if self.rule.known_failure is None:
            return Status(self.report.verdict)
        if self.report.passed:
            return Status.UNEXPECTED_PASS
        kind, _ = self.rule.known_failure
        return Status.KNOWN_FAILURE if self.report.kinds == {kind} else Status(self.report.verdict)

    @property
    def headline(self) -> str:
        """One sentence on what is not as it should be, or why that is known; empty for ``pass``."""
        if self.report is None:
            return self.error.message if self.error is not None else ""
        match self.status:
            case Status.KNOWN_FAILURE if self.rule.known_failure is not None:
                return self.rule.known_failure[1]
            case Status.UNEXPECTED_PASS:
                known = self.rule.known_failure
                return f"it passes, so known_failure={known!r} has to be removed from the rule"
        return self.report.reason


@dataclass(frozen=True, repr=False)
class Run:
    """What became of all rules, in their order. It is true if every rule is as it should be.

    Attributes
    ----------
    outcomes : tuple of Outcome
        Of the rules that were reached: all of them, unless it was cut short.
    problems : tuple of str
        What concerns no single rule, a sentence each: what could not be found or imported.
    settings : mapping
        What the run was asked for, by the names that a user writes.
    seconds : float
        How long it took.
    selected : int
        How many rules there were to check.
    interrupted : bool
        Whether Ctrl-C ended it before all rules were checked.
    notes : tuple of str
        What happened on the way and changes nothing, such as that an executor broke and the rest was checked
        without it.
    """

    outcomes: tuple[Outcome, ...]
    problems: tuple[str, ...]
    settings: Mapping[str, Any]
    seconds: float
    selected: int
    interrupted: bool = False
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        beside = f"; {counted(len(self.problems), 'problem')}" if self.problems else ""
        return f"<Run {self.summary()}{beside}>"

    def __str__(self) -> str:
        from gradlab.reporters.overview import overview

        return overview(self)

    @property
    def passed(self) -> bool:
        """Whether every rule passes, or fails as it is known to, and nothing else is wrong."""
        return self.exit_code == OK

    def having(self, *statuses: Status) -> tuple[Outcome, ...]:
        """Return the outcomes of some statuses."""
        return tuple(outcome for outcome in self.outcomes if outcome.status in statuses)

    @property
    def reports(self) -> tuple[Report, ...]:
        """The reports of the rules that have one."""
        return tuple(outcome.report for outcome in self.outcomes if outcome.report is not None)

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
        if self.problems or not self.outcomes or self.having(Status.ERROR):
            return USAGE
        if self.having(Status.FAIL, Status.UNEXPECTED_PASS):
            return WRONG
        return INCONCLUSIVE if self.having(Status.INCONCLUSIVE) else OK

    def summary(self) -> str:
        """Return one line that counts statuses, such as ``5 rules: 3 pass, 1 fail, 1 known failure``."""
        counts = [f"{count} {status}" for status, count in self.counts.items() if count]
        unchecked = self.selected - len(self.outcomes)
        if unchecked and counts:
            counts.append(f"{unchecked} not checked")
        return f"{counted(self.selected, 'rule')}: {', '.join(counts) or 'none checked'}"


def twice(rules: Sequence[Listed]) -> list[str]:
    """Say which rules are called alike, a sentence for each name."""
    homes: dict[str, list[str]] = {}
    for one in rules:
        homes.setdefault(one.name, []).append(str(one.target))
    return [
        f"{len(targets)} rules are called {name!r}, in {', '.join(dict.fromkeys(targets))}; names must differ"
        for name, targets in homes.items()
        if len(targets) > 1
    ]
