"""What the catalogue is made of: a right rule, and the wrong variants of it that people write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

KINDS = {
    "arithmetic": "a sign, a factor or a term of the formula",
    "layout": "transposed, permuted or swapped",
    "reduction": "sums, means and broadcasting",
    "indexing": "duplicate indices and overlapping windows",
    "recurrence": "a time step or a path through time is lost",
    "kink": "at a kink, or 1e-7 beside one",
    "tie": "equal values of which one or all are the maximum",
    "zero": "a zero in a product, a quotient or a norm",
    "mask": "padding, masks and ignored labels",
    "scales": "entries 1e8 apart in one gradient",
    "outputs": "outputs 1e16 apart",
    "offset": "a sum of 1e8 plus the interesting part",
    "precision": "float32 behind float64 arrays, or digits lost in backward",
    "solver": "an iterative solver stopped at 1e-9, or the implicit function theorem",
    "domain": "a forward that raises just outside its domain",
    "constraint": "bounds, symmetric matrices, unit vectors, probabilities, logarithms of parameters",
    "overflow": "a formula that is right but overflows",
    "sparse": "one wrong entry in 1e6",
    "upstream": "the upstream gradient ignored, squared or taken by its absolute value",
    "tangents": "forward mode: the tangent ignored, squared or taken by its absolute value",
    "arguments": "a function that changes what it was given, or answers differently when called again",
    "shape": "a gradient of another shape than its input's",
    "complex": "conjugates, real and imaginary parts",
}
"""The categories of defects."""

CAUSES = {
    "sign": "the negative of the right gradient",
    "factor": "a constant times the right gradient",
    "averaged-instead-of-summed": "divided by the number of terms of a sum",
    "summed-instead-of-averaged": "the division of a mean left out",
    "other-convention": "every complex derivative in the place of its conjugate",
    "conjugated": "the conjugate of the right gradient, or of an input that it is computed from",
    "transposed": "the transpose of the right gradient, or of a matrix that it is computed from",
    "permuted": "the right entries in another order, where that is no transpose",
    "swapped-inputs": "the gradients of two inputs, one in the place of the other",
    "not-summed-over-broadcast": "the gradient of a broadcast operand, not summed",
    "ignores-upstream": "the gradient of the sum of all outputs, whatever is asked for",
    "nonlinear-in-upstream": "twice the upstream gradient does not give twice the gradient",
    "ignores-tangents": "forward mode: the sum of all columns of the Jacobian, whatever is asked for",
    "nonlinear-in-tangents": "forward mode: twice the tangent does not give twice the tangent of the output",
    "transposed-jacobian": "the transposed Jacobian: a jvp given for a backward rule, or the other way round",
    "missing-term": "off by a multiple of the upstream gradient, an input, the output, or a product of two",
    "zero-where-it-should-not-be": "right but for entries that are zero",
    "nonzero-where-it-should-be-zero": "right but for entries that should be zero",
    "last-write-wins": "of the contributions of equal indices only the last is kept",
    "wrong-on-special-values": "wrong, and not zero, exactly at ties, zeros, the first or last index",
    "other-variable": "the gradient for the logarithm or the exponential of the input",
    "triangle-only": "one triangle of the gradient of a symmetric matrix",
    "one-output-only": "the gradient of one of several outputs",
    "right-on-constraint": "right along symmetric directions, or others that keep the input what it is, only",
    "diagonal-only": "the Jacobian without its off-diagonal part",
    "precision": "right in exact arithmetic, but digits are lost",
    "accumulated": "added to the gradient of the call before",
}
"""The codes of causes, as in `gradlab.report.Cause`; of several that fit, the most specific is meant."""

BREAKS = {
    "gradient": "the numbers are wrong",
    "stale": "the numbers are those of the last point at which forward was called",
    "finite": "a number is not finite",
    "shape": "a gradient has another shape than its input",
    "count": "there is not one gradient per input",
    "arguments": "an argument is changed",
    "repeat": "a second call answers differently",
}
"""How a defect shows."""


@dataclass(frozen=True, eq=False)  # compared by identity: functions have no other
class Defect:
    """A wrong variant of a rule.

    Attributes
    ----------
    name : str
        What it is, in a few words.
    backward : callable
        The wrong backward rule, of the form of its case's.
    kind : str
        Its category, one of `KINDS`.
    remakes : str
        Which kind of public bug it makes again.
    cause : str or None
        The code, one of `CAUSES`, that an ideal report would name first; ``None`` where none fits.
    breaks : str
        How it shows, one of `BREAKS`.
    forward : callable or None
        The forward function where the defect lies there too, such as in what it keeps in the cache.
    """

    name: str
    backward: Callable[..., Any]
    _: KW_ONLY
    kind: str
    remakes: str
    cause: str | None = None
    breaks: str = "gradient"
    forward: Callable[..., Any] | None = None


@dataclass(frozen=True, eq=False)
class Case:
    """A right rule with its defects.

    Attributes
    ----------
    name : str
        What it is called.
    forward, backward : callable
        As in `gradlab.gradcheck`; the gradients of constants are left out. In forward mode, ``backward`` is
        the jvp, and so is that of every defect.
    point : callable
        ``point(rng) -> inputs``, a tuple: the same point for the right rule and for the wrong ones, drawn so
        that each defect shows.
    defects : tuple of Defect
        The wrong variants.
    cached : bool
        Whether the functions have the form ``out, cache``.
    forward_mode : bool
        Whether it is a rule for tangents.
    bounds, tangents : dict
        As in `gradlab.gradcheck`: how the inputs may move.

    Examples
    --------
    >>> import numpy as np
    >>> no_2 = Defect("no 2", lambda dy, x: dy * x, kind="arithmetic", remakes="the power rule's factor")
    >>> square = Case(
    ...     "square",
    ...     lambda x: x * x,
    ...     lambda dy, x: 2 * dy * x,
    ...     lambda rng: (rng.normal(size=3),),
    ...     defects=(no_2,),
    ... )
    >>> [defect.name for defect in square.defects]
    ['no 2']
    """

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    point: Callable[..., tuple[Any, ...]]
    _: KW_ONLY
    defects: tuple[Defect, ...]
    cached: bool = False
    forward_mode: bool = False
    bounds: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    tangents: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """What `gradlab.gradcheck` is told of this rule."""
        return {"cached": self.cached, "bounds": self.bounds or None, "tangents": self.tangents or None}

    @property
    def is_for_any_checker(self) -> bool:
        """Whether a checker of ``(forward, backward, inputs)`` is told all: others need to know more."""
        return not (self.bounds or self.tangents or self.forward_mode)

    def functions(self, defect: Defect | None = None) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return forward and backward: of a defect, or the right ones."""
        if defect is None:
            return self.forward, self.backward
        return defect.forward or self.forward, defect.backward

    def plain(self, defect: Defect | None = None) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return the same as ``forward(*inputs)`` and ``backward(grad_output, *inputs)``, without a cache."""
        forward, backward = self.functions(defect)
        if not self.cached:
            return forward, backward

        def plain_forward(*inputs: Any) -> Any:
            return forward(*inputs)[0]

        def plain_backward(grad_output: Any, *inputs: Any) -> Any:
            return backward(grad_output, forward(*inputs)[1])

        return plain_forward, plain_backward
