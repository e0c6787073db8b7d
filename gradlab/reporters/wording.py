"""What a report says, in words: the sentences that every form of a report for people is made of.

Each thing is said once. The first line says which inputs are wrong and which are right, the line of an input
where and by how much it is wrong; findings that no such line covers are said in their own words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradlab.report import Entry, Finding, InputResult, Report, Verdict
from gradlab.words import counted, entries, rounded_up, told_apart

VERDICTS = {Verdict.PASS: "right", Verdict.FAIL: "wrong", Verdict.INCONCLUSIVE: "could not tell"}
NAMES = 4  # written out in one sentence
LONGEST = 600  # characters of a message; what a function under test raises may be of any length
URGENCY = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
OWN_NUMBERS = ("wrong-jacobian", "outside-pattern")  # kinds of findings whose messages have both sides
EVERYWHERE = {1: "at the one entry", 2: "at both entries"}


def headline(report: Report) -> str:
    """Return the verdict in one sentence, on one line.

    >>> import numpy as np
    >>> from gradlab import gradcheck
    >>> def scaled(x, s):
    ...     return x * s
    >>> def backward(dy, x, s):
    ...     return dy * s, np.sum(dy)
    >>> headline(gradcheck(scaled, backward, (np.array([1.0, 2.0]), 3.0), raise_exception=False))
    'FAIL scaled: gradient of s is wrong; x is right'
    """
    return f"{report.verdict.upper()} {clean(report.name)}: {_answer(report)}"


def further(report: Report) -> list[str]:
    """Return the messages of the findings that neither the headline nor the line of an input covers."""
    return [clean(finding.message) for finding in report.findings[1:] if not _has_line(finding)]


def by_urgency(results: Sequence[InputResult]) -> list[InputResult]:
    """Return inputs in the order in which one wants to read of them: failures first, the worst first."""

    def error(result: InputResult) -> float:  # of what is right it is rounding
        return result.worst.error if result.verdict is Verdict.FAIL and result.worst else 0.0

    return sorted(results, key=lambda result: (URGENCY.index(result.verdict), -error(result)))


def extent(result: InputResult) -> str:
    """Say, behind the verdict, at how many entries it holds and at which: `` at 2 of 6 entries: w[:, 1]``."""
    if result.verdict is Verdict.FAIL and 0 < result.wrong_count == result.size:
        return f" {_at_all([result])}"
    if result.verdict is Verdict.FAIL:
        count = f" at {result.wrong_count} of {_entries([result])}" if result.wrong_count else ""
        return count + (f": {clean(result.where)}" if result.where else "")
    if result.verdict is Verdict.PASS:
        return f" {_everywhere([result])}{_too_small([result])}"
    return ""


def resolution(result: InputResult) -> str:
    """Return the smallest relative error that was certain to be seen, such as ``2e-07``."""
    if result.resolution is None:
        return ""
    return rounded_up(result.resolution) if result.resolution < 1 else "above 1"


def evidence(report: Report, result: InputResult) -> Entry | None:
    """Return the probe that shows why an input is not right; ``None`` where something else shows it."""
    compared = any(finding.input == result.name and _has_line(finding) for finding in report.findings)
    if any(f.kind in OWN_NUMBERS and f.input == result.name for f in report.findings):
        return None
    if compared or result.wrong_count or (report.inconclusive and result.verdict is Verdict.INCONCLUSIVE):
        return result.worst
    return None


def place(result: InputResult, entry: Entry) -> str:
    """Name the entry that was probed: ``x[0, 1]``; ``x`` for a single number, or where many entries moved.

    Of a complex one it is a part, such as ``z[2].imag``; where jvp was compared output by output, with the
    output: ``x[0, 1], output[2]``.
    """
    index, part = entry.index or (), ""
    if result.paired and index:
        index, part = index[:-1], (".real", ".imag")[index[-1]]
    at = clean(result.name) + (f"[{', '.join(map(str, index))}]" if index else "") + part
    return f"{at}, {clean(entry.output)}" if entry.output not in ("", "output") else at


def both_sides(entry: Entry) -> tuple[str, str]:
    """Return what is claimed and what the forward function shows, to the digits in which they differ.

    >>> both_sides(Entry((0,), analytic=4.31937379, numeric=4.31936947, error_bar=2e-12, scale=4.3))
    ('4.3193738', '4.3193695 ± 2e-12')
    """
    analytic, numeric = told_apart(entry.analytic, entry.numeric)
    return analytic, f"{numeric} ± {entry.error_bar:.1g}"


def relative(entry: Entry) -> str:
    """Return the difference of both sides, relative to the larger; empty where there is none to state.

    >>> relative(Entry((0,), analytic=3.0, numeric=2.0, error_bar=1e-9, scale=3.0))
    '0.33'
    """
    return f"{entry.error:.2g}" if math.isfinite(entry.error) and entry.error else ""


def counts(report: Report) -> str:
    """Say how many points passed and failed; nothing where there was but one."""
    if report.points <= 1:
        return ""
    undecided = report.points - report.points_passed - report.points_failed
    parts = [
        (report.points_passed, "passed"),
        (report.points_failed, "failed"),
        (undecided, "could not tell"),
    ]
    return f"{report.points} points: {', '.join(f'{count} {what}' for count, what in parts if count)}"


def named(names: Sequence[str]) -> str:
    """Join names: ``x, w and b``; of very many, the first few and how many more.

    >>> named(["x", "w", "b"]), named(list("abcdefgh"))
    ('x, w and b', 'a, b, c and 5 more')
    """
    shown = [clean(name) for name in names]
    if len(shown) > NAMES:
        shown = [*shown[: NAMES - 1], f"{len(shown) - NAMES + 1} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def clean(text: str) -> str:
    r"""Put a text on one line: names and messages come from the code under test, and may hold anything.

    >>> clean("two\nlines, and a \x1b[31mcolour")
    'two lines, and a \\x1b[31mcolour'
    """
    line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def _answer(report: Report) -> str:
    if report.passed:
        return _pass(report)
    if not report.findings or not _has_line(report.findings[0]):
        return clean(report.reason)
    results = by_urgency(report.inputs)
    wrong = [result.name for result in results if result.verdict is Verdict.FAIL]
    right = [result.name for result in report.inputs if result.verdict is Verdict.PASS]
    answer = f"gradient{_s(wrong)} of {named(wrong)} {_are(wrong)} wrong"
    return answer + (f"; {named(right)} {_are(right)} right" if right else "")


def _pass(report: Report) -> str:
    at, untold = f" {_everywhere(report.inputs)}", report.points - report.points_passed
    if report.points > 1:
        at = f" at {f'{report.points_passed} of ' if untold else ''}{report.points} points"
        at += f"; at {untold} it could not tell" if untold else ""
    elsewhere = " elsewhere" if untold else ""
    seen = [result.resolution for result in report.inputs if result.resolution is not None]
    shown = (
        f"; a relative error above {rounded_up(max(seen))} would have shown{elsewhere}"
        if seen and max(seen) < 1
        else ""
    )
    return f"{named([result.name for result in report.inputs])} right{at}{shown}{_too_small(report.inputs)}"


def _everywhere(results: Sequence[InputResult]) -> str:
    if any(result.probed != result.size for result in results):
        return "in every probe"
    return _at_all(results)


def _at_all(results: Sequence[InputResult]) -> str:
    total = sum(result.size for result in results)
    if any(result.paired for result in results):
        return f"at all {_entries(results)}" if total > 2 else "in both its parts"
    return EVERYWHERE.get(total, f"at all {_entries(results)}")


def _too_small(results: Sequence[InputResult]) -> str:
    """Say how many entries could not be told, and cannot matter."""
    count = sum(result.too_small for result in results)
    return f"; {counted(count, 'entry', 'entries')} too small to matter" if count else ""


def _has_line(finding: Finding) -> bool:
    """Whether the line of an input says all that a finding does."""
    return finding.kind == "wrong-gradient" and finding.input is not None


def _entries(results: Sequence[InputResult]) -> str:
    total = sum(result.size for result in results)
    return entries(total, paired=any(result.paired for result in results))


def _s(names: Sequence[str]) -> str:
    return "s" * (len(names) != 1)


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
