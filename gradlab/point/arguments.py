"""What is handed to the functions under test: the inputs, in the caller's form, each time as fresh copies."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab.errors import UsageError, is_deliberate
from gradlab.point.values import copier, describe, is_floating, like, private, strided

__tracebackhide__ = is_deliberate

Displaced: TypeAlias = Mapping[int, npt.NDArray[Any]]


class Arguments:
    """The inputs of one point, private copies of them, and which of them are differentiated.

    Parameters
    ----------
    forward : callable
        Names the inputs by its signature.
    inputs, wrt, kwargs
        As in `gradlab.gradcheck`.

    Attributes
    ----------
    names : tuple of str
        The inputs' names.
    values : tuple
        The inputs, arrays and containers as private copies.
    floating, wrt : tuple of int
        The positions of the floating-point inputs, and of those that are differentiated.

    Raises
    ------
    UsageError
        When the inputs cannot be differentiated, or ``forward`` cannot be called with them.
    """

    def __init__(
        self, forward: Callable[..., Any], inputs: Any, *, wrt: Any, kwargs: Mapping[str, Any] | None
    ) -> None:
        if kwargs is not None and not (
            isinstance(kwargs, Mapping) and all(isinstance(k, str) for k in kwargs)
        ):
            raise UsageError(f"kwargs is {describe(kwargs)}; expected a dict of keyword arguments")
        self._kwargs = dict(kwargs or {})
        self._form, self.names, values = arrange(forward, inputs)
        self.values = tuple(private(value) for value in values)
        self._copiers = tuple(copier(value) for value in self.values)
        self.floating = tuple(i for i, value in enumerate(self.values) if is_floating(value))
        self.wrt = self._resolve(wrt)
        self._check_inputs()
        self._check_call(forward)

    def value(self, position: int) -> npt.NDArray[Any]:
        """Return one input as an array in its own dtype, to read, not to write."""
        return np.asarray(self.values[position])

    def label(self, position: int, index: tuple[int, ...]) -> str:
        """Name one entry of one input, such as ``x[0, 1]``."""
        return f"{self.names[position]}[{', '.join(map(str, index))}]" if index else self.names[position]

    def in_callers_form(self, by_position: Mapping[int, Any]) -> Any:
        """Arrange one value per input as the caller arranged the inputs; ``None`` where there is none."""
        everything = [by_position.get(i) for i in range(len(self.values))]
        if self._form == "keyword":
            return dict(zip(self.names, everything, strict=True))
        return everything[0] if self._form == "single" else tuple(everything)

    def fresh(
        self, displaced: Displaced, *, wide: bool = False, scattered: bool = False
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return positional and keyword arguments for one call: copies, which the call may keep or spoil.

        Parameters
        ----------
        displaced : mapping of int to array
            New values by position; they are given away, not copied.
        wide : bool
            Give the floating-point inputs in float64, whatever their own dtype.
        scattered : bool
            Give arrays that are not contiguous in memory.
        """
        arguments = []
        for i, copied in enumerate(self._copiers):
            if i in displaced:
                value = like(self.values[i], displaced[i])
            elif wide and i in self.floating:
                value = like(self.values[i], np.array(self.values[i], dtype=np.float64))
            else:
                value = copied()
            arguments.append(strided(value) if scattered else value)
        keyword = {name: private(value) for name, value in self._kwargs.items()}
        if self._form == "keyword":
            return [], dict(zip(self.names, arguments, strict=True)) | keyword
        return arguments, keyword

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

    def _check_call(self, forward: Callable[..., Any]) -> None:
        """Refuse a call that the signature of ``forward`` does not take, before blaming the rule for it."""
        positional, keyword = self.fresh({})
        twice = [name for name in self._kwargs if name in self.names]
        if self._form == "keyword" and twice:
            raise UsageError(f"kwargs gives {', '.join(twice)}, which inputs gives too; expected it once")
        try:
            signature = inspect.signature(forward)
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
        return "positional", names_of(forward, len(inputs)), list(inputs)
    if isinstance(inputs, np.ndarray) or is_floating(inputs):
        return "single", names_of(forward, 1), [inputs]
    raise UsageError(
        f"inputs is {describe(inputs)}; expected a tuple or list of inputs, a dict of them, or one array"
    )


def names_of(forward: Callable[..., Any], count: int) -> tuple[str, ...]:
    """Return the names of the first ``count`` arguments of a function, from its signature if it has one."""
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):  # ufuncs and other built-in functions have none
        parameters = {}.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:count]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "input")
    # An index, as in `args[1]`, can be no parameter's own name.
    return tuple(names + [f"{rest}[{k}]" for k in range(count - len(names))])
