"""The exceptions that gradlab raises on purpose.

::

    Exception
    ├── AssertionError
    │   └── GradientError     the answer: the rule is wrong, or could not be shown to be right
    │       ├── TorchGradientError   of `gradlab.torch`; a torch.autograd.gradcheck.GradcheckError too
    │       └── Interrupted   Ctrl-C came before the answer; a KeyboardInterrupt too
    └── ValueError
        └── UsageError        the question is malformed: nothing could be checked
"""

from __future__ import annotations

from operator import methodcaller
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradlab.report import Report


class UsageError(ValueError):
    """The question itself is malformed; the message names what was given and what was expected."""


class GradientError(AssertionError):
    """A check did not end in ``pass``; its message is the report.

    Attributes
    ----------
    report : Report
        What was found.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report

    def __reduce__(self) -> tuple[type[GradientError], tuple[Report]]:
        # An exception is pickled by its `args`, the message; this one is rebuilt from its report, so that
        # it survives the way back from a worker process.
        return type(self), (self.report,)


class Interrupted(GradientError, KeyboardInterrupt):
    """Ctrl-C ended a check; the report is what was known by then.

    As a `KeyboardInterrupt` it ends what the check is part of, such as a run of pytest.
    """


# What pytest asks, by the name `__tracebackhide__` in a function or a module, before it shows a frame: those
# of gradlab stand between the user's call and the message, and are of interest only when gradlab itself
# is at fault, that is when the exception is none of these.
is_deliberate = methodcaller("errisinstance", (GradientError, UsageError))
