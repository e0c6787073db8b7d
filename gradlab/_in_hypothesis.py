"""A check inside a test of Hypothesis: its time is not the test's, nor are its lines what explains a failure.

Hypothesis gives every example of a test 200 ms by default. A check calls the function under test dozens of
times, and the first one loads what checks; a right rule of a few milliseconds would fail by that deadline.
And once an example fails, Hypothesis traces every line that runs, to say which of them only failing examples
run: of a check, these are the lines that write its report, and tracing takes ten times as long.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

TRACER = "hypothesis.internal.scrutineer"


def aside() -> contextlib.AbstractContextManager[None]:
    """Keep what happens from the deadline and the tracer of the Hypothesis test that is running, if one is.

    Hypothesis has no public way to say so. Where it is not as expected, nothing is done, and the message of
    `hypothesis.errors.DeadlineExceeded` says how to do without a deadline.
    """
    hypothesis = sys.modules.get("hypothesis")
    running = getattr(hypothesis, "currently_in_test_context", bool)
    return _aside() if running() else contextlib.nullcontext()


@contextlib.contextmanager
def _aside() -> Iterator[None]:
    started = time.perf_counter()
    try:
        with _untraced():
            yield
    finally:
        with contextlib.suppress(Exception):
            times = sys.modules["hypothesis.control"].current_build_context().data._stateful_run_times
            times["execute:gradlab"] += time.perf_counter() - started


@contextlib.contextmanager
def _untraced() -> Iterator[None]:
    """Let the tracer of Hypothesis pause; that of a debugger, or for coverage, is left alone."""
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:  # before Python 3.12
        tracer = sys.gettrace()
        if type(getattr(tracer, "__self__", None)).__module__ != TRACER:
            yield
            return
        sys.settrace(None)
        try:
            yield
        finally:
            sys.settrace(tracer)
        return
    tools = [tool for tool in range(6) if monitoring.get_tool(tool) == "scrutineer"]
    events = {tool: monitoring.get_events(tool) for tool in tools}
    for tool in tools:
        monitoring.set_events(tool, 0)
    try:
        yield
    finally:
        for tool, event in events.items():
            monitoring.set_events(tool, event)
