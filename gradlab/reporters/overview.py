"""A whole run as plain text, for terminals."""

from __future__ import annotations

from gradlab.reporters.text import PLAIN, Style, render, table
from gradlab.run import Run, Status


def overview(run: Run, *, style: Style = PLAIN, durations: int | None = None) -> str:
    """Return a table of the rules, then what is wrong with each in full, then the counts.

    A rule that is known to fail is left out of the table, and gets a line with the reason instead.

    Parameters
    ----------
    run : Run
        What became of the rules.
    style : Style, optional
        What the stream can show.
    durations : int, optional
        How many of the slowest rules to list; 0 lists all.
    """
    known = run.having(Status.KNOWN_FAILURE)
    counted = [outcome for outcome in run.outcomes if outcome not in known]
    blocks = []
    if counted:
        blocks.append(table([outcome.report for outcome in counted], style))
    blocks += [
        render(outcome.report, style)
        for outcome in counted
        if outcome.status in (Status.FAIL, Status.INCONCLUSIVE)
    ]
    lines = [
        f"{style.paint('XPASS', 'red')} {outcome.report.name}: {outcome.headline}"
        for outcome in run.having(Status.UNEXPECTED_PASS)
    ]
    lines += [
        f"{style.paint('XFAIL', 'yellow')} {outcome.report.name}: known failure: {outcome.headline}"
        for outcome in known
    ]
    if lines:
        blocks.append("\n".join(lines))
    if durations is not None and run.outcomes:
        blocks.append(_slowest(run, durations))
    blocks.append(f"{run.summary()} in {run.seconds:.1f} s, seed {run.settings['seed']}")
    return style.encode("\n\n".join(blocks))


def _slowest(run: Run, most: int) -> str:
    reports = sorted((o.report for o in run.outcomes), key=lambda report: report.seconds, reverse=True)
    shown = reports[:most] if most else reports
    title = "durations, slowest first:" if len(shown) == len(reports) else f"slowest {len(shown)}:"
    width = len(f"{shown[0].seconds:.2f}")
    return "\n".join([title, *(f"  {report.seconds:{width}.2f} s  {report.name}" for report in shown)])
