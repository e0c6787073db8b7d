"""Convolutions (correlations, as they are meant in networks) and pooling.

::

    conv1d    Y[o, t] = Σ X[c, t + k] W[o, c, k]       dW[o, c, k] = Σ_t dY[o, t] X[c, t + k]
                                                       dX[c, s] = Σ dY[o, s − k] W[o, c, k]
    conv2d    the same in the plane, padded by one, with a bias
    max_pool  the maximum of windows that overlap       avg_pool  the mean of what is inside

Channels, kernels and windows have equal sizes where that hides a permutation.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gradlab.mutants._points import Array, normal
from gradlab.mutants.model import Case, Defect


def conv1d(x: Array, w: Array) -> Array:
    """Return the valid correlation.

    Parameters
    ----------
    x : (C, L)
    w : (O, C, K)
    """
    return np.asarray(np.einsum("ctk,ock->ot", sliding_window_view(x, w.shape[2], axis=1), w))


def conv1d_dw(dy: Array, x: Array, w: Array) -> Array:
    """Return ``Σ_t dY[o, t] X[c, t + k]``."""
    return np.asarray(np.einsum("ot,ctk->ock", dy, sliding_window_view(x, w.shape[2], axis=1)))


def conv1d_dx(dy: Array, x: Array, w: Array) -> Array:
    """Return ``Σ dY[o, s − k] W[o, c, k]``: the full correlation with the kernel reversed."""
    k = w.shape[2]
    windows = sliding_window_view(np.pad(dy, ((0, 0), (k - 1, k - 1))), k, axis=1)
    return np.asarray(np.einsum("osk,ock->cs", windows, w[:, :, ::-1]))


def without_edges(dx: Array) -> Array:
    """Return the same with zeros at the first and last step."""
    dx[:, [0, -1]] = 0
    return dx


CONV1D = Case(
    "conv1d",
    conv1d,
    lambda dy, x, w: (conv1d_dx(dy, x, w), conv1d_dw(dy, x, w)),
    normal((2, 6), (2, 2, 3)),
    defects=(
        Defect(
            "kernel not reversed",
            lambda dy, x, w: (conv1d_dx(dy, x, w[:, :, ::-1]), conv1d_dw(dy, x, w)),
            kind="layout",
            remakes="correlation both ways, unseen for symmetric kernels",
        ),
        Defect(
            "kernel gradient reversed",
            lambda dy, x, w: (conv1d_dx(dy, x, w), conv1d_dw(dy, x, w)[:, :, ::-1]),
            kind="layout",
            remakes="the convolution's convention in one pass and the correlation's in the other",
            cause="permuted",
        ),
        Defect(
            "channels exchanged",
            lambda dy, x, w: (conv1d_dx(dy, x, w), conv1d_dw(dy, x, w).transpose(1, 0, 2)),
            kind="layout",
            remakes="input and output channels exchanged, unseen when there are as many",
            cause="permuted",
        ),
        Defect(
            "edges lost",
            lambda dy, x, w: (without_edges(conv1d_dx(dy, x, w)), conv1d_dw(dy, x, w)),
            kind="mask",
            remakes="padding cropped from the gradient once too often",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "averaged over time",
            lambda dy, x, w: (conv1d_dx(dy, x, w), conv1d_dw(dy, x, w) / dy.shape[1]),
            kind="reduction",
            remakes="shared weights averaged over their places",
            cause="averaged-instead-of-summed",
        ),
    ),
)


def padded(x: Array) -> Array:
    """Return images with a border of zeros."""
    return np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))


def conv2d(x: Array, w: Array, b: Array) -> Array:
    """Return the correlation of images padded by one.

    Parameters
    ----------
    x : (N, C, H, W)
    w : (O, C, 3, 3)
    b : (O,)
    """
    windows = sliding_window_view(padded(x), (3, 3), axis=(2, 3))
    return np.asarray(np.einsum("nchwij,ocij->nohw", windows, w) + b[:, None, None])


def conv2d_dx(dy: Array, w: Array) -> Array:
    """Return the gradient of the images: of each window, added where it was taken."""
    n, _, h, width = dy.shape
    dx = np.zeros((n, w.shape[1], h + 2, width + 2))
    for i in range(3):
        for j in range(3):
            dx[:, :, i : i + h, j : j + width] += np.einsum("nohw,oc->nchw", dy, w[:, :, i, j])
    return np.asarray(dx)


def conv2d_backward(dy: Array, x: Array, w: Array, b: Array) -> tuple[Array, Array, Array]:
    """Return the gradients of images, kernels and bias."""
    windows = sliding_window_view(padded(x), (3, 3), axis=(2, 3))
    dw = np.einsum("nohw,nchwij->ocij", dy, windows)
    return conv2d_dx(dy, w)[:, :, 1:-1, 1:-1], dw, dy.sum(axis=(0, 2, 3))


def kernel_transposed(dy: Array, x: Array, w: Array, b: Array) -> tuple[Array, Array, Array]:
    """Exchange the kernel gradient's rows and columns."""
    dx, dw, db = conv2d_backward(dy, x, w, b)
    return dx, np.swapaxes(dw, 2, 3), db


