"""One point made ready: names, private copies, call counting.

This is the only place that calls the functions under test. Everything that it hands them is a copy of its
own, so the caller's arrays are never written to; everything that they return is copied at once, so that a
function which returns its argument, or the same buffer each time, does no harm.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.errors import UsageError
from gradlab.numerics.differences import Array, Sample, random_direction
from gradlab.numerics.noise import OFFSETS, SAFETY, SMALLEST, SPACINGS, noise_level


class RuleRaised(Exception):
    """A function under test raised at the unperturbed point; the original is the cause."""

    def __init__(self, role: str, original: BaseException) -> None:
        super().__init__(f"{role} raised {type(original).__name__}: {_text_of(original)}")


class Problem:
    """One tuple of inputs and one upstream gradient, with the functions to evaluate there.

    Parameters
    ----------
    forward, backward : callable
        As in `gradlab.gradcheck`; where only the forward side is wanted, ``backward`` may be any function.
    inputs : tuple, list, dict, array or float
        As in `gradlab.gradcheck`.
    cached : bool
        Whether ``forward`` returns ``(output, cache)``.
    wrt : str, int or sequence of them, optional
        The inputs to differentiate; all floating ones when left out.
    kwargs : mapping, optional
        Further keyword arguments of both functions (of ``forward`` alone with ``cached=True``).
    grad_output : array or tuple of arrays, optional
        The upstream gradient, of the output's shape.
    rng : numpy.random.Generator, optional
        Draws the upstream gradient where none is given; without it, it is all ones.

    Attributes
    ----------
    names : tuple of str
        The inputs' names, from the signature of ``forward``.
    values : tuple
        The inputs, arrays as private copies.
    floating, wrt : tuple of int
        The positions of the floating inputs, and of those that are differentiated.
    output : Array
        ``Y``, all outputs at the point, flattened to one vector in float64.
    grad_output : Array
        ``dL/dY``, flattened alike.
    eps : float
        The unit of rounding of the coarsest dtype among outputs and differentiated inputs.
    forward_calls, backward_calls : int
        How often each function was called.
    obstacle : str
        Why ``forward`` had no value at the last displaced point where it had none; empty otherwise.

    Raises
    ------
    UsageError
        When the question is malformed.
    RuleRaised
        When ``forward`` raises at the point itself.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        inputs: Any,
        *,
        cached: bool = False,
        wrt: Any = None,
        kwargs: Mapping[str, Any] | None = None,
        grad_output: Any = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        for role, function in (("forward", forward), ("backward", backward)):
            if not callable(function):
                raise UsageError(f"{role} is {describe(function)}; expected a function")
        if kwargs is not None and not (
            isinstance(kwargs, Mapping) and all(isinstance(k, str) for k in kwargs)
        ):
            raise UsageError(f"kwargs is {describe(kwargs)}; expected a dict of keyword arguments")
        self._forward, self._backward = forward, backward
        self._cached, self._kwargs = cached, dict(kwargs or {})
        self.forward_calls = self.backward_calls = 0
        self.obstacle = ""

        self._form, self.names, values = arrange(forward, inputs)
        self.values = tuple(_private(value) for value in values)
        self.floating = tuple(i for i, value in enumerate(self.values) if _is_floating(value))
        self.wrt = self._resolve(wrt)
        self._check_inputs()
        self._check_call()

        raw = self._call_forward({})
        self._several, parts, self._cache = _split(raw, cached)
        self._shapes = [np.shape(part) for part in parts]
        self._dtypes = [np.asarray(part).dtype for part in parts]
        self._scalar = [not isinstance(part, np.ndarray) for part in parts]
        self.output = _flatten(parts)
        dtypes = self._dtypes + [np.asarray(self.values[i]).dtype for i in self.wrt]
        self.eps = max(float(np.finfo(dtype).eps) for dtype in dtypes)
        self.grad_output = self._upstream(grad_output, rng)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The output's shape; of several outputs, the shape of all of them flattened to one vector."""
        return self._shapes[0] if not self._several else self.output.shape

    def value(self, position: int) -> npt.NDArray[Any]:
        """Return one input as an array in its own dtype, to read, not to write."""
        return np.asarray(self.values[position])

    def evaluate(self, displaced: Mapping[int, npt.NDArray[Any]]) -> Array:
        """Evaluate ``forward`` with some inputs displaced.

        Parameters
        ----------
        displaced : mapping of int to array
            The new values by position; they are given away, not copied.

        Returns
        -------
        Array
            All outputs, flattened; all NaN where ``forward`` raises, or returns something of another
            shape, since there it has no value to compare.
        """
        try:
            # The point is of our making, and so would be a warning about it.
            with np.errstate(all="ignore"):
                _, parts, _ = _split(self._call_forward(displaced), self._cached)
        except (RuleRaised, UsageError) as error:
            self.obstacle = str(error)
            return np.full_like(self.output, np.nan)
        shapes = [np.shape(part) for part in parts]
        if shapes != self._shapes:
            found, expected = (" and ".join(map(str, s)) for s in (shapes, self._shapes))
            self.obstacle = f"forward returned an output of shape {found}, and of {expected} at the point"
            return np.full_like(self.output, np.nan)
        return _flatten(parts)

    def line(self, direction: Mapping[int, Array]) -> Sample:
        """Return the function ``h -> (f(x + hd), f(x − hd), 2h)`` along a direction in some of the inputs."""

        def at(t: float) -> Array:
            return self.evaluate(self.moved(direction, t))

        return lambda h: (at(h), at(-h), 2 * h)

    def moved(self, direction: Mapping[int, Array], t: float) -> dict[int, npt.NDArray[Any]]:
        """Return the inputs at ``x + td``, those that the direction names."""
        points = {i: (self.value(i), d) for i, d in direction.items()}
        return {i: np.asarray(x + t * d, dtype=x.dtype) for i, (x, d) in points.items()}

    @cached_property
    def noise(self) -> Array:
        """What each output may be off by: its dtype's rounding, or more where its values show more.

        It is estimated when it is first needed, from twelve evaluations close to the point: six along each of
        two directions, because the roundings along one of them may happen to be all alike. An output that
        stays the same on all of them shows nothing yet: it is looked at again from farther away.
        """
        rng = np.random.default_rng(0)
        noise = self.eps * np.abs(self.output) + SMALLEST
        directions = [{i: random_direction(self.value(i), rng) for i in self.wrt} for _ in range(2)]
        for spacing in SPACINGS:
            same = np.ones(self.output.shape, dtype=bool)
            for direction in directions:
                around = [self.evaluate(self.moved(direction, k * spacing)) for k in OFFSETS if k]
                values = np.stack([*around[:3], self.output, *around[3:]])
                # At the edge of a domain there is NaN, which shows nothing.
                noise = np.fmax(noise, SAFETY * noise_level(values))
                same &= (values == self.output).all(axis=0)
            if not same.any():
                break
        return noise

    def call_backward(self, displaced: Mapping[int, npt.NDArray[Any]] | None = None) -> Any:
        """Call ``backward`` at the point, or with some inputs displaced; return what it returns, as it is.

        Raises
        ------
        RuleRaised
            When it raises; or ``forward``, which is called first where a cache of another point is needed.
        """
        upstream, cache = self._unflatten(self.grad_output), self._cache
        if self._cached and displaced:
            try:
                _, _, cache = _split(self._call_forward(displaced), self._cached)
            except UsageError as error:
                raise RuleRaised("forward", error) from error
        self.backward_calls += 1
        try:
            if self._cached:
                return self._backward(upstream, cache)
            positional, keyword = self._arguments(displaced or {})
            return self._backward(upstream, *positional, **keyword)
        except (Exception, SystemExit) as error:
            raise RuleRaised("backward", error) from error

    def call(self, function: Callable[..., Any]) -> Any:
        """Call another function of the same inputs, such as a rule's closed-form Jacobian, with copies."""
        positional, keyword = self._arguments({})
        return function(*positional, **keyword)

    def in_callers_form(self, by_position: Mapping[int, Any]) -> Any:
        """Arrange one value per input as the caller arranged the inputs; ``None`` where there is none."""
        everything = [by_position.get(i) for i in range(len(self.values))]
        if self._form == "keyword":
            return dict(zip(self.names, everything, strict=True))
        return everything[0] if self._form == "single" else tuple(everything)

    def label(self, position: int, index: tuple[int, ...]) -> str:
        """Name one entry of one input, such as ``x[0, 1]``."""
        return f"{self.names[position]}[{', '.join(map(str, index))}]" if index else self.names[position]

    def _call_forward(self, displaced: Mapping[int, npt.NDArray[Any]]) -> Any:
        positional, keyword = self._arguments(displaced)
        self.forward_calls += 1
        try:
            return self._forward(*positional, **keyword)
        except (Exception, SystemExit) as error:
            raise RuleRaised("forward", error) from error

    def _arguments(self, displaced: Mapping[int, npt.NDArray[Any]]) -> tuple[list[Any], dict[str, Any]]:
        arguments = [
            _like(original, displaced[i]) if i in displaced else _private(original)
            for i, original in enumerate(self.values)
        ]
        keyword = {name: _private(value) for name, value in self._kwargs.items()}
        if self._form == "keyword":
            return [], dict(zip(self.names, arguments, strict=True)) | keyword
        return arguments, keyword

    def _upstream(self, grad_output: Any, rng: np.random.Generator | None) -> Array:
        if grad_output is None:
            if rng is None:
                return np.ones_like(self.output)
            # With all ones, a rule that ignores it or mixes its entries up would look right.
            upstream = rng.uniform(1, 2, self.output.size) * rng.choice([-1.0, 1.0], self.output.size)
            # As rounded as what backward will see of it.
            return _flatten([np.asarray(part) for part in self._parts(upstream)])
        given = grad_output if self._several and isinstance(grad_output, tuple | list) else (grad_output,)
        parts = [part if _is_number(part) else _require_floating(part, "grad_output is") for part in given]
        if len(parts) != len(self._shapes):
            raise UsageError(
                f"grad_output is {describe(grad_output)}; expected a tuple of {len(self._shapes)} arrays, "
                "one for each output"
            )
        if [np.shape(part) for part in parts] != self._shapes:
            shapes = " and ".join(str(np.shape(part)) for part in parts)
            expected = " and ".join(map(str, self._shapes))
            raise UsageError(f"grad_output has shape {shapes}; expected {expected}, that of the output")
        upstream = _flatten([np.asarray(part) for part in self._parts(_flatten(parts))])
        if not np.isfinite(upstream).all():
            dtypes = " and ".join(map(str, self._dtypes))
            raise UsageError(f"grad_output is not finite in {dtypes}; expected finite numbers")
        return upstream

    def _parts(self, vector: Array) -> list[Any]:
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])[:-1]
        parts = np.split(vector, ends)
        shaped = [
            part.astype(dtype).reshape(shape)
            for part, dtype, shape in zip(parts, self._dtypes, self._shapes, strict=True)
        ]
        return [part[()] if scalar else part for part, scalar in zip(shaped, self._scalar, strict=True)]

    def _unflatten(self, vector: Array) -> Any:
        parts = self._parts(vector)
        return tuple(parts) if self._several else parts[0]

    def _resolve(self, wrt: Any) -> tuple[int, ...]:
        if wrt is None:
            return self.floating
        chosen = []
        known = f"the inputs are {', '.join(self.names)}"
        if not isinstance(wrt, str | int | np.integer | tuple | list | set | frozenset | np.ndarray):
            raise UsageError(f"wrt is {describe(wrt)}; expected names or positions; {known}")
        for item in [wrt] if isinstance(wrt, str | int | np.integer) else list(wrt):
            if isinstance(item, str) and item in self.names:
                position = self.names.index(item)
            elif (
                isinstance(item, int | np.integer)
                and not isinstance(item, bool)
                and -len(self.names) <= item < len(self.names)
            ):
                position = int(item) % len(self.names)
            else:
                raise UsageError(f"wrt names {item}, which is not an input; {known}")
            if position not in self.floating:
                raise UsageError(
                    f"wrt names {self.names[position]}, which is {describe(self.values[position])}; "
                    "expected a floating-point array or a float"
                )
            chosen.append(position)
        return tuple(sorted(set(chosen)))

    def _check_call(self) -> None:
        """Refuse a call that the signature of ``forward`` does not take, before blaming the rule for it."""
        positional, keyword = self._arguments({})
        twice = [name for name in self._kwargs if name in self.names]
        if self._form == "keyword" and twice:
            raise UsageError(f"kwargs gives {', '.join(twice)}, which inputs gives too; expected it once")
        try:
            signature = inspect.signature(self._forward)
        except (TypeError, ValueError):
            return
        try:
            signature.bind(*positional, **keyword)
        except TypeError as error:
            given = ", ".join([*self.names, *self._kwargs])
            raise UsageError(
                f"forward{signature} cannot be called with {given or 'no inputs'}: {error}"
            ) from None

    def _check_inputs(self) -> None:
        for name, value in zip(self.names, self.values, strict=True):
            if isinstance(value, complex | np.complexfloating) or (
                isinstance(value, np.ndarray) and np.iscomplexobj(value)
            ):
                raise UsageError(f"input {name} is {describe(value)}; complex inputs are not supported")
        if not self.wrt:
            given = ", ".join(f"{n} is {describe(v)}" for n, v in zip(self.names, self.values, strict=True))
            raise UsageError(
                f"nothing to differentiate: {given or 'no input was given'}; expected at least one "
                "floating-point NumPy array or float"
            )
        for i in self.wrt:
            finite = np.isfinite(self.value(i))
            if not finite.all():
                index = tuple(int(k) for k in np.argwhere(~finite)[0])
                raise UsageError(f"{self.label(i, index)} is {self.value(i)[index]}; expected finite inputs")


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # its own __str__ is broken
        return "(its message cannot be printed)"


