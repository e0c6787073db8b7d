"""A limit for the time of a call."""

from __future__ import annotations

import contextvars
import ctypes
import functools
import queue
import threading
from collections.abc import Callable
from typing import Any


def within(seconds: float, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that raises `TimeoutError` where another one has not returned in time.

    The call is made in a thread of its own, in the context of the caller, such as that of `numpy.errstate`.
    A late one is told to end, as a thread can be told between two lines of Python; what never comes back
    from C is left behind.

    Parameters
    ----------
    seconds : float
        How long a call may take.
    function : callable
        The function.

    Examples
    --------
    >>> import time
    >>> within(5.0, abs)(-1.0)
    1.0
    >>> within(0.01, time.sleep)(0.5)
    Traceback (most recent call last):
    TimeoutError: no answer within the timeout of 0.01 s
    """

    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        context = contextvars.copy_context()

        def call() -> None:
            try:
                answers.put((context.run(function, *args, **kwargs), None))
            except BaseException as error:  # which is the caller's to raise
                answers.put((None, error))

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        try:
            returned, error = answers.get(timeout=min(seconds, threading.TIMEOUT_MAX))
        except BaseException as late:  # or Ctrl-C
            _tell_to_end(thread)
            if isinstance(late, queue.Empty):
                raise TimeoutError(f"no answer within the timeout of {seconds:g} s") from None
            raise
        thread.join()
        if error is not None:
            raise error
        return returned

    return timed


def _tell_to_end(thread: threading.Thread) -> None:
    if thread.ident is not None:
        raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
        raise_in(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
