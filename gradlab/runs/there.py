"""What runs in the workers of an executor: a rule is checked as here, in a process that is supervised there.

So a rule that crashes, hangs or takes all memory does that to a process of its own, and the worker stays. The
process is kept for the next rule: one for each thread that checks rules at once.
"""

from __future__ import annotations

import atexit
import os
import platform
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gradlab import __version__
from gradlab.runs.outcomes import ErrorKind, Listed, Options, Result, RuleError
from gradlab.runs.pool import Pool

IDLE = 60.0  # seconds after which a process that has nothing to do is ended


def versions() -> tuple[str, str]:
    """Return those on which it depends whether a pickle means the same: of gradlab and of Python.

    >>> versions()[0] == __version__
    True
    """
    return __version__, ".".join(platform.python_version_tuple()[:2])


def check_there(
    rule: Listed, options: Options, timeout: float | None, made_by: tuple[str, str], ticket: str
) -> tuple[Result, tuple[str, ...]]:
    """Check a rule in this worker.

    Parameters
    ----------
    rule : Listed
        Which, pickled.
    options : Options
        What is asked of it.
    timeout : float or None
        As in `Pool`.
    made_by : (str, str)
        The `versions` of the process that sends it.
    ticket : str
        Makes this call another one than any before, for schedulers that know calls by their arguments.

    Returns
    -------
    result : Result
        What came of it.
    remarks : tuple of str
        How processes ended for which no rule can be blamed.
    """
    if made_by != versions():
        said = " and ".join(
            f"{name} {theirs}, not {ours}"
            for name, theirs, ours in zip(("gradlab", "Python"), versions(), made_by, strict=True)
            if theirs != ours
        )
        return _refused(f"the machine {socket.gethostname()!r} has {said}"), ()
    with _kept.pool(timeout) as pool:
        (result,) = [said for _, said in pool.check([rule], options) if isinstance(said, Result)]
        remarks = tuple(pool.remarks)
        pool.remarks.clear()
    return result, remarks


def _refused(why: str) -> Result:
    return Result(error=RuleError(ErrorKind.USAGE, why))


class _Kept:
    """The pools of this process that nobody uses at the moment."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Leave them to the process that this one is a copy of."""
        self.lock = threading.Lock()
        self.free: list[Pool] = []
        self.timer: threading.Timer | None = None

    @contextmanager
    def pool(self, timeout: float | None) -> Iterator[Pool]:
        """Lend a pool of one process."""
        pool = self._take(timeout)
        try:
            yield pool
        except BaseException:
            pool.close(patience=0.0)
            raise
        with self.lock:
            self.free.append(pool)
            self._wait()

    def _take(self, timeout: float | None) -> Pool:
        with self.lock:
            fitting = next((pool for pool in self.free if pool.timeout == timeout), None)
            others = [pool for pool in self.free if pool.timeout != timeout]
            self.free = [pool for pool in self.free if pool.timeout == timeout and pool is not fitting]
        for pool in others:
            pool.close()
        return Pool(timeout=timeout) if fitting is None else fitting

    def _wait(self) -> None:
        """Have the pools closed, unless they are needed again soon."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = threading.Timer(IDLE, self.close)
        self.timer.daemon = True
        self.timer.start()

    def close(self) -> None:
        """End the processes."""
        with self.lock:
            pools, self.free = self.free, []
            if self.timer is not None:
                self.timer.cancel()
        for pool in pools:
            pool.close()


_kept = _Kept()
atexit.register(_kept.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_kept.forget)
