"""The functions under test: called on private copies, watched, and counted.

Forward at the point, and backward and jvp anywhere; of the many calls of forward beside the point that
differences take, `Evaluation.here` is the one place. What is returned is read and copied by `flatten`,
`read_gradients` and `read_tangents`, at once, so that a function which returns its argument, or the same
buffer each time, does no harm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array, Indices, Mask
from gradlab.point.arguments import Arguments, Displaced
from gradlab.point.calls import refuse_mistake
from gradlab.point.constraints import Constraints
from gradlab.point.nonfinite import zeroed
from gradlab.point.outputs import OutputForm, flatten, split
from gradlab.point.pace import Pace
from gradlab.point.resources import Resources
from gradlab.point.timeouts import within
from gradlab.point.values import describe, like, same, text_of
from gradlab.rule import CONVENTIONS

__tracebackhide__ = is_deliberate

ARGUMENTS = {"backward": "grad_output", "jvp": "tangents"}  # of which each is linear


class NotCalled(Exception):
    """A function is not called: there is no call left for it, or it is not to be evaluated there."""


class BudgetSpent(NotCalled):
    """The caller's budget leaves no further call of ``forward``."""


class OutOfBounds(NotCalled):
    """A point lies outside of the bounds."""


OUTSIDE = "forward is not evaluated, for they are outside the bounds"


class RuleRaised(Exception):
    """A function under test raised, or may not be called again; the original is the cause."""

    def __init__(self, role: str, original: BaseException) -> None:
        self.role = role
        what = f"{role} raised {type(original).__name__}: {text_of(original)}"
        super().__init__(str(original) if isinstance(original, NotCalled) else what)


