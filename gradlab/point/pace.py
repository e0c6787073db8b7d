"""How much of ``forward`` there is to be: calls, time, and what is said of it while it lasts."""

from __future__ import annotations

import logging
import math
import time

from gradlab.point.resources import Resources
from gradlab.words import counted

SLOW = 1.0  # seconds of a call, from which a check says beforehand what it will take
BETWEEN = 10.0  # seconds between two words on how far it is
BLOCK = 0.5  # seconds of evaluation between two looks at the time
DIRECTIONS = 32  # calls that directions take at most where forward is smooth, however many entries there are

logger = logging.getLogger("gradlab")


class Pace:
    """The budget of one point, and how much of it a call takes.

    Parameters
    ----------
    resources : Resources
        The limits.

    Attributes
    ----------
    call_seconds, point_seconds : float
        How long a call of ``forward`` takes, and what one point takes where several are evaluated together.
    width : int
        How many these are.
    interrupted : bool
        Whether Ctrl-C ended the evaluation.
    unlimited : bool
        Whether no call is ever one too many.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._started = self._told = time.monotonic()
        self._name, self._ahead = "", 0
        self.call_seconds = self.point_seconds = 0.0
        self.width, self.interrupted = 1, False
        self.unlimited = resources.max_calls is None and resources.max_seconds is None

    def measured(self, seconds: float, points: int) -> None:
        """Note how long some points took; too few for all who evaluate them do not count."""
        if points >= max(1, self.width):
            self.point_seconds = seconds / points
            if self.width == 1:
                self.call_seconds = self.point_seconds

    def spread(self, width: int) -> None:
        """Note that so many points are evaluated at a time."""
        self.width, self.point_seconds = width, self.call_seconds / width

    def interrupt(self) -> None:
        """Note that nothing more is to be evaluated."""
        self.interrupted, self.unlimited = True, False

    def calls_left(self, made: int) -> float:
        """Return how many calls are left after those that were made."""
        if self.interrupted:
            return 0
        most, seconds = self._resources.max_calls, self._resources.max_seconds
        left = math.inf if most is None else most - made
        if seconds is not None:
            until = self._resources.until
            remaining = (self._started + seconds if until is None else until) - time.monotonic()
            left = min(left, max(0, remaining // self.point_seconds) if self.point_seconds else left)
        return left

    def limit(self, made: int) -> str:
        """Return which limit leaves no further call, or will first, as the caller wrote it."""
        if self.interrupted:
            return "Ctrl-C"
        most, seconds = self._resources.max_calls, self._resources.max_seconds
        if seconds is None or (most is not None and made >= most):
            return f"max_calls={most}"
        return f"max_seconds={seconds:g}"

    @property
    def points_at_once(self) -> float:
        """How many points take half a second: after these one looks at the time again."""
        return BLOCK / self.point_seconds if self.point_seconds else math.inf

    def foresee(self, name: str, made: int, ahead: int) -> None:
        """Say how long a slow check will take, before it does."""
        self._name, self._ahead = name, made + ahead
        if self.call_seconds < SLOW:
            return
        advice = ""
        if ahead > DIRECTIONS and self._resources.max_seconds is None and self._resources.max_calls is None:
            advice = (
                f"; max_seconds={math.ceil(DIRECTIONS * self.point_seconds)} would compare random directions "
                "instead of entries, and still tell whether something is wrong, unless it is small beside "
                "the rest"
            )
        logger.warning(
            "%s: a call takes %s, and at least %s are ahead, about %s%s",
            name,
            duration(self.call_seconds),
            counted(ahead, "call"),
            duration(ahead * self.point_seconds),
            advice,
        )

    def tell(self, made: int) -> None:
        """Say how far a slow check is, now and then."""
        now = time.monotonic()
        if now - self._told >= BETWEEN and self._ahead:
            self._told = now
            left = max(0, self._ahead - made) * self.point_seconds
            logger.info(
                "%s: %d of at least %s, about %s left",
                self._name,
                made,
                counted(max(self._ahead, made), "call"),
                duration(left),
            )


def duration(seconds: float) -> str:
    """Write a time in the unit in which one would say it.

    >>> duration(0.25), duration(90), duration(5000), duration(90_000)
    ('0.25 s', '1.5 min', '1.4 h', '25 h')
    """
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.2g} {name}"
    return f"{seconds:.2g} s"
