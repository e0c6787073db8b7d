"""Derivatives written for PyTorch, right ones and the wrong variants that people write.

::

    cube               y = x³           x̄ = 3 x² ȳ,  ẏ = 3 x² ẋ
    product            y = x w          x̄ = w ȳ,  w̄ = x ȳ
    sine and cosine    s = sin x, c = cos x    x̄ = cos x · s̄ − sin x · c̄
    lookup             y = w[k]         w̄[k] += ȳ
    square             y = z²           z̄ = conj(2 z) ȳ
    swish              y = x σ(x)       x̄ = (σ + x σ (1 − σ)) ȳ
    dropout            y = m x          x̄ = m ȳ
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd import Function


class Cube(Function):
    """``y = x³``, ``dx = 3 x² dy``, and in forward mode ``ẏ = 3 x² ẋ``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return ``x³``."""
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Return ``3 x² dy``."""
        (x,) = ctx.saved_tensors
        return 3 * x**2 * dy

    @staticmethod
    def jvp(ctx: Any, x_dot: Tensor) -> Tensor:
        """Return ``3 x² ẋ``."""
        (x,) = ctx.saved_tensors
        return 3 * x**2 * x_dot


class LinearCube(Cube):
    """The square is missing."""

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Return ``3 x dy``."""
        (x,) = ctx.saved_tensors
        return 3 * x * dy


class InPlaceCube(Cube):
    """Backward multiplies into its upstream gradient."""

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Return ``3 x² dy``, and leave it in ``dy``."""
        (x,) = ctx.saved_tensors
        return dy.mul_(3 * x**2)


class DirtyCube(Cube):
    """Forward changes its input and does not say so by `mark_dirty`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return ``x³``, and leave it in ``x``."""
        ctx.save_for_backward(x.clone())
        ctx.save_for_forward(x.clone())
        return x.pow_(3).clone()


class StaleCube(Cube):
    """Keeps its input in the class, where the next call overwrites it."""

    kept: ClassVar[Tensor]

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return ``x³``."""
        StaleCube.kept = x.detach()
        ctx.save_for_forward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Return ``3 x² dy``, for the ``x`` of the last call."""
        return 3 * StaleCube.kept**2 * dy


class StridedCube(Cube):
    """Backward reads its upstream gradient as if it were contiguous, as a kernel does by its pointer."""

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Return ``3 x² dy``, of what lies in memory behind the first entry of ``dy``."""
        (x,) = ctx.saved_tensors
        return 3 * x**2 * by_pointer(dy, x.shape)


class StridedInputCube(Cube):
    """Forward reads its input as if it were contiguous."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return ``x³``, of what lies in memory behind the first entry of ``x``."""
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        return by_pointer(x, x.shape) ** 3


class OffCube(Cube):
    """Forward mode is off by 0.1 %."""

    @staticmethod
    def jvp(ctx: Any, x_dot: Tensor) -> Tensor:
        """Return ``3.003 x² ẋ``."""
        (x,) = ctx.saved_tensors
        return 3.003 * x**2 * x_dot


class FrozenCube(Cube):
    """Backward computes with the number of its input, of which autograd sees no derivative."""

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Return ``3 x² dy``, with ``x`` a constant."""
        (x,) = ctx.saved_tensors
        return 3 * x.detach() ** 2 * dy


class CubeGradient(Function):
    """``dx = 3 x² dy`` as a function of its own: for ``g`` upstream, ``6 x dy g`` and ``3 x² g``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dy: Tensor) -> Tensor:
        """Return ``3 x² dy``."""
        ctx.save_for_backward(x, dy)
        return 3 * x**2 * dy

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``6 x dy g`` and ``3 x² g``."""
        x, dy = ctx.saved_tensors
        return 6 * x * dy * g, 3 * x**2 * g


class OffCubeGradient(CubeGradient):
    """The second derivative is off by 2e-6."""

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``6.00001 x dy g`` and ``3 x² g``."""
        x, dy = ctx.saved_tensors
        return 6.00001 * x * dy * g, 3 * x**2 * g


class TwiceCube(Cube):
    """Its gradient has a backward by hand, too."""

    gradient: ClassVar[type[CubeGradient]] = CubeGradient

    @classmethod
    def backward(cls, ctx: Any, dy: Tensor) -> Tensor:
        """Return ``3 x² dy``."""
        (x,) = ctx.saved_tensors
        gradient: Tensor = cls.gradient.apply(x, dy)
        return gradient


class OffTwiceCube(TwiceCube):
    """The backward of its gradient is off."""

    gradient = OffCubeGradient


class LoopCube(Cube):
    """Backward reads numbers one by one, which `torch.vmap` does not allow."""

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Return ``3 x² dy``, entry by entry."""
        (x,) = ctx.saved_tensors
        entries = [3 * a.item() ** 2 * b.item() for a, b in zip(x.flatten(), dy.flatten(), strict=True)]
        return torch.tensor(entries, dtype=x.dtype).reshape(x.shape)


def by_pointer(x: Tensor, shape: torch.Size) -> Tensor:
    """Return as many numbers as fit a shape, as they lie in memory; ones beyond its end."""
    flat = x.as_strided((x.untyped_storage().nbytes() // x.element_size(),), (1,), 0)[x.storage_offset() :]
    missing = max(shape.numel() - flat.numel(), 0)
    return torch.cat([flat, flat.new_ones(missing)])[: shape.numel()].reshape(shape)


class Product(Function):
    """``y = x w``, ``dx = w dy``, ``dw = x dy``, each where it is asked for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        """Return ``x w``."""
        ctx.save_for_backward(x, w)
        return x * w

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return ``w dy`` and ``x dy``."""
        x, w = ctx.saved_tensors
        return (
            w * dy if ctx.needs_input_grad[0] else None,
            x * dy if ctx.needs_input_grad[1] else None,
        )


class ReusingProduct(Product):
    """Reuses a buffer for the second gradient, which only the first one fills."""

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return ``w dy`` and ``x dy``, the second as it should be beside the first alone."""
        x, w = ctx.saved_tensors
        if ctx.needs_input_grad[0]:
            return w * dy, x * dy
        return None, dy.clone()


