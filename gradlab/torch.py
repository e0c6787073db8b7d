"""The derivatives that one writes for PyTorch, checked: change one import.

=====================================================  ================================================
torch.autograd                                         gradlab.torch
=====================================================  ================================================
``gradcheck(func, inputs)``                            `gradcheck`, with the same arguments
``gradgradcheck(func, inputs, grad_outputs)``          `gradgradcheck`, with the same arguments
=====================================================  ================================================

``func`` is a function, a `torch.autograd.Function`, a `torch.nn.Module` (whose parameters are inputs, under
their own names) or an operator of `torch.library`. The numerical side works in float64, where ``func`` does;
the derivative is asked in the precision given, and on the device. Neither a step nor a tolerance is guessed.
Each returns a `Report`, which is true where the derivative is right, and raises `GradientError` where it is
not; what a function raises itself passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlab._framework import new_name, random_like
from gradlab._question import Question, answered, check_point, seed_of
from gradlab.checks.claims import claims_of, noise_floor
from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.point.functions import RuleRaised
from gradlab.point.problem import Problem
from gradlab.point.resources import Resources
from gradlab.point.returned import read_gradients
from gradlab.point.values import describe
from gradlab.report import Finding, Report, Verdict
from gradlab.rule import Rule

try:
    import torch
except ModuleNotFoundError:
    text = "gradlab.torch needs PyTorch: pip install 'gradlab-verify[torch]'"
    raise ModuleNotFoundError(text, name="torch") from None

from gradlab._torch.batches import in_batches
from gradlab._torch.beside import Beside
from gradlab._torch.functions import looked_at, point_of
from gradlab._torch.point import Graph, Point
from gradlab._torch.rules import rule_from_torch
from gradlab._torch.snippets import torch_snippet
from gradlab._torch.tensors import array_of, not_a_leaf, tensor_like, tensors_in

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["gradcheck", "gradgradcheck", "rule_from_torch"]
__tracebackhide__ = is_deliberate

IGNORED = {
    "eps": "steps are chosen by what func shows",
    "nondet_tol": "func has to give the same numbers twice, but for rounding",
    "masked": "gradients are compared dense",
}


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    kwargs: Mapping[str, Any] | None = None,
    grad_outputs: Any = None,
    reference: Callable[..., Any] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    check_backward_ad: bool = True,
    check_forward_ad: bool | None = None,
    check_batched_grad: bool = False,
    check_undefined_grad: bool = True,
    check_partial_grad: bool = True,
    check_memory_layout: bool = True,
    fast_mode: bool = False,
    max_calls: int | None = None,
    vectorized: bool | None = None,
    rng: int | np.random.Generator | None = None,
    seed: int | None = None,
    name: str | None = None,
    raise_exception: bool = True,
    eps: Any = None,
    nondet_tol: Any = None,
    check_grad_dtypes: bool = True,
    masked: Any = None,
) -> Report:
    """Check the derivatives of a function of tensors, as `torch.autograd.gradcheck` does.

    Parameters
    ----------
    func : callable
        ``func(*inputs, **kwargs)`` returns a tensor, or a tree of tensors; or a `torch.autograd.Function`.
        Outputs that require no gradient, such as those that `mark_non_differentiable` names, are not compared
        beside others that do; where none does, their derivative has to be zero.
    inputs : Tensor, or tuple of Tensors, trees of Tensors and constants
        The point. Differentiated are tensors that require a gradient; where none does, all floating-point and
        complex ones. The parameters of a module are differentiated too where they require a gradient.
    kwargs : mapping, optional
        Further arguments, likewise.
    grad_outputs : Tensor or tuple of Tensors, optional
        The upstream gradient of the outputs that are compared; random by default.
    reference : callable, optional
        A function of the same arguments, such as one that is not fused, of which torch's derivative in
        float64 is trusted; of a module, a module with the same parameters. Differences are then taken only
        where the gradients differ.
    rtol, atol : float, optional
        The relative and the absolute defect that you do not care about, as in `gradlab.gradcheck`.
    check_backward_ad : bool, default True
        Whether to check reverse mode.
    check_forward_ad : bool, optional
        Whether to check forward mode: against reverse mode by the dot-product test, which takes no
        differences, and where that fails by differences. By default where there is one.
    check_batched_grad : bool, default False
        Whether backward has to give the same under `torch.vmap`.
    check_undefined_grad : bool, default True
        Whether backward has to take an upstream gradient that is missing for zeros.
    check_partial_grad : bool, default True
        Whether a gradient has to be the same where no other is asked for (``ctx.needs_input_grad``).
    check_memory_layout : bool, default True
        Whether func has to give the same for tensors that are not contiguous.
    fast_mode : bool, default False
        Take differences along random directions only, not along every entry; large inputs are checked so
        anyway.
    max_calls : int, optional
        How often func may be called for differences at most; what takes none needs a few calls more.
    vectorized : bool, optional
        Whether differences are taken of many points in one call, by `torch.vmap`. By default where that gives
        what func gives, but for rounding; with ``True`` it is a `UsageError` where it does not.
    rng, name, raise_exception
        As in `gradlab.gradcheck`.
    seed : int, optional
        Seeds torch's generators before each call, for dropout and noise. They are put back afterwards.
    eps, nondet_tol, masked : optional
        Ignored with a note.
    check_grad_dtypes : bool
        Ignored: autograd converts gradients, and digits that this loses show in their numbers.

    Returns
    -------
    Report

    Raises
    ------
    GradientError
        Unless the derivatives are right.
    UsageError
        When the question is malformed.

    Examples
    --------
    >>> class Cube(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad_output):
    ...         (x,) = ctx.saved_tensors
    ...         return 3 * x * grad_output  # the square is missing
    >>> report = gradcheck(Cube, torch.tensor([0.5, 2.0, -1.5]), raise_exception=False)
    >>> report.inputs[0].wrong_entries
    ((0,), (1,), (2,))
    >>> gradcheck(torch.nn.Linear(3, 2), torch.ones(4, 3))
    <Report Linear: pass at 1 point>
    """
    __tracebackhide__ = True
    point = point_of(func, inputs, kwargs, seed=seed, name=name)
    report = _check(
        replace(point, contiguous=not check_memory_layout),
        grad_outputs=grad_outputs,
        number=seed_of(rng),
        backward=check_backward_ad,
        forward=check_forward_ad,
        beside=_names(undefined=check_undefined_grad, partial=check_partial_grad, batched=check_batched_grad),
        notes=_ignored(eps=eps, nondet_tol=nondet_tol, masked=masked),
        reference=None if reference is None else _reference(reference, inputs, kwargs, seed),
        rtol=rtol or None,  # users of torch write 0 for none
        atol=atol,
        probes="directions" if fast_mode else None,
        max_calls=max_calls,
        vectorized=vectorized,
    )
    snippet = partial(
        torch_snippet,
        "gradcheck",
        func,
        inputs,
        {
            "check_backward_ad": check_backward_ad,
            "check_undefined_grad": check_undefined_grad,
            "check_partial_grad": check_partial_grad,
            "check_memory_layout": check_memory_layout,
        },
        kwargs=kwargs,
        grad_outputs=grad_outputs,
        reference=reference,
        check_forward_ad=check_forward_ad,
        check_batched_grad=check_batched_grad,
        fast_mode=fast_mode,
        rtol=rtol,
        atol=atol,
        max_calls=max_calls,
        vectorized=vectorized,
        seed=seed,
        name=name,
        rng=report.seed,
    )
    return answered(report, None, snippet, raise_exception=raise_exception)


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    check_rev_over_rev: bool = True,
    check_fwd_over_rev: bool | None = None,
    check_batched_grad: bool = False,
    check_undefined_grad: bool = True,
    check_memory_layout: bool = True,
    fast_mode: bool = False,
    max_calls: int | None = None,
    vectorized: bool | None = None,
    rng: int | np.random.Generator | None = None,
    seed: int | None = None,
    name: str | None = None,
    raise_exception: bool = True,
    eps: Any = None,
    nondet_tol: Any = None,
    gen_non_contig_grad_outputs: bool = False,
    check_grad_dtypes: bool = True,
    masked: Any = None,
) -> Report:
    """Check the derivatives of the gradients, as `torch.autograd.gradgradcheck` does.

    The gradients are a function of the inputs and of the upstream gradient, and are checked as `gradcheck`
    checks any. Whether they are right themselves is not asked here.

    Parameters
    ----------
    func, inputs, kwargs
        As in `gradcheck`.
    grad_outputs : Tensor or tuple of Tensors, optional
        The upstream gradient at which the gradients are differentiated; random by default.
    check_rev_over_rev, check_fwd_over_rev : bool
        Whether to check reverse and forward mode of the gradients, as ``check_backward_ad`` and
        ``check_forward_ad``.
    gen_non_contig_grad_outputs : bool
        Ignored: memory layouts are checked anyway.
    rtol, atol, check_batched_grad, check_undefined_grad, check_memory_layout, fast_mode
        As in `gradcheck`.
    max_calls, vectorized, rng, seed, name, raise_exception
        As in `gradcheck`.
    eps, nondet_tol, check_grad_dtypes, masked
        As in `gradcheck`.

    Returns
    -------
    Report
        Of the inputs, and of ``grad_output``.

    Raises
    ------
    GradientError, UsageError
        As `gradcheck`.

    Examples
    --------
    >>> gradgradcheck(torch.sin, torch.tensor([0.5, 2.0], dtype=torch.float64))
    <Report gradient of sin: pass at 1 point>
    """
    __tracebackhide__ = True
    point = point_of(func, inputs, kwargs, seed=seed, name=name)
    number = seed_of(rng)
    upstream = _drawn_upstream(point, number) if grad_outputs is None else tensors_in(grad_outputs)
    gradient = _gradient(point, upstream)
    report = _check(
        replace(gradient, contiguous=not check_memory_layout),
        number=number,
        noise_floor=_noise_floor(point, upstream, gradient.kept),
        backward=check_rev_over_rev,
        forward=check_fwd_over_rev,
        beside=_names(undefined=check_undefined_grad, batched=check_batched_grad),
        notes=_ignored(eps=eps, nondet_tol=nondet_tol, masked=masked),
        rtol=rtol or None,
        atol=atol,
        probes="directions" if fast_mode else None,
        max_calls=max_calls,
        vectorized=vectorized,
    )
    snippet = partial(
        torch_snippet,
        "gradgradcheck",
        func,
        inputs,
        {
            "check_rev_over_rev": check_rev_over_rev,
            "check_undefined_grad": check_undefined_grad,
            "check_memory_layout": check_memory_layout,
        },
        kwargs=kwargs,
        grad_outputs=grad_outputs,
        check_fwd_over_rev=check_fwd_over_rev,
        check_batched_grad=check_batched_grad,
        fast_mode=fast_mode,
        rtol=rtol,
        atol=atol,
        max_calls=max_calls,
        vectorized=vectorized,
        seed=seed,
        name=name,
        rng=report.seed,
    )
    return answered(report, None, snippet, raise_exception=raise_exception)


def _check(
    point: Point,
    *,
    number: int,
    backward: bool,
    forward: bool | None,
    beside: Sequence[str],
    notes: Sequence[str],
    max_calls: int | None,
    vectorized: bool | None,
    grad_outputs: Any = None,
    **options: Any,
) -> Report:
    """Check a function: reverse mode by differences, then what is asked beside, then forward mode."""
    if not backward and not forward:
        raise UsageError("neither reverse nor forward mode is to be checked; expected one of them")
    resources = partial(_resources, max_calls=max_calls, vectorized=vectorized)
    if not backward:
        pairs = point.in_pairs()
        options.pop("reference", None)  # of backward
        question = Question(
            pairs.forward,
            None,
            jvp=pairs.jvp,
            cached=True,
            resources=resources(pairs),
            name=point.title,
            **options,
        )
        return _together(point, [_answer(question, pairs, None, number)], notes=notes)
    question = Question(
        point.forward, point.backward, cached=True, resources=resources(point), name=point.title, **options
    )
    upstream = None if grad_outputs is None else _upstream(point, grad_outputs)
    reports = [_answer(question, point, upstream, number)]
    findings: list[Finding] = []
    calls: dict[str, int] = {}
    if not reports[0].failed:
        again = Beside(point, number)
        findings = [finding for check in beside for finding in getattr(again, check)()]
        if forward is not False and not findings:
            of_pairs = {**options, "resources": resources(point.in_pairs())}
            reports += _forward_mode(point, again, required=bool(forward), number=number, **of_pairs)
        calls = again.calls
    return _together(point, reports, findings, notes=notes, calls=calls)


def _resources(point: Point, max_calls: int | None, vectorized: bool | None) -> Resources:
    if vectorized not in (None, True, False):
        raise UsageError(f"vectorized is {describe(vectorized)}; expected True, False or None")
    batched = None if vectorized is False else in_batches(point, required=bool(vectorized))
    return Resources(max_calls=max_calls, batched=batched)


def _answer(question: Question, point: Point, upstream: Any, number: int) -> Report:
    __tracebackhide__ = True
    report, raised = check_point(question, point.arrays, grad_output=upstream, seed=number)
    if raised is not None:
        raise raised  # by the user's function, as it would by itself
    return report


def _forward_mode(
    point: Point, again: Beside, *, required: bool, number: int, reference: Any = None, **options: Any
) -> list[Report]:
    """Check forward mode where there is one: by differences only what is no transpose of reverse mode."""
    try:
        disagreement = again.forward_mode(options["rtol"])
    except RuleRaised as error:
        original = error.__cause__
        assert original is not None
        if isinstance(original, NotImplementedError) and not required:
            return []
        raise original from None
    if disagreement is None:
        return []
    pairs = point.in_pairs()
    question = Question(
        pairs.forward, pairs.backward, jvp=pairs.jvp, cached=True, name=point.title, **options
    )
    return [_answer(question, pairs, None, number)]


def _together(
    point: Point,
    reports: Sequence[Report],
    findings: Sequence[Finding] = (),
    *,
    notes: Sequence[str],
    calls: Mapping[str, int] | None = None,
) -> Report:
    """Return the worst of several reports, with what was found beside, and all calls counted."""
    order = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL]
    worst = max(reports, key=lambda report: order.index(report.verdict))
    if findings:
        worst = replace(
            worst,
            verdict=Verdict.FAIL,
            reason=findings[0].message,
            findings=(*worst.findings, *findings),
            inputs=tuple(
                replace(result, verdict=Verdict.FAIL)
                if any(finding.input == result.name for finding in findings)
                else result
                for result in worst.inputs
            ),
            points_passed=0,
            points_failed=1,
        )
    hints = [*point.notes, *notes]
    if "not-deterministic" in worst.kinds and point.seed is None:
        hints.append("where func draws from torch's generators, seed=0 makes it draw the same in each call")
    counts = ("forward_calls", "backward_calls", "jvp_calls")
    return replace(
        worst,
        notes=tuple(dict.fromkeys([*worst.notes, *hints])),
        seconds=sum(report.seconds for report in reports),
        **{kind: (calls or {}).get(kind, 0) + sum(getattr(r, kind) for r in reports) for kind in counts},
    )


def _drawn_upstream(point: Point, number: int) -> list[Tensor]:
    outputs = point.run([not_a_leaf(x.clone().requires_grad_()) for x in point.variables.values()])
    rng = np.random.default_rng([number, 2])
    return [tensor_like(random_like(array_of(output), rng), output) for output in outputs]


def _gradient(point: Point, upstream: Sequence[Tensor]) -> Point:
    """Return the gradients of a function as a function of its inputs and of the upstream gradient."""
    count = len(point.variables)
    variables = dict(point.variables)
    for tensor in upstream:
        variables[new_name("grad_output", variables)] = tensor.detach()

    def call(tensors: list[Tensor], wide: bool) -> list[Tensor]:
        leaves = [not_a_leaf(tensor) for tensor in tensors[:count]]
        graph = Graph(tensors[:count], point.run(leaves))
        gradients = graph.vjp(tensors[count:], create_graph=True)
        return [torch.zeros_like(x) if g is None else g for g, x in zip(gradients, tensors, strict=False)]

    def call_batch(tensors: list[Tensor]) -> list[Tensor]:
        leaves = [tensor.requires_grad_() for tensor in tensors[:count]]
        graph = Graph(leaves, point.run_batch([not_a_leaf(leaf) for leaf in leaves]))
        gradients = graph.vjp(tensors[count:], retain_graph=False)  # one point has nothing to do with others
        return [torch.zeros_like(x) if g is None else g for g, x in zip(gradients, leaves, strict=True)]

    return looked_at(Point(f"gradient of {point.title}", variables, call, call_batch=call_batch))


def _noise_floor(point: Point, upstream: Sequence[Tensor], kept: Sequence[int]) -> Array:
    """Return below which size those gradients of a function that are kept may be nothing but rounding."""
    arrays = tuple(map(array_of, upstream))
    given = arrays if len(arrays) > 1 else arrays[0]
    problem = Problem(point.forward, point.backward, point.arrays, cached=True, grad_output=given)
    gradients, _ = read_gradients(problem, problem.call_backward())
    floors = noise_floor(claims_of(problem, gradients))
    return np.concatenate([floors[k].ravel() for k in kept])


def _reference(reference: Any, inputs: Any, kwargs: Any, seed: int | None) -> Rule:
    """Return another function of the same inputs, whose derivative by torch is trusted."""
    witness = point_of(reference, inputs, kwargs, seed=seed, name=None)
    return Rule("reference", witness.forward, witness.backward, (), cached=True)


def _upstream(point: Point, grad_outputs: Any) -> Any:
    arrays = tuple(array_of(tensor) for tensor in tensors_in(grad_outputs))
    return arrays if len(point.kept) > 1 else arrays[0]


def _ignored(**options: Any) -> list[str]:
    given = [key for key, value in options.items() if value not in (None, False, 0)]
    return [f"{key} is ignored: {IGNORED[key]}" for key in given]


def _names(**wanted: bool) -> list[str]:
    return [name for name, is_wanted in wanted.items() if is_wanted]
