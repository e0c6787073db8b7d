"""Gradient descent over the parameters of any rule.

::

    θ ← θ − η dL/dθ
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab.errors import UsageError
from gradlab.rule import Rule
from gradlab.rules._jacobians import Array


@dataclass(frozen=True)
class Step:
    """One step of gradient descent.

    Attributes
    ----------
    number : int
        From 1 up.
    loss : float
        ``L`` before the step, on the step's batch.
    gradients : dict of str to array
        ``dL/dθ`` at the same place.
    parameters : dict of str to array
        ``θ`` after the step.
    """

    number: int
    loss: float
    gradients: dict[str, Array]
    parameters: dict[str, Array]


def gradient_descent(
    rule: Rule,
    parameters: Mapping[str, Array],
    batches: Iterable[Mapping[str, Any]],
    *,
    learning_rate: float,
) -> Iterator[Step]:
    """Descend along the gradient that the rule's backward returns.

    Parameters
    ----------
    rule : Rule
        Its forward returns one number, the loss.
    parameters : mapping of str to array
        ``θ`` at the start, by the names of forward's arguments; not written to.
    batches : iterable of mapping
        The other arguments, one mapping for each step.
    learning_rate : float
        ``η``.

    Yields
    ------
    Step
        One for each batch.

    Raises
    ------
    UsageError
        When a parameter is not an argument of forward, or backward returns no gradient for it, or there is
        no backward.

    Examples
    --------
    >>> from itertools import repeat
    >>> from gradlab.rules import square_loss
    >>> target = {"y": np.array([3.0])}
    >>> start = {"o": np.array([0.0])}
    >>> [step.loss for step in gradient_descent(square_loss.SUM, start, repeat(target, 3), learning_rate=0.5)]
    [4.5, 1.125, 0.28125]
    """
    if rule.backward is None:
        raise UsageError(f"{rule.name} has no backward, which gradient descent needs")
    names = list(inspect.signature(rule.forward).parameters)
    unknown = [name for name in parameters if name not in names]
    if unknown:
        raise UsageError(
            f"{rule.name}: parameters names {', '.join(unknown)}; "
            f"the arguments of forward are {', '.join(names)}"
        )
    current = dict(parameters)
    for number, batch in enumerate(batches, start=1):
        arguments = [{**batch, **current}[name] for name in names]
        loss, returned = _value_and_gradients(rule, arguments)
        # Constants, such as labels, come last in the signature, and their gradients may be left out.
        gradients = {n: g for n, g in zip(names, returned, strict=False) if n in current and g is not None}
        missing = [name for name in current if name not in gradients]
        if missing:
            raise UsageError(f"{rule.name}: backward returns no gradient for {', '.join(missing)}")
        current = {name: value - learning_rate * gradients[name] for name, value in current.items()}
        yield Step(number, loss, gradients, current)


def _value_and_gradients(rule: Rule, arguments: list[Any]) -> tuple[float, tuple[Array, ...]]:
    assert rule.backward is not None
    if rule.cached:
        loss, cache = rule.forward(*arguments)
        returned = rule.backward(np.ones_like(loss), cache)
    else:
        loss = rule.forward(*arguments)
        returned = rule.backward(np.ones_like(loss), *arguments)
    return float(loss), tuple(returned) if isinstance(returned, tuple | list) else (returned,)
