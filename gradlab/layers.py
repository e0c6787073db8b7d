"""`check_layer`: an object with ``forward(x)`` and ``backward(dy)`` that keeps its parameters in itself.

The layer becomes a rule, whose inputs are those of ``forward`` and the parameters, and is then checked as any
rule is. What makes it a layer is looked at first, in two steps of training: whether the gradients of a step
are those of that step alone.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlab._question import Question, answered, check_point, seed_of
from gradlab._snippet import call_snippet
from gradlab.checks.steps import CALLS, two_steps
from gradlab.errors import UsageError, is_deliberate
from gradlab.point.calls import signature_of
from gradlab.point.discovery import find_parameters
from gradlab.point.layer import Layer
from gradlab.point.resources import Resources
from gradlab.point.values import describe
from gradlab.report import Cause, Finding, Report, Verdict

if TYPE_CHECKING:
    from gradlab.rule import Rule

__tracebackhide__ = is_deliberate

DEFAULTS = {"params": "params", "grads": "grads", "forward": "forward", "backward": "backward"}


def check_layer(
    layer: Any,
    *inputs: Any,
    params: str | Sequence[str] = "params",
    grads: str | Sequence[str] | None = "grads",
    forward: str = "forward",
    backward: str = "backward",
    reset: str | Callable[[Any], Any] | None = None,
    seed: int | None = None,
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
    """Check a layer: the gradients of its inputs and of its parameters.

    Parameters
    ----------
    layer : object
        It has ``forward(*inputs)``, and ``backward(grad_output)``, which is called after it. After the check
        it is as it was.
    *inputs : array or tree of arrays
        What ``forward`` is given.
    params : str or sequence of str, default "params"
        The attribute or method that holds the parameters: an array, a dict or list of arrays, or objects with
        ``data`` and ``grad``. Several names or paths, as in ``("W", "layers[0].b")``, lead to one each; an
        empty tuple stands for no parameters. A layer without ``params`` has as parameters the arrays, lists
        of arrays and numbers whose gradient stands beside them, such as ``W`` and ``dW``, ``dLdW``, ``d_W``,
        ``grad_W`` or ``W_grad``: in its attributes, in its class, in its dicts, and in layers inside it.
    grads : str, sequence of str or None, default "grads"
        Where ``backward`` stores their gradients, likewise. Where nothing is there, they are looked for
        beside the parameters as above, then in what ``backward`` returns, which is the gradients of the
        inputs, followed by these. The same name as ``params`` stands for pairs of a parameter and its
        gradient.
    forward, backward : str
        The names of the two methods. A forward that returns nothing leaves its output in ``output``.
    reset : str or callable, optional
        A method of the layer, or a function of it, that is called before each forward, such as one that sets
        gradients to zero.
    seed : int, optional
        Seeds ``numpy.random`` and ``random`` before each forward, for dropout and noise. Generators that the
        layer itself holds need none: they are put back.
    wrt, kwargs, grad_output, rtol, atol, probes, rng, max_calls, name, raise_exception
        As in `gradlab.gradcheck`; ``kwargs`` are those of ``forward``.

    Returns
    -------
    Report
        The inputs come first, then the parameters, such as ``params['W1']`` or ``layers[0].W``.

    Raises
    ------
    GradientError
        Unless the verdict is ``pass``.
    UsageError
        When the layer lacks a method or an attribute, or no gradient of a parameter can be found.

    Notes
    -----
    Between calls, all that forward and backward change in the layer is put back: running means, counters,
    caches, random generators. Stored gradients start from zero.

    Examples
    --------
    >>> class Affine:
    ...     def __init__(self, W, b):
    ...         self.params = {"W": W, "b": b}
    ...         self.grads = {}
    ...
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x @ self.params["W"] + self.params["b"]
    ...
    ...     def backward(self, dout):
    ...         self.grads["W"] = self.x.T @ dout
    ...         self.grads["b"] = dout.mean(axis=0)
    ...         return dout @ self.params["W"].T
    >>> affine = Affine(np.array([[2.0, 1.0], [-1.5, 0.5]]), np.zeros(2))
    >>> report = check_layer(affine, np.array([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.5]]), raise_exception=False)
    >>> report.reason.partition(":")[0]
    "gradient of params['b'] is wrong at 2 of 2 entries; worst params['b'][0]"
    >>> report.causes[0].message
    "gradient of params['b'] is averaged where it has to be summed: multiply it by x.shape[0] = 3"
    """
    __tracebackhide__ = True  # IPython looks for it here only
    resources = Resources(max_calls=max_calls, interruptible=True)
    adapted = partial(
        Layer,
        layer,
        len(inputs),
        grads=grads,
        forward=forward,
        backward=backward,
        reset=reset,
        seed=seed,
    )
    keyword = dict(kwargs or {})
    rng_state = np.random.get_state(), random.getstate()  # noqa: NPY002 - the layer draws from there
    bare = adapted(params=())
    try:
        _check_call(layer, forward, inputs, keyword)
        found, notes = (
            (params, [])
            if params != "params"
            else find_parameters(bare, inputs, keyword, calls=max_calls or math.inf)
        )
        adapter = adapted(params=found)
        adapter.forward_calls = bare.forward_calls
        of_steps: list[str] = []
        findings: list[Finding] = []
        if max_calls is None or max_calls > 2 * CALLS:
            of_steps, findings = two_steps(adapter, inputs, keyword, resets=reset is not None)
        made = adapter.forward_calls
        question = Question(
            *adapter.rule(name or type(layer).__name__, point=True),
            wrt=wrt,
            kwargs=kwargs,
            rtol=rtol,
            atol=atol,
            probes=probes,
            resources=replace(resources, max_calls=None if max_calls is None else max_calls - made),
            name=name,
        )
        point = (*inputs, *adapter.values)
        report, raised = check_point(question, point, grad_output=grad_output, seed=seed_of(rng))
    finally:
        bare.restore()
        if seed is not None:
            np.random.set_state(rng_state[0])  # noqa: NPY002 - likewise
            random.setstate(rng_state[1])
    kinds = {finding.kind for finding in report.findings}
    if "not-deterministic" in kinds and seed is None:
        notes.append("where the layer draws from numpy.random, seed=0 makes it draw the same in each call")
    if not kinds & {"not-deterministic", "mutates-input"}:
        notes += of_steps  # what a step leaves in the layer is said by these findings already
    report = _with(report, adapter.forward_calls, notes, findings)
    changed: dict[str, Any] = {"params": params, "grads": grads, "forward": forward, "backward": backward}
    snippet = partial(
        call_snippet,
        "check_layer",
        layer,
        getattr(layer, forward),
        inputs,
        **{option: value for option, value in changed.items() if value != DEFAULTS[option]},
        reset=reset,
        seed=seed,
        wrt=wrt,
        kwargs=kwargs,
        grad_output=grad_output,
        rtol=rtol,
        atol=atol,
        probes=probes,
        max_calls=max_calls,
        name=name,
        rng=report.seed,
    )
    return answered(report, raised, snippet, raise_exception=raise_exception)


def _check_call(layer: Any, forward: str, inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse inputs that forward does not take, before blaming the layer for it."""
    signature = signature_of(getattr(layer, forward))
    if signature is None:
        return
    try:
        signature.bind(*inputs, **kwargs)
    except TypeError as error:
        given = ", ".join(map(describe, inputs)) or "no inputs"
        raise UsageError(f"{forward}{signature} cannot be called with {given}: {error}") from None


