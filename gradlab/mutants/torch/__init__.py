"""Planted defects of derivatives for PyTorch: `torch.autograd.Function` and modules.

Most are right at the numbers that a test looks at, and wrong in how they are asked: for one gradient of two,
with an upstream gradient that is missing or not contiguous, twice, in forward mode.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gradlab.mutants.planted import Planted
from gradlab.mutants.torch import functions
from gradlab.mutants.torch.functions import Cube, Dropout, Lookup, Product, Scale, SinCos, Square, Swish

__all__ = ["PLANTED"]


def normal(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return a tensor that requires a gradient: the same numbers each time, in memory of its own."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()


def of_cube(name: str, wrong: Any, *, right: Any = Cube, check: str = "gradcheck", **told: Any) -> Planted:
    """Return a defect of the cube; each has a point of its own, for some are written to."""
    return Planted(name, check, right=(right, (normal(3, 2),)), wrong=(wrong, (normal(3, 2),)), **told)


PLANTED: tuple[Planted, ...] = (
    of_cube(
        "square missing",
        functions.LinearCube,
        named="x[",
        remakes="the power rule with the old exponent",
    ),
    of_cube(
        "writes to dy",
        functions.InPlaceCube,
        named="backward writes to grad_output",
        remakes="a backward that saves memory by dy.mul_",
    ),
    of_cube(
        "not marked dirty",
        functions.DirtyCube,
        named="forward writes to x",
        remakes="an in-place forward without mark_dirty",
    ),
    of_cube(
        "kept in the class",
        functions.StaleCube,
        named="the cache of one call of forward is overwritten",
        remakes="tensors kept beside ctx, for the last call only",
    ),
    of_cube(
        "dy by its pointer",
        functions.StridedCube,
        named="memory layout",
        remakes="a kernel that takes dy for contiguous",
    ),
    of_cube(
        "x by its pointer",
        functions.StridedInputCube,
        named="memory layout",
        remakes="a kernel that takes x for contiguous",
    ),
    of_cube(
        "0.1 % off in forward mode",
        functions.OffCube,
        named="tangent of the output",
        remakes="a constant rounded in one of both modes",
        options={"check_forward_ad": True},
    ),
    of_cube(
        "entry by entry",
        functions.LoopCube,
        named="torch.vmap",
        remakes="a backward that leaves torch by item()",
        options={"check_batched_grad": True},
    ),
    of_cube(
        "x detached in backward",
        functions.FrozenCube,
        check="gradgradcheck",
        named="x[",
        remakes="a backward that autograd does not see",
    ),
    of_cube(
        "second derivative 2e-6 off",
        functions.OffTwiceCube,
        right=functions.TwiceCube,
        check="gradgradcheck",
        named="x[",
        remakes="a constant rounded in a double backward",
    ),
    Planted(
        "wrong where asked for alone",
        "gradcheck",
        right=(Product, (normal(3), normal(3))),
        wrong=(functions.ReusingProduct, (normal(3), normal(3))),
        named="where w alone requires one",
        remakes="needs_input_grad: a branch that no test enters",
    ),
    Planted(
        "gradients exchanged",
        "gradcheck",
        right=(Product, (normal(3), normal(3) + 1)),
        wrong=(functions.SwappedProduct, (normal(3), normal(3) + 1)),
        named="x[",
        remakes="the order of the gradients is not that of the inputs",
    ),
    Planted(
        "both upstream gradients or nothing",
        "gradcheck",
        right=(SinCos, (normal(3),)),
        wrong=(functions.BothOrNothing, (normal(3),)),
        named="where output 0 alone has an upstream gradient",
        remakes="set_materialize_grads(False), None for zero",
    ),
    Planted(
        "upstream gradient never missing",
        "gradcheck",
        right=(SinCos, (normal(3),)),
        wrong=(functions.NeverMissing, (normal(3),)),
        named="backward raises TypeError",
        remakes="set_materialize_grads(False), None multiplied",
    ),
    Planted(
        "last row wins",
        "gradcheck",
        right=(Lookup, (normal(4, 2), torch.tensor([1, 3, 1]))),
        wrong=(functions.LastRow, (normal(4, 2), torch.tensor([1, 3, 1]))),
        named="w[1",
        remakes="index_put_ without accumulate",
    ),
    Planted(
        "no conjugate",
        "gradcheck",
        right=(Square, (normal(3, dtype=torch.complex128),)),
        wrong=(functions.NotConjugated, (normal(3, dtype=torch.complex128),)),
        named="z[",
        remakes="the convention of JAX",
    ),
    Planted(
        "real part of a complex gradient",
        "gradcheck",
        right=(Square, (normal(3, dtype=torch.complex128),)),
        wrong=(functions.RealPart, (normal(3, dtype=torch.complex128),)),
        named="z[",
        remakes="a rule for real numbers",
    ),
    Planted(
        "float32 computed in bfloat16",
        "gradcheck",
        right=(Swish, (normal(3, dtype=torch.float32),)),
        wrong=(functions.HalfSwish, (normal(3, dtype=torch.float32),)),
        named="x[",
        remakes="a saved tensor cast to save memory",
    ),
    Planted(
        "another mask",
        "gradcheck",
        right=(Dropout, (normal(8),)),
        wrong=(functions.AnotherMask, (normal(8),)),
        named="not deterministic",
        remakes="a mask drawn again in backward",
        options={"seed": 0},
    ),
    Planted(
        "weight.data",
        "gradcheck",
        right=(Scale(), (normal(4, 3),)),
        wrong=(Scale(frozen=True), (normal(4, 3),)),
        named="weight[",
        remakes="a parameter used through .data",
    ),
)
