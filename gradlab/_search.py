"""The simplest point at which a rule fails, of those at which that is plain to see.

A gradient may be wrong where it hardly matters: where a normalization is saturated, or at the far end of a
tanh, both sides are next to zero and look like rounding. Shrinking ends at such points, for they are often
simple. It is therefore told to keep the failure plain: both sides have to differ by a good part of what they
are, and by something that the outputs would show. Only where no such point turns up, others do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import hypothesis
from hypothesis.database import ExampleDatabase

from gradlab._points import points, run
from gradlab._tally import Tally
from gradlab.errors import UsageError, is_deliberate
from gradlab.point.values import text_of
from gradlab.report import Report, Verdict
from gradlab.rule import Rule

__tracebackhide__ = is_deliberate

PLAIN = 0.1  # of the larger side, by which the two differ
SHOWN = 1e-3  # of the outputs, by which they change when the entry moves by its own size
FURTHER = 20  # points that are drawn after one that fails, to find one at which that is plain


class PointFailed(Exception):
    """A point failed; ``raised`` is what a function under test raised there, if it did."""

    def __init__(self, inputs: Any, report: Report, raised: BaseException | None) -> None:
        super().__init__(report.reason)
        self.inputs, self.report, self.raised = inputs, report, raised


def simplest_failure(
    rule: Rule,
    check: Callable[[Any], bool],
    tally: Tally,
    *,
    examples: Sequence[Any],
    max_examples: int,
    seed: int,
    database: ExampleDatabase | None,
) -> PointFailed | None:
    """Check points until one fails, and return the simplest at which that is plain.

    Parameters
    ----------
    rule, examples, max_examples, seed, database
        As in `gradlab.verify`.
    check : callable
        Checks one point, and says whether it counts; raises `PointFailed` where it fails.
    tally : Tally
        What ``check`` counts in.
    """
    hidden: list[PointFailed] = []
    least, until = 1.0, 0

    def check_plainly(inputs: Any) -> bool:
        nonlocal until
        try:
            return check(inputs)
        except PointFailed as failed:
            if plainness(failed.report) >= least:
                raise
            until = until or tally.drawn + FURTHER
            hidden.append(failed)
            return True

    def search(enough: Callable[[], bool] = lambda: False) -> PointFailed | None:
        drawn = points(rule)
        return _caught(
            rule,
            tally,
            lambda: run(
                rule,
                check_plainly,
                drawn,
                max_examples=max_examples,
                seed=seed,
                database=database,
                enough=enough,
            ),
        )

    found = _caught(rule, tally, lambda: [check(inputs) for inputs in examples])
    found = found or search(enough=lambda: tally.seconds_left <= 0 or (bool(hidden) and tally.drawn >= until))
    if found is None and hidden and tally.seconds_left <= 0:
        found = max(hidden, key=lambda failed: plainness(failed.report))
    elif found is None and hidden:
        plainest = max(hidden, key=lambda failed: plainness(failed.report))
        least = plainness(plainest.report) / 2
        tally.known.clear()  # the same points, once more
        found = search() or plainest
    return found


def plainness(report: Report) -> float:
    """Return how plain it is that a point fails: 1 and more where it is, next to nothing for rounding."""
    if any(finding.check not in ("gradients", "jvp", "reference") for finding in report.findings):
        return 1.0  # what is wrong is not a number
    worst = [r.worst for r in report.inputs if r.verdict is Verdict.FAIL and r.worst is not None]
    return max((min(entry.error / PLAIN, entry.effect / SHOWN) for entry in worst), default=1.0)


def _caught(rule: Rule, tally: Tally, attempt: Callable[[], Any]) -> PointFailed | None:
    """Return the failing point at which an attempt ends, if it does; say what else ends it."""
    try:
        attempt()
    except PointFailed as failed:
        return failed
    except hypothesis.errors.FlakyFailure as flaky:  # the same point fails now and then
        failures = [error for error in flaky.exceptions if isinstance(error, PointFailed)]
        if failures:
            return failures[0]
        raise UsageError(f"rule {rule.name!r}: {flaky.exceptions[0]}") from flaky
    except UsageError as error:
        if str(error).startswith("rule "):
            raise
        raise UsageError(f"rule {rule.name!r}: {error}") from error.__cause__  # it says the same, and more
    except Exception as error:
        if tally.drawn > tally.checked:
            raise  # not while a point was drawn: the fault is ours
        reason = f"{type(error).__name__}: {text_of(error)}"
        raise UsageError(f"rule {rule.name!r}: no point could be drawn: {reason}") from error
    return None
