"""Planted defects of derivatives as one writes them for a framework, each beside the right derivative.

A defect is a call of a checker: `gradlab.jax.check_grads`, or what that replaces. So both can be asked. A
module per framework, which needs it installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False)
class Planted:
    """A defect, as the arguments of a checker, beside those of the right derivative.

    Attributes
    ----------
    name : str
        What is wrong.
    check : str
        Which checker is asked, such as ``check_grads``.
    right, wrong : tuple
        Its positional arguments.
    named : str
        What a report has to name: the entry, the input or the function at fault.
    remakes : str
        Whose mistake it is.
    at : tuple
        Where the checker returns a function, the arguments of that.
    options : mapping
        The options of the checker.

    Examples
    --------
    >>> import numpy as np
    >>> import gradlab.scipy
    >>> def doubled(x): return 4 * x
    >>> planted = Planted(
    ...     "factor",
    ...     "check_grad",
    ...     right=(lambda x: np.sum(x**2), lambda x: 2 * x, [1.0, 2.0]),
    ...     wrong=(lambda x: np.sum(x**2), doubled, [1.0, 2.0]),
    ...     named="[0]",
    ...     remakes="the factor of the sum of squares, twice",
    ... )
    >>> planted.ask(gradlab.scipy, planted.right)
    <Report <lambda>: pass at 1 point>
    >>> planted.ask(gradlab.scipy, planted.wrong, raise_exception=False).failed
    True
    """

    name: str
    check: str
    _: KW_ONLY
    right: tuple[Any, ...]
    wrong: tuple[Any, ...]
    named: str
    remakes: str
    at: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Its category in a listing: the checker that is asked."""
        return self.check

    @property
    def cause(self) -> None:
        """The code of its cause; there is none."""

    def ask(self, checkers: Any, arguments: tuple[Any, ...], **options: Any) -> Any:
        """Call the checker of this name in a module; return its answer."""
        check: Callable[..., Any] = getattr(checkers, self.check)
        answer = check(*arguments, **self.options, **options)
        return answer(*self.at) if self.at else answer
