"""What the drop-ins for frameworks share: derivatives checked in turn.

Of two modes, one is compared with differences, and then the others with that: ⟨u, J v⟩ = ⟨Jᵀu, v⟩ for any
upstream gradient ``u`` and tangents ``v``, up to rounding. Where they do not agree, differences say which of
them is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from numbers import Number
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab._derivative import BOTH, REVERSE, Derivative, arrays_in, map_arrays
from gradlab._options import whole_number
from gradlab._question import Question, answered, check_point
from gradlab._snippet import Snippet
from gradlab.checks.criteria import default_rtol
from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.numerics.dtypes import limits
from gradlab.numerics.scales import norm, scales
from gradlab.point.options import require
from gradlab.point.values import describe
from gradlab.report import Finding, Report, Verdict
from gradlab.words import told_apart

__tracebackhide__ = is_deliberate

DRAWS = 2  # of the dot-product test: what one pair of vectors cannot tell apart, the next one can
FEW = 8  # entries, up to which to probe each takes no more calls than some random directions in each input


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
        reports += _reports(derivative, seed=seed, rtol=rtol, is_first=not reports)
        if not reports[-1].passed:
            break
    shown = reports[0] if reports[-1].passed else reports[-1]
    report = summed(shown, reports, notes=notes)
    return answered(report, None, partial(snippet, rng=seed), raise_exception=raise_exception)


def _reports(derivative: Derivative, *, seed: int, rtol: float | None, is_first: bool) -> Iterator[Report]:
    """Yield what differences say of those modes that need them, up to the first that is not right.

    Of the function itself every entry is probed, unless it has very many. The derivatives of a derivative are
    probed along random directions, which take fewer calls, and by entries where those cannot tell.
    """
    rng = np.random.default_rng([seed, len(derivative.inputs)])
    value = derivative.value(**derivative.inputs)
    kinds = [np.asarray(leaf).dtype for tree in (value, dict(derivative.inputs)) for leaf in arrays_in(tree)]
    eps = max(float(limits(np.empty(0, kind).real.dtype).eps) for kind in kinds)
    size = sum(np.size(leaf) for leaf in arrays_in(dict(derivative.inputs)))
    draws = [
        (map_arrays(partial(random_like, rng=rng), value), _direction(derivative.inputs, rng))
        for _ in range(DRAWS if len(derivative.modes) > 1 or derivative.known is not None else 1)
    ]
    known = None if derivative.known is None else [derivative.known(*draw) for draw in draws]
    for mode in derivative.modes:
        claims = derivative.claims(mode, draws)
        if not claims:
            continue
        findings = _another_value(value, claims[0][0], mode)
        terms = [of_draw for _, of_draw in claims]
        same = partial(agree, rtol=float(rtol or default_rtol(eps)), eps=eps)
        if known is not None and not findings and all(map(same, known, terms)):
            continue
        question, inputs = derivative.question(mode, rtol=rtol)
        report = _answer(question, dict(inputs), seed=seed, by_entry=is_first or size <= FEW)
        if findings:
            reason = report.reason if report.failed else findings[0].message
            findings = [*findings, *report.findings]
            report = replace(report, verdict=Verdict.FAIL, findings=tuple(findings), reason=reason)
        yield report
        if not report.passed:
            return
        known = known or terms


def _answer(question: Question, inputs: Any, *, seed: int, by_entry: bool) -> Report:
    """Return the report of a point; of random directions, unless they cannot tell what entries may."""
    __tracebackhide__ = True
    if by_entry:
        return report_of(question, inputs, seed=seed)
    report = report_of(replace(question, probes="directions"), inputs, seed=seed)
    if not report.inconclusive:
        return report
    of_entries = report_of(question, inputs, seed=seed)
    return summed(of_entries, [report, of_entries], notes=())


def report_of(question: Question, inputs: Any, *, grad_output: Any = None, seed: int) -> Report:
    """Return the report of a point; what the user's function raises there passes through."""
    __tracebackhide__ = True
    report, raised = check_point(question, inputs, grad_output=grad_output, seed=seed)
    if raised is not None:
        raise raised  # it is no matter of the derivative
    return report