def describe(value: Any) -> str:
    """Say in a few words what a value is, for a message.

    >>> describe(np.zeros((2, 3), dtype=np.float32))
    'a float32 array of shape (2, 3)'
    >>> describe([1, 2])
    'a list of length 2'
    >>> describe(None)
    'None'
    """
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"{_article(str(value.dtype))} array of shape {value.shape}"
    if isinstance(value, tuple) and value:
        return f"a tuple ({', '.join(type(item).__name__ for item in value)})"
    if isinstance(value, Sequence | Mapping) and not isinstance(value, str | bytes):
        return f"{_article(type(value).__name__)} of length {len(value)}"
    if isinstance(value, str | int | float | complex):
        text = repr(value)
        shown = text if len(text) <= 40 else f"{text[:37]}..."
        return f"the {type(value).__name__} {shown}"
    return _article(type(value).__name__)


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in set('aeiou') else 'a'} {noun}"


def arrange(forward: Callable[..., Any], inputs: Any) -> tuple[str, tuple[str, ...], list[Any]]:
    """Return the form of the inputs (``positional``, ``keyword`` or ``single``), their names, their values.

    >>> arrange(lambda x, w: x @ w, (1.0, 2.0))
    ('positional', ('x', 'w'), [1.0, 2.0])
    """
    if isinstance(inputs, Mapping):
        if not all(isinstance(name, str) for name in inputs):
            raise UsageError("inputs is a dict whose keys are not all strings; expected names of arguments")
        return "keyword", tuple(inputs), list(inputs.values())
    if isinstance(inputs, tuple | list):
        return "positional", _names(forward, len(inputs)), list(inputs)
    if isinstance(inputs, np.ndarray) or _is_floating(inputs):
        return "single", _names(forward, 1), [inputs]
    raise UsageError(
        f"inputs is {describe(inputs)}; expected a tuple or list of inputs, a dict of them, or one array"
    )


