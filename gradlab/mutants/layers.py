"""Layers that keep parameters, gradients and a cache in themselves, in three styles of courses and books.

::

    highway     Y = T H + (1 − T) X            H = tanh(X W + b),  T = σ(X V + c)
                dA = dY T (1 − H²),  dB = dY (H − X) T (1 − T)
                dX = dY (1 − T) + dA Wᵀ + dB Vᵀ,  dW = Xᵀ dA,  dV = Xᵀ dB,  db = Σ_n dA[n],  dc = Σ_n dB[n]
    tied        Y = H Wᵀ + c                   H = tanh(X W + b), the same W twice
                dA = (dY W)(1 − H²),  dX = dA Wᵀ,  dW = Xᵀ dA + dYᵀ H
    factors     Y = X w + ½ Σ_k ((X V)² − X² V²)[:, k]
                dX = dY w + dY (X V) Vᵀ − dY X Σ_k V²,  dw = Xᵀ dY,  dV = Xᵀ (dY X V) − V Σ_n dY X²

The first keeps lists ``params`` and ``grads``, the second dicts, the third attributes, and returns all
gradients. The cases show them as functions; the classes themselves are for `gradlab.check_layer`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from gradlab.mutants._points import Array, normal
from gradlab.mutants.model import Case, Defect

D = 3  # as many units as inputs, so that transposes and exchanged weights go unseen
LAYERS: dict[str, Any] = {}
"""The classes of the defects, by their names."""


def sigmoid(a: Array) -> Array:
    """Return ``1 / (1 + exp(−a))``."""
    return np.asarray(1 / (1 + np.exp(-a)))


class Highway:
    """``params`` and ``grads`` are lists, the latter filled in place."""

    def __init__(self, w: Array, b: Array, v: Array, c: Array) -> None:
        self.params = [w, b, v, c]
        self.grads = [np.zeros_like(p) for p in self.params]
        self.cache: tuple[Array, ...] = ()

    def forward(self, x: Array) -> Array:
        """Return Y, of shape (N, D)."""
        w, b, v, c = self.params
        h, t = np.tanh(x @ w + b), sigmoid(x @ v + c)
        self.cache = x, h, t
        return np.asarray(t * h + (1 - t) * x)

    def backward(self, dy: Array) -> Array:
        """Return dX, store the others."""
        x, h, t = self.cache
        w, _, v, _ = self.params
        da, db = dy * t * (1 - h**2), dy * self.difference() * self.slope()
        self.store(x.T @ da, da.sum(axis=0), x.T @ db, db.sum(axis=0))
        return np.asarray(self.carried(dy) + da @ w.T + db @ v.T)

    def difference(self) -> Array:
        """Return what the gate decides between."""
        x, h, _ = self.cache
        return np.asarray(h - x)

    def slope(self) -> Array:
        """Return that of the gate."""
        t = self.cache[2]
        return np.asarray(t * (1 - t))

    def carried(self, dy: Array) -> Array:
        """Return the gradient along the direct path."""
        return np.asarray(dy * (1 - self.cache[2]))

    def store(self, *gradients: Array) -> None:
        """Keep the gradients of the parameters."""
        for kept, gradient in zip(self.grads, gradients, strict=True):
            kept[...] = gradient


class CarryLost(Highway):
    """The direct path gets no gradient."""

    def carried(self, dy: Array) -> Array:
        """Return nothing."""
        return np.zeros_like(dy)


class GateOfHidden(Highway):
    """The gate is taken to decide between H and nothing."""

    def difference(self) -> Array:
        """Return H."""
        return self.cache[1]


class SlopeOfTanh(Highway):
    """The gate's slope is that of the other nonlinearity."""

    def slope(self) -> Array:
        """Return 1 − T²."""
        return np.asarray(1 - self.cache[2] ** 2)


class WeightsExchanged(Highway):
    """The two weight gradients stand one in the place of the other."""

    def store(self, *gradients: Array) -> None:
        """Keep them in another order."""
        dw, db, dv, dc = gradients
        super().store(dv, db, dw, dc)


class BiasesAveraged(Highway):
    """The bias gradients are means over the batch."""

    def store(self, *gradients: Array) -> None:
        """Keep means of the biases' gradients."""
        n = len(self.cache[0])
        dw, db, dv, dc = gradients
        super().store(dw, db / n, dv, dc / n)


