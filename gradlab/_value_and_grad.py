"""`check_value_and_grad`: a function that returns a loss and its gradients together.

The loss is the output and the gradients are the cache: for an upstream gradient ``dL``, backward is ``dL``
times them. So one call of the function serves both, and the check is that of any rule in the form
``out, cache``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gradlab._question import Question, answered, check_point, seed_of
from gradlab._snippet import call_snippet
from gradlab.errors import UsageError, is_deliberate
from gradlab.point.arguments import called_with, names_of
from gradlab.point.calls import signature_of
from gradlab.point.options import title_of
from gradlab.point.parameters import Places, picked, plain, read_back, renamed
from gradlab.point.paths import NOTHING
from gradlab.point.resources import Resources
from gradlab.point.state import State
from gradlab.point.trees import items_of, map_leaves
from gradlab.point.values import describe, is_floating, private
from gradlab.report import Report

__tracebackhide__ = is_deliberate

WRITTEN = "grad"  # the last argument of a callback that writes its gradient there


def check_value_and_grad(
    function: Callable[..., Any],
    *inputs: Any,
    params: Any = None,
    wrt: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    probes: str | None = None,
    rng: int | np.random.Generator | None = None,
    max_calls: int | None = None,
    max_seconds: float | None = None,
    timeout: float | None = None,
    workers: int | Callable[..., Any] | Executor | None = None,
    name: str | None = None,
    raise_exception: bool = True,
) -> Report:
    """Check a function that returns a loss together with its gradients.

    Parameters
    ----------
    function : callable
        One of

        - ``function(*inputs) -> (loss, gradients)``, also ``(gradients, loss)`` or ``(loss, dx, dw, …)``:
          what `scipy.optimize.minimize` takes with ``jac=True``, and assignments of many courses ask for;
        - ``function(*inputs, grad) -> loss``, which writes the gradient of the first input into its last
          argument, called ``grad``, as for NLopt. It is called with an empty one where only the loss counts.
    *inputs : array or tree of arrays
        What it is given. Gradients are in the order of the inputs, or in a dict by their names, ``W`` or
        ``dW``. Where there is one for only the first or some of them, the others are constants; ``wrt=`` says
        which.
    params : tree of arrays, optional
        What the gradients belong to, where it is no argument but something that the function reads, such as
        ``model.params``. The arrays are moved in place. The inputs are then constants, unless ``wrt=`` names
        them.
    wrt, kwargs, rtol, atol, probes, rng, max_calls, max_seconds, timeout, workers, name, raise_exception
        As in `gradlab.gradcheck`.

    Returns
    -------
    Report

    Raises
    ------
    GradientError
        Unless the verdict is ``pass``.
    UsageError
        When the function returns no loss with gradients, or the question is malformed in another way.

    Notes
    -----
    What the function closes over, such as a model with its caches, counters and random generators, is left
    as it was. Between calls it is not put back: a gradient to which each call adds is one that is wrong.

    Examples
    --------
    >>> def least_squares(w, X, y):
    ...     e = X @ w - y
    ...     return 0.5 * e @ e, X.T @ e
    >>> X, y = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 1.0]]), np.array([1.0, -1.0, 2.0])
    >>> check_value_and_grad(least_squares, np.array([0.3, -0.2]), X, y, wrt="w")
    <Report least_squares: pass at 1 point>
    """
    __tracebackhide__ = True  # IPython looks for it here only
    resources = Resources(
        max_calls=max_calls, max_seconds=max_seconds, timeout=timeout, workers=workers, interruptible=True
    )
    if not callable(function):
        raise UsageError(f"check_value_and_grad was given {describe(function)}; expected a function")
    state = State(function, params)
    asked = _Together(function, len(inputs), params, state)
    point = inputs if params is None else (*inputs, plain(params))
    wanted: Any = wrt
    notes: list[str] = []
    try:
        if wrt is None and params is not None:
            wanted = "params"
        elif wrt is None and asked.writes:
            wanted = 0
        elif wrt is None and (max_calls is None or max_calls > 1):
            wanted, notes = asked.with_gradient(inputs, kwargs or {})
        question = Question(
            *asked.rule(name),
            cached=True,
            wrt=wanted,
            kwargs=kwargs,
            rtol=rtol,
            atol=atol,
            probes=probes,
            resources=replace(resources, max_calls=None if max_calls is None else max_calls - asked.calls),
            name=name,
        )
        made = asked.calls
        report, raised = check_point(question, point, grad_output=1.0, seed=seed_of(rng))
    finally:
        state.restore()
    if isinstance(raised, UsageError):  # of ours: the answer was not in one of the forms
        raise raised
    if asked.writes and any(finding.kind == "not-finite" for finding in report.findings):
        notes.append(f"{WRITTEN} holds nan when {report.name} is called; an entry not written to stays nan")
    report = replace(report, notes=(*report.notes, *notes), forward_calls=report.forward_calls + made)
    snippet = partial(
        call_snippet,
        "check_value_and_grad",
        function,
        function,
        inputs,
        params=params,
        wrt=wrt,
        kwargs=kwargs,
        rtol=rtol,
        atol=atol,
        probes=probes,
        max_calls=max_calls,
        name=name,
        rng=report.seed,
    )
    return answered(report, raised, snippet, raise_exception=raise_exception)


class _Together:
    """The function as forward and backward, and which gradient belongs to which input."""

    def __init__(self, function: Callable[..., Any], count: int, params: Any, state: State) -> None:
        self.function, self.params, self.calls = function, params, 0
        self.places = None if params is None else Places(params, state)
        self.inputs = names_of(function, count)
        self.writes = _takes_grad(function, count)

    def rule(self, name: str | None) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return the function that returns the loss, with the gradients as a cache, and backward."""
        title = title_of(self.function, name)
        names = self.inputs if self.params is None else (*self.inputs, "params")

        def forward(*arguments: Any, **kwargs: Any) -> Any:
            return self.call(arguments, kwargs)

        def backward(grad_output: Any, gradients: Any) -> Any:
            factor = float(grad_output)
            return map_leaves(lambda g: factor * g if is_floating(g) else g, gradients)

        return called_with(forward, names, title, self.function), backward

    def call(self, arguments: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
        """Call the function; return the loss and a copy of the gradients."""
        self.calls += 1
        if self.places is not None:
            self.places.write(arguments[-1])
        inputs = list(arguments[: len(self.inputs)])
        if self.writes:
            grad = np.full_like(inputs[0], np.nan)
            loss, gradients = self.function(*inputs, grad, **kwargs), (grad,)
        else:
            loss, gradients = _split(self.function(*inputs, **kwargs))
        if self.places is not None:
            read_back(arguments[-1], self.params)
        if not _is_loss(loss):
            raise UsageError(f"the loss is {describe(loss)}; expected a floating-point number")
        return np.asarray(loss).reshape(())[()], copy.deepcopy(self._named(gradients, arguments))

    def with_gradient(
        self, inputs: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[list[int] | None, list[str]]:
        """Return the inputs that have a gradient, where some have none, and what to say of these."""
        floating = [k for k, x in enumerate(inputs) if _holds_floats(x)]
        if len(floating) < 2:
            return None, []
        try:
            _, gradients = self.call(private(tuple(inputs)), kwargs)
        except Exception:  # the check itself says what is wrong
            return None, []
        owners = self._owners(gradients, inputs, floating)
        if not owners or set(owners) >= set(floating):
            return None, []
        others = [self.inputs[k] for k in floating if k not in owners]
        without = "has no gradient and was taken as a constant"
        if len(others) > 1:
            without = "have no gradient and were taken as constants"
        return owners, [f"{' and '.join(others)} {without}"]

    def _named(self, gradients: Any, arguments: Sequence[Any]) -> Any:
        """Return gradients in a dict under the names of the inputs, or of those in the one that is a dict."""
        if self.params is not None:
            return {"params": renamed(gradients, self.params)}
        if not isinstance(gradients, Mapping):
            return gradients
        named = {name: picked(gradients, name) for name in self.inputs}
        named = {name: gradient for name, gradient in named.items() if gradient is not NOTHING}
        dicts = [x for x in arguments if isinstance(x, Mapping)]
        if not named:
            return renamed(gradients, dicts[0]) if len(dicts) == 1 else gradients
        missing = [
            n for n, x in zip(self.inputs, arguments, strict=True) if n not in named and _holds_floats(x)
        ]
        return gradients if missing and len(named) < len(gradients) else named

    def _owners(self, gradients: Any, inputs: Sequence[Any], floating: Sequence[int]) -> list[int]:
        """Return to which inputs gradients belong that are fewer; empty where that is not certain."""
        if isinstance(gradients, Mapping):
            if set(gradients) <= set(self.inputs):
                return [k for k, name in enumerate(self.inputs) if name in gradients]
            return [k for k in floating if isinstance(inputs[k], Mapping) and set(inputs[k]) & set(gradients)]
        several = gradients if isinstance(gradients, tuple | list) else (gradients,)
        if len(several) >= len(floating):
            return []
        fitting = [[k for k in floating if np.shape(inputs[k]) == np.shape(g)] for g in several]
        return [found[0] for found in fitting] if all(len(found) == 1 for found in fitting) else []


def _split(returned: Any) -> tuple[Any, Any]:
    """Tell the loss from the gradients in what a function returned."""
    if isinstance(returned, tuple | list) and len(returned) >= 2:
        first, second = returned[0], returned[1]
        if _is_loss(first):
            return first, second if len(returned) == 2 else tuple(returned[1:])
        if len(returned) == 2 and _is_loss(second):
            return second, first
    raise UsageError(
        f"the function returned {describe(returned)}; expected (loss, gradients), or an argument named "
        f"{WRITTEN!r} into which it writes them"
    )


def _is_loss(value: Any) -> bool:
    return is_floating(value) and np.size(value) == 1


def _holds_floats(value: Any) -> bool:
    items = items_of(value)
    return is_floating(value) if items is None else any(map(_holds_floats, items.values()))


def _takes_grad(function: Callable[..., Any], count: int) -> bool:
    """Whether a function's last argument, behind the inputs, is the array that it writes its gradient to."""
    signature = signature_of(function)
    names = [] if signature is None else list(signature.parameters)
    return names[count : count + 1] == [WRITTEN]
