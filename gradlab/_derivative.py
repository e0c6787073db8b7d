"""A function of a framework and its derivative, as functions of named NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from gradlab._question import Question
from gradlab.errors import is_deliberate
from gradlab.numerics import Array
from gradlab.point.trees import Leaves, flatten, map_leaves
from gradlab.point.values import is_floating, is_numeric, text_of

__tracebackhide__ = is_deliberate

REVERSE, FORWARD = "rev", "fwd"
BOTH = (FORWARD, REVERSE)

Pull: TypeAlias = Callable[[Any], dict[str, Any]]
Push: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[Any, Any]]


@dataclass(frozen=True, eq=False)
class Derivative:
    """A function of a framework and its derivative in some modes, as functions of named NumPy arrays.

    Attributes
    ----------
    name : str
        What reports call it.
    value : callable
        ``value(**inputs) -> array``, or a tuple of arrays.
    inputs : mapping of str to array or tree of arrays
        The point.
    vjp : callable, optional
        Reverse mode: ``vjp(**inputs) -> (value, pull)``, where ``pull(grad_output)`` returns a dict of
        gradients by the names of the inputs, complex ones as JAX and autograd write them.
    jvps : mapping of str to callable
        Forward mode, in all its ways: ``jvp(inputs, tangents) -> (value, tangents of the value)``.
    known : callable, optional
        ``known(u, v)`` returns the terms of ⟨u, J v⟩ by other means that are right.
    reference : tuple of two functions, optional
        ``(forward, backward)`` of the same inputs, whose derivative is trusted.
    is_missing : callable, optional
        Whether an error that a jvp raises says that there is none: one that is asked for and is missing is
        left out, and noted, where reverse mode is there.
    notes : list of str
        What is to be said of it is added.
    """

    name: str
    value: Callable[..., Any]
    inputs: Mapping[str, Any]
    vjp: Callable[..., tuple[Any, Pull]] | None = None
    jvps: dict[str, Push] = field(default_factory=dict)
    known: Callable[[Any, Mapping[str, Any]], Array | None] | None = None
    reference: tuple[Callable[..., Any], Callable[..., Any]] | None = None
    is_missing: Callable[[Exception], bool] = lambda error: False
    notes: list[str] = field(default_factory=list)

    @cached_property
    def first(self) -> tuple[Any, Pull]:
        """What `vjp` returns at the point, where it is called once."""
        assert self.vjp is not None
        return self.vjp(**self.inputs)

    @property
    def modes(self) -> tuple[str, ...]:
        """In which modes there is a derivative, as far as is known; reverse mode first."""
        return (*([REVERSE] if self.vjp is not None else []), *self.jvps)

    def question(self, mode: str, *, rtol: float | None) -> tuple[Question, Mapping[str, Any]]:
        """Return what is asked of differences, and at which inputs."""
        if mode != REVERSE:
            return self._question_of_tangents(self.jvps[mode], rtol)
        forward, backward = self._rule()
        question = Question(
            forward,
            backward,
            cached=True,
            reference=self.reference,
            rtol=rtol,
            convention="jax",
            name=self.name,
        )
        return question, self.inputs

    def claims(
        self, mode: str, draws: Sequence[tuple[Any, Mapping[str, Any]]]
    ) -> list[tuple[Any, Array | None]]:
        """Return the value that comes with the derivative, and the terms of ⟨u, J v⟩ or ⟨Jᵀu, v⟩.

        For each pair of an upstream gradient and tangents, ``(u, v)``; of a mode that is missing, nothing.
        """
        try:
            return [self._claim(mode, *draw) for draw in draws]
        except Exception as error:
            if mode == REVERSE or self.vjp is None or not self.is_missing(error):
                raise
            why = text_of(error).partition("\n")[0].rstrip(".")
            if not any(why in note for note in self.notes):  # that of its derivatives lacks the same
                self.notes.append(f"{self.name} has no forward mode, and none was checked: {why}")
            del self.jvps[mode]
            return []

    def _claim(self, mode: str, u: Any, v: Mapping[str, Any]) -> tuple[Any, Array | None]:
        if mode == REVERSE:
            value, pull = self.first
            return value, products(pull(u), dict(v))
        value, tangents = self.jvps[mode](self.inputs, v)
        kinds = [[np.asarray(leaf).dtype for leaf in arrays_in(tree)] for tree in (value, tangents)]
        return value, products(tangents, u) if kinds[0] == kinds[1] else None

    def _rule(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return forward and backward, in the form ``out, cache``.

        The first call of forward is at the point. What was pulled back there already serves all calls of
        backward there, after another call was made close by, as in the next step of training: what a rule
        keeps elsewhere is then another's. Else the derivative is made when it is asked for: most calls of
        forward are for differences.
        """
        vjp, is_first = self.vjp, True
        assert vjp is not None

        def forward(**inputs: Any) -> tuple[Any, Callable[[], Pull]]:
            nonlocal is_first
            pull = self.first[1] if is_first else None
            if is_first:
                is_first = False
                with suppress(Exception), np.errstate(all="ignore"):  # which is no matter of the point's
                    vjp(**{name: map_leaves(_close_by, x) for name, x in inputs.items()})
            return self.value(**inputs), lambda: pull or vjp(**inputs)[1]

        return forward, lambda grad_output, cache: cache()(grad_output)

    def _question_of_tangents(self, jvp: Push, rtol: float | None) -> tuple[Question, Mapping[str, Any]]:
        """Return the same of forward mode; a complex number is there a pair of real ones."""
        paired = [np.iscomplexobj(leaf) for leaf in arrays_in(dict(self.inputs))]

        def joined(tree: Any) -> Any:
            each = iter(paired)
            return map_leaves(lambda leaf: _joined(leaf) if next(each) else leaf, tree)

        def forward(**inputs: Any) -> Any:
            return map_leaves(_parted, self.value(**joined(inputs)))

        def push(tangents: Any, **inputs: Any) -> Any:
            moved = tangents if isinstance(tangents, Mapping) else dict.fromkeys(inputs, tangents)
            return map_leaves(_parted, jvp(joined(inputs), joined(moved))[1])

        question = Question(forward, None, jvp=push, rtol=rtol, name=self.name)
        return question, {name: map_leaves(_parted, x) for name, x in self.inputs.items()}