class BuffersOfTheClass(Highway):
    """All layers add to the same buffers, and nothing sets them to zero."""

    buffers: ClassVar[list[Array]] = []

    def store(self, *gradients: Array) -> None:
        """Add to what is there."""
        for k, gradient in enumerate(gradients):
            if len(self.buffers) <= k:
                self.buffers.append(np.zeros_like(gradient))
            self.buffers[k] += gradient
        super().store(*self.buffers)


class Tied:
    """``params`` and ``grads`` are dicts, the latter filled anew."""

    def __init__(self, W: Array, b: Array, c: Array) -> None:
        self.params = {"W": W, "b": b, "c": c}
        self.grads: dict[str, Array] = {}

    def forward(self, x: Array) -> Array:
        """Return Y, of shape (N, D)."""
        self.x = x
        self.h = np.tanh(x @ self.params["W"] + self.params["b"])
        return np.asarray(self.h @ self.params["W"].T + self.params["c"])

    def backward(self, dy: Array) -> Array:
        """Return dX, store the others."""
        da = self.before_tanh(dy @ self.params["W"])
        self.grads["W"] = self.weights(self.x.T @ da, dy.T @ self.h)
        self.grads["b"] = da.sum(axis=0)
        self.grads["c"] = dy.sum(axis=0)
        return np.asarray(da @ self.params["W"].T)

    def before_tanh(self, dh: Array) -> Array:
        """Return dA."""
        return np.asarray(dh * (1 - self.h**2))

    def weights(self, encoder: Array, decoder: Array) -> Array:
        """Return dW, from what both uses contribute."""
        return encoder + decoder


class EncoderOnly(Tied):
    """The decoder's use of the weights gets no gradient."""

    def weights(self, encoder: Array, decoder: Array) -> Array:
        """Return the first part."""
        return encoder


class DecoderOnly(Tied):
    """The encoder's use of the weights gets no gradient."""

    def weights(self, encoder: Array, decoder: Array) -> Array:
        """Return the second part."""
        return decoder


class DecoderTransposed(Tied):
    """The decoder's part is not transposed back."""

    def weights(self, encoder: Array, decoder: Array) -> Array:
        """Add Hᵀ dY."""
        return np.asarray(encoder + decoder.T)


class Averaged(Tied):
    """The two uses are averaged."""

    def weights(self, encoder: Array, decoder: Array) -> Array:
        """Return the mean."""
        return (encoder + decoder) / 2


class SlopeAfterTanh(Tied):
    """The slope is taken at the output of tanh, as if it were its input."""

    def before_tanh(self, dh: Array) -> Array:
        """Use 1 − tanh(H)²."""
        return np.asarray(dh * (1 - np.tanh(self.h) ** 2))


class DefaultArgument(Tied):
    """The dict of gradients is a default argument, so that all layers share it and add to it."""

    def __init__(self, W: Array, b: Array, c: Array, sums: dict[str, Array] = {}) -> None:  # noqa: B006 - the bug
        super().__init__(W, b, c)
        self.sums = sums

    def weights(self, encoder: Array, decoder: Array) -> Array:
        """Add to what is there."""
        self.sums["W"] = self.sums.get("W", 0) + encoder + decoder
        return np.array(self.sums["W"])


class Factors:
    """The parameters are attributes, and backward returns all gradients."""

    def __init__(self, w: Array, V: Array) -> None:
        self.w, self.V = w, V

    def forward(self, x: Array) -> Array:
        """Return Y, of shape (N,)."""
        self.x, self.s = x, x @ self.V
        return np.asarray(x @ self.w + 0.5 * (self.s**2 - x**2 @ self.V**2).sum(axis=1))

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        """Return dX, dw and dV."""
        d = dy[:, None]
        dx = d * self.w + d * (self.s @ self.V.T) - d * self.x * (self.V**2).sum(axis=1)
        dv = self.x.T @ (d * self.s) - self.V * (d * self.x**2).sum(axis=0)[:, None]
        return dx, self.x.T @ dy, dv


class OwnSquares(Factors):
    """A factor's product with itself stays in the gradient of V."""

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        """Leave V Σ X² out."""
        dx, dw, _ = super().backward(dy)
        return dx, dw, np.asarray(self.x.T @ (dy[:, None] * self.s))


class InputSquares(Factors):
    """The squares that are subtracted get no gradient in the input."""

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        """Leave X Σ V² out."""
        _, dw, dv = super().backward(dy)
        return dy[:, None] * (self.w + self.s @ self.V.T), dw, dv


class HalfTwice(Factors):
    """The ½ is kept where the square's 2 has cancelled it."""

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        """Return half of dV."""
        dx, dw, dv = super().backward(dy)
        return dx, dw, dv / 2


