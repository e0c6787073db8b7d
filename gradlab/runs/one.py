"""One rule checked, whatever happens short of the end of the process."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace

import hypothesis
from hypothesis.database import ExampleDatabase
from hypothesis.errors import HypothesisWarning

from gradlab._snippet import verify_call
from gradlab._verify import verify
from gradlab.errors import GradientError, UsageError
from gradlab.pictures import Pictures
from gradlab.point.values import text_of
from gradlab.rule import Rule
from gradlab.runs.outcomes import ErrorKind, Options, Result, RuleError
from gradlab.runs.stacks import Frame, users, written


def check(
    rule: Rule,
    options: Options,
    progress: Callable[[int, str], None] | None = None,
    *,
    through: tuple[type[BaseException], ...] = (),
) -> Result:
    """Check one rule; whatever goes wrong concerns that rule alone.

    Parameters
    ----------
    rule : Rule
        Which.
    options : Options
        What is asked of it.
    progress : callable, optional
        As in `gradlab.verify`.
    through : tuple of exception types
        What is not caught: `KeyboardInterrupt`, where Ctrl-C may reach this process.

    Examples
    --------
    >>> from gradlab.rules import linear
    >>> check(linear.RULE, Options(max_examples=5)).report
    <Report linear: pass at 5 points>
    """
    try:
        report = verify(
            rule,
            max_examples=options.max_examples,
            rng=options.seed,
            rtol=options.rtol,
            max_seconds=options.max_seconds,
            database=_database() if options.keep else None,
            progress=progress,
        )
    except GradientError as error:
        cause = error.__cause__
        raised = "" if cause is None else "\n".join([stack_of(cause), _text(cause)])
        return Result(error.report, raised=raised)
    except through:
        raise
    except BaseException as error:
        return Result(error=_told(rule, error, call_of(rule, options)))
    return Result(report)


def _database() -> ExampleDatabase | None:
    """Return the database of the Hypothesis profile in force, which in CI is none.

    Where its folder cannot be written, Hypothesis warns, and keeps what it finds to itself.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisWarning)
        return hypothesis.settings().database


def with_pictures(result: Result) -> Result:
    """Take the pictures of a report; nothing that goes wrong there makes it another report."""
    if result.report is None or result.report.passed:
        return result
    try:
        return replace(result, pictures=result.report.pictures)
    except Exception as error:
        return replace(result, pictures=Pictures(notes=(f"no pictures: {_text(error)}",)))


def call_of(rule: Rule, options: Options) -> str:
    """Return the call that checks a rule again, as text to be pasted."""
    return verify_call(
        rule,
        max_examples=options.max_examples,
        rtol=options.rtol,
        max_seconds=options.max_seconds,
        seed=options.seed,
    )


def _told(rule: Rule, error: BaseException, call: str) -> RuleError:
    """Say what an exception that left `verify` is: only those of the rule's functions are an answer."""
    raised = _text(error)
    if isinstance(error, UsageError):
        said = text_of(error).removeprefix(f"rule {rule.name!r}: ")
        return RuleError(ErrorKind.USAGE, said, stack_of(error.__cause__), call)
    if isinstance(error, MemoryError):
        return RuleError(ErrorKind.MEMORY, f"memory was exhausted: {raised}", stack_of(error), call)
    if isinstance(error, Exception):  # the fault is gradlab's, and no reason to leave other rules unchecked
        said = f"it could not be checked, by a defect of gradlab: {raised}"
        return RuleError(ErrorKind.INTERNAL, said, stack_of(error, whole=True), call)
    return RuleError(
        ErrorKind.RAISED, f"it raised {raised}, which would end a program", stack_of(error), call
    )


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {text_of(error)}".removesuffix(": ")


def stack_of(error: BaseException | None, *, whole: bool = False) -> str:
    """Return where an exception was raised: the frames of the rule, or all."""
    if error is None:
        return ""
    frames = [
        Frame(frame.filename, frame.lineno or 0, frame.name)
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    return written(frames if whole else users(frames))
