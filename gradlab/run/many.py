"""Many rules checked, one after another in this process or several at once in others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from gradlab.run.one import Options, Result, check
from gradlab.run.targets import Found
from gradlab.run.workers import check_in_processes


def check_all(
    found: Sequence[Found],
    options: Options,
    *,
    jobs: int = 1,
    timeout: float | None = None,
    point: Callable[[int, int], None],
    done: Callable[[int, Result], None],
) -> None:
    """Check rules, and say what becomes of each as soon as it is known.

    Parameters
    ----------
    found : sequence of Found
        The rules.
    options : Options
        What is asked of each.
    jobs : int
        How many processes; the reports do not depend on it. A single one is this one.
    timeout : float, optional
        Seconds for each rule, which is then checked in another process: it may hang where nothing but the
        end of its process stops it. One that takes longer is inconclusive.
    point : callable
        Called with a rule's position and the number of its points so far.
    done : callable
        Called with a rule's position and its result.
    """
    if timeout is None and min(jobs, len(found)) <= 1:
        for position, one in enumerate(found):
            done(position, check(one.rule, options, partial(point, position)))
        return
    check_in_processes(found, options, jobs=jobs, timeout=timeout, point=point, done=done)
