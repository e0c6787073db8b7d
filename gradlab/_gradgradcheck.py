"""`gradgradcheck`: the derivative of a backward rule, which is a function of the upstream gradient too."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gradlab._question import Question, answered, check_point, seed_of
from gradlab._snippet import gradcheck_snippet
from gradlab.checks.claims import claims_of, noise_floor
from gradlab.checks.maps import Answer
from gradlab.errors import UsageError, is_deliberate
from gradlab.point.calls import signature_of
from gradlab.point.matching import match
from gradlab.point.options import title_of
from gradlab.point.problem import Problem
from gradlab.point.raised import RuleRaised
from gradlab.point.resources import Resources
from gradlab.point.returned import read_gradients
from gradlab.point.trees import map_leaves
from gradlab.point.values import describe, is_floating
from gradlab.report import Report

__tracebackhide__ = is_deliberate

UPSTREAM = "grad_output"  # the name of the first argument of the gradients
NOTE = "what is called forward here is the backward rule, and what is called backward is double_backward"


def gradgradcheck(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Any,
    *,
    double_backward: Callable[..., Any],
    cached: bool = False,
    wrt: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    grad_output: Any = None,
    rtol: float | None = None,
    atol: float | None = None,
    probes: str | None = None,
    rng: int | np.random.Generator | None = None,
    max_calls: int | None = None,
    name: str | None = None,
    raise_exception: bool = True,
) -> Report:
    r"""Check the backward rule of a backward rule at one point.

    The gradients are a function of the upstream gradient and of the inputs, ``G(u, x) = J(x)ᵀ u``. Its own
    vector-Jacobian product, for an upstream gradient ``v`` of the gradients, is

    .. math:: \frac{\partial \langle v, G \rangle}{\partial u} = J v, \qquad
              \frac{\partial \langle v, G \rangle}{\partial x}
              = \frac{\partial}{\partial x} \langle u, J(x)\, v \rangle .

    Whether the backward rule is right is not asked here, but by `gradlab.gradcheck`.

    Parameters
    ----------
    forward, backward, inputs, cached, wrt, kwargs
        As in `gradlab.gradcheck`.
    double_backward : callable
        ``double_backward(grad_gradients, grad_output, *inputs, **kwargs)`` returns the gradients of
        ``(grad_output, *inputs)``, also with ``cached=True``; ``None`` stands for zeros, as in PyTorch.
        ``grad_gradients`` has one for every input, in the form of the gradients: ``None`` for a constant,
        zeros for an input that ``wrt`` leaves out, a bare array when there is one input.
    grad_output : array or tuple of arrays, optional
        The upstream gradient at which the gradients are differentiated; random by default.
    rtol, atol, probes, rng, max_calls, name, raise_exception
        As in `gradlab.gradcheck`.

    Returns
    -------
    Report
        Of the inputs ``grad_output`` and those of ``forward``.

    Raises
    ------
    GradientError
        Unless the verdict is ``pass``.
    UsageError
        When the question is malformed, or the backward rule gives no gradient to be differentiated.

    See Also
    --------
    torch.autograd.gradgradcheck : The same question, where the framework makes the second derivative.

    Examples
    --------
    >>> def backward(dy, x):
    ...     return 3 * x**2 * dy
    >>> def double_backward(ddx, dy, x):
    ...     return 3 * x**2 * ddx, 6 * x * dy * ddx
    >>> x = np.array([0.5, -1.0, 2.0])
    >>> gradgradcheck(lambda x: x**3, backward, x, double_backward=double_backward, name="cube")
    <Report gradient of cube: pass at 1 point>
    """
    __tracebackhide__ = True  # IPython looks for it here only
    if not callable(double_backward):
        raise UsageError(f"double_backward is {describe(double_backward)}; expected a function")
    title = title_of(forward, name)
    seed = seed_of(rng)
    problem, gradients = _first_order(forward, backward, inputs, cached, wrt, kwargs, grad_output, seed)
    floors = noise_floor(claims_of(problem, gradients))
    question = Question(
        _gradients(problem, forward, backward, cached),
        _their_backward(problem, double_backward),
        wrt=None if wrt is None else _names(problem),
        kwargs=kwargs,
        rtol=rtol,
        atol=atol,
        probes=probes,
        resources=Resources(max_calls=max_calls),
        name=f"gradient of {title}",
        noise_floor=np.concatenate([floors[i].ravel() for i in problem.wrt]),
    )
    report, raised = check_point(question, _with_upstream(problem, inputs), seed=seed)
    report = replace(report, notes=(*report.notes, *(() if report.passed else (NOTE,))))
    snippet = partial(
        gradcheck_snippet,
        forward,
        backward,
        inputs,
        call="gradgradcheck",
        kwargs=kwargs,
        grad_output=grad_output,
        seed=report.seed,
        double_backward=double_backward,
        cached=bool(cached),
        wrt=wrt,
        rtol=rtol,
        atol=atol,
        probes=probes,
        max_calls=max_calls,
        name=name,
    )
    return answered(report, raised, snippet, raise_exception=raise_exception)


def _first_order(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Any,
    cached: bool,
    wrt: Any,
    kwargs: Mapping[str, Any] | None,
    grad_output: Any,
    seed: int,
) -> tuple[Problem, Answer]:
    """Return the point of the backward rule, and all gradients that are asked for: it has to give them."""
    if not callable(backward):
        raise UsageError(f"backward is {describe(backward)}; expected a function")
    try:
        problem = Problem(
            forward,
            backward,
            inputs,
            cached=cached,
            wrt=wrt,
            kwargs=kwargs,
            grad_output=grad_output,
            seed=(seed, 2),  # not what the check itself draws
        )
        gradients, findings = read_gradients(problem, problem.call_backward())
    except RuleRaised as raised:
        raise UsageError(str(raised)) from raised.__cause__
    if findings:
        raise UsageError(f"{findings[0].message}; expected gradients to differentiate: see gradlab.gradcheck")
    return problem, gradients


def _gradients(
    problem: Problem, forward: Callable[..., Any], backward: Callable[..., Any], cached: bool
) -> Callable[..., Any]:
    """Return the backward rule as a function of the upstream gradient and the inputs, for a forward."""

    def gradients(grad_output: Any, *input: Any, **keyword: Any) -> Any:
        if cached:
            returned = backward(grad_output, forward(*input, **keyword)[1])
        else:
            returned = backward(grad_output, *input, **keyword)
        by_position = match(problem.arguments, returned).gradients
        found = tuple(by_position[i] for i in problem.wrt)
        return found if len(found) > 1 else found[0]

    signature = signature_of(forward)
    if signature is None:
        return gradients
    parameters = list(signature.parameters.values())
    positional = any(p.kind is p.POSITIONAL_ONLY for p in parameters)
    kind = inspect.Parameter.POSITIONAL_ONLY if positional else inspect.Parameter.POSITIONAL_OR_KEYWORD
    if UPSTREAM in signature.parameters:
        raise UsageError(
            f"forward has an argument {UPSTREAM}; expected another name, for that is the upstream's"
        )
    first = inspect.Parameter(UPSTREAM, kind)
    gradients.__signature__ = signature.replace(parameters=[first, *parameters])  # type: ignore[attr-defined]
    return gradients


def _their_backward(problem: Problem, double_backward: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``double_backward``, given what is upstream of the gradients in the gradients' own form."""
    arguments = problem.arguments
    names = (UPSTREAM, *arguments.tree.keys)

    def backward(grad_gradients: Any, *input: Any, **keyword: Any) -> Any:
        given = grad_gradients if len(problem.wrt) > 1 else (grad_gradients,)
        by_position: dict[int, Any] = {i: np.zeros_like(arguments.values[i]) for i in arguments.floating}
        by_position.update(zip(problem.wrt, given, strict=True))
        returned = double_backward(arguments.in_callers_form(by_position, bare=True), *input, **keyword)
        named = dict(zip(names, input, strict=True)) if input else {name: keyword[name] for name in names}
        if isinstance(returned, Mapping):
            return {name: _zeros_for(gradient, named.get(name)) for name, gradient in returned.items()}
        if isinstance(returned, tuple | list) and len(returned) == len(names):
            return tuple(map(_zeros_for, returned, named.values()))
        return returned

    return backward


def _zeros_for(gradient: Any, x: Any) -> Any:
    """Return the gradient of an input; where it is ``None``, zeros in the form of the input."""
    if gradient is not None:
        return gradient
    return map_leaves(lambda leaf: np.zeros_like(leaf) if is_floating(leaf) else None, x)


def _names(problem: Problem) -> list[str]:
    """Return what is differentiated of the gradients: the upstream gradient, and what ``wrt`` chose."""
    return [UPSTREAM, *(problem.names[i] for i in problem.wrt)]


def _with_upstream(problem: Problem, inputs: Any) -> Any:
    """Return the inputs with the upstream gradient before them."""
    upstream = problem.form.upstream(problem.grad_output)
    if isinstance(inputs, Mapping):
        return {UPSTREAM: upstream, **inputs}
    return (upstream, *inputs) if isinstance(inputs, tuple | list) else (upstream, inputs)
