"""``gradlab mutants``: the catalogue shown to a checker, and the kill matrix."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from gradlab.errors import UsageError
from gradlab.mutants.model import Case
from gradlab.mutants.runner import Checker, Result, catalogue, results

OK, WRONG = 0, 1
COLUMNS = (
    "defects",
    "caught",
    "missed",
    "undecided",
    "right",
    "false alarms",
    "undecided",
    "calls",
    "seconds",
)


def add_parser(commands: Any, say: Callable[[str], None]) -> None:
    """Add the command to the parser of ``gradlab``.

    Parameters
    ----------
    commands : the object that ``argparse.ArgumentParser.add_subparsers`` returned
    say : callable
        Prints a line.
    """
    parser = commands.add_parser(
        "mutants",
        help="check the checker with planted defects",
        description="Show a checker right rules and wrong variants of them, and count what it catches. "
        "Exit code 0: all defects caught and no false alarm; 1: otherwise; 2: wrong call.",
    )
    parser.add_argument(
        "--checker",
        metavar="MODULE:FUNCTION",
        help="a function of (forward, backward, inputs) that accepts by returning true, and rejects by "
        "returning false or raising AssertionError (default: gradlab.gradcheck)",
    )
    parser.add_argument(
        "--seed", type=_natural, nargs="+", default=[0], metavar="N", help="draw the points (default: 0)"
    )
    parser.add_argument(
        "-k", metavar="TEXT", default="", help="only what has this in its name, kind or cause"
    )
    parser.add_argument("--list", action="store_true", help="print the catalogue and check nothing")
    parser.set_defaults(run=lambda arguments: run(arguments, say))


def run(arguments: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Run the command and return the exit code."""
    cases = select(catalogue(), arguments.k)
    if arguments.list:
        for line in listing(cases):
            say(line)
        return OK
    checker = None if arguments.checker is None else load(arguments.checker)
    width = max(len(case.name) for case in cases)
    say(_row("rule", COLUMNS, width))
    everything: list[Result] = []
    for case in cases:
        found = [result for seed in arguments.seed for result in results(checker, [case], seed)]
        say(_row(case.name, counts(found), width))
        everything += found
    say(_row("total", counts(everything), width))
    for line in complaints(everything):
        say(line)
    if checker is None:
        say(causes(everything))
    good = all(result.caught for result in everything if result.defect is not None) and not any(
        result.false_alarm or result.outcome == "error" for result in everything
    )
    return OK if good else WRONG


def select(cases: Iterable[Case], text: str) -> list[Case]:
    """Return the cases that have a text in their names, with all defects, or else the defects that have it.

    Raises
    ------
    UsageError
        When nothing has it.

    Examples
    --------
    >>> [(case.name, len(case.defects)) for case in select(catalogue(), "relu: gate rev")]
    [('relu', 1)]
    """
    text, chosen = text.lower(), []
    for case in cases:
        defects = tuple(
            defect
            for defect in case.defects
            if text in f"{case.name}: {defect.name}".lower() or text in (defect.kind, defect.cause)
        )
        if text in case.name or defects:
            chosen.append(replace(case, defects=defects or case.defects))
    if not chosen:
        raise UsageError(
            f"no rule and no defect has {text!r} in its name; `gradlab mutants --list` shows them"
        )
    return chosen


def load(target: str) -> Checker:
    """Return the function that ``package.module:function`` names.

    Raises
    ------
    UsageError
        When there is none.

    Examples
    --------
    >>> load("math:isclose").__name__
    'isclose'
    """
    module_name, colon, name = target.partition(":")
    if not (module_name and colon and name):
        raise UsageError(f"--checker is {target!r}; expected package.module:function")
    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m` does: modules beside the caller are found
    try:
        checker = getattr(importlib.import_module(module_name), name)
    except AttributeError:
        raise UsageError(f"the module {module_name} has no {name!r}") from None
    except Exception as error:
        raise UsageError(f"{module_name} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(checker):
        raise UsageError(f"{target} is {checker!r}; expected a function")
    found: Checker = checker
    return found


def listing(cases: Sequence[Case]) -> Iterable[str]:
    """Yield the catalogue as lines."""
    for case in cases:
        yield case.name
        for defect in case.defects:
            cause = f", {defect.cause}" if defect.cause else ""
            yield f"  {defect.name} [{defect.kind}{cause}]: {defect.remakes}"
    codes = sum(defect.cause is not None for case in cases for defect in case.defects)
    total = sum(len(case.defects) for case in cases)
    yield f"{len(cases)} rules, {total} defects, {codes} of them with the code of their cause"


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


def _row(name: str, values: Sequence[str], width: int) -> str:
    cells = (f"{value:>{len(title)}}" for value, title in zip(values, COLUMNS, strict=True))
    return f"{name:<{width}}  {'  '.join(cells)}".rstrip()


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} was given; expected a whole number, at least 0")
    return int(text)
