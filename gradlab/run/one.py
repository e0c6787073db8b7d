"""One rule checked, whatever happens."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass

from gradlab._verify import verify
from gradlab.errors import UsageError
from gradlab.report import Report
from gradlab.rule import Rule


@dataclass(frozen=True)
class Options:
    """What is asked of every rule alike; the fields are those of `gradlab.verify`."""

    max_examples: int = 100
    seed: int = 0
    rtol: float | None = None


@dataclass(frozen=True)
class Result:
    """A rule's report, or a sentence that says why there is none."""

    report: Report | None
    problem: str = ""


def check(rule: Rule, options: Options, progress: Callable[[int], None] | None = None) -> Result:
    """Check one rule; whatever goes wrong concerns that rule alone.

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
            raise_exception=False,
            progress=progress,
        )
    except UsageError as error:
        return Result(None, str(error))
    except Exception as error:  # the fault is gradlab's, and no reason to leave the other rules unchecked
        said = f"rule {rule.name!r} could not be checked, by a defect of gradlab: {error!r}"
        return Result(None, f"{said}\n{traceback.format_exc().rstrip()}")
    return Result(report)
