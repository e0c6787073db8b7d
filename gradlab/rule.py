"""What is under test: a forward function and the rule that claims to be its derivative."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from gradlab.errors import UsageError, is_deliberate
from gradlab.report import KINDS

__tracebackhide__ = is_deliberate

TORCH, JAX = "torch", "jax"
CONVENTIONS = (TORCH, JAX)  # of complex gradients, as `gradlab.point.pairs` explains


@dataclass(frozen=True, eq=False)  # compared by identity: the inputs may be arrays
class Rule:
    """A forward function and the backward rule that claims to be its gradient.

    Parameters
    ----------
    name : str
        What reports call it.
    forward : callable
        ``forward(*inputs) -> array``; with ``cached=True``, ``forward(*inputs) -> (array, cache)``.
    backward : callable or None
        ``backward(grad_output, *inputs) -> gradients``, one per input; with ``cached=True``,
        ``backward(grad_output, cache) -> gradients``. ``None`` where there is only ``jvp``.
    inputs : str, strategy, tuple or callable
        Where points come from: a gufunc signature such as ``"(n,d),(d,m)"``, a Hypothesis strategy of input
        tuples, one tuple of example inputs, or a function ``rng -> tuple of inputs`` (whose points cannot be
        shrunk).
    cached : bool, default False
        Whether the functions have the form of course notes, ``out, cache``.
    jvp : callable, optional
        Forward mode: ``jvp(tangents, *inputs) -> tangents of the output``, with one tangent for each input,
        ``None`` for a constant; with ``cached=True``, ``jvp(tangents, cache)``.
    jacobian : callable, optional
        The closed form of the full Jacobian, ``jacobian(*inputs) -> tuple``: for each differentiable
        input, in order, ``dY/dX`` as an array of shape ``(*Y.shape, *X.shape)``.
    reference : Rule or tuple of two functions, optional
        Another implementation that is trusted, as in `gradlab.gradcheck`.
    convention : {"torch", "jax"}, default "torch"
        In which complex gradients are written, as in `gradlab.gradcheck`.
    known_failure : (str, str), optional
        What is known to be wrong for now, as a kind of finding (or ``"inconclusive"``), and why:
        ``("wrong-gradient", "dw lacks the mask")``. `gradlab verify` lists the rule without failing; it
        fails when something else is wrong, and once the rule is right.
    notes : tuple of str, optional
        What every report of the rule says besides, such as what of a layer was taken for a constant.

    Raises
    ------
    UsageError
        When the name is not text, a function cannot be called, there is neither backward nor jvp, the
        convention is unknown, a known failure is of no known kind, or notes are no strings.

    Examples
    --------
    >>> import numpy as np
    >>> square = Rule("square", lambda x: x**2, lambda dy, x: 2 * x * dy, (np.array([1.0, 2.0]),))
    >>> square
    Rule('square')
    """

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any] | None
    inputs: Any
    _: KW_ONLY
    cached: bool = False
    jvp: Callable[..., Any] | None = None
    jacobian: Callable[..., Any] | None = None
    reference: Rule | tuple[Callable[..., Any], Callable[..., Any]] | None = None
    convention: str = TORCH
    known_failure: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise UsageError(f"a rule's name is {self.name!r}; expected a non-empty string")
        # A subclass, such as a StrEnum of the user's, is unknown to the process that reports.
        object.__setattr__(self, "name", str.__str__(self.name))
        for role in ("forward", "backward", "jvp", "jacobian"):
            function = getattr(self, role)
            needed = role == "forward" or (role == "backward" and self.jvp is None)
            if not callable(function) and (needed or function is not None):
                raise UsageError(f"rule {self.name!r}: {role} is {function!r}; expected a function")
        if self.convention not in CONVENTIONS:
            raise UsageError(
                f"rule {self.name!r}: convention is {self.convention!r}; expected 'torch' or 'jax'"
            )
        if not (isinstance(self.notes, tuple) and all(isinstance(note, str) for note in self.notes)):
            raise UsageError(f"rule {self.name!r}: notes is {self.notes!r}; expected a tuple of strings")
        if self.reference is not None:
            as_reference(self.reference, self.convention)
        if self.known_failure is not None:
            self._check_known_failure()
            kind, reason = self.known_failure
            object.__setattr__(self, "known_failure", (str.__str__(kind), str.__str__(reason)))

    def _check_known_failure(self) -> None:
        known = self.known_failure
        if not (
            isinstance(known, tuple) and len(known) == 2 and all(isinstance(x, str) and x for x in known)
        ):
            raise UsageError(
                f"rule {self.name!r}: known_failure is {known!r}; expected the kind of the finding and the "
                "reason, such as ('wrong-gradient', 'dw lacks the mask')"
            )
        if known[0] not in (*KINDS, "inconclusive"):
            close = difflib.get_close_matches(known[0], KINDS, n=1)
            raise UsageError(
                f"rule {self.name!r}: known_failure has the unknown kind {known[0]!r}"
                f"{f'; did you mean {close[0]!r}?' if close else '.'} The kinds are {', '.join(KINDS)} and "
                "inconclusive"
            )

    @classmethod
    def from_layer(
        cls,
        layer: Any,
        inputs: Any,
        *,
        name: str | None = None,
        params: str | Sequence[str] = "params",
        grads: str | Sequence[str] | None = "grads",
        forward: str = "forward",
        backward: str = "backward",
        reset: str | Callable[[Any], Any] | None = None,
        seed: int | None = None,
        known_failure: tuple[str, str] | None = None,
    ) -> Rule:
        """Return the rule of a layer, an object that keeps its parameters and gradients in itself.

        Parameters
        ----------
        layer : object or callable
            As in `gradlab.check_layer`, or a class or function that makes one. The rule has a copy of it,
            where it can be copied.
        inputs : str, strategy, tuple or callable
            Where the inputs of the layer's forward come from, as for any rule. The parameters are added to
            each point, as they are in the layer.
        name : str, optional
            What reports call it; by default the name of the layer's class.
        params, grads, forward, backward, reset, seed
            As in `gradlab.check_layer`.
        known_failure : (str, str), optional
            As for any rule.

        Raises
        ------
        UsageError
            When the layer lacks a method or an attribute, or no gradient of a parameter can be found.

        Examples
        --------
        >>> import gradlab, numpy as np
        >>> class Scale:
        ...     def __init__(self):
        ...         self.gamma, self.dgamma = np.array([1.0, 2.0]), None
        ...
        ...     def forward(self, x):
        ...         self.x = x
        ...         return x * self.gamma
        ...
        ...     def backward(self, dy):
        ...         self.dgamma = np.sum(dy * self.x, axis=0)
        ...         return dy * self.gamma
        >>> gradlab.verify(Rule.from_layer(Scale, "(n,2)"), max_examples=20)
        <Report Scale: pass at 20 points>
        """
        from gradlab.layers import rule_from_layer

        return rule_from_layer(
            cls,
            layer,
            inputs,
            name=name,
            params=params,
            grads=grads,
            forward=forward,
            backward=backward,
            reset=reset,
            seed=seed,
            known_failure=known_failure,
        )

    @classmethod
    def from_torch(
        cls,
        func: Callable[..., Any],
        inputs: Any,
        *,
        name: str | None = None,
        kwargs: Mapping[str, Any] | None = None,
        reference: Callable[..., Any] | None = None,
        seed: int | None = None,
        check_forward_ad: bool = False,
        known_failure: tuple[str, str] | None = None,
    ) -> Rule:
        """Return the rule of a function of PyTorch, as torch differentiates it.

        Parameters
        ----------
        func : callable
            As in `gradlab.torch.gradcheck`: a function, a `torch.autograd.Function`, a module or an operator.
        inputs : str, strategy, tuple or callable
            Where its inputs come from, as NumPy arrays, as for any rule; an example may be of tensors. What
            is floating-point is differentiated; constants that are, go to ``kwargs``. The parameters of a
            module are added to each point, as they are in it.
        name : str, optional
            What reports call it; by default the name of the function, or of the module's class.
        kwargs : mapping, optional
            Further arguments of the function.
        reference, seed
            As in `gradlab.torch.gradcheck`.
        check_forward_ad : bool, default False
            Whether to check forward mode too.
        known_failure : (str, str), optional
            As for any rule.

        Examples
        --------
        >>> import gradlab, torch  # doctest: +SKIP
        >>> rule = Rule.from_torch(torch.sin, "(n)")  # doctest: +SKIP
        >>> gradlab.verify(rule)  # doctest: +SKIP
        <Report sin: pass at 100 points>
        """
        from gradlab.torch.rules import rule_from_torch

        return rule_from_torch(
            cls,
            func,
            inputs,
            name=name,
            kwargs=kwargs,
            reference=reference,
            seed=seed,
            check_forward_ad=check_forward_ad,
            known_failure=known_failure,
        )

    @classmethod
    def from_jax(
        cls,
        f: Callable[..., Any],
        inputs: Any,
        *,
        name: str | None = None,
        modes: Sequence[str] = ("rev",),
        reference: Callable[..., Any] | None = None,
        known_failure: tuple[str, str] | None = None,
    ) -> Rule:
        """Return the rule of a function of JAX, as JAX differentiates it.

        Parameters
        ----------
        f : callable
            ``f(*args)`` returns a pytree, as in `gradlab.jax.check_grads`: such as a `jax.custom_vjp`.
        inputs : str, strategy, tuple or callable
            Where its arguments come from, as NumPy arrays and trees of them, as for any rule; an example may
            be of JAX's. They are given to ``f`` in their own precision, whether or not that is switched on.
        name : str, optional
            What reports call it; by default the name of the function.
        modes : sequence of str, default ("rev",)
            ``"rev"``, ``"fwd"`` or both.
        reference : callable, optional
            A function of the same arguments whose derivative by JAX is trusted; for reverse mode alone.
        known_failure : (str, str), optional
            As for any rule.

        Examples
        --------
        >>> import gradlab, jax.numpy as jnp  # doctest: +SKIP
        >>> gradlab.verify(Rule.from_jax(jnp.tanh, "(n)"), max_examples=20)  # doctest: +SKIP
        <Report tanh: pass at 20 points>
        """
        from gradlab.jax.rules import rule_from_jax

        return rule_from_jax(
            cls,
            f,
            inputs,
            name=name,
            modes=modes,
            reference=reference,
            known_failure=known_failure,
        )

    def __repr__(self) -> str:
        return f"Rule({self.name!r})"


def as_reference(given: Any, convention: str) -> Rule:
    """Return a reference as a rule: a pair of functions has the plain form, and the convention given."""
    if isinstance(given, Rule):
        if given.backward is None:
            raise UsageError(f"reference is {given!r}, which has no backward; expected a rule that has one")
        return given
    if isinstance(given, tuple | list) and len(given) == 2 and all(map(callable, given)):
        return Rule("reference", given[0], given[1], (), convention=convention)
    raise UsageError(
        f"reference is {given!r}; expected a pair of functions, forward(*inputs) and "
        "backward(grad_output, *inputs), or a Rule"
    )
