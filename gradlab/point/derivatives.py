"""Backward and jvp, called anywhere: each of its own argument, and of the inputs or of forward's cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array, Indices
from gradlab.point.arguments import Displaced
from gradlab.point.calls import refuse_mistake
from gradlab.point.functions import Functions
from gradlab.point.outputs import flatten
from gradlab.point.raised import RuleRaised
from gradlab.point.values import like, same

__tracebackhide__ = is_deliberate

ARGUMENTS = {"backward": "grad_output", "jvp": "tangents"}  # of which each is linear


class Derivatives(Functions):
    """The functions under test, backward and jvp among them; `Problem` says what the attributes are."""

    role = "backward"  # of the function that `call_backward` asks; `TransposedJvp` asks jvp
    grad_output: Array

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
        if displaced:
            displaced = {i: np.array(x, self.arguments.value(i).dtype) for i, x in displaced.items()}
        before = flatten(leaves_of_argument) if watch else None
        positional, keyword, leaves = self._given(
            self._held(displaced or {}), wide=wide, scattered=scattered, cache=cache
        )
        arrays = _arrays_in(positional[0]) if watch and self._cached else []
        kept = [array.copy() for array in arrays]
        elsewhere = bool(displaced) or wide or scattered
        returned = self._ask(role, argument, positional, keyword, elsewhere=elsewhere)
        if before is not None:
            if not same(before, flatten(leaves_of_argument)):
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
            with np.errstate():  # as in `call_forward`
                return function(argument, *positional, **keyword)
        except (Exception, SystemExit) as error:
            refuse_mistake(role, function, error, [argument, *positional], keyword)
            raise RuleRaised(role, error) from error

    def claim_of(self, position: int) -> str:
        """Name what backward claims of one input."""
        return f"gradient of {self.names[position]}"

    def _counts_as_forward(self, elsewhere: bool) -> bool:
        return self.derivative_calls_forward == "always" or bool(self.derivative_calls_forward and elsewhere)


def _arrays_in(cache: Any) -> list[npt.NDArray[Any]]:
    """Return the arrays in a cache, through tuples, lists and dicts."""
    if isinstance(cache, np.ndarray):
        return [cache] if cache.dtype != object else []
    if not isinstance(cache, tuple | list):
        cache = list(cache.values()) if isinstance(cache, Mapping) else []
    return [array for item in cache for array in _arrays_in(item)]
