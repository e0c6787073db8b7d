"""The gradients of a function of PyTorch, as a function of its inputs and of the upstream gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gradlab._framework import new_name
from gradlab.checks.claims import claims_of, noise_floor
from gradlab.errors import is_deliberate
from gradlab.numerics import Array
from gradlab.point.problem import Problem
from gradlab.point.returned import read_gradients
from gradlab.torch.arrays import array_of, not_a_leaf
from gradlab.torch.derivatives import Graph, Point
from gradlab.torch.functions import looked_at

__tracebackhide__ = is_deliberate


def gradient_of(point: Point, upstream: Sequence[Tensor]) -> Point:
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


def noise_floor_of(point: Point, upstream: Sequence[Tensor], kept: Sequence[int]) -> Array | None:
    """Return below which size those gradients of a function that are kept may be nothing but rounding."""
    arrays = tuple(map(array_of, upstream))
    if not any(array.any() for array in arrays):
        return None  # they are all zero
    given = arrays if len(arrays) > 1 else arrays[0]
    problem = Problem(point.forward, point.backward, point.arrays, cached=True, grad_output=given)
    floors = noise_floor(claims_of(problem, read_gradients(problem, problem.call_backward())[0]))
    return np.concatenate([floors[k].ravel() for k in kept])
