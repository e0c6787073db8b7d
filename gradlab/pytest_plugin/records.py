"""What the pytest plugin writes down, and the summary that it reads from there.

There is one record for each test and function, a user property of the test such as ``gradlab.softmax``, with
a value such as ``fail: gradient of z is wrong …``. pytest takes these to the JUnit file and, under
pytest-xdist, from the workers to the controller, which alone writes the summary.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from gradlab.words import counted

PREFIX = "gradlab."
LONGEST = 300  # characters of a value: a sentence with its numbers
VERDICTS = ("error", "fail", "unexpected pass", "inconclusive", "pass")  # the worst first
EXPECTED = "fail as expected"  # in a test that is marked with xfail
UNSEEN = "fail without failing the test"  # which may have caught it by pytest.raises, or lost it
OUTCOMES = (*VERDICTS[:-1], UNSEEN, EXPECTED, "pass")  # likewise
LISTED = {
    "error": {"red": True},
    "fail": {"red": True},
    "unexpected pass": {"red": True},
    "inconclusive": {"yellow": True},
}


@dataclass(frozen=True)
class Running:
    """The test that runs now, and of each function that it checked the worst verdict, with the reason."""

    item: pytest.Item
    worst: dict[str, tuple[str, str]] = field(default_factory=dict)

    def note(self, name: str, verdict: str, reason: str) -> None:
        """Keep the last of the worst: the last failure of a Hypothesis test is the simplest."""
        known, _ = self.worst.get(name, (verdict, ""))
        if VERDICTS.index(verdict) <= VERDICTS.index(known):
            self.worst[name] = verdict, reason


RUNNING = pytest.StashKey[Running]()


def record(name: str, verdict: str, reason: str = "") -> tuple[str, str]:
    """Return the user property that stands for what was found of a function.

    >>> record("softmax", "pass"), record("tanh", "error", "its process was ended by SIGSEGV")
    (('gradlab.softmax', 'pass'), ('gradlab.tanh', 'error: its process was ended by SIGSEGV'))
    """
    name = " ".join(name.split())
    text = f"{verdict}: {reason}" if reason else verdict
    return f"{PREFIX}{name}", textwrap.shorten(text, LONGEST, placeholder=" …")


def is_record(entry: tuple[str, object]) -> bool:
    """Tell whether a user property is a record.

    >>> is_record(("gradlab.softmax", "fail: gradient of z is wrong")), is_record(("gradlab.version", "1"))
    (True, False)
    """
    name, value = entry
    return str(name).startswith(PREFIX) and str(value).partition(":")[0] in VERDICTS


def summarize(terminal: pytest.TerminalReporter, *, undecided_fails: bool) -> None:
    """Write a line for each function that is wrong or inconclusive, and one that counts all."""
    functions: dict[tuple[str, str], list[_Found]] = {}
    for report in _finished(terminal):
        file = report.nodeid.partition("::")[0]
        for name, value in filter(is_record, report.user_properties):
            verdict, _, reason = str(value).partition(": ")
            outcome = _outcome(verdict, report, undecided_fails=undecided_fails)
            key = str(name).removeprefix(PREFIX), file
            functions.setdefault(key, []).append(_Found(outcome, reason, report.nodeid))
    counts = dict.fromkeys(OUTCOMES, 0)
    lines: dict[str, list[str]] = {outcome: [] for outcome in LISTED}
    for (name, file), found in functions.items():
        worst = min(found, key=lambda one: OUTCOMES.index(one.outcome))
        counts[worst.outcome] += 1
        if worst.outcome in LISTED:
            tests = len({one.test for one in found if one.outcome == worst.outcome})
            where = f"{file}, {tests} tests" if tests > 1 else file
            lines[worst.outcome].append(f"{worst.outcome.upper()} {name} ({where}): {worst.reason}")
    if any(lines.values()):
        terminal.write_sep("=", "gradlab")
        for outcome, texts in lines.items():
            for text in texts:
                terminal.write_line(text, **LISTED[outcome])
    if any(lines.values()) or (functions and terminal.verbosity >= 0):
        said = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        terminal.write_line(f"gradlab checked {counted(len(functions), 'function')}: {said}")


class _Found(NamedTuple):
    outcome: str
    reason: str
    test: str


def _finished(terminal: pytest.TerminalReporter) -> Iterator[pytest.TestReport]:
    """Give one report of each test, the one that says how it ended."""
    for category, reports in terminal.stats.items():
        for report in reports if category != "rerun" else ():
            if isinstance(report, pytest.TestReport) and (
                report.when == "call" or (report.when == "setup" and not report.passed)
            ):
                yield report


def _outcome(verdict: str, report: pytest.TestReport, *, undecided_fails: bool) -> str:
    """Return a verdict, or, of a test that does not fail all the same, whether it was marked so."""
    marked = hasattr(report, "wasxfail")
    let_pass = verdict == "inconclusive" and not undecided_fails and not marked
    if verdict == "pass" or report.failed or let_pass:
        return verdict
    return EXPECTED if marked else UNSEEN