class SwappedProduct(Product):
    """Each gradient stands in the place of the other."""

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``x dy`` and ``w dy``."""
        x, w = ctx.saved_tensors
        return x * dy, w * dy


class SinCos(Function):
    """``sin x`` and ``cos x``; of what has no upstream gradient there is none."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both."""
        ctx.save_for_backward(x)
        ctx.set_materialize_grads(False)
        return torch.sin(x), torch.cos(x)

    @staticmethod
    def backward(ctx: Any, ds: Tensor | None, dc: Tensor | None) -> Tensor | None:
        """Return ``cos x · ds − sin x · dc``."""
        (x,) = ctx.saved_tensors
        terms = [] if ds is None else [torch.cos(x) * ds]
        terms += [] if dc is None else [-torch.sin(x) * dc]
        return sum(terms[1:], terms[0]) if terms else None


class BothOrNothing(SinCos):
    """One upstream gradient that is missing is taken for both."""

    @staticmethod
    def backward(ctx: Any, ds: Tensor | None, dc: Tensor | None) -> Tensor | None:
        """Return nothing unless both are there."""
        (x,) = ctx.saved_tensors
        return None if ds is None or dc is None else torch.cos(x) * ds - torch.sin(x) * dc


class NeverMissing(SinCos):
    """Computes with an upstream gradient that may be missing."""

    @staticmethod
    def backward(ctx: Any, ds: Tensor | None, dc: Tensor | None) -> Tensor | None:
        """Return ``cos x · ds − sin x · dc``."""
        (x,) = ctx.saved_tensors
        return torch.cos(x) * ds - torch.sin(x) * dc


class Lookup(Function):
    """``y = w[k]``; a row that is looked up twice has both gradients."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, k: Tensor) -> Tensor:
        """Return the rows."""
        ctx.save_for_backward(k)
        ctx.shape = w.shape
        return w[k]

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        """Return the rows of ``dy`` added up where they were taken from."""
        (k,) = ctx.saved_tensors
        return dy.new_zeros(ctx.shape).index_add_(0, k, dy), None


class LastRow(Lookup):
    """Of a row that is looked up twice, the last gradient is kept."""

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        """Return the rows of ``dy``, put where they were taken from."""
        (k,) = ctx.saved_tensors
        dw = dy.new_zeros(ctx.shape)
        dw[k] = dy
        return dw, None


class Square(Function):
    """``y = z²`` of complex numbers; torch's gradient is ``conj(2 z) dy``."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        """Return ``z²``."""
        ctx.save_for_backward(z)
        return z * z

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Return ``conj(2 z) dy``."""
        (z,) = ctx.saved_tensors
        return 2 * z.conj() * dy


class NotConjugated(Square):
    """The conjugate is missing, as it is right to be in JAX."""

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Return ``2 z dy``."""
        (z,) = ctx.saved_tensors
        return 2 * z * dy


class RealPart(Square):
    """The gradient of complex numbers as if they were real."""

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Return the real part of ``conj(2 z) dy``."""
        (z,) = ctx.saved_tensors
        return (2 * z.conj() * dy).real.to(z.dtype)


class Swish(Function):
    """``y = x σ(x)``, ``dx = (σ + x σ (1 − σ)) dy``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return ``x σ(x)``."""
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Return ``(σ + x σ (1 − σ)) dy``."""
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return (s + x * s * (1 - s)) * dy


class HalfSwish(Swish):
    """The gradient is computed in bfloat16."""

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Return ``(σ + x σ (1 − σ)) dy`` with eight bits."""
        (x,) = ctx.saved_tensors
        half = x.bfloat16()
        s = torch.sigmoid(half)
        return (s + half * s * (1 - s)).to(x.dtype) * dy


class Dropout(Function):
    """``y = m x`` for a mask that is drawn."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return ``m x``."""
        mask = 2.0 * (torch.rand(x.shape) < 0.5)
        ctx.save_for_backward(mask.to(x.dtype))
        return x * mask.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Return ``m dy``."""
        (mask,) = ctx.saved_tensors
        return mask * dy


class AnotherMask(Dropout):
    """The mask is drawn once more in backward."""

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Return ``m dy`` for another mask."""
        return 2.0 * (torch.rand(dy.shape) < 0.5) * dy


class Scale(torch.nn.Module):
    """``y = tanh(x) w``."""

    def __init__(self, *, frozen: bool = False) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([0.5, -1.2, 2.0], dtype=torch.float64))
        self.frozen = frozen

    def forward(self, x: Tensor) -> Tensor:
        """Return ``tanh(x) w``."""
        return torch.tanh(x) * (self.weight.data if self.frozen else self.weight)