def _with(report: Report, calls: int, notes: Sequence[str], findings: Sequence[Finding]) -> Report:
    """Return a report with what the steps before the check have shown."""
    causes = tuple(Cause(f.kind, f.message, f.input) for f in findings if f.kind == "accumulated")
    more = replace(
        report,
        notes=(*report.notes, *notes),
        findings=(*report.findings, *findings),
        causes=(*report.causes, *causes),
        forward_calls=calls,
    )
    if not findings or report.failed:
        return more
    inputs = tuple(
        replace(result, verdict=Verdict.FAIL) if any(f.input == result.name for f in findings) else result
        for result in report.inputs
    )
    reason = findings[0].message
    return replace(more, verdict=Verdict.FAIL, reason=reason, inputs=inputs, points_passed=0, points_failed=1)


def rule_from_layer(
    kind: Callable[..., Rule],
    layer: Any,
    inputs: Any,
    *,
    name: str | None,
    params: str | Sequence[str],
    known_failure: tuple[str, str] | None,
    **settings: Any,
) -> Rule:
    """Return a rule of a layer's inputs and parameters; see `gradlab.Rule.from_layer`."""
    from gradlab.strategies.points import longer
    from gradlab.strategies.signature import read_signature

    made = layer() if isinstance(layer, type) or not hasattr(layer, settings["forward"]) else layer
    with contextlib.suppress(Exception):  # it may hold what cannot be copied, such as a module
        made = copy.deepcopy(made)
    example: Sequence[Any] = ()  # of a strategy there is none without running Hypothesis
    if isinstance(inputs, str):
        sides = [[int(n) if n.isdigit() else 2 for n in core] for core in read_signature(inputs)]
        example = [np.random.default_rng(0).uniform(1, 2, side) for side in sides]
    elif isinstance(inputs, tuple | list):
        example = inputs
    elif not hasattr(inputs, "map") and callable(inputs):
        example = inputs(np.random.default_rng(0))
    count = len(example) or _required_inputs(made, settings["forward"])
    bare = Layer(made, count, params=(), **settings)
    found, notes = (params, []) if params != "params" else find_parameters(bare, example, {})
    adapter = Layer(made, count, params=found, **settings)

    points = longer(inputs, adapter.values)
    title = name or type(made).__name__
    return kind(title, *adapter.rule(title), points, known_failure=known_failure, notes=tuple(notes))


def _required_inputs(layer: Any, forward: str) -> int:
    """Return how many inputs a layer's forward has to be given."""
    parameters = inspect.signature(getattr(layer, forward)).parameters.values()
    return sum(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)