def _close_by(leaf: Any) -> Any:
    return leaf * np.asarray(0.75, np.asarray(leaf).dtype) if is_floating(leaf) else leaf


def _parted(leaf: Any) -> Any:
    return np.stack([np.real(leaf), np.imag(leaf)], axis=-1) if np.iscomplexobj(leaf) else leaf


def _joined(leaf: Any) -> Any:
    return np.asarray(leaf[..., 0] + 1j * leaf[..., 1])


def arrays_in(tree: Any) -> list[Any]:
    """Return the arrays in a tree, and the numbers that are no integers."""
    if isinstance(tree, np.ndarray):
        return [tree]  # by far the most frequent
    leaves: Leaves = []
    flatten("", tree, leaves)
    return [leaf for _, leaf in leaves if is_numeric(leaf)]


def map_arrays(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return a tree with a function of each of the `arrays_in` it in its place; an empty dict stays."""
    return map_leaves(lambda leaf: function(leaf) if is_numeric(leaf) else leaf, tree)


def products(tree: Any, other: Any) -> Array | None:
    """Return the terms of the real inner product of two trees; ``None`` where they differ in form.

    >>> products({"z": np.array([1 + 2j])}, {"z": np.array([3 - 1j])})
    array([5.])
    """
    ours, theirs = arrays_in(tree), arrays_in(other)
    pairs = list(zip(ours, theirs, strict=False))
    if len(ours) != len(theirs) or any(
        (not hasattr(a, "dtype") and not isinstance(a, float | complex)) or np.shape(a) != np.shape(b)
        for a, b in pairs
    ):
        return None
    with np.errstate(all="ignore"):
        wide = [(np.asarray(a, np.complex128), np.asarray(b, np.complex128)) for a, b in pairs]
        return np.concatenate([np.real(a * b).ravel() for a, b in wide] or [np.empty(0)])