class LinearPartLost(Factors):
    """The input's gradient lacks the linear part."""

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        """Subtract dY w."""
        dx, dw, dv = super().backward(dy)
        return dx - np.outer(dy, self.w), dw, dv


class MeanOfExamples(Factors):
    """The linear weights' gradient is averaged over the examples."""

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        """Divide dw."""
        dx, dw, dv = super().backward(dy)
        return dx, dw / len(dy), dv


def backward_of(kind: Callable[..., Any]) -> Callable[..., tuple[Array, ...]]:
    """Return a layer's backward rule as a function of its input and its parameters."""

    def backward(dy: Array, x: Array, *params: Array) -> tuple[Array, ...]:
        layer = kind(*params)
        layer.forward(x)
        returned = layer.backward(dy)
        if isinstance(returned, tuple):
            return returned
        return returned, *(layer.grads.values() if isinstance(layer.grads, dict) else layer.grads)

    return backward


def _defect(layer: type, name: str, kind: str, remakes: str, **more: str) -> Defect:
    LAYERS[name] = layer
    return Defect(name, backward_of(layer), kind=kind, remakes=remakes, **more)  # type: ignore[arg-type]


HIGHWAY = Case(
    "highway",
    lambda x, w, b, v, c: Highway(w, b, v, c).forward(x),
    backward_of(Highway),
    normal((4, D), (D, D), (D,), (D, D), (D,)),
    defects=(
        _defect(CarryLost, "carry lost", "arithmetic", "the input that is carried over gets no gradient"),
        _defect(GateOfHidden, "gate of h alone", "arithmetic", "h in place of h - x in the gate's gradient"),
        _defect(SlopeOfTanh, "gate with tanh's slope", "arithmetic", "1 - t**2 copied from the other branch"),
        _defect(
            WeightsExchanged,
            "weight gradients exchanged",
            "layout",
            "grads[0] and grads[2] exchanged, unseen since all weights are square",
            cause="swapped-inputs",
        ),
        _defect(
            BiasesAveraged,
            "bias gradients averaged",
            "reduction",
            "mean over the batch in place of a sum",
            cause="averaged-instead-of-summed",
        ),
        _defect(
            BuffersOfTheClass,
            "buffers of the class",
            "arguments",
            "gradient buffers in a class attribute, added to and never set to zero",
            cause="accumulated",
            breaks="repeat",
        ),
    ),
)

TIED = Case(
    "tied_autoencoder",
    lambda x, w, b, c: Tied(w, b, c).forward(x),
    backward_of(Tied),
    normal((4, D), (D, D), (D,), (D,)),
    defects=(
        _defect(
            EncoderOnly, "encoder's use only", "arithmetic", "a weight used twice, the second use forgotten"
        ),
        _defect(
            DecoderOnly, "decoder's use only", "arithmetic", "= in place of +=: the first use is overwritten"
        ),
        _defect(
            DecoderTransposed,
            "decoder's use transposed",
            "layout",
            "the transpose of a tied weight forgotten, unseen when square",
        ),
        _defect(
            Averaged,
            "both uses averaged",
            "reduction",
            "a mean over the uses of a shared weight",
            cause="factor",
        ),
        _defect(
            SlopeAfterTanh,
            "slope at the output",
            "arithmetic",
            "tanh applied to what has been through it already",
        ),
        _defect(
            DefaultArgument,
            "default argument shared",
            "arguments",
            "a mutable default argument that collects the gradients of all calls",
            cause="accumulated",
            breaks="repeat",
        ),
    ),
)

FACTORS = Case(
    "factorization_machine",
    lambda x, w, v: Factors(w, v).forward(x),
    backward_of(Factors),
    normal((5, 4), (4,), (4, 2)),
    defects=(
        _defect(
            OwnSquares,
            "own squares in dV",
            "arithmetic",
            "the subtracted squares differentiated for the input alone",
        ),
        _defect(
            InputSquares,
            "own squares in dX",
            "arithmetic",
            "the subtracted squares differentiated for the factors alone",
        ),
        _defect(HalfTwice, "half kept", "arithmetic", "the ½ kept beside the square's 2", cause="factor"),
        _defect(
            LinearPartLost,
            "linear part lost",
            "arithmetic",
            "the interactions' gradient assigned where it has to be added",
        ),
        _defect(
            MeanOfExamples,
            "averaged over examples",
            "reduction",
            "one gradient of several divided by the batch size",
            cause="averaged-instead-of-summed",
        ),
    ),
)

CASES = (HIGHWAY, TIED, FACTORS)