def bias_averaged(dy: Array, x: Array, w: Array, b: Array) -> tuple[Array, Array, Array]:
    """Average the bias gradient over the batch."""
    dx, dw, db = conv2d_backward(dy, x, w, b)
    return dx, dw, db / len(x)


def bias_per_image(dy: Array, x: Array, w: Array, b: Array) -> tuple[Array, Array, Array]:
    """Sum the bias gradient over the plane only."""
    dx, dw, _ = conv2d_backward(dy, x, w, b)
    return dx, dw, dy.sum(axis=(2, 3))


def padding_kept(dy: Array, x: Array, w: Array, b: Array) -> tuple[Array, Array, Array]:
    """Crop on one side only."""
    _, dw, db = conv2d_backward(dy, x, w, b)
    return conv2d_dx(dy, w)[:, :, :-2, :-2], dw, db


def last_image_only(dy: Array, x: Array, w: Array, b: Array) -> tuple[Array, Array, Array]:
    """Take the kernels' gradient of the last image."""
    dx, _, db = conv2d_backward(dy, x, w, b)
    return dx, conv2d_backward(dy[-1:], x[-1:], w, b)[1], db


CONV2D = Case(
    "conv2d",
    conv2d,
    conv2d_backward,
    normal((2, 2, 4, 4), (2, 2, 3, 3), (2,)),
    defects=(
        Defect(
            "kernel gradient transposed",
            kernel_transposed,
            kind="layout",
            remakes="rows and columns exchanged, unseen for square kernels",
            cause="transposed",
        ),
        Defect(
            "bias averaged over the batch",
            bias_averaged,
            kind="reduction",
            remakes="bias gradient averaged over the batch instead of summed",
            cause="averaged-instead-of-summed",
        ),
        Defect(
            "bias not summed over the batch",
            bias_per_image,
            kind="reduction",
            remakes="one of several broadcast axes not summed",
            cause="not-summed-over-broadcast",
            breaks="shape",
        ),
        Defect(
            "cropped at the wrong side",
            padding_kept,
            kind="layout",
            remakes="[:-2] in place of [1:-1]: shifted by one pixel",
        ),
        Defect(
            "last image only",
            last_image_only,
            kind="reduction",
            remakes="assigned in a loop over the batch",
        ),
    ),
)

WINDOW = 3


def windows_of(x: Array) -> Array:
    """Return the overlapping windows, of shape (L − 2, 3)."""
    return np.asarray(sliding_window_view(x, WINDOW))


def is_maximum(x: Array) -> Array:
    """Return where in each window its maximum is."""
    return np.asarray(windows_of(x) == windows_of(x).max(axis=1, keepdims=True))