def summed(
    shown: Report, reports: Sequence[Report], *, notes: Sequence[str], calls: Mapping[str, int] | None = None
) -> Report:
    """Return one of several reports, with more notes, the time of all, and the calls of all and some more."""
    counts = ("forward_calls", "backward_calls", "jvp_calls")
    return replace(
        shown,
        notes=tuple(dict.fromkeys([*shown.notes, *notes])),
        seconds=sum(report.seconds for report in reports),
        **{kind: sum(getattr(r, kind) for r in reports) + (calls or {}).get(kind, 0) for kind in counts},
    )


def agree(terms: Array | None, other: Array | None, *, rtol: float, eps: float) -> bool:
    """Whether two sums of terms are equal, as far as one asks and sums can tell."""
    if terms is None or other is None:
        return False
    scale = max(norm(terms), norm(other))
    sums = eps * np.sqrt(max(terms.size, other.size)) * scale
    return bool(abs(terms.sum() - other.sum()) <= rtol * scale + sums)  # what is not finite, is not


def _direction(inputs: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Draw tangents that move every entry on its own scale; one that is not finite does not move."""

    def drawn(leaf: Any) -> Any:
        d = random_like(leaf, rng)
        moved = np.asarray(d * scales(np.abs(np.asarray(leaf))), d.dtype)
        return np.where(np.isfinite(leaf), moved, np.zeros_like(moved))

    return {name: map_arrays(drawn, x) for name, x in inputs.items()}


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
    if not (gap > np.sqrt(float(limits(value.dtype).eps)) * size).any():
        return ""
    k = np.unravel_index(int(np.argmax(np.nan_to_num(gap, nan=-1))), value.shape)
    given, expected = told_apart(other[k], value[k])
    return f"is {given} at {[*map(int, k)]}; expected {expected}, as of f"


def read_modes(modes: Any, order: Any, known: Sequence[str] = BOTH) -> tuple[str, ...]:
    """Return the modes that are asked for; refuse those, and orders, that are none."""
    chosen = [modes] if isinstance(modes, str) else modes
    if not isinstance(chosen, Iterable) or not (chosen := list(chosen)) or set(chosen) - set(known):
        raise UsageError(f"modes is {describe(modes)}; expected some of {', '.join(map(repr, known))}")
    require(whole_number(1), optional=False, order=order)
    return tuple(dict.fromkeys(chosen))


def ignored(reasons: Mapping[str, str], **options: Any) -> list[str]:
    """Return a note on each option that is given, and is accepted for those who know it only.

    >>> ignored({"eps": "steps are measured"}, eps=1e-6)
    ['eps is ignored: steps are measured']
    """
    given = [key for key, value in options.items() if not (value is None or _is_zero(value))]
    return [f"{key} is ignored: {reasons[key]}" for key in given]


def _is_zero(value: Any) -> bool:
    return isinstance(value, Number | np.bool_) and not value  # an array is given, whatever it holds


def new_name(name: str, taken: Iterable[str]) -> str:
    """Return a name for one more argument, which is none of those taken.

    >>> new_name("grad_output", ["x", "grad_output"])
    'grad_output_'
    """
    return new_name(f"{name}_", taken) if name in set(taken) else name


def with_tangents(inputs: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Return inputs, and behind them a random tangent of each, under a new name.

    >>> list(with_tangents({"x": np.ones(2), "dx": np.ones(2)}, np.random.default_rng()))
    ['x', 'dx', 'dx_', 'ddx']
    """
    named = dict(inputs)
    for name, x in inputs.items():
        named[new_name(f"d{name}", named)] = map_arrays(partial(random_like, rng=rng), x)
    return named


def random_like(array: Any, rng: np.random.Generator) -> Any:
    """Draw normal numbers in the shape and the dtype of an array or a number."""
    array = np.asarray(array)
    drawn = rng.standard_normal(array.shape)
    if array.dtype.kind == "c":
        drawn = drawn + 1j * rng.standard_normal(array.shape)
    return drawn.astype(array.dtype)
