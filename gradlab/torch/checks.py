"""The checks that `torch.autograd` has, by the same names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gradlab._framework import ignored
from gradlab._question import answered, seed_of
from gradlab.errors import is_deliberate
from gradlab.report import Report
from gradlab.torch.errors import TorchGradientError
from gradlab.torch.functions import point_of
from gradlab.torch.modes import check_modes
from gradlab.torch.second_order import gradient_of, noise_floor_of
from gradlab.torch.snippets import torch_snippet
from gradlab.torch.upstream import drawn_upstream, given_upstream

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
        The upstream gradient, one for each output, or for each that is compared; random by default.
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
        Unless the derivatives are right; it is a `torch.autograd.gradcheck.GradcheckError` too.
    UsageError
        When the question is malformed.

    Examples
    --------
    >>> import torch
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
    report = check_modes(
        replace(point, contiguous=not check_memory_layout),
        grad_outputs=grad_outputs,
        number=seed_of(rng),
        backward=check_backward_ad,
        forward=check_forward_ad,
        beside=_chosen(
            undefined=check_undefined_grad, partial=check_partial_grad, batched=check_batched_grad
        ),
        notes=ignored(IGNORED, eps=eps, nondet_tol=nondet_tol, masked=masked),
        reference=None if reference is None else point_of(reference, inputs, kwargs, seed=seed, name=None),
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
    return answered(report, None, snippet, raise_exception=raise_exception, error=TorchGradientError)


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
    >>> import torch
    >>> gradgradcheck(torch.sin, torch.tensor([0.5, 2.0], dtype=torch.float64))
    <Report gradient of sin: pass at 1 point>
    """
    __tracebackhide__ = True
    point = point_of(func, inputs, kwargs, seed=seed, name=name)
    number = seed_of(rng)
    given = grad_outputs is not None
    upstream = given_upstream(point, grad_outputs) if given else drawn_upstream(point, number)
    gradient = gradient_of(point, upstream)
    report = check_modes(
        replace(gradient, contiguous=not check_memory_layout),
        number=number,
        noise_floor=noise_floor_of(point, upstream, gradient.kept),
        backward=check_rev_over_rev,
        forward=check_fwd_over_rev,
        beside=_chosen(undefined=check_undefined_grad, batched=check_batched_grad),
        notes=ignored(IGNORED, eps=eps, nondet_tol=nondet_tol, masked=masked),
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
    return answered(report, None, snippet, raise_exception=raise_exception, error=TorchGradientError)


def _chosen(**wanted: bool) -> list[str]:
    return [name for name, is_wanted in wanted.items() if is_wanted]
