"""A whole run for GitHub Actions: annotations at the lines concerned, and a page in Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gradlab.runs import NOT_AS_EXPECTED, WORST_FIRST, Outcome, Run, Status

if TYPE_CHECKING:
    from gradlab.pictures import Comparison

WIDEST, TALLEST = 32, 40  # squares of a heat map
MOST = 10  # annotations of a kind that one step may have; GitHub drops what comes after


def annotate(run: Run) -> str:
    """Return workflow commands for the worst of what is not as it should be, one a line.

    >>> print(annotate(Run((), ("there is no file a.py",), {"seed": 0}, 0.0, 0)))
    ::error title=gradlab::there is no file a.py
    """
    lines = [_command("error", {"title": "gradlab"}, problem) for problem in run.problems]
    lines += [_annotation(outcome) for outcome in sorted(run.having(*NOT_AS_EXPECTED), key=_badness)]
    if len(lines) > MOST:
        left = len(lines) - MOST
        more = f"{left} more not annotated; the log and the summary have all"
        lines = [*lines[:MOST], _command("notice", {"title": "gradlab"}, more)]
    return "\n".join(lines)


def _badness(outcome: Outcome) -> tuple[int, float]:
    """Sort by how bad: wrong before inconclusive, then by relative error; a breach of contract has none."""
    worst = outcome.report.worst if outcome.report is not None else None
    return WORST_FIRST.index(outcome.status), -(worst.error if worst is not None else math.inf)


def _annotation(outcome: Outcome) -> str:
    rule, report = outcome.rule, outcome.report
    properties = {"file": rule.file, "line": rule.line, "title": f"gradlab: {rule.name}"}
    more = outcome.error.stack.splitlines() if outcome.error is not None else []
    if report is not None:
        more = [cause.message for cause in report.causes[:1]]
        more += [
            f"wrong: {result.where}"
            for result in report.inputs
            if result.where and result.wrong_count < result.size
        ]
    kind = "warning" if outcome.status is Status.INCONCLUSIVE else "error"
    return _command(kind, properties, "\n".join([outcome.headline, *more]))


def _command(kind: str, properties: Mapping[str, object], message: str) -> str:
    written = ",".join(
        f"{key}={_property(str(value))}" for key, value in properties.items() if value is not None
    )
    return f"::{kind} {written}::{_data(message)}"


def _data(text: str) -> str:
    """Escape as the runner unescapes: what is left bare would end the command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def page(run: Run) -> str:
    """Return the run in Markdown, for the summary page of a workflow; rules that pass are only counted."""
    lines = [f"### gradlab: {run.summary()}", ""]
    shown = [*sorted(run.having(*NOT_AS_EXPECTED), key=_badness), *run.having(Status.KNOWN_FAILURE)]
    if shown:
        lines += ["| rule | status | what is wrong | backward |", "|---|---|---|---|"]
        lines += [_row(outcome) for outcome in shown]
        lines.append("")
    for outcome in shown:
        lines += _heat_maps(outcome)
    said = [*run.problems, *(f"note: {note}" for note in run.notes)]
    lines += [f"- {_markdown(sentence)}" for sentence in said]
    if said:
        lines.append("")
    lines.append(f"{run.seconds:.1f} s, seed {run.settings['seed']}, exit code {run.exit_code}")
    return "\n".join(lines) + "\n"


def _heat_maps(outcome: Outcome) -> list[str]:
    """Return where the gradients of a rule are wrong: squares, since a summary page shows no picture."""
    lines: list[str] = []
    for c in outcome.pictures.comparisons if outcome.pictures is not None else ():
        rows, columns = c.cells.shape
        if not c.wrong.any() or c.claimed.size < 2 or columns > WIDEST:
            continue
        what = "block of entries" if c.blocks else "entry"
        lines += [
            f"<details><summary>{_html(outcome.rule.name)}: where the gradient of {_html(c.name)} is wrong, "
            f"a square for each {what}</summary>",
            "",
            "```text",
            *("".join(_square(c, int(k)) for k in row) for row in c.cells[:TALLEST]),
            *([f"and {rows - TALLEST} more rows"] if rows > TALLEST else []),
            "```",
            "",
            "</details>",
            "",
        ]
    return lines


def _square(c: Comparison, k: int) -> str:
    if k < 0 or not (c.wrong[k] or math.isfinite(c.error_bar[k])):
        return "⬜"
    return "🟥" if c.wrong[k] else "🟩"


def _html(text: str) -> str:
    """Escape what HTML, or Markdown in it, would read as markup."""
    return "".join(f"&#{ord(c)};" if not (c.isalnum() or c in " _.,:") else c for c in " ".join(text.split()))


def _row(outcome: Outcome) -> str:
    rule, report = outcome.rule, outcome.report
    place = "" if rule.file is None else f"{rule.file}:{rule.line}"
    causes = report.causes[:1] if report is not None and outcome.status is Status.FAIL else ()
    said = "; ".join([outcome.headline, *(f"cause: {cause.message}" for cause in causes)])
    return f"| {' | '.join(_markdown(cell) for cell in (rule.name, outcome.status, said, place))} |"


def _markdown(text: str) -> str:
    """Escape what Markdown, HTML or a table's cell would read as markup."""
    return re.sub(r"([\\`*_\[\]<>|~&#])", r"\\\1", " ".join(text.split()))
