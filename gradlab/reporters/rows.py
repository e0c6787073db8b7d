"""The row of an input, as all tables of reports for people have it."""

from __future__ import annotations

from dataclasses import dataclass

from gradlab.report import Entry, InputResult, Report, Verdict
from gradlab.reporters import wording


@dataclass(frozen=True)
class InputRow:
    """What is said of one input; what there is nothing to say of is an empty text.

    Attributes
    ----------
    name, verdict : str
        Which it is, and whether its gradient is right.
    word : str
        The verdict as it is read.
    where : str
        At how many entries it holds, and at which.
    entry : Entry or None
        The probe that shows it.
    at, analytic, numeric, relative : str
        Its place, both its sides, and how far these are apart where that is wrong.
    resolution : str
        What was certain to be seen.
    """

    name: str
    verdict: Verdict
    word: str
    where: str
    entry: Entry | None
    at: str
    analytic: str
    numeric: str
    relative: str
    resolution: str


def row_of(report: Report, result: InputResult) -> InputRow:
    """Return the row of one input."""
    entry = wording.evidence(report, result)
    at = analytic = numeric = relative = ""
    if entry is not None:
        at = wording.place(result, entry) if entry.index is not None else "along a direction"
        analytic, numeric = wording.both_sides(entry)
        relative = wording.relative(entry) if result.verdict is Verdict.FAIL else ""
    return InputRow(
        name=wording.clean(result.name),
        verdict=result.verdict,
        word=wording.VERDICTS[result.verdict],
        where=wording.extent(result).removeprefix(":").strip(),
        entry=entry,
        at=at,
        analytic=analytic,
        numeric=numeric,
        relative=relative,
        resolution=wording.resolution(result),
    )


def rows_of(report: Report) -> list[InputRow]:
    """Return the rows of all inputs, the most urgent first."""
    return [row_of(report, result) for result in wording.by_urgency(report.inputs)]


def roles_of(report: Report) -> str:
    """Return whose side ``analytic`` is: of backward, of jvp or of both.

    >>> import numpy as np
    >>> from gradlab import gradcheck
    >>> roles_of(gradcheck(np.sin, lambda dy, x: dy * np.cos(x), 0.5))
    'backward'
    """
    roles = dict.fromkeys(result.worst.role for result in report.inputs if result.worst is not None)
    return " or ".join(roles) or "backward"
