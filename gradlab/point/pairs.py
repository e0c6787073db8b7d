r"""Complex numbers as pairs of real ones: what enters gradlab is taken apart here, and put together again.

Inside, a complex array of shape ``s`` is a real one of shape ``(*s, 2)``, real part first, in memory as it
was. A derivative is then one of a real function of real numbers, and needs no theory of its own.

Gradients are the one thing of which there are two conventions. With :math:`z = x + iy` and a real loss
:math:`L`,

.. math:: \text{torch:}\quad \frac{\partial L}{\partial x} + i \frac{\partial L}{\partial y}
          \qquad\qquad
          \text{JAX:}\quad \frac{\partial L}{\partial x} - i \frac{\partial L}{\partial y}

each the complex conjugate of the other, of the upstream gradient too. In torch's (TensorFlow's too),
``z - lr * g`` is a step of gradient descent, and the backward rule of a holomorphic function multiplies by
``conj(f'(z))``, the adjoint of the Jacobian. In JAX's (autograd's too) it multiplies by ``f'(z)``: the
transpose, without a conjugate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array
from gradlab.rule import JAX

PARTS = ("real", "imag")  # of a pair, as NumPy calls them


def as_pairs(array: Any) -> npt.NDArray[Any]:
    """Return a complex array as a real one with a last axis of 2; a real array as it is.

    >>> as_pairs(np.array([1 + 2j, 3 - 4j]))
    array([[ 1.,  2.],
           [ 3., -4.]])
    """
    z = array if type(array) is np.ndarray else np.asarray(array)
    if z.dtype.kind != "c":
        return z
    return np.ascontiguousarray(z).reshape(*z.shape, 1).view(z.real.dtype)


def as_complex(pairs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the complex array of some pairs.

    >>> as_complex(np.array([[1.0, 2.0], [3.0, -4.0]]))
    array([1.+2.j, 3.-4.j])
    """
    together = np.ascontiguousarray(pairs)
    return together.view(np.result_type(together.dtype, np.complex64))[..., 0]


def gradient_as_pairs(gradient: Any, *, paired: bool, convention: str) -> Array:
    """Return a gradient as backward gives it in the form in which it is compared, in float64.

    Parameters
    ----------
    gradient : array
        Real or complex. Of a real input, the real part counts; of a complex one, what is real has no
        imaginary part.
    paired : bool
        Whether the input is complex.
    convention : {"torch", "jax"}
        That of backward.
    """
    array = np.asarray(gradient)
    if not paired:
        return np.array(array.real if array.dtype.kind == "c" else array, dtype=np.float64)
    z = array.astype(np.complex128)
    return as_pairs(z.conj() if convention == JAX else z)


def gradient_from_pairs(pairs: Array, *, paired: bool, convention: str) -> npt.NDArray[Any]:
    """Return a gradient in the form in which backward takes and gives it."""
    if not paired:
        return pairs
    z = as_complex(pairs)
    return z.conj() if convention == JAX else z


def with_partners(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Mark both parts of each pair of which one is marked."""
    return np.repeat(mask.any(axis=-1, keepdims=True), 2, axis=-1)
