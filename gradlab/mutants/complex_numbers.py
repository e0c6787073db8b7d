"""Rules of complex numbers, whose gradients are ``dL/dx + i dL/dy`` with ``z = x + iy``.

The gradient of a linear map is then its adjoint, ``·ᴴ``, and that of a holomorphic function multiplies by
``conj(f′)``.

::

    complex_product    y = a b             da = dy b̄, db = dy ā
    complex_matmul     Y = A B             dA = dY Bᴴ, dB = Aᴴ dY
    power_spectrum     y = |z|²            dz = 2 dy z
    phase              y = z / |z|         dz = (dy − y Re(ȳ dy)) / |z|
    fourier            y = F z             dz = n F⁻¹ dy
    real_fourier       y = F x, x real     dx = Re Σ over the half of the spectrum that is kept
    rotation           y = r e^{iθ}        dr = Re(conj(e^{iθ}) dy), dθ = Re(conj(i y) dy)
    hermitian_logdet   y = log det A       dZ = dy A⁻¹ with A = (Z + Zᴴ) / 2
    complex_rms        y = √mean |z|²      dz = dy z / (n y), in complex64

Source: K. Kreutz-Delgado, The complex gradient operator and the CR-calculus (2009); the adjoints of matrix
products and of log det, M. Giles, Collected matrix derivative results (2008), with transposes as adjoints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.mutants._points import Array
from gradlab.mutants.model import Case, Defect


def complex_normal(rng: np.random.Generator, *shape: int) -> Array:
    """Draw complex numbers whose parts are normally distributed."""
    return np.asarray(rng.normal(size=shape) + 1j * rng.normal(size=shape))


def off_zero(rng: np.random.Generator, *shape: int) -> Array:
    """Draw complex numbers of a size between ½ and 2."""
    return np.asarray(rng.uniform(0.5, 2, shape) * np.exp(2j * np.pi * rng.uniform(size=shape)))


def of_first(change: Callable[[Array], Array], backward: Callable[..., Any]) -> Callable[..., Any]:
    """Change the first of the gradients that a rule returns."""

    def changed(dy: Array, *inputs: Array) -> tuple[Array, ...]:
        first, *others = backward(dy, *inputs)
        return change(first), *others

    return changed


def product_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Return ``dy b̄`` and ``dy ā``."""
    return dy * b.conj(), dy * a.conj()


PRODUCT = Case(
    "complex_product",
    lambda a, b: a * b,
    product_backward,
    lambda rng: (complex_normal(rng, 2, 3), complex_normal(rng, 2, 3)),
    defects=(
        Defect(
            "no conjugates",
            lambda dy, a, b: (dy * b, dy * a),
            kind="complex",
            remakes="the product rule of real numbers",
            cause="other-convention",
        ),
        Defect(
            "one conjugate missing",
            lambda dy, a, b: (dy * b, dy * a.conj()),
            kind="complex",
            remakes="a conjugate forgotten for one of two factors",
            cause="conjugated",
        ),
        Defect(
            "a conjugate too many",
            lambda dy, a, b: (dy.conj() * b.conj(), dy * a.conj()),
            kind="complex",
            remakes="the upstream gradient conjugated as well",
            cause="conjugated",
        ),
        Defect(
            "real part alone",
            of_first(np.real, product_backward),
            kind="complex",
            remakes="a gradient cast to the dtype of real weights",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "imaginary part negated",
            of_first(np.conj, product_backward),
            kind="complex",
            remakes="real and imaginary part put together with the wrong sign",
            cause="conjugated",
        ),
    ),
)


