"""The kill matrix as text: what of the catalogue a checker caught, and what it missed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from gradlab.errors import UsageError
from gradlab.mutants.frameworks import Framework
from gradlab.mutants.model import Case
from gradlab.mutants.runner import Result
from gradlab.words import counted

Group: TypeAlias = Case | Framework  # a right rule with its defects, or a framework with its own

COLUMNS = (
    "defects",
    "caught",
    "missed",
    "defects undecided",
    "right",
    "false alarms",
    "right undecided",
    "calls",
    "seconds",
)


def select(cases: Iterable[Group], text: str) -> list[Group]:
    """Return the cases that have a text in their names, with all defects, or else the defects that have it.

    Raises
    ------
    UsageError
        When nothing has it.

    Examples
    --------
    >>> from gradlab.mutants import catalogue
    >>> [(case.name, len(case.defects)) for case in select(catalogue(), "relu: gate rev")]
    [('relu', 1)]
    """
    chosen = list(matching(cases, text))
    if not chosen:
        raise UsageError(
            f"no rule and no defect has {text!r} in its name; `gradlab mutants --list` shows them"
        )
    return chosen


def matching(cases: Iterable[Group], text: str) -> Iterator[Group]:
    """Yield the same, which may be none."""
    text = text.lower()
    for case in cases:
        defects = tuple(
            defect
            for defect in case.defects
            if text in f"{case.name}: {defect.name}".lower() or text in (defect.kind, defect.cause)
        )
        if text in case.name or defects:
            yield replace(case, defects=defects or case.defects)  # type: ignore[arg-type] # of its own kind


def listing(cases: Sequence[Group]) -> Iterable[str]:
    """Yield the catalogue as lines."""
    for case in cases:
        yield case.name
        for defect in case.defects:
            cause = f", {defect.cause}" if defect.cause else ""
            yield f"  {defect.name} [{defect.kind}{cause}]: {defect.remakes}"
    codes = sum(defect.cause is not None for case in cases for defect in case.defects)
    total = sum(len(case.defects) for case in cases)
    frameworks = sum(isinstance(case, Framework) for case in cases)
    beside = f" and {counted(frameworks, 'framework')}" if frameworks else ""
    rules = counted(len(cases) - frameworks, "rule")
    yield f"{rules}{beside}, {total} defects, {codes} of them with the code of their cause"


def row(name: str, values: Sequence[str], width: int) -> str:
    """Return one line of the table."""
    cells = (f"{value:>{len(title)}}" for value, title in zip(values, COLUMNS, strict=True))
    return f"{name:<{width}}  {'  '.join(cells)}".rstrip()


def counts(found: Sequence[Result]) -> tuple[str, ...]:
    """Return the numbers of one row."""
    wrong = [result for result in found if result.defect is not None]
    right = [result for result in found if result.defect is None]
    return (
        str(len(wrong)),
        str(sum(result.caught for result in wrong)),
        str(sum(result.missed for result in wrong)),
        str(sum(result.outcome in ("inconclusive", "error") for result in wrong)),
        str(len(right)),
        str(sum(result.false_alarm for result in right)),
        str(sum(result.outcome in ("inconclusive", "error") for result in right)),
        str(sum(result.forward_calls for result in found)),
        f"{sum(result.seconds for result in found):.1f}",
    )


def complaints(found: Sequence[Result]) -> Iterable[str]:
    """Yield a line for each defect that was not caught, and each right rule that was not accepted."""
    headings: dict[str, Callable[[Result], bool]] = {
        "missed": lambda result: result.missed,
        "false alarms": lambda result: result.false_alarm,
        "inconclusive": lambda result: result.outcome == "inconclusive",
        "the checker raised": lambda result: result.outcome == "error",
    }
    for heading, concerned in headings.items():
        those = [result for result in found if concerned(result)]
        if those:
            yield f"\n{heading}: {len(those)}"
        for result in those:
            what = "the right rule" if result.defect is None else result.defect.remakes
            said = f" ({result.message.splitlines()[0]})" if result.message else ""
            yield f"  {result.name}, seed {result.seed}: {what}{said}"


def causes(found: Sequence[Result]) -> str:
    """Return how often the cause that was named first is the catalogue's."""
    coded = [result for result in found if result.defect is not None and result.defect.cause is not None]
    named = sum(result.causes[:1] == (result.defect.cause,) for result in coded if result.defect)
    others = sum(bool(result.causes) for result in coded) - named
    return f"\ncauses: of {len(coded)} defects with a code, {named} are explained by it, {others} by another"
