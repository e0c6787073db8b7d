"""Reports as plain text, for terminals and exception messages.

A report fits on a screen: what is wrong, of each input where and by how much, why, and how to see it again.
"""

from __future__ import annotations

import textwrap

from gradlab.report import InputResult, Report, Verdict
from gradlab.reporters import wording
from gradlab.reporters.rows import InputRow, row_of
from gradlab.reporters.style import PLAIN, Style, style_of

__all__ = ["PLAIN", "Style", "render", "reproduction", "style_of"]

COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.INCONCLUSIVE: "yellow"}

MOST_INPUTS = 6  # that have a line of their own
MOST_CAUSES = 4
GLUE = "\N{NO-BREAK SPACE}"  # where a line must not be broken


def render(report: Report, style: Style = PLAIN) -> str:
    """Return the full text of one report.

    Parameters
    ----------
    report : Report
        What to show.
    style : Style, optional
        From `style_of` for a stream; by default that of exception messages.

    Examples
    --------
    >>> import numpy as np
    >>> from gradlab import gradcheck
    >>> def square(x):
    ...     return x**2
    >>> print(render(gradcheck(square, lambda dy, x: 2 * x * dy, np.array([1.0, 2.0]))))
    PASS square: x right at both entries; a relative error above 2e-07 would have shown
    """
    lines = _headline(report, style)
    notes = [line for note in report.notes for line in _labelled("note: ", note, style)]
    if report.passed:
        return style.encode("\n".join([*lines, *notes]))
    for message in wording.further(report):
        lines += _labelled("also: ", message, style)
    lines += _inputs(report, style)
    said = {finding.message for finding in report.findings}
    causes = [cause for cause in report.causes if cause.message not in said]
    for cause in causes[:MOST_CAUSES]:
        lines += _labelled(f"cause ({wording.clean(cause.code)}): ", cause.message, style)
    if len(causes) > MOST_CAUSES:
        lines.append(f"  {len(causes) - MOST_CAUSES} more in report.causes")
    lines += notes
    if report.points > 1:
        lines.append(f"  {wording.counts(report)}")
    lines += _reproduction(report)
    return style.encode("\n".join(lines))


def _headline(report: Report, style: Style) -> list[str]:
    text = wording.headline(report)
    lines = _wrapped(text, "", style, indent="  ") if style.terminal else [text]
    verdict = report.verdict.upper()
    return [style.paint(verdict, COLOURS[report.verdict]) + lines[0][len(verdict) :], *lines[1:]]


def _inputs(report: Report, style: Style) -> list[str]:
    results = wording.by_urgency(report.inputs)
    shown, rest = results[:MOST_INPUTS], results[MOST_INPUTS:]
    column = max((len(wording.clean(result.name)) for result in shown), default=0) + 2
    lines = []
    for result in shown:
        row = row_of(report, result)
        verdict = row.word
        said = verdict + wording.extent(result) + (f"; resolution {row.resolution}" if row.resolution else "")
        name = f"  {row.name.ljust(column)}"
        first, *more = _wrapped(said, name, style)
        painted = style.paint(verdict, COLOURS[result.verdict])
        lines += [f"{name}{painted}{first[len(name) + len(verdict) :]}", *more]
        lines += _evidence(report, result, row, column, style)
    if rest:
        numbers = {verdict: sum(result.verdict is verdict for result in rest) for verdict in wording.URGENCY}
        said = ", ".join(
            f"{count} {wording.VERDICTS[verdict]}" for verdict, count in numbers.items() if count
        )
        lines += _wrapped(f"and {len(rest)} more in report.inputs: {said}", "  ", style)
    return lines


def _evidence(report: Report, result: InputResult, row: InputRow, column: int, style: Style) -> list[str]:
    entry = row.entry
    if entry is None:
        return []
    if entry.index is None:
        at = "along the worst direction" + f", {wording.clean(entry.output)}" * bool(entry.output)
    else:
        at = f"worst {row.at}" if result.size > 1 or entry.output else row.at
    numbers = f"{_glued(at)}: {entry.role} {row.analytic}, {report.oracle} {_glued(row.numeric)}"
    if row.relative:
        numbers += f"; {_glued(f'relative difference {row.relative}')}"
    return _wrapped(numbers, " " * (column + 2), style)


def _reproduction(report: Report) -> list[str]:
    snippet = report.snippet or report.example
    if snippet is None:
        return [f"  reproduce with rng={report.seed}"]
    which = "reproduce"
    if report.points > 1 and report.example is not None:
        which = "reproduce at the simplest failing point found"
    seed = f" with rng={report.seed}" if report.snippet is None else ""
    return reproduction(snippet, which + seed)


def reproduction(snippet: str, title: str = "reproduce") -> list[str]:
    """Return the lines of a snippet under a title, from the first column on, where they can be pasted."""
    return [f"  {title}:", *snippet.splitlines()]


def _labelled(label: str, text: str, style: Style) -> list[str]:
    return _wrapped(wording.clean(text), f"  {label}", style)


def _wrapped(text: str, label: str, style: Style, indent: str | None = None) -> list[str]:
    """Wrap a text behind a label, its further lines under its own first word."""
    lines = textwrap.wrap(
        text,
        max(style.width, len(label) + 20),
        initial_indent=label,
        subsequent_indent=" " * len(label) if indent is None else indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(GLUE, " ") for line in lines]


def _glued(text: str) -> str:
    return text.replace(" ", GLUE)
