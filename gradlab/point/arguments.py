"""What is handed to the functions under test: the inputs, in the caller's form, each time as fresh copies."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab._options import is_integer
from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics.dtypes import is_complex, widened
from gradlab.point.calls import positional_names, signature_of
from gradlab.point.constants import is_constant
from gradlab.point.nonfinite import not_finite
from gradlab.point.pairs import PARTS, as_complex, as_pairs, with_partners
from gradlab.point.trees import Leaves, Node, flatten, is_record, positions, replaced, unflatten
from gradlab.point.values import copier, describe, is_floating, is_foreign, like, private, same, strided

__tracebackhide__ = is_deliberate

Displaced: TypeAlias = Mapping[int, npt.NDArray[Any]]


class Arguments:
    """The inputs of one point, private copies of them, and which of them are differentiated.

    Inputs may be nested; what counts are the arrays and other values in them, the leaves, each by its
    position among all. Where nothing is nested, these are the inputs themselves.

    Parameters
    ----------
    forward : callable
        Names the inputs by its signature.
    inputs, wrt, kwargs
        As in `gradlab.gradcheck`.

    Attributes
    ----------
    names : tuple of str
        The leaves' names, such as ``x`` or ``p['W']``.
    values : tuple
        The leaves, arrays and containers as private copies.
    floating, wrt : tuple of int
        The positions of the floating-point and complex leaves, and of those that are differentiated.
    in_real_numbers : dict of int to array
        The floating-point and complex leaves as arrays of real numbers, as of `value`.
    paired : tuple of bool
        Which leaves are complex: wherever leaves are compared or displaced, their entries are pairs.
    fixed : dict of int to array of bool
        Which entries of the differentiated leaves are constants, because they are not finite; only of those
        leaves that have any.
    tree : Node
        All inputs, as a container of the arguments by their names.
    flat : bool
        Whether nothing is nested: the inputs are the leaves.
    by_keyword : bool
        Whether the inputs are passed by keyword.
    kwargs : dict
        The further keyword arguments.

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
        self.kwargs = dict(kwargs or {})
        self._form, arguments, given = arrange(forward, inputs)
        self.by_keyword = self._form == "keyword"
        leaves: Leaves = []
        children = tuple([flatten(*item, leaves) for item in zip(arguments, given, strict=True)])
        self.tree = Node("", arguments, arguments, children, list)
        self.flat = Node not in map(type, children)
        self.names = tuple([name for name, _ in leaves])
        for name, value in leaves:
            _check_kind(name, value)
        self._keep([private(value) for _, value in leaves])
        self.paired = tuple(
            [
                floating and is_complex(np.asarray(value).dtype)
                for floating, value in zip(self._is_floating, self.values, strict=True)
            ]
        )
        self.floating = tuple(self.in_real_numbers)
        self.wrt = self._resolve(wrt)
        self._check_inputs()

    def _keep(self, leaves: Iterable[Any]) -> None:
        """Make these the leaves, with what is asked about them again and again."""
        self.values = tuple(leaves)
        self._copiers = tuple(map(copier, self.values))
        self._is_floating = tuple(map(is_floating, self.values))
        self.in_real_numbers = {
            i: as_pairs(self.values[i]) for i, floating in enumerate(self._is_floating) if floating
        }

    def value(self, position: int) -> npt.NDArray[Any]:
        """Return one leaf as an array of real numbers in its own precision, to read, not to write."""
        return self.in_real_numbers[position]

    def shape(self, position: int) -> tuple[int, ...]:
        """Return the shape of one leaf, as the caller sees it."""
        return np.shape(self.values[position])

    def label(self, position: int, index: Sequence[int]) -> str:
        """Name one entry of one leaf, such as ``x[0, 1]``, or one part of it, such as ``z[2].imag``."""
        part = ""
        if len(index) > len(self.shape(position)):
            *index, k = index
            part = f".{PARTS[k]}"
        place = f"[{', '.join(map(str, index))}]" if index else ""
        return f"{self.names[position]}{place}{part}"

    def own(self, position: int, value: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a new value of one leaf as the caller sees it: complex where the leaf is."""
        return as_complex(value) if self.paired[position] else value

    def in_float64(self) -> Arguments:
        """Return the same inputs in float64, complex ones in complex128."""
        twin = copy.copy(self)
        twin._keep(self.fresh({}, wide=True))
        return twin

    def in_callers_form(self, by_position: Mapping[int, Any], *, bare: bool = False) -> Any:
        """Arrange one value per leaf as the caller arranged the inputs; ``None`` where there is none.

        With ``bare``, that of a tuple of a single input stands by itself, as its gradient may.
        """
        everything = self._nested([by_position.get(i) for i in range(len(self.values))])
        if self.by_keyword:
            return dict(zip(self.tree.keys, everything, strict=True))
        alone = self._form == "single" or (bare and len(everything) == 1)
        return everything[0] if alone else tuple(everything)

    def fresh(self, displaced: Displaced, *, wide: bool = False, scattered: bool = False) -> list[Any]:
        """Return the leaves for one call: copies, which the call may keep or spoil.

        Parameters
        ----------
        displaced : mapping of int to array
            New values by position, in real numbers; they are given away, not copied.
        wide : bool
            Give the floating-point leaves in float64, complex ones in complex128, whatever their own dtype.
        scattered : bool
            Give arrays that are not contiguous in memory.
        """
        leaves = []
        for i, copied in enumerate(self._copiers):
            if i in displaced:
                value = like(self.values[i], self.own(i, displaced[i]))
            elif wide and self._is_floating[i]:
                original = np.asarray(self.values[i])
                value = like(self.values[i], np.array(original, dtype=widened(original.dtype)))
            else:
                plain = type(self.values[i]) is np.ndarray and self.values[i].ndim
                value = self.values[i] if scattered and plain else copied()  # `strided` copies
            leaves.append(strided(value) if scattered else value)
        return leaves

    def passed(self, leaves: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the positional and the keyword arguments of a call, in the caller's nesting."""
        arguments = leaves if self.flat else self._nested(leaves)
        keyword = {name: private(value) for name, value in self.kwargs.items()} if self.kwargs else {}
        if self.by_keyword:
            return [], dict(zip(self.tree.keys, arguments, strict=True)) | keyword
        return arguments, keyword

    def written_to(self, leaves: list[Any], positional: list[Any], keyword: dict[str, Any]) -> Iterator[str]:
        """Yield the names of what a call that was given these leaves, as these arguments, wrote to."""
        if not self.flat:
            arguments = [keyword[name] for name in self.tree.keys] if self.by_keyword else positional
            for child, argument in zip(self.tree.children, arguments, strict=True):
                yield from replaced(child, argument, leaves)
        for name, original, leaf in zip(self.names, self.values, leaves, strict=True):
            if isinstance(original, np.ndarray) and not same(original, leaf):
                yield name

    def _nested(self, leaves: list[Any]) -> list[Any]:
        return leaves if self.flat else [unflatten(child, leaves) for child in self.tree.children]

    def _resolve(self, wrt: Any) -> tuple[int, ...]:
        if wrt is None:
            return self.floating
        chosen: set[int] = set()
        known = f"the inputs are {', '.join(self.names)}"
        if not isinstance(wrt, str | int | np.integer | tuple | list | set | frozenset | np.ndarray):
            raise UsageError(f"wrt is {describe(wrt)}; expected names or positions; {known}")
        for item in [wrt] if isinstance(wrt, str | int | np.integer) else list(wrt):
            named = self._named(item)
            if not named:
                raise UsageError(f"wrt names {item}, which is not an input; {known}")
            floating = named & set(self.floating)
            if not floating:
                first = min(named)
                what = describe(self.values[first]) if len(named) == 1 else "a tree of constants"
                name = self.names[first] if len(named) == 1 else item
                raise UsageError(
                    f"wrt names {name}, which is {what}; expected a floating-point array or a float"
                )
            chosen |= floating
        if not chosen:
            raise UsageError(f"wrt is {describe(wrt)}; expected at least one name or position; {known}")
        return tuple(sorted(chosen))

    def differentiated(self, name: Any, *, option: str) -> set[int]:
        """Return the positions of the differentiated leaves that an option names.

        Raises
        ------
        UsageError
            When there are none.
        """
        found = self._named(name) & set(self.wrt) if isinstance(name, str) else set()
        if not found:
            known = ", ".join(self.names[i] for i in self.wrt)
            raise UsageError(f"{option} names {name}, which is not differentiated; expected one of {known}")
        return found

    def _named(self, item: Any) -> set[int]:
        """Return the positions of the leaves that one item of ``wrt`` stands for."""
        count = len(self.tree.children)
        if is_integer(item) and -count <= item < count:
            return set(positions(self.tree.children[int(item)]))
        if not isinstance(item, str):
            return set()
        if item in self.tree.keys:
            return set(positions(self.tree.children[self.tree.keys.index(item)]))
        if item in self.names:
            return {self.names.index(item)}
        # A container further in, such as `layers[0]`.
        return {i for i, name in enumerate(self.names) if name.startswith((f"{item}[", f"{item}."))}

    def check_call(self, forward: Callable[..., Any]) -> None:
        """Refuse a call that the signature of ``forward`` does not take, rather than blame the rule."""
        positional, keyword = self.passed(self.fresh({}))
        signature = signature_of(forward)
        if signature is None:
            return
        try:
            signature.bind(*positional, **keyword)
        except TypeError as error:
            given = ", ".join([*self.tree.keys, *self.kwargs])
            numbers = self._form == "positional" and all(map(np.isscalar, self.values))
            hint = (
                "; each number of a list or tuple is an input: expected np.array([…]) for one of them all"
                if numbers and len(self.values) > 1
                else ""
            )
            raise UsageError(
                f"forward{signature} cannot be called with {given or 'no inputs'}: {error}{hint}"
            ) from None

    def _check_inputs(self) -> None:
        twice = [name for name in self.kwargs if self.by_keyword and name in self.tree.keys]
        if twice:
            raise UsageError(f"kwargs gives {', '.join(twice)}, which inputs gives too; expected it once")
        if not self.wrt:
            given = ", ".join(f"{n} is {describe(v)}" for n, v in zip(self.names, self.values, strict=True))
            raise UsageError(
                f"nothing to differentiate: {given or 'no input was given'}; expected at least one "
                "floating-point NumPy array or float, such as 2.0 instead of 2"
            )
        self.fixed = not_finite({i: self.value(i) for i in self.wrt})
        for i, mask in self.fixed.items():
            self.fixed[i] = with_partners(mask) if self.paired[i] else mask
        if self.fixed and not any(np.isfinite(self.value(i)).any() for i in self.wrt):
            position, mask = next(iter(self.fixed.items()))
            own = mask.any(axis=-1) if self.paired[position] else mask
            index = tuple(int(k) for k in np.argwhere(own)[0])
            what = f"{self.label(position, index)} is {np.asarray(self.values[position])[index]}"
            raise UsageError(f"{what}, and no entry is finite; expected finite inputs")


def _check_kind(name: str, value: Any) -> None:
    """Refuse a leaf that is neither differentiated nor certain to be a constant."""
    if isinstance(value, np.ma.MaskedArray) and is_floating(value):
        raise UsageError(
            f"input {name} is a masked array, whose masked entries have no value; expected a plain array: "
            f"convert it with {name}.filled(0.0), and multiply by the mask in forward"
        )
    if isinstance(value, np.ndarray):
        if not value.dtype.hasobject:
            return
        raise UsageError(
            f"input {name} is {describe(value)}, and what its entries are cannot be known; expected an array "
            f"of numbers: convert it with np.asarray({name}, dtype=float), or give a list of arrays"
        )
    if is_foreign(value):
        kind = type(value)
        raise UsageError(
            f"input {name} is {describe(value)} of {kind.__module__.partition('.')[0]}, not a NumPy array: "
            f"convert it with np.asarray({name})"
        )
    if not is_constant(value):
        raise UsageError(
            f"input {name} is {describe(value)}, which is neither an array, a number nor a known constant; "
            "expected a tree of arrays (tuples, lists, dicts, named tuples, dataclasses); a layer goes to "
            "gradlab.check_layer, a constant into kwargs"
        )


def arrange(forward: Callable[..., Any], inputs: Any) -> tuple[str, tuple[str, ...], list[Any]]:
    """Return the form of the inputs (``positional``, ``keyword`` or ``single``), their names, their values.

    >>> arrange(lambda x, w: x @ w, (1.0, 2.0))
    ('positional', ('x', 'w'), [1.0, 2.0])
    """
    if isinstance(inputs, tuple | list):
        return "positional", names_of(forward, len(inputs)), list(inputs)
    if isinstance(inputs, Mapping):
        if not all(isinstance(name, str) for name in inputs):
            raise UsageError("inputs is a dict whose keys are not all strings; expected names of arguments")
        names = _in_order(forward, inputs)
        return "keyword", names, [inputs[name] for name in names]
    if isinstance(inputs, np.ndarray) or is_floating(inputs) or is_foreign(inputs) or is_record(inputs):
        return "single", names_of(forward, 1), [inputs]
    raise UsageError(
        f"inputs is {describe(inputs)}; expected a tuple or list of inputs, a dict of them, or one array"
    )


def _in_order(forward: Callable[..., Any], inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of inputs that are passed by keyword, in the order in which gradients may come.

    That is the order of the signature, as gradients have it whose author thinks of no dict; where it does not
    name them all, that of the dict.
    """
    signature = signature_of(forward)
    known = [] if signature is None else [name for name in signature.parameters if name in inputs]
    return tuple(known if len(known) == len(inputs) else inputs)


def names_of(forward: Callable[..., Any], count: int) -> tuple[str, ...]:
    """Return the names of the first ``count`` arguments of a function, from its signature if it has one.

    A function of gradlab's own that has ``input_names`` says them itself: paths, such as ``fc1.W``.
    """
    told = vars(forward).get("input_names") if isinstance(forward, FunctionType) else None
    names, rest = (told, "") if told else positional_names(forward)
    names, rest = names[:count], rest or "input"
    # An index, as in `args[1]`, can be no parameter's own name.
    return (*names, *(f"{rest}[{k}]" for k in range(count - len(names))))


def called_with(
    function: Callable[..., Any], names: Sequence[str], title: str, written: Callable[..., Any]
) -> Callable[..., Any]:
    """Give a function the name and the arguments by which reports call it, and keywords besides.

    ``written`` is the user's function behind it: where to look for the source.

    >>> called_with(lambda *arguments, **kwargs: None, ["x", "args[1]"], "Affine", print).__signature__
    <Signature (x, args_1, **kwargs)>
    """
    kinds = inspect.Parameter
    valid = (re.sub(r"\W", "_", name.removesuffix("]")) for name in names)
    takes = [kinds(name, kinds.POSITIONAL_OR_KEYWORD) for name in valid]
    function.__signature__ = inspect.Signature([*takes, kinds("kwargs", kinds.VAR_KEYWORD)])  # type: ignore[attr-defined]
    function.__wrapped__ = written  # type: ignore[attr-defined]
    function.__name__, function.__qualname__ = title, f"<{title}>"  # no name to import it by
    return function