class Functions:
    """Forward, backward and jvp with their inputs; `Problem` says what the attributes are.

    Those that are only annotated here are set by `Problem`, which learns them from the first call.
    """

    role = "backward"  # of the function that `call_backward` asks; `TransposedJvp` asks jvp
    form: OutputForm
    grad_output: Array

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
        self._backward, self._jvp = (f and _limited(f, resources) for f in (backward, jvp))
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
        name = getattr(self.given_forward, "__name__", type(self.given_forward).__name__)
        self.pace.foresee(name, self.forward_calls, calls)

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

    def call_backward(
        self,
        upstream: Array | None = None,
        *,
        displaced: Displaced | None = None,
        wide: bool = False,
        scattered: bool = False,
        layout: Callable[[Any], Any] | None = None,
        watch: bool = False,
        cache: tuple[Any] | None = None,
    ) -> Any:
        """Call ``backward`` and return what it returns, as it is.

        Parameters
        ----------
        upstream : Array, optional
            As one vector; `grad_output` by default.
        displaced : mapping of int to array, optional
            New values of some inputs, which are not given away: backward sees them in the dtypes given.
        wide, scattered, watch
            As in `call_forward`, which is called first where a cache of another point is needed.
        layout : callable, optional
            Gives an upstream gradient another layout in memory.
        cache : tuple of one object, optional
            The cache of such a call that was made already.

        Raises
        ------
        RuleRaised
            When it raises, or ``forward`` does.
        """
        __tracebackhide__ = True  # what passes here was raised by the function under test
        vector = self.grad_output if upstream is None else upstream
        if self.left_out is not None:
            vector = np.where(self.left_out, 0.0, vector)
        form = (self.form.wide if wide else self.form).upstream(vector)
        if layout is not None:
            form = tuple(map(layout, form)) if self.form.several else layout(form)
        return self._call_derivative(
            "backward",
            form,
            form if self.form.several else (form,),
            displaced=displaced,
            wide=wide,
            scattered=scattered,
            watch=watch,
            cache=cache,
        )

    def call_jvp(
        self,
        tangents: Mapping[int, npt.NDArray[Any]],
        *,
        displaced: Displaced | None = None,
        wide: bool = False,
        scattered: bool = False,
        layout: Callable[[Any], Any] | None = None,
        watch: bool = False,
        cache: tuple[Any] | None = None,
    ) -> Any:
        """Call ``jvp`` and return what it returns, as it is.

        Parameters
        ----------
        tangents : mapping of int to array
            By position; zero where there is none, and at entries that are constants.
        displaced, wide, scattered, layout, watch, cache
            As in `call_backward`.

        Raises
        ------
        RuleRaised
            When it raises, or ``forward`` does.
        """
        __tracebackhide__ = True  # what passes here was raised by the function under test
        leaves = self._tangents(tangents, wide=wide)
        if layout is not None:
            leaves = {i: layout(leaf) for i, leaf in leaves.items()}
        return self._call_derivative(
            "jvp",
            self.arguments.in_callers_form(leaves, bare=True),
            list(leaves.values()),
            displaced=displaced,
            wide=wide,
            scattered=scattered,
            watch=watch,
            cache=cache,
        )

    def push_entries(self, position: Indices, entries: Indices) -> Iterator[Any]:
        """Yield what `call_jvp` returns along single entries, each of which moves by 1, at the point.

        Calls share their arrays, but for the entry that moves, where jvp was seen not to write: what is
        returned has to be read before the next is asked for. The container of tangents is another each time,
        for jvp may take them out of it.

        Parameters
        ----------
        position, entries : Indices
            Shape ``(k,)``: the inputs, and flat indices of their entries.
        """
        leaves = self._tangents({})
        positional, keyword, _ = self._given({})
        own = {i: leaf.flat for i, leaf in leaves.items() if self.is_shared(i)}
        for i, entry in zip(position.tolist(), entries.tolist(), strict=True):
            if i in own:
                own[i][entry] = 1.0
                tangents = self.arguments.in_callers_form(leaves, bare=True)
                yield self._ask("jvp", tangents, positional, keyword)
                own[i][entry] = 0.0
            else:
                moved = np.zeros(self.arguments.value(i).shape)
                moved.flat[entry] = 1.0
                yield self.call_jvp({i: moved})

    def is_shared(self, i: int) -> bool:
        """Whether calls may share an input, and its tangent: an array, and nothing was seen written to."""
        plain = type(self.arguments.values[i]) is np.ndarray and not self.arguments.paired[i]
        return plain and not self.changed

    def _tangents(self, tangents: Mapping[int, npt.NDArray[Any]], *, wide: bool = False) -> dict[int, Any]:
        """Return tangents of all inputs that have any, as jvp takes them."""
        leaves: dict[int, Any] = {}
        for i in self.arguments.floating:
            value = self.arguments.value(i)
            moved = np.zeros(value.shape, dtype=float if wide else value.dtype)
            if i in tangents:
                moved[...] = tangents[i]
                if i in self.fixed:
                    moved[self.fixed[i]] = 0.0
            leaves[i] = like(self.arguments.values[i], moved)
        return leaves

    def _call_derivative(
        self,
        role: str,
        argument: Any,
        leaves_of_argument: Sequence[Any],
        *,
        displaced: Displaced | None,
        wide: bool,
        scattered: bool,
        watch: bool,
        cache: tuple[Any] | None,
    ) -> Any:
        """Call backward or jvp with its own argument, and then the inputs or the cache."""
        __tracebackhide__ = True  # what passes here was raised by the function under test
        displaced = {i: np.array(x, self.arguments.value(i).dtype) for i, x in (displaced or {}).items()}
        before = flatten(leaves_of_argument) if watch else None
        positional, keyword, leaves = self._given(
            self._held(displaced), wide=wide, scattered=scattered, cache=cache
        )
        arrays = _arrays_in(positional[0]) if watch and self._cached else []
        kept = [array.copy() for array in arrays]
        elsewhere = bool(displaced) or wide or scattered
        returned = self._ask(role, argument, positional, keyword, elsewhere=elsewhere)
        if before is not None:
            if not np.array_equal(before, flatten(leaves_of_argument)):
                self.changed.append((role, ARGUMENTS[role]))
            if not self._cached:
                self._watch(role, leaves, positional, keyword)
            elif not all(map(same, kept, arrays)):  # others may have been put beside them
                self.changed.append((role, "its cache"))
        return returned

    def _given(
        self,
        displaced: Displaced,
        *,
        wide: bool = False,
        scattered: bool = False,
        cache: tuple[Any] | None = None,
    ) -> tuple[list[Any], dict[str, Any], list[Any]]:
        """Return what backward and jvp are given besides their own argument, and the leaves in it."""
        try:
            if not self._cached:
                leaves = self.arguments.fresh(displaced, wide=wide, scattered=scattered)
                return *self.arguments.passed(leaves), leaves
            kept = self._cache if cache is None else cache[0]
            if cache is None and (displaced or wide or scattered):
                _, _, kept = self.call_forward(displaced, wide=wide, scattered=scattered)
        except UsageError as error:
            raise RuleRaised("forward", error) from error
        return [kept], {}, []

    def _ask(
        self,
        role: str,
        argument: Any,
        positional: list[Any],
        keyword: dict[str, Any],
        *,
        elsewhere: bool = False,
    ) -> Any:
        """Call backward or jvp, and count it."""
        __tracebackhide__ = True  # what passes here was raised by the function under test
        function = self._backward if role == "backward" else self._jvp
        assert function is not None
        if role == "backward":
            if self._counts_as_forward(elsewhere):
                self._spend()
            self.backward_calls += 1
        else:
            self.jvp_calls += 1
        try:
            return function(argument, *positional, **keyword)
        except (Exception, SystemExit) as error:
            refuse_mistake(role, function, error, [argument, *positional], keyword)
            raise RuleRaised(role, error) from error

    def claim_of(self, position: int) -> str:
        """Name what backward claims of one input."""
        return f"gradient of {self.names[position]}"

    def call(self, function: Callable[..., Any]) -> Any:
        """Call another function of the same inputs, such as a rule's closed-form Jacobian, with copies."""
        positional, keyword = self.arguments.passed(self.arguments.fresh({}))
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

    def _counts_as_forward(self, elsewhere: bool) -> bool:
        return self.derivative_calls_forward == "always" or bool(self.derivative_calls_forward and elsewhere)

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


def _arrays_in(cache: Any) -> list[npt.NDArray[Any]]:
    """Return the arrays in a cache, through tuples, lists and dicts."""
    if isinstance(cache, np.ndarray):
        return [cache] if cache.dtype != object else []
    if not isinstance(cache, tuple | list):
        cache = list(cache.values()) if isinstance(cache, Mapping) else []
    return [array for item in cache for array in _arrays_in(item)]
