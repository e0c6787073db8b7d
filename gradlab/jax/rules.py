"""`Rule.from_jax`: a function of JAX as a rule of NumPy arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from gradlab._derivative import FORWARD, REVERSE
from gradlab._framework import read_modes
from gradlab._snippet import Snippet, call_snippet
from gradlab.errors import UsageError, is_deliberate
from gradlab.jax.arrays import flat, is_inexact, plain
from gradlab.jax.derivatives import evaluated, is_same_in_float64, jvp, vjp
from gradlab.point.options import title_of
from gradlab.point.values import describe

if TYPE_CHECKING:
    from gradlab.rule import Rule

__tracebackhide__ = is_deliberate


def rule_from_jax(
    kind: Callable[..., Rule],
    f: Any,
    inputs: Any,
    *,
    name: str | None,
    modes: Sequence[str],
    reference: Any,
    known_failure: tuple[str, str] | None,
) -> Rule:
    """Return a rule of a function's arguments; see `gradlab.Rule.from_jax`."""
    if not callable(f):
        raise UsageError(f"f is {describe(f)}; expected a function")
    chosen = read_modes(modes, 1)
    rule = _Adapter(f)
    trusted = None if reference is None else _Adapter(reference)
    return kind(
        title_of(f, name),
        rule.forward,
        rule.backward if REVERSE in chosen else None,
        tuple(map(plain, inputs)) if isinstance(inputs, tuple | list) else inputs,
        cached=True,
        jvp=rule.jvp if FORWARD in chosen else None,
        reference=trusted
        and kind("reference", trusted.forward, trusted.backward, (), cached=True, convention="jax"),
        convention="jax",
        known_failure=known_failure,
    )


class _Adapter:
    """A function of pytrees that is called with NumPy arrays in them, with float64 where they are that."""

    def __init__(self, f: Any) -> None:
        self._f = f
        self._wide: bool | None = None  # known at the first point

        @functools.wraps(f, updated=())
        def forward(*args: Any) -> Any:
            return self._forward(args)

        forward.snippet = functools.partial(_snippet, f)  # type: ignore[attr-defined]
        self.forward = forward

    def _forward(self, args: tuple[Any, ...]) -> Any:
        with jax.enable_x64(True):
            function, arrays = flat(self._f, args)
        if self._wide is None:
            self._wide = is_same_in_float64(functools.partial(evaluated, function, True), arrays)
        return evaluated(function, self._wide, **arrays), (function, self._wide, arrays, args)

    def backward(self, grad_output: Any, cache: Any) -> Any:
        """Return a gradient for each argument, nested as that is, ``None`` for what is a constant."""
        function, wide, arrays, args = cache
        gradients = iter(vjp(function, wide, **arrays)[1](grad_output).values())
        return jax.tree.map(lambda leaf: next(gradients) if is_inexact(leaf) else None, args)

    def jvp(self, tangents: Any, cache: Any) -> Any:
        """Return the tangents of the outputs."""
        function, wide, arrays, _ = cache
        moved = jax.tree.leaves(tangents)  # there is none of a constant
        return jvp(function, FORWARD, wide, arrays, dict(zip(arrays, moved, strict=True)))[1]


def _snippet(f: Any, inputs: Sequence[Any], *, seed: int) -> Snippet:
    """Write the call of `gradlab.jax.check_grads` that checks one point."""
    comma = "," * (len(inputs) == 1)
    form = f"({{subject}}, ({{inputs}}{comma}), {{options}})"
    written = call_snippet("jax.check_grads", f, f, inputs, form=form, order=1, modes=(REVERSE,), rng=seed)
    if not any(
        np.asarray(leaf).dtype in (np.float64, np.complex128) for leaf in jax.tree.leaves(tuple(inputs))
    ):
        return written
    *imports, call = written.call.split("\n")
    wide = ["import jax", *imports, f"with jax.enable_x64(True): {call}"]
    return Snippet(written.example, "\n".join(wide))
