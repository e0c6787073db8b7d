"""Shows the catalogue to a checker, and notes what it says."""

from __future__ import annotations

import copy
import functools
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from gradlab.errors import UsageError
from gradlab.mutants.model import Case, Defect

if TYPE_CHECKING:
    from gradlab.mutants.frameworks import Framework
    from gradlab.mutants.planted import Planted
    from gradlab.report import Report

OUTCOMES = {"pass": "accepted", "fail": "rejected", "inconclusive": "inconclusive"}  # by the verdict

Checker: TypeAlias = Callable[[Callable[..., Any], Callable[..., Any], tuple[Any, ...]], Any]


@dataclass(frozen=True)
class Result:
    """What a checker said of one rule.

    Attributes
    ----------
    case : Case or Framework
        The rule, or the framework whose derivatives are checked.
    defect : Defect, Planted or None
        The wrong variant; ``None`` for the right rule.
    seed : int
        Which point.
    outcome : str
        ``accepted``, ``rejected``, ``inconclusive`` (only gradlab's own checker says so), or ``error`` where
        the checker raised anything but an `AssertionError`.
    message : str
        What it said.
    causes : tuple of str
        The codes of the causes it named, first the simplest (only gradlab's own checker does).
    forward_calls : int
        How often it called the forward function.
    seconds : float
        How long it took.
    """

    case: Case | Framework
    defect: Defect | Planted | None
    seed: int
    outcome: str
    message: str
    causes: tuple[str, ...]
    forward_calls: int
    seconds: float

    @property
    def name(self) -> str:
        """The rule's name, with its defect's."""
        return self.case.name if self.defect is None else f"{self.case.name}: {self.defect.name}"

    @property
    def missed(self) -> bool:
        """Whether a defect was accepted."""
        return self.defect is not None and self.outcome == "accepted"

    @property
    def caught(self) -> bool:
        """Whether a defect was rejected."""
        return self.defect is not None and self.outcome == "rejected"

    @property
    def false_alarm(self) -> bool:
        """Whether the right rule was rejected."""
        return self.defect is None and self.outcome == "rejected"


def catalogue() -> tuple[Case, ...]:
    """Return all cases.

    >>> len(catalogue()) >= 25
    True
    """
    from gradlab.mutants.families import CASES

    return CASES


def run(
    checker: Checker | None = None, cases: Iterable[Case] | None = None, seed: int = 0
) -> tuple[Result, ...]:
    """Show rules to a checker: of each case the right one, then its defects.

    Parameters
    ----------
    checker : callable, optional
        ``checker(forward, backward, inputs)``, which accepts by returning what is true, and rejects by
        returning what is false or raising an `AssertionError`. It sees ``forward(*inputs)`` and
        ``backward(grad_output, *inputs)``, and a copy of the inputs of its own. By default
        `gradlab.gradcheck` with its default settings, which sees each rule in its own form. Others are shown
        neither rules of forward mode nor such whose inputs are constrained, for they could not be told so.
    cases : iterable of Case, optional
        All by default.
    seed : int
        Draws the points; a case's point does not depend on which other cases are run.

    Returns
    -------
    tuple of Result

    Examples
    --------
    >>> results = run(lambda forward, backward, inputs: True, catalogue()[:2])
    >>> sum(result.missed for result in results) == sum(result.defect is not None for result in results)
    True
    """
    return tuple(results(checker, catalogue() if cases is None else cases, seed))


def results(checker: Checker | None, cases: Iterable[Case], seed: int) -> Iterator[Result]:
    """Yield the results one by one, as they come."""
    for case in cases:
        if checker is not None and not case.is_for_any_checker:
            continue
        inputs = point(case, seed)
        for defect in (None, *case.defects):
            yield _show(checker, case, defect, inputs, seed)


def point(case: Case, seed: int) -> tuple[Any, ...]:
    """Return a case's point, the same for its right rule and for its defects."""
    import numpy as np

    return case.point(np.random.default_rng([seed, zlib.crc32(case.name.encode())]))


def _show(
    checker: Checker | None, case: Case, defect: Defect | None, inputs: tuple[Any, ...], seed: int
) -> Result:
    import numpy as np

    forward, backward = case.functions(defect) if checker is None else case.plain(defect)
    calls = 0

    @functools.wraps(forward)  # reports take the inputs' names from the signature
    def counted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return forward(*arguments)

    causes: tuple[str, ...] = ()
    started = time.perf_counter()
    # What overflows in a wrong rule is its own matter, also where warnings are errors.
    with np.errstate(all="ignore"):
        try:
            if checker is None:
                outcome, message, causes = _gradcheck(case, counted, backward, inputs, seed)
            else:
                accepted = checker(counted, backward, copy.deepcopy(inputs))
                outcome, message = ("accepted" if accepted else "rejected"), ""
        except AssertionError as error:
            outcome, message = "rejected", str(error)
        except SystemExit as error:  # what it says of the next rules, and the exit code, would be lost
            raise UsageError(
                f"the checker raised SystemExit: {error} at {case.name}; expected a result, or an exception "
                "that ends no program"
            ) from error
        except Exception as error:
            outcome, message = "error", f"{type(error).__name__}: {error}"
    return Result(case, defect, seed, outcome, message, causes, calls, time.perf_counter() - started)


def _gradcheck(
    case: Case,
    forward: Callable[..., Any],
    derivative: Callable[..., Any],
    inputs: tuple[Any, ...],
    seed: int,
) -> tuple[str, str, tuple[str, ...]]:
    report = check(case, forward, derivative, inputs, seed)
    return OUTCOMES[report.verdict], report.reason, tuple(cause.code for cause in report.causes)


def check(
    case: Case,
    forward: Callable[..., Any],
    derivative: Callable[..., Any],
    inputs: tuple[Any, ...],
    seed: int,
) -> Report:
    """Return what gradlab says of functions of the form of a case's."""
    from gradlab._gradcheck import gradcheck

    backward, jvp = (None, derivative) if case.forward_mode else (derivative, None)
    return gradcheck(forward, backward, inputs, jvp=jvp, **case.options, rng=seed, raise_exception=False)
