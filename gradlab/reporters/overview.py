"""A whole run as plain text: a row for each rule as it comes, what is wrong with each, and the counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gradlab.report import snippet_of
from gradlab.reporters import wording
from gradlab.reporters.text import PLAIN, Style, render, reproduction
from gradlab.runs import Outcome, Run, Status

COLUMNS = ("rule", "verdict", "points", "forward calls", "worst error")
WORDS = {Status.KNOWN_FAILURE: "XFAIL", Status.UNEXPECTED_PASS: "XPASS"}
VERDICT = max(len(WORDS.get(status, status)) for status in Status)  # columns of the longest
MOST_NOTES = 4  # of a rule that passes
COLOURS = {Status.PASS: "green", Status.INCONCLUSIVE: "yellow", Status.KNOWN_FAILURE: "yellow"}


@dataclass(frozen=True)
class Table:
    """A table whose rows are written one by one, so that its widths are those of what may come.

    Attributes
    ----------
    widths : tuple of int
        Of the columns.
    style : Style
        What the stream can show.
    """

    widths: tuple[int, ...]
    style: Style

    @classmethod
    def of(cls, names: Iterable[str], *, max_examples: int, style: Style = PLAIN) -> Table:
        """Return the table of rules with these names, each checked at so many points."""
        others = (VERDICT, max(len(COLUMNS[2]), len(str(max_examples))), len(COLUMNS[3]), len(COLUMNS[4]))
        longest = max((len(wording.clean(name)) for name in names), default=0)
        # Names give way, the numbers do not.
        room = style.width - sum(others) - 2 * len(others)
        return cls((max(len(COLUMNS[0]), min(longest, room)), *others), style)

    @property
    def header(self) -> str:
        """The first row."""
        return self._laid_out(COLUMNS)

    def row(self, outcome: Outcome) -> str:
        """Return the row of one rule."""
        report, status = outcome.report, outcome.status
        name, word = wording.clean(outcome.rule.name), WORDS.get(status, status).upper()
        points, calls, error = "-", "-", "-"
        if report is not None:
            points, calls = str(report.points), str(report.forward_calls)
            error = f"{report.worst.error:.1e}" if report.worst is not None else "-"
        return self._laid_out((name, word, points, calls, error), COLOURS.get(status, "red"))

    def _laid_out(self, cells: tuple[str, ...], colour: str = "") -> str:
        name, word, *numbers = cells
        if len(name) > self.widths[0]:
            name = f"{name[: self.widths[0] - 1]}…"
        painted = self.style.paint(word, colour) if colour else word
        texts = [name.ljust(self.widths[0]), painted + " " * (self.widths[1] - len(word))]
        texts += [number.rjust(width) for number, width in zip(numbers, self.widths[2:], strict=True)]
        return self.style.encode("  ".join(texts).rstrip())


def overview(run: Run, *, style: Style = PLAIN, durations: int | None = None) -> str:
    """Return the table of a run, its details, and what concerns no single rule.

    Parameters
    ----------
    run : Run
        What became of the rules.
    style : Style, optional
        What the stream can show.
    durations : int, optional
        How many of the slowest rules to list; 0 lists all.
    """
    more = [f"note: {note}" for note in run.notes] + list(run.problems)
    text = "\n".join([details(run, style=style, durations=durations), *more])
    if not run.outcomes:
        return text
    names = [outcome.rule.name for outcome in run.outcomes]
    table = Table.of(names, max_examples=run.settings["max-examples"], style=style)
    return "\n".join([table.header, *map(table.row, run.outcomes), "", text])


def details(run: Run, *, style: Style = PLAIN, durations: int | None = None) -> str:
    """Return what stands below the table: what is wrong with each rule in full, and the counts.

    Of a rule that is known to fail there is a line with the reason; of one that passes its notes.
    """
    blocks = []
    for outcome in run.having(Status.FAIL, Status.INCONCLUSIVE, Status.ERROR):
        blocks.append(full(outcome, style))
    lines = [
        f"{style.paint('XPASS', 'red')} {wording.clean(outcome.rule.name)}: {outcome.headline}"
        for outcome in run.having(Status.UNEXPECTED_PASS)
    ]
    lines += [
        f"{style.paint('XFAIL', 'yellow')} {wording.clean(outcome.rule.name)}: known failure: "
        f"{wording.clean(outcome.headline)}"
        for outcome in run.having(Status.KNOWN_FAILURE)
    ]
    lines += [line for outcome in run.having(Status.PASS) for line in _notes(outcome)]
    if lines:
        blocks.append("\n".join(lines))
    if durations is not None and run.reports:
        blocks.append(_slowest(run, durations))
    blocks.append(f"{run.summary()} in {run.seconds:.1f} s, seed {run.settings['seed']}")
    return style.encode("\n\n".join(blocks))


def _notes(outcome: Outcome) -> list[str]:
    notes = outcome.report.notes if outcome.report is not None else ()
    said = [*notes[:MOST_NOTES], *([f"{len(notes) - MOST_NOTES} more notes"] if notes[MOST_NOTES:] else [])]
    return [f"note: {wording.clean(outcome.rule.name)}: {wording.clean(note)}" for note in said]


def full(outcome: Outcome, style: Style = PLAIN) -> str:
    """Return all that is known of one rule: its report, or why there is none, and where it raised."""
    if outcome.report is None:
        return _error(outcome, style)
    lines = [render(outcome.report, style)]
    if outcome.rule.known_failure is not None:
        kind, reason = outcome.rule.known_failure
        found = ", ".join(sorted(outcome.report.kinds))
        lines.append(f"  note: known_failure is for {kind} ({wording.clean(reason)}); this is {found}")
    lines += stack_lines(outcome.raised)
    return "\n".join(lines)


def stack_lines(stack: str) -> list[str]:
    """Return the lines of a stack under a title; none where it is not known."""
    if not stack:
        return []
    return ["  where it was, most recent call last:", *(f"    {line}" for line in stack.splitlines())]


def _error(outcome: Outcome, style: Style) -> str:
    error = outcome.error
    assert error is not None
    said = f"{wording.clean(outcome.rule.name)}: {wording.clean(error.message)}"
    lines = [f"{style.paint('ERROR', 'red')} {said}"]
    lines += stack_lines(error.stack)
    if error.call is not None:
        lines += reproduction(snippet_of(error.call))
    return "\n".join(lines)


def _slowest(run: Run, most: int) -> str:
    reports = sorted(run.reports, key=lambda report: report.seconds, reverse=True)
    shown = reports[:most] if most else reports
    title = "durations, slowest first:" if len(shown) == len(reports) else f"slowest {len(shown)}:"
    width = len(f"{shown[0].seconds:.2f}")
    return "\n".join([title, *(f"  {report.seconds:{width}.2f} s  {report.name}" for report in shown)])
