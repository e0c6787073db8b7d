"""What the evaluation of ``forward`` may take, and by what it is done: options that change no verdict."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab._options import SECONDS, is_integer, whole_number
from gradlab.errors import UsageError, is_deliberate
from gradlab.point.options import require
from gradlab.point.values import describe

__tracebackhide__ = is_deliberate


@dataclass(frozen=True)
class Resources:
    """How forward is evaluated; the fields are options of `gradlab.gradcheck`.

    Attributes
    ----------
    max_calls : int, optional
        How often forward may be called.
    max_seconds : float, optional
        How long the check may take.
    until : float, optional
        When they are over, by `time.monotonic`, where other checks have had their part of them.
    timeout : float, optional
        How long one call of a function may take.
    workers : int, callable or Executor, optional
        Who evaluates points beside the point.
    vectorized : bool
        Whether forward takes a batch of points.
    batched : callable, optional
        An adapter's other function, which does, has compared itself with forward, and raises where points are
        better evaluated one after the other.
    journal : path, optional
        The file in which evaluations are kept.
    interruptible : bool
        Whether Ctrl-C ends the evaluation, and not the check.
    """

    max_calls: int | None = None
    max_seconds: float | None = None
    until: float | None = None
    timeout: float | None = None
    workers: Any = None
    vectorized: bool | np.bool_ = False
    batched: Callable[..., Any] | None = None
    journal: str | os.PathLike[str] | None = None
    interruptible: bool = False

    def __post_init__(self) -> None:
        require(whole_number(1), max_calls=self.max_calls)
        require(SECONDS, max_seconds=self.max_seconds, timeout=self.timeout)
        if self.workers is not None:
            _check_workers(self.workers)
        if not isinstance(self.vectorized, bool | np.bool_):
            raise UsageError(f"vectorized is {describe(self.vectorized)}; expected True or False")
        if self.journal is not None and not isinstance(self.journal, str | os.PathLike):
            raise UsageError(f"journal is {describe(self.journal)}; expected the path of a file")

    @property
    def evaluates_elsewhere(self) -> bool:
        """Whether points are evaluated otherwise than one after the other, in this process."""
        here = self.workers is None and self.batched is None and self.journal is None
        return bool(self.vectorized) or not here


def _check_workers(workers: Any) -> None:
    count = is_integer(workers) and (workers >= 1 or workers == -1)
    if hasattr(workers, "get_executor"):
        raise UsageError("workers is a client of Dask; expected its client.get_executor()")
    known = isinstance(workers, Executor) or (callable(workers) and not isinstance(workers, type))
    if not (count or known or workers is map):
        raise UsageError(
            f"workers is {describe(workers)}; expected a positive integer, -1 for all processors, "
            "a function like map, or a concurrent.futures.Executor"
        )


UNLIMITED = Resources()