def added(parts: Array, length: int) -> Array:
    """Add what belongs to each window's entries, of shape (L − 2, 3), into a vector."""
    d = np.zeros(length)
    np.add.at(d, np.arange(len(parts))[:, None] + np.arange(WINDOW), parts)
    return d


def max_pool_backward(dy: Array, x: Array) -> Array:
    """Share each window's gradient among its maxima."""
    share = is_maximum(x) / is_maximum(x).sum(axis=1, keepdims=True)
    return added(dy[:, None] * share, len(x))


def assigned(dy: Array, x: Array) -> Array:
    """Assign in place of adding."""
    d = np.zeros_like(x)
    for t, (window, value) in enumerate(zip(windows_of(x), dy, strict=True)):
        d[t + window.argmax()] = value
    return d


def peaks(rng: np.random.Generator) -> tuple[Array]:
    """Draw a signal with one peak that is the maximum of three windows, and a tie elsewhere."""
    x = rng.permutation(np.linspace(-1, 1, 9))
    x[2] = 2
    x[6] = x[7] = 1.5
    return (x,)


MAX_POOL = Case(
    "max_pool",
    lambda x: windows_of(x).max(axis=1),
    max_pool_backward,
    peaks,
    defects=(
        Defect(
            "assigned",
            assigned,
            kind="indexing",
            remakes="assigns instead of accumulating where windows overlap",
            cause="last-write-wins",
        ),
        Defect(
            "full gradient to every tie",
            lambda dy, x: added(dy[:, None] * is_maximum(x), len(x)),
            kind="tie",
            remakes="a mask x == max that is not divided by its sum",
            cause="wrong-on-special-values",
        ),
        Defect(
            "to the whole window",
            lambda dy, x: added(np.repeat(dy[:, None] / WINDOW, WINDOW, axis=1), len(x)),
            kind="arithmetic",
            remakes="the backward of average pooling",
        ),
        Defect(
            "position in the window for position",
            lambda dy, x: np.bincount(is_maximum(x).argmax(axis=1), weights=dy, minlength=len(x)),
            kind="indexing",
            remakes="the index within a window used as an index of the input",
        ),
        Defect(
            "none at ties",
            lambda dy, x: added(
                dy[:, None] * (is_maximum(x) & (is_maximum(x).sum(axis=1, keepdims=True) == 1)), len(x)
            ),
            kind="tie",
            remakes="only a strict maximum counts",
        ),
    ),
)


def counted(length: int) -> Array:
    """Return how many entries of a signal padded by one each window contains."""
    return np.convolve(np.ones(length), np.ones(WINDOW), mode="same")


AVG_POOL = Case(
    "avg_pool",
    lambda x: np.convolve(x, np.ones(WINDOW), mode="same") / counted(len(x)),
    lambda dy, x: np.convolve(dy / counted(len(x)), np.ones(WINDOW), mode="same"),
    normal((6,)),
    defects=(
        Defect(
            "padding counted",
            lambda dy, x: np.convolve(dy / WINDOW, np.ones(WINDOW), mode="same"),
            kind="mask",
            remakes="windows at the edge divided by their full width",
        ),
        Defect(
            "not divided",
            lambda dy, x: np.convolve(dy, np.ones(WINDOW), mode="same"),
            kind="reduction",
            remakes="the gradient of the sum for that of the mean",
            cause="summed-instead-of-averaged",
        ),
        Defect(
            "divided afterwards",
            lambda dy, x: np.convolve(dy, np.ones(WINDOW), mode="same") / counted(len(x)),
            kind="layout",
            remakes="the Jacobian in place of its transpose, unseen without an edge",
        ),
        Defect(
            "own entry only",
            lambda dy, x: dy / counted(len(x)),
            kind="arithmetic",
            remakes="each output taken to depend on one input",
            cause="diagonal-only",
        ),
    ),
)

CASES = (CONV1D, CONV2D, MAX_POOL, AVG_POOL)
