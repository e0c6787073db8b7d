"""What is asked of every `concurrent.futures.Executor`: to take a task, and who works there."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from typing import Any

UNKNOWN = 32  # workers of an executor that does not say how many it has
COUNTED = 5.0  # seconds for which a count of workers is good: a cluster may grow
DESERTED = 300.0  # seconds without a worker after which none is waited for: Dask's patience with a silent one


def submit(executor: Executor, function: Callable[..., Any], *args: Any) -> Future[Any]:
    """Give an executor a task.

    Raises
    ------
    BrokenExecutor
        When it takes none any more: it is broken, was shut down, or its connection is lost.
    """
    try:
        return executor.submit(function, *args)
    except BrokenExecutor:
        raise
    except Exception as error:
        raise BrokenExecutor(f"{type(error).__name__}: {error}") from error


class Crew:
    """The workers of an executor, which may come and go.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Whose.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._counted, self._size, self._seen = -COUNTED, 0, time.monotonic()

    def count(self) -> int:
        """Return how many tasks run at once there, or will; counted anew now and then.

        Raises
        ------
        BrokenExecutor
            When there has long been no worker.
        """
        now = time.monotonic()
        if now > self._counted + COUNTED:
            self._counted, self._size = now, workers(self._executor)
            if self._size:
                self._seen = now
            elif now > self._seen + DESERTED:
                raise BrokenExecutor(f"it has had no worker for {DESERTED:g} s")
        return max(1, self._size)


def workers(executor: Executor) -> int:
    """Return how many tasks an executor runs at once, as far as it says.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> workers(ThreadPoolExecutor(3))
    3
    """
    with suppress(Exception):  # these are no part of what an executor has to have
        client = getattr(executor, "_client", None)
        if client is not None:  # of Dask
            return sum(client.nthreads().values())
        for name in ("_max_workers", "num_workers"):  # of concurrent.futures and loky; of mpi4py
            if isinstance(count := getattr(executor, name, None), int):
                return count
    return UNKNOWN