def matmul_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Return ``dY Bᴴ`` and ``Aᴴ dY``."""
    return dy @ b.conj().T, a.conj().T @ dy


MATMUL = Case(
    "complex_matmul",
    lambda a, b: a @ b,
    matmul_backward,
    lambda rng: (complex_normal(rng, 3, 2), complex_normal(rng, 2, 2)),
    defects=(
        Defect(
            "transposes for adjoints",
            lambda dy, a, b: (dy @ b.T, a.T @ dy),
            kind="complex",
            remakes="the rule of a real matrix product",
            cause="other-convention",
        ),
        Defect(
            "a transpose for one adjoint",
            lambda dy, a, b: (dy @ b.T, a.conj().T @ dy),
            kind="complex",
            remakes="a conjugate forgotten for the weights",
            cause="conjugated",
        ),
        Defect(
            "conjugated, not transposed",
            lambda dy, a, b: (dy @ b.conj(), a.conj().T @ dy),
            kind="complex",
            remakes="the adjoint taken for the conjugate alone",
            cause="transposed",
        ),
        Defect(
            "gradient conjugated",
            of_first(np.conj, matmul_backward),
            kind="complex",
            remakes="a result conjugated once more at the end",
            cause="conjugated",
        ),
    ),
)


def power_backward(dy: Array, z: Array) -> Array:
    """Return ``2 dy z``."""
    return 2 * dy * z


POWER = Case(
    "power_spectrum",
    lambda z: (z * z.conj()).real,
    power_backward,
    lambda rng: (complex_normal(rng, 4),),
    defects=(
        Defect(
            "Wirtinger derivative",
            lambda dy, z: dy * z,
            kind="complex",
            remakes="∂/∂z̄ taken for the gradient, of which it is a half",
            cause="factor",
        ),
        Defect(
            "conjugate",
            lambda dy, z: 2 * dy * z.conj(),
            kind="complex",
            remakes="∂/∂z taken in the place of ∂/∂z̄",
            cause="other-convention",
        ),
        Defect(
            "real part alone",
            lambda dy, z: 2 * dy * z.real,
            kind="complex",
            remakes="the derivative of a real square",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "modulus for the number",
            lambda dy, z: (2 * dy * np.abs(z)).astype(complex),
            kind="complex",
            remakes="the slope along the radius, without its direction",
        ),
    ),
)


def phase_backward(dy: Array, z: Array) -> Array:
    """Return ``(dy − y Re(ȳ dy)) / |z|``."""
    y = z / np.abs(z)
    return np.asarray((dy - y * (y.conj() * dy).real) / np.abs(z))


def phase_bilinear(dy: Array, z: Array) -> Array:
    """Return ``(dy − y Re(y dy)) / |z|``."""
    y = z / np.abs(z)
    return np.asarray((dy - y * (y * dy).real) / np.abs(z))


PHASE = Case(
    "phase",
    lambda z: z / np.abs(z),
    phase_backward,
    lambda rng: (off_zero(rng, 4),),
    defects=(
        Defect(
            "modulus a constant",
            lambda dy, z: dy / np.abs(z),
            kind="complex",
            remakes="a quotient whose denominator is not differentiated",
        ),
        Defect(
            "holomorphic part alone",
            lambda dy, z: dy / (2 * np.abs(z)),
            kind="complex",
            remakes="∂/∂z without ∂/∂z̄ for a function that has both",
        ),
        Defect(
            "inner product without conjugate",
            phase_bilinear,
            kind="complex",
            remakes="a dot product of complex numbers, neither of which is conjugated",
        ),
        Defect(
            "no modulus",
            lambda dy, z: phase_backward(dy, z) * np.abs(z),
            kind="arithmetic",
            remakes="the division by the modulus forgotten",
        ),
    ),
)


def fourier_backward(dy: Array, z: Array) -> Array:
    """Return ``n F⁻¹ dy``."""
    return np.asarray(len(z) * np.fft.ifft(dy))


FOURIER = Case(
    "fourier",
    np.fft.fft,
    fourier_backward,
    lambda rng: (complex_normal(rng, 5),),
    defects=(
        Defect(
            "transform for its adjoint",
            lambda dy, z: np.fft.fft(dy),
            kind="complex",
            remakes="the transpose of a symmetric matrix that is not Hermitian",
            cause="other-convention",
        ),
        Defect(
            "inverse for the adjoint",
            lambda dy, z: np.fft.ifft(dy),
            kind="complex",
            remakes="the normalization of the inverse transform forgotten",
            cause="factor",
        ),
        Defect(
            "real part alone",
            lambda dy, z: fourier_backward(dy, z).real,
            kind="complex",
            remakes="a signal taken for real",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "unitary",
            lambda dy, z: np.fft.ifft(dy, norm="ortho"),
            kind="arithmetic",
            remakes="another normalization than forward's",
            cause="factor",
        ),
    ),
)


def real_fourier_backward(dy: Array, x: Array) -> Array:
    """Return the real part of the adjoint, for the half of the spectrum that is kept."""
    spectrum = np.zeros(len(x), dtype=complex)
    spectrum[: len(dy)] = dy
    return np.asarray(len(x) * np.fft.ifft(spectrum).real)


REAL_FOURIER = Case(
    "real_fourier",
    np.fft.rfft,
    real_fourier_backward,
    lambda rng: (rng.normal(size=6),),
    defects=(
        Defect(
            "inverse transform",
            lambda dy, x: len(x) * np.fft.irfft(dy, len(x)),
            kind="complex",
            remakes="the half of the spectrum that is not kept counted as well",
        ),
        Defect(
            "no conjugate",
            lambda dy, x: real_fourier_backward(dy.conj(), x),
            kind="complex",
            remakes="the transform in the place of its adjoint",
            cause="other-convention",
        ),
        Defect(
            "upstream's real part alone",
            lambda dy, x: real_fourier_backward(dy.real, x),
            kind="complex",
            remakes="the imaginary part of the upstream gradient dropped",
        ),
    ),
)


def rotation_backward(dy: Array, r: Array, theta: Array) -> tuple[Array, Array]:
    """Return ``Re(conj(e^{iθ}) dy)`` and ``Re(conj(i y) dy)``."""
    turn = np.exp(1j * theta)
    return (turn.conj() * dy).real, ((1j * r * turn).conj() * dy).real


ROTATION = Case(
    "rotation",
    lambda r, theta: r * np.exp(1j * theta),
    rotation_backward,
    lambda rng: (rng.uniform(0.5, 2, 4), rng.uniform(-3, 3, 4)),
    defects=(
        Defect(
            "no conjugates",
            lambda dy, r, theta: rotation_backward(dy.conj(), r, theta),
            kind="complex",
            remakes="derivatives multiplied with, where their conjugates belong",
            cause="other-convention",
        ),
        Defect(
            "real parts multiplied",
            lambda dy, r, theta: (dy.real * np.cos(theta), rotation_backward(dy, r, theta)[1]),
            kind="complex",
            remakes="real parts taken before the product and not after it",
        ),
        Defect(
            "no i",
            lambda dy, r, theta: (
                rotation_backward(dy, r, theta)[0],
                ((r * np.exp(1j * theta)).conj() * dy).real,
            ),
            kind="complex",
            remakes="the chain rule's factor i forgotten",
        ),
        Defect(
            "sign of the angle",
            lambda dy, r, theta: (
                rotation_backward(dy, r, theta)[0],
                -rotation_backward(dy, r, theta)[1],
            ),
            kind="arithmetic",
            remakes="i conjugated twice",
            cause="sign",
        ),
    ),
)


def hermitian(z: Array) -> Array:
    """Return the Hermitian part."""
    return np.asarray((z + z.conj().T) / 2)


def hermitian_logdet(z: Array) -> Any:
    """Return ``log det``, by a Cholesky factorization, of the Hermitian part of a matrix."""
    return 2 * np.sum(np.log(np.diag(np.linalg.cholesky(hermitian(z))).real))


HERMITIAN_LOGDET = Case(
    "hermitian_logdet",
    hermitian_logdet,
    lambda dy, z: dy * hermitian(np.linalg.inv(hermitian(z))),
    lambda rng: (3 * np.eye(3) + 0.4 * complex_normal(rng, 3, 3),),
    defects=(
        Defect(
            "transposed",
            lambda dy, z: dy * np.linalg.inv(hermitian(z)).T,
            kind="complex",
            remakes="the transpose of the inverse, as for real matrices, where the adjoint belongs",
            cause="other-convention",
        ),
        Defect(
            "symmetric part",
            lambda dy, z: dy * np.linalg.inv((z + z.T) / 2),
            kind="complex",
            remakes="a Hermitian matrix taken for a symmetric one",
        ),
        Defect(
            "real part alone",
            lambda dy, z: dy * np.linalg.inv(hermitian(z)).real,
            kind="complex",
            remakes="a matrix gradient cast to real numbers",
            cause="zero-where-it-should-not-be",
        ),
        Defect(
            "twice",
            lambda dy, z: 2 * dy * np.linalg.inv(hermitian(z)),
            kind="arithmetic",
            remakes="both triangles counted where forward takes their mean",
            cause="factor",
        ),
    ),
)


def rms(z: Array) -> Any:
    """Return the root mean square."""
    return np.sqrt(np.mean(z.real**2 + z.imag**2))


RMS = Case(
    "complex_rms",
    rms,
    lambda dy, z: dy * z / (z.size * rms(z)),
    lambda rng: (complex_normal(rng, 3, 2).astype(np.complex64),),
    defects=(
        Defect(
            "conjugate",
            lambda dy, z: dy * z.conj() / (z.size * rms(z)),
            kind="complex",
            remakes="∂/∂z taken in the place of ∂/∂z̄",
            cause="other-convention",
        ),
        Defect(
            "not averaged",
            lambda dy, z: dy * z / rms(z),
            kind="reduction",
            remakes="the division of the mean left out",
            cause="summed-instead-of-averaged",
        ),
        Defect(
            "twice the real part",
            lambda dy, z: 2 * dy * z.real.astype(z.dtype) / (z.size * rms(z)),
            kind="complex",
            remakes="z + z̄ in the place of 2 z",
        ),
    ),
)

CASES = (PRODUCT, MATMUL, POWER, PHASE, FOURIER, REAL_FOURIER, ROTATION, HERMITIAN_LOGDET, RMS)
