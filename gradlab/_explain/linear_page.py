"""The page of `linear`: from the full Jacobian to ``dL/dX = dL/dY · Wᵀ``, in the smallest case."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from gradlab._explain.derivation import sum_of_products
from gradlab._explain.layout import digits, labelled, number
from gradlab._numerical import numerical_jacobian
from gradlab.numerics import Array
from gradlab.rules import linear

X = np.array([[1.0, -2.0], [0.5, 3.0]])
W = np.array([[0.7, -1.2, 0.4], [1.1, 0.3, -0.9]])
DY = np.array([[1.0, -0.5, 2.0], [-1.5, 0.2, 3.0]])
X_DOT = np.array([[1.0, 0.0], [-0.5, 2.0]])
W_DOT = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, -1.0]])
GROWTH = (2, 4, 8, 16, 32)  # N = D = M; built and timed
BEYOND = (128, 1024)  # too large to build: only counted


def page() -> str:
    """Return the page; N = 2, D = 2, M = 3."""
    parts = (_problem, _blocks, _product, _weights, _agreement, _forward_mode, _cost)
    return "\n".join(line for part in parts for line in part())


def _problem() -> Iterator[str]:
    yield "linear: Y = X W, X (N, D), W (D, M), in the case N = 2, D = 2, M = 3"
    yield ""
    yield labelled("X", X)
    yield labelled("W", W)
    yield labelled("Y = X W", X @ W)
    yield labelled("dL/dY", DY)


def _blocks() -> Iterator[str]:
    (n, d), m = X.shape, W.shape[1]
    jacobian, _ = linear.jacobian(X, W)
    yield ""
    yield f"1. The full Jacobian dY/dX is (N·M) × (N·D) = {n * m} × {n * d}: a row for each entry of Y,"
    yield "   a column for each entry of X. Column x11, laid out in the shape of Y, is the block dY/dx11:"
    yield "   x11 occurs only in the first row of Y, multiplied by the first row of W."
    yield ""
    for index in np.ndindex(X.shape):
        i, k = index[0] + 1, index[1] + 1
        rows = [[f"w{k}{j + 1}" if r == index[0] else "0" for j in range(m)] for r in range(n)]
        symbols = ["[" + " ".join(cell.rjust(3) for cell in row) + "]" for row in rows]
        numbers = (
            labelled("", jacobian[(..., *index)], indent=0).removeprefix(" = ").replace("[[", "[").split("\n")
        )
        for r in range(n):
            head = f"  dY/dx{i}{k} = " if r == 0 else " " * len(f"  dY/dx{i}{k} = ")
            yield f"{head}{symbols[r]}{' = ' if r == 0 else '   '}{numbers[r].strip().replace(']]', ']')}"
        yield ""
    yield labelled("dY/dX", jacobian.reshape(n * m, n * d))
    yield ""
    yield "2. The contraction: dL/dY and each block multiplied entry by entry, and summed."
    yield ""
    for index in np.ndindex(X.shape):
        label = f"dL/dx{index[0] + 1}{index[1] + 1}"
        yield f"  {label} = sum(dL/dY ∘ dY/dx{index[0] + 1}{index[1] + 1}) = " + sum_of_products(
            DY, jacobian[(..., *index)]
        )


def _product() -> Iterator[str]:
    dx, _ = linear.backward(DY, X, W)
    yield ""
    yield "3. Each of these sums runs along one row of dL/dY and one row of W: together they are a product."
    yield ""
    yield labelled("dL/dX = dL/dY · Wᵀ", dx)


def _weights() -> Iterator[str]:
    _, dw = linear.backward(DY, X, W)
    yield ""
    yield "4. The same for the weights: w11 occurs only in the first column of Y, multiplied by that of X."
    yield ""
    yield labelled("dL/dW = Xᵀ · dL/dY", dw)


def _agreement() -> Iterator[str]:
    yield ""
    yield "5. Three ways to the same numbers:"
    yield ""
    closed, numeric = linear.jacobian(X, W), numerical_jacobian(linear.forward, (X, W))
    for name, k in (("X", 0), ("W", 1)):
        product = linear.backward(DY, X, W)[k]
        for how, explicit in (("closed-form", closed[k]), ("numerical", numeric[k])):
            contracted = np.tensordot(DY, explicit, axes=2)
            agree = _digits(product, contracted)
            yield f"  dL/d{name}: the product and the {how} Jacobian agree to {agree} digits"


def _forward_mode() -> Iterator[str]:
    y_dot = linear.jvp((X_DOT, W_DOT), X, W)
    dx, dw = linear.backward(DY, X, W)
    yield ""
    yield "6. Forward mode asks the other way round: when X moves along Ẋ and W along Ẇ, how does Y move?"
    yield ""
    yield labelled("Ẋ", X_DOT)
    yield labelled("Ẇ", W_DOT)
    yield labelled("Ẏ = Ẋ W + X Ẇ", y_dot)
    yield ""
    yield "   It is the same Jacobian, multiplied from the other side: one number, two ways to it."
    yield ""
    yield f"  sum(dL/dY ∘ Ẏ) = {number((DY * y_dot).sum())}"
    yield f"  sum(dL/dX ∘ Ẋ) + sum(dL/dW ∘ Ẇ) = {number((dx * X_DOT).sum() + (dw * W_DOT).sum())}"


def _digits(product: Array, contracted: Array) -> str:
    worst = int(np.argmax(np.abs(product - contracted)))
    return digits(float(product.flat[worst]), float(contracted.flat[worst]))


def _cost() -> Iterator[str]:
    yield ""
    yield "7. What the full Jacobian costs, against the product, as N = D = M grow:"
    yield ""
    heads = ("N = D = M", "Jacobian", "X, W, dL/dX", "contraction", "product", "ratio of times")
    yield "  " + "  ".join(head.rjust(11) for head in heads)
    rng = np.random.default_rng(0)
    for n in GROWTH:
        x, w, dy = rng.standard_normal((3, n, n))
        slow = _seconds(lambda x=x, w=w, dy=dy: np.tensordot(dy, linear.jacobian(x, w)[0], axes=2))  # type: ignore[misc]
        fast = _seconds(lambda w=w, dy=dy: dy @ w.T)  # type: ignore[misc]
        yield (
            f"  {n:>11}  {_bytes(8 * n**4):>11}  {_bytes(24 * n**2):>11}  "
            f"{_time(slow):>11}  {_time(fast):>11}  {slow / fast:>14.0f}"
        )
    for n in BEYOND:
        yield f"  {n:>11}  {_bytes(8 * n**4):>11}  {_bytes(24 * n**2):>11}  {'not built':>11}"


def _seconds(run: Callable[[], object]) -> float:
    best = np.inf
    for _ in range(3):
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return float(best)


def _bytes(count: int) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count //= 1000
    return f"{count:,} TB"


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"