def _names(forward: Callable[..., Any], count: int) -> tuple[str, ...]:
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):  # ufuncs and other built-in functions have none
        parameters = {}.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:count]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "input")
    # An index, as in `args[1]`, can be no parameter's own name.
    return tuple(names + [f"{rest}[{k}]" for k in range(count - len(names))])


def _is_floating(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return np.issubdtype(value.dtype, np.floating)
    return isinstance(value, float | np.floating)


def _is_number(value: Any) -> bool:
    kind = np.asarray(value).dtype.kind if isinstance(value, np.ndarray | np.generic | int | float) else "O"
    return kind in "biuf"


def _private(value: Any) -> Any:
    """Copy what could be written to: arrays, and containers with all that is in them."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return np.array(value, copy=True, subok=True)
    if isinstance(value, np.ndarray | list | dict | set | tuple):
        try:
            return copy.deepcopy(value)
        except Exception:  # something in it cannot be copied, such as an open file
            return value
    return value


def _like(original: Any, value: npt.NDArray[Any]) -> Any:
    """Give ``value`` the type of ``original``: an array, a Python float or a NumPy scalar."""
    if isinstance(original, np.ndarray):
        return value if type(original) is np.ndarray else value.view(type(original))
    return type(original)(value[()])


def _split(raw: Any, cached: bool) -> tuple[bool, list[Any], Any]:
    """Split what ``forward`` returned: whether there are several outputs, the outputs, the cache."""
    cache = None
    if cached:
        if not (isinstance(raw, tuple) and len(raw) == 2):
            raise UsageError(
                f"forward returned {describe(raw)}; with cached=True it is expected to return (output, cache)"
            )
        raw, cache = raw
    if isinstance(raw, tuple):
        if not raw or not all(map(_is_floating, raw)):
            hint = "" if cached else "; if its last item is a cache for backward, pass cached=True"
            raise UsageError(
                f"forward returned {describe(raw)}; expected a floating-point array, or a tuple of them{hint}"
            )
        return True, list(raw), cache
    return False, [_require_floating(raw, "forward returned")], cache


def _require_floating(value: Any, what: str) -> Any:
    if _is_floating(value):
        return value
    hint = " (is a return statement missing?)" if value is None else ""
    raise UsageError(f"{what} {describe(value)}; expected a floating-point array{hint}")


def _flatten(parts: Sequence[Any]) -> Array:
    vectors = [np.array(part, dtype=np.float64).ravel() for part in parts]
    return vectors[0] if len(vectors) == 1 else np.concatenate(vectors)
