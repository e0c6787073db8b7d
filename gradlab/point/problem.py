"""One point made ready: the functions under test, called on private copies and counted.

This is the only place that calls them. Everything that they return is copied at once, so that a function
which returns its argument, or the same buffer each time, does no harm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.numerics.dtypes import is_storage, limits
from gradlab.numerics.noise import output_noise
from gradlab.numerics.scales import scales
from gradlab.point.arguments import Arguments, Displaced
from gradlab.point.bounds import about_constants
from gradlab.point.calls import refuse_mistake
from gradlab.point.constraints import Constraints
from gradlab.point.edges import Mask, about_entries, about_outputs, without_value, zeroed
from gradlab.point.outputs import OutputForm, flatten, split
from gradlab.point.values import describe, like, same, text_of
from gradlab.rule import CONVENTIONS, TORCH

__tracebackhide__ = is_deliberate

ARGUMENTS = {"backward": "grad_output", "jvp": "tangents"}  # of which each is linear
FEW = 1000  # entries, up to which noise is looked for along two lines; among more, it shows along one


class NotCalled(Exception):
    """A function is not called: there is no call left for it, or it is not to be evaluated there."""


class BudgetSpent(NotCalled):
    """`Problem.max_calls` leaves no further call of ``forward``."""


class OutOfBounds(NotCalled):
    """A point lies outside of the bounds."""


OUTSIDE = "forward is not evaluated, for they are outside the bounds"


class RuleRaised(Exception):
    """A function under test raised, or may not be called again; the original is the cause."""

    def __init__(self, role: str, original: BaseException) -> None:
        self.role = role
        what = f"{role} raised {type(original).__name__}: {text_of(original)}"
        super().__init__(str(original) if isinstance(original, NotCalled) else what)


class Problem:
    """One tuple of inputs and one upstream gradient, with the functions to evaluate there.

    The numerical side works in float64 wherever forward does so when it is given float64, at the inputs as
    their own dtype rounds them; backward and jvp are called in the dtype given.

    Parameters
    ----------
    forward : callable
        As in `gradlab.gradcheck`.
    backward, jvp : callable or None
        Likewise; neither is needed where only the forward side is wanted.
    inputs : tuple, list, dict, array, float or Arguments
        As in `gradlab.gradcheck`, or those of another problem, with its ``wrt`` and ``kwargs``.
    cached : bool
        Whether ``forward`` returns ``(output, cache)``.
    wrt, kwargs
        As in `gradlab.gradcheck`.
    bounds, tangents
        As in `gradlab.gradcheck`.
    grad_output : array or tuple of arrays, optional
        The upstream gradient, of the output's shape.
    rng : numpy.random.Generator, optional
        Draws the upstream gradient where none is given; without it, it is all ones.
    max_calls : int, optional
        How often ``forward`` may be called.
    convention : {"torch", "jax"}
        In which complex gradients are written, see `gradlab.point.pairs`.

    Attributes
    ----------
    arguments : Arguments
        The inputs, their names, and which are differentiated.
    constraints : Constraints
        How they may move. Neither function is called outside of the bounds, whatever is asked for.
    form : OutputForm
        The form of the outputs.
    given_output, output : Array
        ``Y``, all outputs at the point as one vector: in the dtype given, and on the numerical side.
    grad_output : Array
        ``dL/dY``, alike.
    wide : bool
        Whether the numerical side works in a wider dtype than the one given.
    eps, given_eps : float
        The unit of rounding of the numerical side, and of the coarsest dtype in which something is computed.
    given_tiny : float
        The smallest normal number of the narrowest dtype given: below it is zero.
    forward_calls, backward_calls, jvp_calls : int
        How often each function was called.
    fixed : dict of int to array of bool
        Which entries of an input are constants, where there are any: those that are not finite, or have
        equal bounds, and those whose gradient is not finite, beside outputs that are left out. Whatever is
        asked for there, the functions are evaluated at the entry itself.
    settled : bool
        Whether an answer of backward has been read; `fixed` then stays as it is.
    left_out : array of bool or None
        Which of all outputs are not finite, and are zero, like their upstream gradient, in all that is
        returned here; ``None`` where all are finite, or none is.
    notes : list of str
        What to say of these entries and outputs.
    changed : list of (str, str)
        Which function wrote to what at the point, such as ``("forward", "x")``.
    obstacle : str
        Why ``forward`` had no value at the last displaced point where it had none; empty otherwise.

    Raises
    ------
    UsageError
        When the question is malformed.
    RuleRaised
        When ``forward`` raises at the point itself.
    MemoryError
        When a function under test raises it, here and in all calls.
    """

    role = "backward"  # of what `call_backward` asks

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any] | None,
        inputs: Any,
        *,
        jvp: Callable[..., Any] | None = None,
        cached: bool = False,
        wrt: Any = None,
        kwargs: Mapping[str, Any] | None = None,
        bounds: Any = None,
        tangents: Any = None,
        grad_output: Any = None,
        rng: np.random.Generator | None = None,
        max_calls: int | None = None,
        convention: str = TORCH,
    ) -> None:
        _check_functions(forward, backward, jvp, convention)
        self.convention = convention
        self._forward, self._backward, self._jvp, self._cached = forward, backward, jvp, cached
        # An adapter's backward says so where it calls forward itself, which has to be counted: "always", or
        # "elsewhere" than at the point.
        self.calls_forward = getattr(backward, "calls_forward", "")
        self.max_calls = max_calls
        self.forward_calls = self.backward_calls = self.jvp_calls = 0
        self.changed: list[tuple[str, str]] = []
        self.obstacle = ""
        if isinstance(inputs, Arguments):
            self.arguments = inputs
        else:
            self.arguments = Arguments(forward, inputs, wrt=wrt, kwargs=kwargs)
        self.names, self.wrt = self.arguments.names, self.arguments.wrt
        self.fixed = dict(self.arguments.fixed)
        self.notes = [about_entries(self.names[i], self.by_entry(i, mask)) for i, mask in self.fixed.items()]
        self.constraints = Constraints(self.arguments, bounds, tangents)
        self._fix_equal_bounds()
        self.left_out: Mask | None = None
        self.settled = False

        several, outputs, self._cache = self.call_forward(watch=True)
        self.form = OutputForm.of(several, outputs, convention)
        self._refuse_complex_tangents()
        self.given_output = flatten(outputs)
        own = [self.arguments.value(i).dtype for i in self.wrt]
        dtypes = [*self.form.dtypes, *(dtype for dtype in own if not is_storage(dtype))]
        self.given_eps = max(float(limits(dtype).eps) for dtype in dtypes)
        self.given_tiny = max(float(limits(dtype).tiny) for dtype in dtypes)
        self.output, self.wide, self.eps = self._widened(max(float(limits(dtype).eps) for dtype in own))
        left_out = without_value(self.given_output, self.output)
        if left_out is not None:
            outputs_left_out = self.form.by_entry(left_out)
            self.left_out = left_out = self.form.by_number(outputs_left_out)
            self.given_output[left_out] = self.output[left_out] = 0
            self.notes.append(about_outputs(outputs_left_out))
        if grad_output is not None:
            self.grad_output = self.form.read_upstream(grad_output)
        elif rng is None:
            self.grad_output = np.ones_like(self.output)
        else:
            # With all ones, a rule that ignores it or mixes its entries up would look right.
            upstream = rng.uniform(1, 2, self.form.size) * rng.choice([-1.0, 1.0], self.form.size)
            self.grad_output = self.form.rounded(upstream)  # as rounded as what backward sees of it
        if self.left_out is not None:
            self.grad_output[self.left_out] = 0
            if not self.grad_output.any():
                raise UsageError("grad_output is zero wherever the output is finite; expected otherwise")

    def _refuse_complex_tangents(self) -> None:
        if self._jvp is not None and (any(self.arguments.paired) or any(self.form.paired)):
            raise UsageError("jvp is given where numbers are complex; expected real inputs and outputs")

    def _fix_equal_bounds(self) -> None:
        """Take entries that have no room for constants."""
        for i, box in self.constraints.boxes.items():
            constant = box.constant
            if constant.any():
                self.fixed[i] = constant | self.fixed.get(i, np.zeros_like(constant))
                self.notes.append(about_constants(self.names[i], box))
        if not any(i not in self.fixed or not self.fixed[i].all() for i in self.wrt):
            names = ", ".join(self.names[i] for i in self.wrt)
            raise UsageError(
                f"bounds leave no entry of {names} any room; expected one at least with low < high"
            )

    def _widened(self, eps_of_inputs: float) -> tuple[Array, bool, float]:
        """Return the output on the numerical side, whether inputs are wider there than given, and its eps.

        They are given in float64 where forward then answers in float64, or at least more precisely than the
        inputs are.
        """
        as_given = self.given_output, False, self.given_eps
        if max(self.given_eps, eps_of_inputs) <= np.finfo(np.float64).eps:
            return as_given
        try:
            _, outputs, _ = self.call_forward(wide=True)
        except (RuleRaised, UsageError):
            return as_given
        form = OutputForm.of(self.form.several, outputs, self.convention)
        eps = max(float(limits(dtype).eps) for dtype in form.dtypes)
        more = eps <= np.finfo(np.float64).eps or eps < eps_of_inputs
        accepts = form.shapes == self.form.shapes and form.paired == self.form.paired and more
        return (flatten(outputs), True, eps) if accepts else as_given

    def value(self, position: int) -> npt.NDArray[Any]:
        """Return one input as the numerical side sees it, in real numbers, to read, not to write.

        Entries that are not finite are zero here, so that the scale of the others can be told.
        """
        value = self.arguments.value(position)
        if position in self.fixed:
            value = np.where(np.isfinite(value), value, np.zeros_like(value))
        return value.astype(np.float64) if self.wide else value

    def by_entry(self, position: int, mask: Mask) -> Mask:
        """Return which entries of an input a mask of its real numbers marks in part."""
        return np.asarray(mask.any(axis=-1)) if self.arguments.paired[position] else mask

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

    def reach(self, position: int) -> Array:
        """Return how far each entry of an input is moved: its scale, as far as there is room."""
        return self.constraints.reach(position, self.value(position))

    def own_magnitude(self, position: int) -> Array:
        """Return the length within which each entry keeps its sign, and its bounds; infinite for zeros."""
        return self.constraints.own_magnitude(position, self.value(position))

    def direction(self, position: int, d: Array, *, at: Array | None = None) -> Array:
        """Return a direction in which an input may move: ``d``, with room on one side, constants held.

        Parameters
        ----------
        position : int
            The input.
        d : Array
            The displacement that is wanted.
        at : Array, optional
            Where the input is; at the point itself by default.
        """
        x = self.value(position) if at is None else at
        d = self.constraints.direction(position, x, d)
        return np.where(self.fixed[position], 0.0, d) if position in self.fixed else d

    def evaluate(self, displaced: Displaced) -> Array:
        """Evaluate ``forward`` on the numerical side, with some inputs displaced.

        Parameters
        ----------
        displaced : mapping of int to array
            The new values by position; they are given away, not copied.

        Returns
        -------
        Array
            All outputs as one vector, zero where they are left out. The others are NaN where ``forward``
            raises, or returns something of another shape, since there it has no value to compare.
        """
        with np.errstate(all="ignore"):  # the point is of our making, and so would be a warning about it
            return self._evaluate(displaced)

    def evaluate_entries(
        self,
        position: int,
        entries: npt.NDArray[np.intp],
        reach: Array,
        *,
        displaced: Displaced | None = None,
    ) -> tuple[Array, Array]:
        """Evaluate ``forward`` with entries of one input moved to both sides, one at a time.

        Parameters
        ----------
        position : int
            The input.
        entries : array of int, shape (k,)
            Their flat indices.
        reach : Array
            Shape ``(k,)``: how far each is moved.
        displaced : mapping of int to array, optional
            Another point: the inputs that differ from the problem's own.

        Returns
        -------
        plus, minus : Array
            Shape ``(k, m)``: for each entry, what `evaluate` returns; NaN outside of the bounds.
        """
        base = dict(displaced or {})
        x = self._held({position: np.array(base.get(position, self.value(position)))})[position]
        there = x.ravel()[entries]
        plus, minus = np.empty((2, entries.size, self.output.size))
        targets = np.array([there + reach, there - reach], dtype=x.dtype).T
        inside = self._inside(position, entries, targets)
        if not inside.all():
            for side, has_value in zip((plus, minus), inside.T, strict=True):
                side[~has_value] = self._no_value()
        moves = zip(entries.tolist(), there, targets, inside.tolist(), strict=True)
        with np.errstate(all="ignore"):
            kind = type(self.arguments.values[position])
            if self.changed or kind is not np.ndarray or self.arguments.paired[position]:
                for row, (entry, _, values, has_value) in enumerate(moves):
                    for side, value, wanted in zip((plus, minus), values, has_value, strict=True):
                        if wanted:
                            moved = x.copy()
                            moved.flat[entry] = value
                            side[row] = self._evaluate({**base, position: moved})
                return plus, minus
            # All calls share their arguments, but for the entry that moves: forward was seen not to write.
            leaves, positional, keyword = self._arguments_at(base) if base else self._arguments_here
            x = leaves[position]
            for row, (entry, start, values, has_value) in enumerate(moves):
                for side, value, wanted in zip((plus, minus), values, has_value, strict=True):
                    if wanted:
                        x.flat[entry] = value
                        self._evaluate_into(side[row], positional, keyword)
                x.flat[entry] = start
        return plus, minus

    def _arguments_at(self, displaced: Displaced) -> tuple[list[Any], list[Any], dict[str, Any]]:
        """Return the leaves of one point on the numerical side, and the arguments of a call with them."""
        own = {i: np.array(x) for i, x in displaced.items()}
        leaves = self.arguments.fresh(self._held(own), wide=self.wide)
        return leaves, *self.arguments.passed(leaves)

    @cached_property
    def _arguments_here(self) -> tuple[list[Any], list[Any], dict[str, Any]]:
        return self._arguments_at({})

    def _evaluate_into(self, row: Array, positional: list[Any], keyword: dict[str, Any]) -> None:
        self.forward_calls += 1
        try:
            returned = self._forward(*positional, **keyword)
        except MemoryError:
            raise  # which says nothing of the function
        except (Exception, SystemExit) as error:
            self.obstacle = str(RuleRaised("forward", error))
            row[:] = self._no_value()
            return
        kind = type(returned)
        if kind is np.ndarray and returned.shape == self._only_shape and returned.dtype == float:
            row[:] = returned.ravel()
        elif kind is np.float64 and self._only_shape == ():
            row[0] = returned
        else:
            row[:] = self._read(returned)

    def _inside(self, position: int, entries: npt.NDArray[np.intp], targets: npt.NDArray[Any]) -> Mask:
        """Return which new values of single entries, of shape ``(k, 2)``, are within the bounds."""
        box = self.constraints.boxes.get(position)
        if box is None:
            return np.ones(targets.shape, dtype=bool)
        inside = box.holds_entries(entries[:, np.newaxis], targets)
        if not inside.all():
            self.obstacle = self.obstacle or OUTSIDE
        return inside

    @cached_property
    def _only_shape(self) -> tuple[int, ...] | None:
        """The shape of the output, where it is one real array that can be taken as it is."""
        plain = not self._cached and not self.form.several and self.left_out is None
        plain = plain and not self.form.paired[0]
        return self.form.shapes[0] if plain else None

    def _evaluate(self, displaced: Displaced) -> Array:
        try:
            return self._flattened(self.call_forward(displaced, wide=self.wide)[1])
        except (RuleRaised, UsageError) as error:
            if not (self.obstacle and isinstance(error.__cause__, OutOfBounds)):
                self.obstacle = str(error)
            return self._no_value()

    def _read(self, returned: Any) -> Array:
        """Return what a call of ``forward`` returned as one vector."""
        try:
            _, outputs, _ = split(returned, self._cached)
        except UsageError as error:
            self.obstacle = str(error)
            return self._no_value()
        return self._flattened(self._kept(outputs))

    def _flattened(self, outputs: list[Any]) -> Array:
        vector = self.form.vector(outputs)
        if vector is not None:
            return vector
        shapes = tuple(map(np.shape, outputs))
        found, expected = (" and ".join(map(str, s)) for s in (shapes, self.form.shapes))
        what = "a complex output, and a real one" if found == expected else ""
        what = what or f"an output of shape {found}, and of {expected}"
        self.obstacle = f"forward returned {what} at the point"
        return self._no_value()

    def _kept(self, outputs: list[Any]) -> list[Any]:
        """Return outputs with zeros where they are left out."""
        if self.left_out is None or tuple(map(np.shape, outputs)) != self.form.shapes:
            return outputs
        return zeroed(outputs, self.form.by_entry(self.left_out))

    def _no_value(self) -> Array:
        nothing = np.full_like(self.output, np.nan)
        if self.left_out is not None:
            nothing[self.left_out] = 0
        return nothing

    @property
    def first_cache(self) -> Any:
        """The cache that the first call of ``forward`` returned."""
        return self._cache

    @property
    def cached(self) -> bool:
        """Whether ``forward`` returns a cache, and backward takes it in the place of the inputs."""
        return self._cached

    @property
    def calls_left(self) -> float:
        """How often ``forward`` may still be called."""
        return math.inf if self.max_calls is None else self.max_calls - self.forward_calls

    def affords(self, calls: int) -> bool:
        """Whether ``forward`` may be called so many times more."""
        return calls <= self.calls_left

    def moved(self, direction: Mapping[int, Array], t: float) -> dict[int, npt.NDArray[Any]]:
        """Return the inputs at ``x + td``, those that the direction names.

        Entries that have no room on that side go the same way on the other, as far as there is any.
        """
        points = {i: (self.value(i), d) for i, d in direction.items()}
        moved = {i: np.asarray(x + t * d, dtype=x.dtype) for i, (x, d) in points.items()}
        for i in moved.keys() & self.constraints.boxes.keys() - self.constraints.tangents.keys():
            (x, d), box = points[i], self.constraints.boxes[i]
            turned = box.turned(x, np.sign(t) * d)
            moved[i] = box.clipped(np.asarray(x + abs(t) * turned, dtype=x.dtype))
        return moved

    @property
    def noise_is_known(self) -> bool:
        """Whether `noise` was measured already."""
        return "noise" in self.__dict__

    @cached_property
    def noise(self) -> Array:
        """What each output may be off by: its dtype's rounding, or more where its values show more.

        It is measured, from evaluations close to the point, when it is first needed.
        """
        rng = np.random.default_rng(0)
        lines = []
        size = max(self.output.size, *(self.value(i).size for i in self.wrt))
        for _ in range(2 if size <= FEW else 1):
            direction = own_lengths(self, rng)
            lines.append(partial(self._at, direction))
        with np.errstate(all="ignore"):
            return output_noise(lines, self.output, self.eps)

    def _at(self, direction: Mapping[int, Array], t: float) -> Array | None:
        """Return the outputs at ``x + td``; ``None`` where no call is left."""
        return self.evaluate(self.moved(direction, t)) if self.calls_left >= 1 else None

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
        positional, keyword = self.arguments.passed(leaves)
        self._spend()
        try:
            returned = self._forward(*positional, **keyword)
        except (Exception, SystemExit) as error:
            if isinstance(error, TypeError):
                self.arguments.check_call(self._forward)
            refuse_mistake("forward", self._forward, error, positional, keyword)
            raise RuleRaised("forward", error) from error
        if watch:
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
        leaves: dict[int, Any] = {}
        for i in self.arguments.floating:
            value = self.arguments.value(i)
            moved = np.broadcast_to(tangents.get(i, 0.0), value.shape)
            if i in self.fixed:
                moved = np.where(self.fixed[i], 0.0, moved)
            leaf = like(self.arguments.values[i], np.array(moved, dtype=float if wide else value.dtype))
            leaves[i] = leaf if layout is None else layout(leaf)
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
        displaced = self._held(displaced)
        before = flatten(leaves_of_argument) if watch else None
        keyword: dict[str, Any] = {}
        try:
            if self._cached:
                kept_cache = self._cache if cache is None else cache[0]
                if cache is None and (displaced or wide or scattered):
                    _, _, kept_cache = self.call_forward(displaced, wide=wide, scattered=scattered)
                positional = [kept_cache]
                snapshot = _arrays_in(kept_cache) if watch else []
                kept = [array.copy() for array in snapshot]
            else:
                leaves = self.arguments.fresh(displaced, wide=wide, scattered=scattered)
                positional, keyword = self.arguments.passed(leaves)
        except UsageError as error:
            raise RuleRaised("forward", error) from error
        function = self._backward if role == "backward" else self._jvp
        assert function is not None
        if role == "backward":
            if self._calls_forward(bool(displaced) or wide or scattered):
                self._spend()
            self.backward_calls += 1
        else:
            self.jvp_calls += 1
        try:
            returned = function(argument, *positional, **keyword)
        except (Exception, SystemExit) as error:
            refuse_mistake(role, function, error, [argument, *positional], keyword)
            raise RuleRaised(role, error) from error
        if before is not None:
            if not np.array_equal(before, flatten(leaves_of_argument)):
                self.changed.append((role, ARGUMENTS[role]))
            if not self._cached:
                self._watch(role, leaves, positional, keyword)
            elif not all(map(same, kept, snapshot)):
                self.changed.append((role, "its cache"))
        return returned

    def claim_of(self, position: int) -> str:
        """Name what backward claims of one input."""
        return f"gradient of {self.names[position]}"

    def call(self, function: Callable[..., Any]) -> Any:
        """Call another function of the same inputs, such as a rule's closed-form Jacobian, with copies."""
        positional, keyword = self.arguments.passed(self.arguments.fresh({}))
        return function(*positional, **keyword)

    def _calls_forward(self, elsewhere: bool) -> bool:
        return self.calls_forward == "always" or bool(self.calls_forward and elsewhere)

    def _spend(self) -> None:
        """Count a call of ``forward``, if one is left."""
        if self.calls_left < 1:
            error = BudgetSpent(f"max_calls={self.max_calls} was reached")
            raise RuleRaised("forward", error) from error
        self.forward_calls += 1

    def _watch(self, role: str, leaves: list[Any], positional: list[Any], keyword: dict[str, Any]) -> None:
        self.changed += [(role, name) for name in self.arguments.written_to(leaves, positional, keyword)]


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
    if isinstance(cache, np.ndarray) and cache.dtype != object:
        return [cache]
    if isinstance(cache, Mapping):
        cache = list(cache.values())
    return [array for item in cache for array in _arrays_in(item)] if isinstance(cache, tuple | list) else []


def own_lengths(problem: Problem, rng: np.random.Generator) -> dict[int, Array]:
    """Draw a line along which noise is looked for.

    It is not rounded to a grid, as the directions of differences are: that of the values is looked for. Each
    entry moves on its own scale, so that close to zero too the function is smooth from there to here.
    """
    direction = {}
    for i in problem.wrt:
        x = problem.value(i)
        lengths = np.where(x == 0, scales(x), np.abs(x))
        drawn = lengths * rng.uniform(1, 2, x.shape) * rng.choice([-1.0, 1.0], x.shape)
        direction[i] = problem.constraints.direction(i, x, drawn)
    return direction
