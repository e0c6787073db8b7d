"""The upstream gradient of a function of PyTorch: what was given, matched to its outputs, or drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from gradlab._framework import random_like
from gradlab.errors import UsageError, is_deliberate
from gradlab.point.trees import Leaves, flatten
from gradlab.torch.arrays import array_of, is_floating, not_a_leaf, tensor_like
from gradlab.torch.derivatives import Point
from gradlab.words import counted

__tracebackhide__ = is_deliberate


def given_upstream(point: Point, grad_outputs: Any) -> list[Tensor]:
    """Return the upstream gradients of the outputs that are compared.

    There is one for each output, as `torch.autograd.backward` takes them, or one for each that is compared.

    Raises
    ------
    UsageError
        When there are others, or one is missing.
    """
    leaves: Leaves = []
    flatten("grad_outputs", grad_outputs, leaves)
    given = [leaf for _, leaf in leaves if leaf is None or is_floating(leaf)]
    if len(given) not in (point.outputs, len(point.kept)):  # beside outputs of integers there may be None
        given = [leaf for leaf in given if leaf is not None]
    if len(given) == point.outputs:
        given = [given[k] for k in point.kept]
    if len(given) != len(point.kept) or any(tensor is None for tensor in given):
        expected = f"{point.outputs}, one for each output"
        if len(point.kept) < point.outputs:
            expected += f", or {len(point.kept)}, one for each that requires a gradient"
        count = counted(sum(tensor is not None for tensor in given), "upstream gradient")
        raise UsageError(f"grad_outputs has {count} for the outputs that are compared; expected {expected}")
    return given


def drawn_upstream(point: Point, number: int) -> list[Tensor]:
    """Return a random upstream gradient of the outputs that are compared."""
    outputs = point.run([not_a_leaf(x.clone().requires_grad_()) for x in point.variables.values()])
    rng = np.random.default_rng([number, 2])
    return [tensor_like(random_like(array_of(output), rng), output) for output in outputs]
