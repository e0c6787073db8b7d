"""What the drop-ins for frameworks share: a function, its derivative and the derivative of that, in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab._gradcheck import Question, answered, check_point
from gradlab._snippet import Snippet
from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics.dtypes import limits
from gradlab.point.trees import map_leaves
from gradlab.point.values import describe, is_floating
from gradlab.report import Finding, Report, Verdict

__tracebackhide__ = is_deliberate

REVERSE, FORWARD = "rev", "fwd"
NO_FORWARD_MODE = "forward mode is not supported yet"


Pull: TypeAlias = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True)
class Derivative:
    """A function of a framework and its vector-Jacobian product, as functions of named NumPy arrays.

    Attributes
    ----------
    name : str
        What reports call it.
    value : callable
        ``value(**inputs) -> array``, or a tuple of arrays.
    vjp : callable
        ``vjp(**inputs) -> (value, pull)``, where ``pull(grad_output)`` returns a dict of gradients by the
        names of the inputs, complex ones as JAX and autograd write them.
    inputs : mapping of str to array or tree of arrays
        The point.
    reference : tuple of two functions, optional
        ``(forward, backward)`` of the same inputs, whose derivative is trusted.
    """

    name: str
    value: Callable[..., Any]
    vjp: Callable[..., tuple[Any, Pull]]
    inputs: Mapping[str, Any]
    reference: tuple[Callable[..., Any], Callable[..., Any]] | None = None

    def rule(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return forward and backward, in the form ``out, cache``.

        The first call of forward is at the point. Its cache serves all calls of backward there, after another
        one was made close by, as in the next step of training: what a rule keeps elsewhere is then another's.
        Else the derivative is made when it is asked for: most calls of forward are for differences.
        """
        first = True

        def forward(**inputs: Any) -> tuple[Any, Callable[[], Pull]]:
            nonlocal first
            pull = self.vjp(**inputs)[1] if first else None
            if first:
                first = False
                with suppress(Exception), np.errstate(all="ignore"):  # which is no matter of the point's
                    self.vjp(**{name: map_leaves(_close_by, x) for name, x in inputs.items()})
            return self.value(**inputs), lambda: pull or self.vjp(**inputs)[1]

        return forward, lambda grad_output, cache: cache()(grad_output)

    def disagreement(self) -> list[Finding]:
        """Return a finding where the value that comes with the vector-Jacobian product is another one."""
        values, others = (
            y if isinstance(y, tuple) else (y,)
            for y in (self.value(**self.inputs), self.vjp(**self.inputs)[0])
        )
        for k, pair in enumerate(zip(values, others, strict=True)):
            difference = apart(*map(np.asarray, pair))
            if difference:
                which = f"output {k}" if len(values) > 1 else "the output"
                return [
                    Finding("contract", None, "wrong-value", f"{which} that comes with the vjp {difference}")
                ]
        return []


def _close_by(leaf: Any) -> Any:
    return leaf * np.asarray(0.75, np.asarray(leaf).dtype) if is_floating(leaf) else leaf


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
        What is to be said of the question.

    Returns
    -------
    Report
        Of the first that is not right; of the function itself where all are.
    """
    __tracebackhide__ = True
    reports: list[Report] = []
    for derivative in derivatives:
        question = Question(
            *derivative.rule(),
            cached=True,
            reference=derivative.reference,
            rtol=rtol,
            convention="jax",
            name=derivative.name,
        )
        report, raised = check_point(question, dict(derivative.inputs), seed=seed)
        if raised is not None:
            raise raised  # by the user's function, and no matter of its derivative
        findings = derivative.disagreement()
        if findings:
            reason = report.reason if report.failed else findings[0].message
            findings = [*findings, *report.findings]
            report = replace(report, verdict=Verdict.FAIL, findings=tuple(findings), reason=reason)
        reports.append(report)
        if not report.passed:
            break
    shown = reports[0] if reports[-1].passed else reports[-1]
    report = replace(
        shown,
        notes=tuple(dict.fromkeys([*shown.notes, *notes])),
        forward_calls=sum(report.forward_calls for report in reports),
        backward_calls=sum(report.backward_calls for report in reports),
        seconds=sum(report.seconds for report in reports),
    )
    return answered(report, None, partial(snippet, rng=seed), raise_exception=raise_exception)


def check_modes(modes: Any, order: Any) -> None:
    """Refuse modes and orders that are none, or that are not supported."""
    known = [modes] if isinstance(modes, str) else modes
    if not isinstance(known, Iterable) or not (chosen := list(known)) or set(chosen) - {REVERSE, FORWARD}:
        raise UsageError(f"modes is {describe(modes)}; expected ('rev',)")
    if FORWARD in chosen:
        raise UsageError(f"{NO_FORWARD_MODE}; expected modes=('rev',)")
    if isinstance(order, bool) or not isinstance(order, int | np.integer) or order < 1:
        raise UsageError(f"order is {describe(order)}; expected a positive integer")


def check_jvp(*args: Any, **options: Any) -> Report:
    """Refuse what `jax.test_util` and `autograd.test_util` offer by this name.

    Raises
    ------
    UsageError
        Always: forward mode is not supported yet.
    """
    raise UsageError(NO_FORWARD_MODE)


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
