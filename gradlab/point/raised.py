"""What comes of a call that gives no answer: a function under test raised, or may not be called."""

from __future__ import annotations

from gradlab.point.values import text_of

OUTSIDE = "forward is not evaluated, for they are outside the bounds"


class NotCalled(Exception):
    """A function is not called: there is no call left for it, or it is not to be evaluated there."""


class BudgetSpent(NotCalled):
    """The caller's budget leaves no further call of ``forward``."""


class OutOfBounds(NotCalled):
    """A point lies outside of the bounds."""


class RuleRaised(Exception):
    """A function under test raised, or may not be called again; the original is the cause."""

    def __init__(self, role: str, original: BaseException) -> None:
        self.role = role
        what = f"{role} raised {type(original).__name__}: {text_of(original)}"
        super().__init__(str(original) if isinstance(original, NotCalled) else what)
