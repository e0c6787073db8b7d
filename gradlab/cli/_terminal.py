"""What commands share: printing, the progress line, and signals to end."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from typing import TextIO

SOON = 2.0  # seconds, after which it is said how many are left
BAR = 20  # characters


class StandardOutput:
    """Where `say` prints to; what fails there fails nothing else, and is known afterwards."""

    def __init__(self) -> None:
        self.trouble = ""

    def open(self) -> None:
        """Make ready: print to nowhere where there is no standard output, or no standard error."""
        self.trouble = "it is closed" if sys.stdout is None else ""
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name) or open(os.devnull, "w")  # noqa: SIM115 - until the end
            setattr(sys, name, stream)
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # a terminal without ½ or θ shows ? instead

    def write(self, text: str) -> None:
        """Print a text, also when nobody reads it to the end, as in ``gradlab verify | head``."""
        try:
            print(text, flush=True)
        except OSError as error:
            # The verdict, which is the exit code, does not depend on who reads the table.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if not isinstance(error, BrokenPipeError):
                self.trouble = str(error)


output = StandardOutput()
say = output.write


def complain(text: str) -> None:
    """Print one message to standard error."""
    with suppress(OSError):  # there is nowhere left to say it
        print(f"gradlab: {text}", file=sys.stderr)


def bar(done: float, seconds: float) -> str:
    """Return a bar for what is done, of 1, after so many seconds, and about how many are left.

    >>> bar(0.25, 30.0)
    '[#####---------------] 1:30 left  '
    """
    done = min(max(done, 0.0), 1.0)
    left = ""
    if done > 0:
        minutes, rest = divmod(round(seconds * (1 - done) / done), 60)
        left = f" {minutes}:{rest:02} left"
    full = round(BAR * done)
    return f"[{'#' * full}{'-' * (BAR - full)}]{left}  "


class Interruptible:
    """A block that Ctrl-C leaves, or another signal to end, after which the program goes on.

    An exception raised by a signal is lost when it happens to arrive inside a destructor or a callback of
    the garbage collector, which Hypothesis has; `check`, called now and then, notices.
    """

    came = False

    def __enter__(self) -> Interruptible:
        self.handlers = {number: signal.signal(number, self._note) for number in _ending()}
        self.hook, sys.unraisablehook = sys.unraisablehook, self._lost
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        sys.unraisablehook = self.hook
        return kind is KeyboardInterrupt

    def check(self) -> None:
        """Leave the block if such a signal has come."""
        if self.came:
            raise KeyboardInterrupt

    def _lost(self, unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            self.hook(unraisable)

    def _note(self, number: int, frame: object) -> None:
        self.came = True
        raise KeyboardInterrupt


def _ending() -> list[int]:
    """Return the signals by which a user, a scheduler or a terminal that goes asks this process to end."""
    others = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    return [signal.SIGINT, *(one for one in others if signal.getsignal(one) != signal.SIG_IGN)]  # by nohup


class ProgressLine:
    """One line on a terminal that is written over; nothing in a pipe."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.shown = stream, stream is not None and stream.isatty()
        self.started = time.monotonic()

    def bar(self, done: float) -> str:
        """Return a bar for what is done, of 1, and the time that is left; nothing in the first seconds."""
        seconds = time.monotonic() - self.started
        return bar(done, seconds) if seconds > SOON else ""

    def show(self, line: str) -> None:
        """Put a line in the place of the one before."""
        if self.shown:
            self.stream.write(f"\r\033[K{line}")
            self.stream.flush()

    def clear(self) -> None:
        """Remove the line."""
        self.show("")
