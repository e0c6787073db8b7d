"""What the drop-ins for frameworks share: a function, its derivative and the derivative of that, in turn.

Of two modes, one is compared with differences, and then the others with that: ⟨u, J v⟩ = ⟨Jᵀu, v⟩ for any
upstream gradient ``u`` and tangents ``v``, up to rounding. Where they do not agree, differences say which of
them is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab._gradcheck import Question, answered, check_point, default_rtol
from gradlab._snippet import Snippet
from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.numerics.dtypes import limits
from gradlab.numerics.scales import norm, scales
from gradlab.point.trees import Leaves, flatten, map_leaves
from gradlab.point.values import describe, is_floating, is_numeric, text_of
from gradlab.report import Finding, Report, Verdict

__tracebackhide__ = is_deliberate

REVERSE, FORWARD = "rev", "fwd"
BOTH = (FORWARD, REVERSE)
DRAWS = 2  # of the dot-product test: what one pair of vectors cannot tell apart, the next one can


Pull: TypeAlias = Callable[[Any], dict[str, Any]]
Push: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[Any, Any]]


@dataclass(frozen=True)
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
    """

    name: str
    value: Callable[..., Any]
    inputs: Mapping[str, Any]
    vjp: Callable[..., tuple[Any, Pull]] | None = None
    jvps: Mapping[str, Push] = field(default_factory=dict)
    known: Callable[[Any, Mapping[str, Any]], Array | None] | None = None
    reference: tuple[Callable[..., Any], Callable[..., Any]] | None = None

    @property
    def modes(self) -> tuple[str, ...]:
        """In which modes there is a derivative, reverse mode first."""
        return (*([REVERSE] if self.vjp is not None else []), *self.jvps)

    def possible(self, is_missing: Callable[[Exception], bool], notes: list[str]) -> Derivative:
        """Leave out forward mode where there is none, and note it; it is missed where it is all there is."""
        if self.vjp is None:
            return self
        still = {name: map_leaves(np.zeros_like, x) for name, x in self.inputs.items()}
        found = {}
        for mode, jvp in self.jvps.items():
            try:
                jvp(self.inputs, still)
            except Exception as error:
                if not is_missing(error):
                    raise
                why = text_of(error).partition("\n")[0].rstrip(".")
                if not any(why in note for note in notes):  # that of its derivatives lacks the same
                    notes.append(f"{self.name} has no forward mode, and none was checked: {why}")
            else:
                found[mode] = jvp
        return replace(self, jvps=found)

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

    def claim(self, mode: str, u: Any, v: Mapping[str, Any]) -> tuple[Any, Array | None]:
        """Return the value that comes with the derivative, and the terms of ⟨u, J v⟩ or ⟨Jᵀu, v⟩."""
        if mode == REVERSE:
            assert self.vjp is not None
            value, pull = self.vjp(**self.inputs)
            return value, products(pull(u), dict(v))
        value, tangents = self.jvps[mode](self.inputs, v)
        kinds = [[np.asarray(leaf).dtype for leaf in arrays_in(tree)] for tree in (value, tangents)]
        return value, products(tangents, u) if kinds[0] == kinds[1] else None

    def _rule(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return forward and backward, in the form ``out, cache``.

        The first call of forward is at the point. Its cache serves all calls of backward there, after another
        one was made close by, as in the next step of training: what a rule keeps elsewhere is then another's.
        Else the derivative is made when it is asked for: most calls of forward are for differences.
        """
        vjp, first = self.vjp, True
        assert vjp is not None

        def forward(**inputs: Any) -> tuple[Any, Callable[[], Pull]]:
            nonlocal first
            pull = vjp(**inputs)[1] if first else None
            if first:
                first = False
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
    leaves: Leaves = []
    flatten("", tree, leaves)
    return [leaf for _, leaf in leaves if is_numeric(leaf)]


def products(tree: Any, other: Any) -> Array | None:
    """Return the terms of the real inner product of two trees; ``None`` where they differ in form.

    >>> products({"z": np.array([1 + 2j])}, {"z": np.array([3 - 1j])})
    array([5.])
    """
    pairs = list(zip(arrays_in(tree), arrays_in(other), strict=False))
    if len(arrays_in(tree)) != len(arrays_in(other)) or any(
        (not hasattr(a, "dtype") and not isinstance(a, float | complex)) or np.shape(a) != np.shape(b)
        for a, b in pairs
    ):
        return None
    with np.errstate(all="ignore"):
        wide = [(np.asarray(a, np.complex128), np.asarray(b, np.complex128)) for a, b in pairs]
        return np.concatenate([np.real(a * b).ravel() for a, b in wide] or [np.empty(0)])


def agree(terms: Array | None, other: Array | None, *, rtol: float, eps: float) -> bool:
    """Whether two sums of terms are equal, as far as one asks and sums can tell."""
    if terms is None or other is None:
        return False
    scale = max(norm(terms), norm(other))
    sums = eps * np.sqrt(max(terms.size, other.size)) * scale
    return bool(abs(terms.sum() - other.sum()) <= rtol * scale + sums)  # what is not finite, is not


def apart(value: npt.NDArray[Any], other: npt.NDArray[Any]) -> str:
    """Say how an array differs from what it should be, by more than rounding explains; nothing otherwise."""
    if value.shape != other.shape:
        return f"has shape {other.shape}; expected {value.shape}, as of f"
    if not value.size:
        return ""
    wide = np.result_type(value, np.float64)
    with np.errstate(all="ignore"):
        gap = np.abs(value.astype(wide) - other.astype(wide))
        size = np.abs(value[np.isfinite(value)].astype(wide)).max(initial=0)
    k = np.unravel_index(int(np.argmax(np.nan_to_num(gap, nan=-1))), value.shape)
    if not gap[k] > np.sqrt(float(limits(value.dtype).eps)) * size:
        return ""
    return f"is {other[k]:.6g} at {[*map(int, k)]}; expected {value[k]:.6g}, as of f"


def check_in_turn(
    derivatives: Iterable[Derivative],
    snippet: Callable[..., Snippet],
    *,
    seed: int,
    rtol: float | None,
    notes: Sequence[str],
    raise_exception: bool,
) -> Report:
    """Check a function, then its derivatives, up to the first that is not right.

    Parameters
    ----------
    derivatives : iterable of Derivative
        Made when they are needed: the derivative of a wrong derivative is no question.
    snippet : callable
        ``snippet(rng=seed)`` writes the call that is being answered.
    seed, rtol, raise_exception
        As in `gradlab.gradcheck`.
    notes : sequence of str
        What is to be said of the question; it may grow while derivatives are made.

    Returns
    -------
    Report
        Of the first that is not right; of the function itself where all are.
    """
    __tracebackhide__ = True
    reports: list[Report] = []
    for derivative in derivatives:
        reports += _reports(derivative, seed=seed, rtol=rtol)
        if not reports[-1].passed:
            break
    shown = reports[0] if reports[-1].passed else reports[-1]
    report = replace(
        shown,
        notes=tuple(dict.fromkeys([*shown.notes, *notes])),
        forward_calls=sum(report.forward_calls for report in reports),
        backward_calls=sum(report.backward_calls for report in reports),
        jvp_calls=sum(report.jvp_calls for report in reports),
        seconds=sum(report.seconds for report in reports),
    )
    return answered(report, None, partial(snippet, rng=seed), raise_exception=raise_exception)


def _reports(derivative: Derivative, *, seed: int, rtol: float | None) -> Iterator[Report]:
    """Yield what differences say of those modes that need them, up to the first that is not right."""
    rng = np.random.default_rng([seed, len(derivative.inputs)])
    value = derivative.value(**derivative.inputs)
    kinds = [np.asarray(leaf).dtype for tree in (value, dict(derivative.inputs)) for leaf in arrays_in(tree)]
    eps = max(float(limits(np.empty(0, kind).real.dtype).eps) for kind in kinds)
    draws = [
        (map_leaves(partial(random_like, rng=rng), value), _direction(derivative.inputs, rng))
        for _ in range(DRAWS if len(derivative.modes) > 1 or derivative.known is not None else 1)
    ]
    known = None if derivative.known is None else [derivative.known(*draw) for draw in draws]
    for mode in derivative.modes:
        claims = [derivative.claim(mode, *draw) for draw in draws]
        findings = _another_value(value, claims[0][0], mode)
        terms = [of_draw for _, of_draw in claims]
        same = partial(agree, rtol=rtol or default_rtol(eps), eps=eps)
        if known is not None and not findings and all(map(same, known, terms)):
            continue
        question, inputs = derivative.question(mode, rtol=rtol)
        report, raised = check_point(question, dict(inputs), seed=seed)
        if raised is not None:
            raise raised  # by the user's function, and no matter of its derivative
        if findings:
            reason = report.reason if report.failed else findings[0].message
            findings = [*findings, *report.findings]
            report = replace(report, verdict=Verdict.FAIL, findings=tuple(findings), reason=reason)
        yield report
        if not report.passed:
            return
        known = known or terms


def _direction(inputs: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Draw tangents that move every entry on its own scale; one that is not finite does not move."""

    def drawn(leaf: Any) -> Any:
        d = random_like(leaf, rng)
        moved = np.asarray(d * scales(np.abs(np.asarray(leaf))), d.dtype)
        return np.where(np.isfinite(leaf), moved, np.zeros_like(moved))

    return {name: map_leaves(drawn, x) for name, x in inputs.items()}


def _another_value(value: Any, other: Any, mode: str) -> list[Finding]:
    """Return a finding where the value that comes with the derivative is another one."""
    values, others = (y if isinstance(y, tuple) else (y,) for y in (value, other))
    for k, pair in enumerate(zip(values, others, strict=True)):
        difference = apart(*map(np.asarray, pair))
        if difference:
            which = f"output {k}" if len(values) > 1 else "the output"
            name = "vjp" if mode == REVERSE else "jvp"
            message = f"{which} that comes with the {name} {difference}"
            return [Finding("contract", None, "wrong-value", message)]
    return []


def read_modes(modes: Any, order: Any, known: Sequence[str] = BOTH) -> tuple[str, ...]:
    """Return the modes that are asked for; refuse those, and orders, that are none."""
    chosen = [modes] if isinstance(modes, str) else modes
    if not isinstance(chosen, Iterable) or not (chosen := list(chosen)) or set(chosen) - set(known):
        raise UsageError(f"modes is {describe(modes)}; expected some of {', '.join(map(repr, known))}")
    if isinstance(order, bool) or not isinstance(order, int | np.integer) or order < 1:
        raise UsageError(f"order is {describe(order)}; expected a positive integer")
    return tuple(dict.fromkeys(chosen))


def new_name(name: str, taken: Iterable[str]) -> str:
    """Return a name for one more argument, which is none of those taken.

    >>> new_name("grad_output", ["x", "grad_output"])
    'grad_output_'
    """
    return new_name(f"{name}_", taken) if name in set(taken) else name


def random_like(array: Any, rng: np.random.Generator) -> Any:
    """Draw normal numbers in the shape and the dtype of an array or a number."""
    array = np.asarray(array)
    drawn = rng.standard_normal(array.shape)
    if array.dtype.kind == "c":
        drawn = drawn + 1j * rng.standard_normal(array.shape)
    return drawn.astype(array.dtype)
