"""Reports as plain text, for terminals and exception messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO

from gradlab.report import Entry, InputResult, Report, Verdict, rounded_up

COLUMNS = ("rule", "verdict", "points", "forward calls", "worst error")
RIGHT_ALIGNED = (2, 3, 4)


class Style:
    """How text is marked up."""

    def paint(self, text: str, colour: str) -> str:
        """Return a text in a colour."""
        return text

    def encode(self, text: str) -> str:
        """Return a text in the characters that may be used."""
        return text


PLAIN = Style()


def style_of(stream: TextIO) -> Style:
    """Return the style that a stream can show."""
    return Style()


def render(report: Report, style: Style = PLAIN) -> str:
    """Return the full text of one report.

    >>> import numpy as np
    >>> from gradlab import gradcheck
    >>> def square(x):
    ...     return x**2
    >>> print(render(gradcheck(square, lambda dy, x: 2 * x * dy, np.array([1.0, 2.0]))))
    PASS square: x right at both entries; a relative error above 1e-07 would have shown
    """
    if report.passed:
        at = f" at {report.points} points" if report.points > 1 else ""
        right = _right(report.inputs, one_point=report.points == 1)
        return "\n".join([f"PASS {report.name}: {right}{at}{_resolution(report)}", *_notes(report)])
    lines = [f"{report.verdict.upper()} {report.name}: {report.reason}"]
    lines += [f"  also: {finding.message}" for finding in report.findings[1:]]
    lines += [f"  {_input_line(result)}" for result in report.inputs]
    lines += _notes(report)
    if report.points > 1:
        lines.append(
            f"  {report.points} points: {report.points_passed} passed, {report.points_failed} failed, "
            f"{report.points - report.points_passed - report.points_failed} could not tell"
        )
    if report.example is not None:
        lines.append("  the simplest point found:")
        lines += [f"    {line}" for line in report.example.splitlines()]
    lines.append(f"  reproduce with rng={report.seed}")
    return "\n".join(lines)


def _resolution(report: Report) -> str:
    seen = [result.resolution for result in report.inputs if result.resolution is not None]
    if not seen or max(seen) >= 1:
        return ""
    return f"; a relative error above {rounded_up(max(seen))} would have shown"


def _notes(report: Report) -> list[str]:
    return [f"  note: {note}" for note in report.notes]


def table(reports: Sequence[Report], style: Style = PLAIN) -> str:
    """Return one table of many reports, a line each, columns aligned."""
    rows = [COLUMNS, *(_row(report) for report in reports)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if k in RIGHT_ALIGNED else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def summary(reports: Sequence[Report]) -> str:
    """Return one line that counts verdicts, such as ``13 rules: 12 pass, 1 fail``."""
    counts = {verdict: sum(report.verdict is verdict for report in reports) for verdict in Verdict}
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    return f"{len(reports)} rule{'s' * (len(reports) != 1)}: {said or 'none checked'}"


def _row(report: Report) -> tuple[str, ...]:
    worst = report.worst
    error = f"{worst.error:.1e}" if worst is not None else "-"
    return report.name, report.verdict.upper(), str(report.points), str(report.forward_calls), error


def _right(results: Iterable[InputResult], *, one_point: bool) -> str:
    names = _and([result.name for result in results])
    total = sum(result.probed for result in results)
    if not one_point:
        return f"{names} right"
    if not all(result.probed == result.size for result in results):
        return f"{names} right in every probe"
    return f"{names} right at {'both' if total == 2 else f'all {total}' if total > 1 else 'the one'} " + (
        "entries" if total != 1 else "entry"
    )


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _input_line(result: InputResult) -> str:
    line = f"{result.name}: {WORDS[result.verdict]}"
    if result.wrong_count:
        line += f" at {result.wrong_count} of {result.size} entries"
    if result.verdict is not Verdict.PASS and result.worst is not None:
        line += f"; {_worst_line(result.name, result.worst)}"
    return line


WORDS = {Verdict.PASS: "right", Verdict.FAIL: "wrong", Verdict.INCONCLUSIVE: "could not tell"}


def _worst_line(name: str, worst: Entry) -> str:
    where = "along the worst direction" if worst.index is None else f"worst {name}{list(worst.index) or ''}"
    return f"{where}: analytic {worst.analytic:.6g}, numeric {worst.numeric:.6g} ± {worst.error_bar:.1g}"
