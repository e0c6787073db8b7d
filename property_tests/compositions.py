"""Random compositions of smooth functions, with their exact gradients by the chain rule."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

# elementwise function and derivative, smooth on the whole line
SMOOTH = [
    (np.sin, np.cos),
    (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    (np.arctan, lambda z: 1 / (1 + z * z)),
    (lambda z: np.exp(-z * z / 2), lambda z: -z * np.exp(-z * z / 2)),
    (lambda z: np.sqrt(1 + z * z), lambda z: z / np.sqrt(1 + z * z)),
    (lambda z: z * z, lambda z: 2 * z),
]


@dataclass(frozen=True)
class Composition:
    """``z ← W φ(z)``, a few times over; ``x`` is one point."""

    layers: tuple
    x: np.ndarray

    def forward(self, x):
        for w, k in self.layers:
            x = w @ SMOOTH[k][0](x)
        return x

    def backward(self, dy, x):
        inputs = []
        for w, k in self.layers:
            inputs.append(x)
            x = w @ SMOOTH[k][0](x)
        for (w, k), z in zip(reversed(self.layers), reversed(inputs), strict=True):
            dy = (w.T @ dy) * SMOOTH[k][1](z)
        return dy


def composition(seed):
    """Draw a composition of one to three layers on one to six entries."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 7, rng.integers(2, 5))
    layers = tuple(
        (rng.normal(size=(m, n)) / np.sqrt(n), int(rng.integers(len(SMOOTH)))) for n, m in pairwise(sizes)
    )
    return Composition(layers, rng.normal(size=sizes[0]))
