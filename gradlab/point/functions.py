"""The functions under test: called on private copies, watched, and counted.

Forward at the point is called here, and backward and jvp, anywhere, by `Derivatives`; of the many calls of
forward beside the point that differences take, `Evaluation.here` is the one place. What is returned is read
and copied by `flatten`, `read_gradients` and `read_tangents`, at once, so that a function which returns its
argument, or the same buffer each time, does no harm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Mask
from gradlab.point.arguments import Arguments, Displaced
from gradlab.point.calls import refuse_mistake
from gradlab.point.constraints import Constraints
from gradlab.point.nonfinite import zeroed
from gradlab.point.options import title_of
from gradlab.point.outputs import OutputForm, split
from gradlab.point.pace import Pace
from gradlab.point.raised import OUTSIDE, BudgetSpent, OutOfBounds, RuleRaised
from gradlab.point.resources import Resources
from gradlab.point.timeouts import within
from gradlab.point.values import describe
from gradlab.rule import CONVENTIONS

__tracebackhide__ = is_deliberate


class Functions:
    """Forward, backward and jvp with their inputs; `Problem` says what the attributes are.

    Those that are only annotated here are set by `Problem`, which learns them from the first call.
    """

    form: OutputForm

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any] | None,
        inputs: Any,
        *,
        jvp: Callable[..., Any] | None,
        cached: bool,
        wrt: Any,
        kwargs: Mapping[str, Any] | None,
        bounds: Any,
        tangents: Any,
        resources: Resources,
        convention: str,
    ) -> None:
        _check_functions(forward, backward, jvp, convention)
        self.convention = convention
        self.resources, self.given_forward = resources, forward
        self.takes_batch = bool(resources.vectorized)
        self._forward: Callable[..., Any] = _limited(forward, resources)
        self._backward = backward and _limited(backward, resources)
        self._jvp = jvp and _limited(jvp, resources)
        self._cached = cached
        # An adapter's backward says so where it calls forward itself, which has to be counted: "always", or
        # "elsewhere" than at the point.
        self.derivative_calls_forward = getattr(backward, "derivative_calls_forward", "")
        if cached and self.takes_batch:
            raise UsageError("vectorized is given beside cached=True; expected a forward without a cache")
        self.pace = Pace(resources)
        self.forward_calls = self.backward_calls = self.jvp_calls = 0
        self.changed: list[tuple[str, str]] = []
        self.obstacle = ""
        if isinstance(inputs, Arguments):
            self.arguments = inputs
        else:
            self.arguments = Arguments(forward, inputs, wrt=wrt, kwargs=kwargs)
        self.names, self.wrt = self.arguments.names, self.arguments.wrt
        self.fixed = dict(self.arguments.fixed)
        self.constraints = Constraints(self.arguments, bounds, tangents)
        self.left_out: Mask | None = None
        self._cache: Any = None

    @property
    def cached(self) -> bool:
        """Whether ``forward`` returns a cache, and backward takes it in the place of the inputs."""
        return self._cached

    @property
    def calls_left(self) -> float:
        """How often ``forward`` may still be called."""
        return math.inf if self.pace.unlimited else self.pace.calls_left(self.forward_calls)

    @property
    def budget(self) -> str:
        """What leaves no call, or will, as the caller wrote it."""
        return self.pace.limit(self.forward_calls)

    def foresee(self, calls: int) -> None:
        """Say what is ahead, where calls of ``forward`` are slow, of which there will be so many at least."""
        self.pace.foresee(title_of(self.given_forward), self.forward_calls, calls)

    def affords(self, calls: int) -> bool:
        """Whether ``forward`` may be called so many times more."""
        return calls <= self.calls_left

    def by_entry(self, position: int, mask: Mask) -> Mask:
        """Return which entries of an input a mask of its real numbers marks in part."""
        return np.asarray(mask.any(axis=-1)) if self.arguments.paired[position] else mask

    def call_forward(
        self,
        displaced: Displaced | None = None,
        *,
        wide: bool = False,
        scattered: bool = False,
        watch: bool = False,
    ) -> tuple[bool, list[Any], Any]:
        """Call ``forward`` and split what it returns: several outputs or one, the outputs, the cache.

        Parameters
        ----------
        displaced : mapping of int to array, optional
            New values of some inputs.
        wide, scattered : bool
            As in `Arguments.fresh`.
        watch : bool
            Note in `changed` which inputs it writes to.

        Raises
        ------
        RuleRaised
            When it raises.
        UsageError
            When it returns no floating-point array.
        """
        __tracebackhide__ = True  # what passes here was raised by the function under test
        leaves = self.arguments.fresh(self._held(displaced or {}), wide=wide, scattered=scattered)
        positional, keyword = self._passed(leaves)
        self._spend()
        try:
            with np.errstate():  # which forward may set, and is ours again afterwards
                returned = self._forward(*positional, **keyword)
        except (Exception, SystemExit) as error:
            if isinstance(error, TypeError):
                self.arguments.check_call(self._forward)
            refuse_mistake("forward", self._forward, error, positional, keyword)
            raise RuleRaised("forward", error) from error
        if self.takes_batch:
            returned = self._alone(returned)
        if watch:
            if self.takes_batch:
                positional, keyword = self.arguments.passed(leaves)
            self._watch("forward", leaves, positional, keyword)
        several, outputs, cache = split(returned, self._cached)
        return several, self._kept(outputs), cache

    def is_shared(self, i: int) -> bool:
        """Whether calls may share an input, and its tangent: an array, and nothing was seen written to."""
        plain = type(self.arguments.values[i]) is np.ndarray and not self.arguments.paired[i]
        return plain and not self.changed

    def call(self, function: Callable[..., Any]) -> Any:
        """Call another function of the same inputs, such as a rule's closed-form Jacobian, with copies."""
        positional, keyword = self.arguments.passed(self.arguments.fresh({}))
        with np.errstate():
            return function(*positional, **keyword)

    def _passed(self, leaves: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments of a call of ``forward``; where it takes a batch, of a batch of one."""
        if self.takes_batch:
            leaves = [np.asarray(x)[np.newaxis] if i in self.wrt else x for i, x in enumerate(leaves)]
        return self.arguments.passed(leaves)

    def _alone(self, returned: Any) -> Any:
        """Return what is in a batch of one that ``forward`` returned."""
        if isinstance(returned, tuple):
            return tuple(map(self._alone, returned))
        if np.shape(returned)[:1] != (1,):
            raise UsageError(
                f"forward, called with a batch of one, returned {describe(returned)}; with vectorized=True "
                "the first axis of what it returns is that of the batch"
            )
        return returned[0]

    def _spend(self) -> None:
        """Count a call of ``forward``, if one is left."""
        if self.calls_left < 1:
            error = BudgetSpent(f"{self.budget} was reached")
            raise RuleRaised("forward", error) from error
        self.forward_calls += 1

    def _watch(self, role: str, leaves: list[Any], positional: list[Any], keyword: dict[str, Any]) -> None:
        self.changed += [(role, name) for name in self.arguments.written_to(leaves, positional, keyword)]

    def _kept(self, outputs: list[Any]) -> list[Any]:
        """Return outputs with zeros where they are left out."""
        if self.left_out is None or tuple(map(np.shape, outputs)) != self.form.shapes:
            return outputs
        return zeroed(outputs, self.form.by_entry(self.left_out))

    def _held(self, displaced: Displaced) -> Displaced:
        """Put entries that are constants back where they are; refuse a point outside of the bounds."""
        if not self.fixed and not self.constraints.boxes:
            return displaced
        held = {i: x for i, x in displaced.items() if i in self.fixed}
        for i, x in held.items():
            held[i] = np.where(self.fixed[i], self.arguments.value(i), x).astype(x.dtype)
        displaced = {**displaced, **held} if held else displaced
        if not self.constraints.allow(displaced):
            outside = OutOfBounds(OUTSIDE)
            raise RuleRaised("forward", outside) from outside
        return displaced


def _limited(function: Callable[..., Any], resources: Resources) -> Callable[..., Any]:
    return function if resources.timeout is None else within(resources.timeout, function)


def _check_functions(forward: Any, backward: Any, jvp: Any, convention: Any) -> None:
    if convention not in CONVENTIONS:
        raise UsageError(f"convention is {describe(convention)}; expected 'torch' or 'jax'")
    if not callable(forward):
        raise UsageError(f"forward is {describe(forward)}; expected a function")
    for role, function in (("backward", backward), ("jvp", jvp)):
        if function is not None and not callable(function):
            raise UsageError(f"{role} is {describe(function)}; expected a function")
