"""``gradlab mutants``: the catalogue shown to a checker, and the kill matrix."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradlab._options import whole_number
from gradlab.cli._terminal import say
from gradlab.errors import UsageError
from gradlab.runs import OK, WRONG

if TYPE_CHECKING:
    from gradlab.mutants import Checker, Result
    from gradlab.mutants.matrix import Group


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "mutants",
        help="check the checker with planted defects",
        description="Show a checker right rules and wrong variants of them, and count what it catches. "
        "Exit code 0: every defect is caught and there is no false alarm; 1: otherwise; 2: wrong call.",
    )
    parser.add_argument(
        "--checker",
        metavar="MODULE:FUNCTION",
        help="a function of (forward, backward, inputs) that accepts by returning true, and rejects by "
        "returning false or raising AssertionError (default: gradlab.gradcheck)",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0).argument,
        nargs="+",
        default=[0],
        metavar="N",
        help="draws the points; several give as many points of each rule (default: 0)",
    )
    parser.add_argument(
        "-k",
        metavar="TEXT",
        default="",
        help="only what has this in its name, or is of this kind or cause; a framework, such as torch",
    )
    parser.add_argument("--list", action="store_true", help="print the catalogue and check nothing")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the kill matrix."""
    from gradlab.mutants import matrix
    from gradlab.mutants.frameworks import Framework, framework_results
    from gradlab.mutants.runner import results

    checker = None if arguments.checker is None else load(arguments.checker)
    cases, missing = _chosen(arguments.k, own=checker is None)
    if arguments.list:
        for line in [*matrix.listing(cases), *missing]:
            say(line)
        return OK
    width = max(len(case.name) for case in cases)
    say(matrix.row("rule", matrix.COLUMNS, width))
    everything: list[Result] = []
    for case in cases:
        if isinstance(case, Framework):
            found = list(framework_results(case))  # at points of their own, which no seed draws
        else:
            found = [result for seed in arguments.seed for result in results(checker, [case], seed)]
        say(matrix.row(case.name, matrix.counts(found), width))
        everything += found
    say(matrix.row("total", matrix.counts(everything), width))
    for line in matrix.complaints(everything):
        say(line)
    if checker is None:
        say(matrix.causes(everything))
    for line in missing:
        say(f"\n{line}")
    good = all(result.caught for result in everything if result.defect is not None) and not any(
        result.false_alarm or result.outcome == "error" for result in everything
    )
    return OK if good else WRONG


def _chosen(text: str, *, own: bool) -> tuple[list[Group], list[str]]:
    """Return what is shown to a checker, gradlab's ``own`` or another, and which frameworks are missing.

    Another one is asked about backward rules of NumPy alone. Frameworks are imported where all is shown, or
    where nothing else is meant.
    """
    from gradlab.mutants import catalogue, matrix
    from gradlab.mutants.frameworks import NAMES, is_installed
    from gradlab.mutants.frameworks import load as load_framework

    cases = [case for case in catalogue() if own or case.is_for_any_checker]
    found = list(matrix.matching(cases, text))
    if not own and not found and list(matrix.matching(catalogue(), text)):
        raise UsageError(
            f"what has {text!r} in its name is of forward mode, or its inputs may not move freely, which "
            "--checker cannot be told; expected other rules"
        )
    if not own or (text and found):
        return matrix.select(cases, text), []
    meant = [name for name in NAMES if text.lower().startswith(name)] or NAMES
    missing = [
        f"{name} is not installed, and its planted defects are left out: pip install 'gradlab-verify[{name}]'"
        for name in meant
        if not is_installed(name)
    ]
    installed = [load_framework(name) for name in meant if is_installed(name)]
    if not installed:
        raise UsageError("; ".join(missing))
    return matrix.select([*cases, *installed], text), missing


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
    from gradlab.runs.targets import importable

    module_name, colon, name = target.partition(":")
    if not (module_name and colon and name):
        raise UsageError(f"--checker is {target!r}; expected package.module:function")
    try:
        with importable(Path.cwd()):
            checker = getattr(importlib.import_module(module_name), name)
    except AttributeError:
        raise UsageError(f"the module {module_name} has no {name!r}") from None
    except (Exception, SystemExit) as error:
        raise UsageError(f"{module_name} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(checker):
        raise UsageError(f"{target} is {checker!r}; expected a function")
    found: Checker = checker
    return found
