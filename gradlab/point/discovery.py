"""Which arrays and numbers in a layer are its parameters, where its user has not said so.

They are looked for in all that the layer holds, also in layers inside it. A parameter has a gradient beside
it under one of the usual names, before a step of training or after it. What forward replaces or writes to is
none: it is a cache, or a state. An array without a gradient is taken for a constant, and a note says so where
forward depends on it, as is seen when it is moved.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.point.layer import Layer, ones_like
from gradlab.point.parameters import gradient_names, leaves, twin_names
from gradlab.point.paths import NOTHING, Step, attributes_of, further, parts_of, steps_of, taken
from gradlab.point.state import ATOMS
from gradlab.point.values import describe, is_floating, is_foreign, private, same, text_of

__tracebackhide__ = is_deliberate

SHARE = 4  # of the calls that there are for a check, one in so many is for finding out what to check


def find_parameters(
    layer: Layer, inputs: Sequence[Any], kwargs: Mapping[str, Any], *, calls: float = math.inf
) -> tuple[str | tuple[str, ...], list[str]]:
    """Return the paths of a layer's parameters, and notes on what was taken for constants.

    Parameters
    ----------
    layer : Layer
        Without parameters; one step is taken with it, if there is more than one call for it.
    inputs, kwargs
        What its forward is given; copies are passed on.
    calls : float
        How often forward may be called.

    Raises
    ------
    UsageError
        When forward uses arrays that it holds, and of none is there a gradient.
    """
    if hasattr(layer.layer, "params"):
        return "params", []
    own: tuple[Any, ...] = private(tuple(inputs))  # the layer may still hold those given, from a step before
    held = list(_held_in(layer.layer, layer.names))
    whole = [one for one in held if _is_of_integers(one.value)]
    seen = _Seen([one for one in held if one not in whole], whole)
    if calls >= 2 and held:
        try:
            layer.step(private(own), kwargs, partial(seen.take_a_step, layer))
        except Exception as error:  # the check itself says what is wrong, if it comes to that
            seen.raised = error
    probe = _Probe(layer, own, kwargs, seen.output, calls)
    named, notes = _told_apart(seen, probe)
    return tuple(one.path for one in seen.held if one in named), notes


def _told_apart(seen: _Seen, probe: _Probe) -> tuple[list[_Held], list[str]]:
    """Return the parameters among what a layer holds, and notes on the others that forward uses."""
    own = [one for one in seen.held if one in seen.written or one.has_gradient()]
    if seen.stepped:
        certain = [one for one in own if one in seen.kept and one in seen.written]
    else:
        certain = [one for one in own if one.is_of_arrays()]
    unsure = [one for one in own if one in seen.unchanged and one not in certain and one.is_of_arrays()]
    named, tied = _without_doubles([*certain, *probe.used(unsure)], seen)
    arrays = [array for one in (*named, *tied) for array in one.arrays()]
    rest = [one for one in seen.held if one in seen.unchanged and not _shares(one, arrays)]
    others = probe.used([one for one in rest if one not in own])
    suspects = tuple(one.path for one in others if not one.of_class)
    if not named and not tied and suspects:
        if seen.raised is not None:
            raise UsageError(
                f"{'backward' if seen.after_forward else 'forward'} raised {type(seen.raised).__name__}: "
                f"{text_of(seen.raised)}; no gradient of {', '.join(suspects)} was found"
            ) from seen.raised
        raise UsageError(
            f"{describe(probe.layer.layer)} has no attribute 'params', and of {', '.join(suspects)} no "
            f"gradient was found after backward; say what the parameters are: params={suspects}, and by "
            "grads=(…) where backward stores their gradients, or params=() if none is"
        )
    # A number may stand beside another that is only named as if it were its gradient: t and dt.
    others += [one for one in rest if one in own and one not in named and not one.is_of_arrays()]
    notes = [f"{one.path} has no gradient and was taken as a constant: is it no parameter?" for one in others]
    notes += [
        f"{one.path} has a gradient, but holds integers, and was taken as a constant: make it floating-point"
        for one in seen.whole
        if one in seen.written
    ]
    if tied:
        paths = " and ".join(one.path for one in tied)
        notes.append(f"{paths} are one array with a gradient each, of which no sum is known: not checked")
    return named, notes


@dataclass(frozen=True, eq=False)  # compared by identity: it holds arrays
class _Held:
    """An array or a number, or a container of these with a gradient beside it, and what holds it."""

    path: str
    owner: Any
    step: Step
    value: Any
    of_class: bool

    def now(self) -> list[Any]:
        """Return the numbers that stand there now."""
        return _numbers(taken(self.owner, self.step))

    def gradients(self) -> list[Any]:
        """Return what is named as its gradient, and stands beside it."""
        return _beside(self.owner, self.step)

    def has_gradient(self) -> bool:
        """Whether there is any before backward; a number beside an array is a spacing, as dx of a grid x."""
        return any(not (self.is_of_arrays() and isinstance(found, float)) for found in self.gradients())

    def stored(self) -> list[Any]:
        """Return the numbers in the first of these that has any."""
        return next(filter(None, map(_numbers, self.gradients())), [])

    def arrays(self) -> list[Array]:
        return [leaf for leaf in _numbers(self.value) if isinstance(leaf, np.ndarray)]

    def is_of_arrays(self) -> bool:
        return len(self.arrays()) > 0


def _held_in(layer: Any, inputs: Sequence[str]) -> Iterator[_Held]:
    """Yield the arrays and numbers that a layer holds, those on the shortest paths first.

    Left out are gradients, and what bears the name of an input of forward: there it is kept for backward.
    """
    queue, seen = [("", layer)], {id(layer)}
    for path, owner in queue:
        parts = parts_of(owner)
        names = [*(step.key for step in parts), *(inputs if owner is layer else ())]
        gradients = {form for name in names if isinstance(name, str) for form in gradient_names(name)}
        own = attributes_of(owner)
        for step, value in parts.items():
            name = step.key.lstrip("_") if isinstance(step.key, str) else step.key
            if isinstance(value, ATOMS) and not is_floating(value):
                continue
            if step.key in gradients or (owner is layer and name in inputs):
                continue
            inner = further(path, step)
            has_gradient = steps_of(inner) is not None and _beside(owner, step) and _numbers(value)
            if _is_array(value) or _is_of_integers(value) or has_gradient:
                yield _Held(inner, owner, step, value, not step.is_item and step.key not in own)
            elif id(value) not in seen and not isinstance(value, ATOMS) and not is_foreign(value):
                seen.add(id(value))
                queue.append((inner, value))


@dataclass
class _Seen:
    """What a step of training has shown of what a layer holds.

    Attributes
    ----------
    unchanged, kept : set
        What has the same values after forward as before, and what of that forward has not replaced either.
    written : dict
        The gradients that backward has stored, by what they are of.
    whole : list
        Arrays of integers.
    stepped, after_forward : bool
        Whether the step came to its end, and whether its forward did.
    raised : Exception or None
        What the step raised.
    """

    held: list[_Held]
    whole: list[_Held]
    output: Any = None
    stepped: bool = False
    after_forward: bool = False
    raised: Exception | None = None
    written: dict[_Held, list[Array]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before = {one: _copies(_numbers(one.value)) for one in self.held}
        self.unchanged, self.kept = set(self.held), set(self.held)

    def take_a_step(self, layer: Layer, output: Any) -> None:
        """Look at what forward has left, call backward, look at what that has left."""
        self.after_forward = True
        now = {one: one.now() for one in self.held}
        unchanged = {one for one in self.held if _same(self._before[one], now[one])}
        kept = {one for one in unchanged if not _is_replaced(_numbers(one.value), now[one])}
        stored = {one: one.stored() for one in (*self.held, *self.whole)}
        before = {one: _copies(numbers) for one, numbers in stored.items()}
        kept_output = private(output)
        layer.gradients(ones_like(output))
        for one, old in stored.items():
            gradient = one.stored()
            is_new = any(a is not b for a, b in zip(old, gradient, strict=False))
            if gradient and (is_new or not _same(before[one], gradient)):
                self.written[one] = _copies(gradient)
        self.unchanged, self.kept, self.output, self.stepped = unchanged, kept, kept_output, True


@dataclass
class _Probe:
    """Asks of arrays whether forward depends on them: moves them, and compares the output."""

    layer: Layer
    inputs: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Any
    calls: float

    def used(self, group: Sequence[_Held]) -> list[_Held]:
        """Return those of a group that forward uses; all, where there are no calls to tell."""
        if not group or self.output is None or SHARE * self.layer.forward_calls >= self.calls:
            return list(group)
        if not self._moves_the_output(group):
            return []
        half = len(group) // 2
        return [*self.used(group[:half]), *self.used(group[half:])] if half else list(group)

    def _moves_the_output(self, group: Sequence[_Held]) -> bool:
        arrays = [array for one in group for array in one.arrays()]
        if not all(array.flags.writeable for array in arrays):
            return True
        kept = _copies(arrays)
        rng = np.random.default_rng(0)
        try:
            with np.errstate(all="ignore"):
                for array in arrays:
                    array[...] = array * rng.uniform(0.5, 0.9, array.shape) + rng.uniform(0.1, 0.2)
                output = private(self.layer.call(private(self.inputs), self.kwargs))
            return not _same(_all_numbers(self.output), _all_numbers(output))
        except Exception:  # as it did not before
            return True
        finally:
            self.layer.restore()
            for array, was in zip(arrays, kept, strict=True):
                array[...] = was


def _without_doubles(named: Iterable[_Held], seen: _Seen) -> tuple[list[_Held], list[_Held]]:
    """Return of several ways to the same arrays one each, and those whose gradients differ."""
    chosen: list[_Held] = []
    tied: list[_Held] = []
    # Of two, the one whose gradient backward stores, then the one that is more of the layer.
    for one in sorted(named, key=lambda one: (one not in seen.written, -len(_numbers(one.value)))):
        mine = {id(array) for array in one.arrays()}
        doubles = [other for other in chosen if mine & {id(array) for array in other.arrays()}]
        if not doubles:
            chosen.append(one)
        elif one in seen.written and not all(_agree(one, other, seen) for other in doubles):
            tied += [*(other for other in doubles if other not in tied), one]
    return [one for one in chosen if one not in tied], tied


def _agree(one: _Held, other: _Held, seen: _Seen) -> bool:
    """Whether two have the same gradients of the arrays that are in both, in whatever order."""
    pairs = [zip(x.arrays(), seen.written.get(x, ()), strict=False) for x in (one, other)]
    mine, theirs = ({id(array): gradient for array, gradient in pair} for pair in pairs)
    both = mine.keys() & theirs.keys()
    return all(any(same(mine[key], gradient) for gradient in theirs.values()) for key in both)


def _beside(owner: Any, step: Step) -> list[Any]:
    """Return what stands beside something, named as its gradient: ``None`` too, which backward replaces."""
    if not isinstance(step.key, str):
        return []
    found = []
    for name in twin_names(step.key):
        with contextlib.suppress(Exception):  # a property may have nothing to return before backward
            found.append(taken(owner, step._replace(key=name)))
    return [value for value in found if value is not NOTHING and not callable(value)]


def _numbers(value: Any) -> list[Any]:
    """Return the floating-point arrays and numbers in arrays and containers, in order."""
    return [leaf for leaf, _ in leaves(value) if is_floating(leaf)]


def _all_numbers(output: Any) -> list[Any]:
    return [np.asarray(leaf) for leaf, _ in leaves(output)]


def _copies(numbers: Iterable[Any]) -> list[Array]:
    return [np.array(number) for number in numbers]


def _same(before: Sequence[Any], now: Sequence[Any]) -> bool:
    return len(before) == len(now) and all(map(same, before, now))


def _is_replaced(before: Sequence[Any], now: Sequence[Any]) -> bool:
    """Whether arrays stand where others stood, and these are no views of them."""
    return any(
        isinstance(old, np.ndarray)
        and old is not new
        and not (isinstance(new, np.ndarray) and np.may_share_memory(old, new))
        for old, new in zip(before, now, strict=True)
    )


def _shares(one: _Held, arrays: Sequence[Array]) -> bool:
    return any(np.may_share_memory(mine, array) for mine in one.arrays() for array in arrays)


def _is_of_integers(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "iu"


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and is_floating(value)
