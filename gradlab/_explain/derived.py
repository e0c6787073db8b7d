"""The numbers of a derivation, as they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab._explain.derivation import prepare
from gradlab.checks.jacobian import contract, full_jacobian
from gradlab.numerics import Array
from gradlab.rule import Rule


@dataclass(frozen=True, eq=False)
class DerivedInput:
    """What the derivation says of one input.

    Attributes
    ----------
    name : str
        The input.
    labels : tuple of str
        Its entries, in order.
    jacobian : Array
        Shape ``(*Y.shape, *X.shape)``: a block for each entry, in the shape of ``Y``.
    contracted : Array
        In its shape: ``Σ dL/dY ∘ dY/dx``, of each block.
    returned : Array or None
        What backward returns; ``None`` where it returns nothing, or there is none.
    """

    name: str
    labels: tuple[str, ...]
    jacobian: Array
    contracted: Array
    returned: Array | None


@dataclass(frozen=True, eq=False)
class Derived:
    """A rule at one small point.

    Attributes
    ----------
    name : str
        The rule.
    point : object
        The inputs, as its functions take them.
    values : tuple of (str, object)
        The inputs, constants too.
    output, upstream : Array
        ``Y`` and ``dL/dY``.
    inputs : tuple of DerivedInput
        Those that are differentiated.
    """

    name: str
    point: Any
    values: tuple[tuple[str, Any], ...]
    output: Array
    upstream: Array
    inputs: tuple[DerivedInput, ...]


def derive(rule: Rule, inputs: Any, *, grad_output: Array | None = None, seed: int) -> Derived:
    """Differentiate a rule at one small point, entry by entry, and ask its backward.

    Raises
    ------
    UsageError
        When the point has too many entries to be read, or a function raises there.
    """
    problem, returned = prepare(rule, inputs, grad_output=grad_output, seed=seed)
    gradients = next((answer for linear, (answer, _) in returned if linear.role == "backward"), {})
    found = []
    for i in problem.wrt:
        jacobian, _ = full_jacobian(problem, i)
        shape = problem.value(i).shape
        found.append(
            DerivedInput(
                name=problem.names[i],
                labels=tuple(problem.arguments.label(i, index) for index in np.ndindex(shape)),
                # Central differences leave 1e-12 where there is nothing.
                jacobian=jacobian.round(9) + 0.0,
                contracted=contract(problem.grad_output, jacobian, shape),
                returned=gradients.get(i),
            )
        )
    return Derived(
        name=rule.name,
        point=inputs,
        values=tuple(zip(problem.names, problem.arguments.values, strict=True)),
        output=problem.output.reshape(problem.form.shape),
        upstream=problem.grad_output.reshape(problem.form.shape),
        inputs=tuple(found),
    )
