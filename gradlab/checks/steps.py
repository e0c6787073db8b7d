"""Two steps of a layer in a row: whether what the second step returns belongs to the second step alone.

A training loop calls forward and backward of one object again and again. With ``g(x)`` the gradients of a
layer as it was given, the layer not put back between two steps, and 1 put into all stored gradients,

::

    forward(x0), backward: g(x0)        1        forward(x1), backward: g

``g = g(x1)`` is right. ``g = g(x1) + 1`` is accumulated where it is stored, so that the loop has to set it to
zero. With ``g = g(x1) + g(x0)`` it is accumulated where no loop can, and anything else is stale.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradlab.errors import UsageError
from gradlab.numerics import Array
from gradlab.point.arguments import Arguments
from gradlab.point.layer import Layer, ones_like
from gradlab.point.matching import match
from gradlab.point.parameters import gradient_names
from gradlab.point.values import describe, is_floating, private
from gradlab.report import Finding
from gradlab.words import told_apart

CALLS = 3  # of forward
ELSEWHERE = 0.75  # times the inputs of the first step: the second, inside the same domain
STORED = 1.0  # in every entry of the stored gradients, before the second step
SAME = 1e3  # roundings of the largest entry


def two_steps(
    layer: Layer, inputs: Sequence[Any], kwargs: Mapping[str, Any], *, resets: bool
) -> tuple[list[str], list[Finding]]:
    """Take two steps, the second also on the layer as it was, and compare them.

    Parameters
    ----------
    layer : Layer
        The layer.
    inputs, kwargs
        What its forward is given; copies are passed on.
    resets : bool
        Whether gradients are reset before each step, so that none may be accumulated.

    Returns
    -------
    notes : list of str
        Which stored gradients are accumulated, where nothing resets them: no defect, but worth knowing.
    findings : list of Finding
        Of kind ``accumulated``, and ``cache-overwritten`` for a gradient of the wrong step.

    Raises
    ------
    UsageError
        When there are parameters, and no gradient of any is to be found.
    """
    first_inputs, moved = private(tuple(inputs)), tuple(map(_moved, inputs))
    without: list[str] = []

    def twice(output: Any) -> Any:
        first = copy.deepcopy(layer.from_zero(ones_like(output)))
        without.extend(layer.without_gradient())
        layer.restore_generators()
        layer.fill(STORED)
        output = copy.deepcopy(layer.call(private(moved), kwargs))
        return first, output, layer.gradients(ones_like(output))

    def once(output: Any) -> Any:
        return copy.deepcopy(output), layer.from_zero(ones_like(output))

    values = private(layer.values)
    try:
        with np.errstate(all="ignore"):
            first, output, second = layer.step((*first_inputs, *values), kwargs, twice)
            alone, fresh = layer.step((*private(moved), *values), kwargs, once)
    except Exception:  # the check itself says what is wrong
        return [], []
    arguments = Arguments(layer.rule("forward")[0], (*inputs, *values), wrt=None, kwargs=kwargs)
    answers = [_numbers(arguments, answer) for answer in (first, second, fresh)]
    own = layer.names[layer.count :]
    if without and len(without) == len(own) and not any(_belongs(n, own) for n in answers[0]):
        raise UsageError(
            f"no gradient of {', '.join(without)} was found: after backward, {describe(layer.layer)} has no "
            f"attribute {gradient_names(without[0].rpartition('.')[2])[0]} or the like; say where they are, "
            "as in grads='grads' or grads=('dW', 'db')"
        )
    if not _same(output, alone):
        return ["forward depends on the calls before it; the layer was put back before each"], []
    stored = [name for name in own if name not in without]
    return _compared(*answers, stored=stored, resets=resets)


def _compared(
    first: dict[str, Array],
    second: dict[str, Array],
    fresh: dict[str, Array],
    *,
    stored: Sequence[str],
    resets: bool,
) -> tuple[list[str], list[Finding]]:
    accumulated, findings = [], []
    for name in (name for name in first if name in second and name in fresh):
        a, b, c = first[name], second[name], fresh[name]
        if b.shape != c.shape or not b.size or _same(b, c):
            continue
        k = int(np.argmax(np.abs(b - c)))
        again, alone = told_apart(b.flat[k], c.flat[k])
        numbers = f"{again} in a second step, and {alone} on the layer as it was"
        if _belongs(name, stored) and _same(b, c + b.dtype.type(STORED)) and not resets:
            accumulated.append(name)
            continue
        if _belongs(name, stored) and _same(b, c + b.dtype.type(STORED)):
            what, kind = "is added to what is stored, though reset was called", "accumulated"
        elif a.shape == c.shape and _same(b, a + c):
            what, kind = "is added to that of the step before: start from zero in each", "accumulated"
        else:
            what, kind = "depends on what the step before has left in the layer", "cache-overwritten"
        findings.append(Finding("contract", name, kind, f"gradient of {name} {what}: {numbers}"))
    if not accumulated:
        return [], findings
    note = (
        f"backward adds to the stored gradients of {', '.join(accumulated)} (+=): they were zero before each "
        "call, and have to be before each step of training"
    )
    return [note], findings


def _numbers(arguments: Arguments, answer: Any) -> dict[str, Array]:
    """Return the gradients in an answer that are arrays of numbers, by the names of their inputs."""
    found = match(arguments, answer).gradients
    kinds = (np.ndarray, np.number, float)
    numeric = {i: np.asarray(g) for i, g in found.items() if isinstance(g, kinds)}
    return {arguments.names[i]: g for i, g in numeric.items() if g.dtype.kind == "f"}


def _belongs(name: str, roots: Sequence[str]) -> bool:
    return any(name == root or name.startswith((f"{root}[", f"{root}.")) for root in roots)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) or isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape:
        return False
    eps = max(float(np.finfo(x.dtype).eps) if x.dtype.kind == "f" else 0.0 for x in (one, other))
    size = max(float(np.abs(x).max(initial=0.0)) for x in (one, other))
    return bool(np.all((np.abs(one - other) <= SAME * eps * size) | (one == other)))


def _moved(value: Any) -> Any:
    return np.asarray(ELSEWHERE * value).astype(value.dtype) if _is_array(value) else value


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and is_floating(value)
