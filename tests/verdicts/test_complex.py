"""Complex inputs, outputs and constants: a right rule passes in the convention that it keeps to."""

import numpy as np
import pytest
from tables import Row, agree, each_of

from gradlab import GradientError, UsageError, gradcheck

RNG = np.random.default_rng(0)


def draw(*shape, dtype=complex):
    return (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(dtype)


Z, A, B = draw(3), draw(3, 2), draw(2, 2)
X = RNG.normal(size=3)
WELL = 3 * np.eye(3) + 0.4 * draw(3, 3)


def holomorphic(name, f, derivative, z=Z):
    """A holomorphic function: its rule multiplies by the conjugate of the derivative."""

    def right(dy, z):
        return dy * np.conj(derivative(z))

    wrong = {
        "no conjugate": lambda dy, z: dy * derivative(z),
        "conjugate too many": lambda dy, z: np.conj(right(dy, z)),
        "upstream conjugated": lambda dy, z: right(np.conj(dy), z),
        "twice": lambda dy, z: 2 * right(dy, z),
        "real part alone": lambda dy, z: right(dy, z).real,
        "imaginary part alone": lambda dy, z: 1j * right(dy, z).imag,
    }
    return Row(name, f, right, (z,), wrong)


def lower(m):
    """The lower triangle, its diagonal real and halved."""
    return np.tril(m, -1) + np.diag(np.diag(m).real / 2)


def cholesky(z):
    return np.linalg.cholesky((z + z.conj().T) / 2)


def d_cholesky(dy, z):
    factor = cholesky(z)
    inverse = np.linalg.inv(factor)
    s = inverse.conj().T @ lower(factor.conj().T @ dy) @ inverse
    return (s + s.conj().T) / 2


def d_solve(dy, a, b):
    db = np.linalg.solve(a.conj().T, dy)
    return -np.outer(db, np.linalg.solve(a, b).conj()), db


ROWS = [
    holomorphic("exp", np.exp, np.exp),
    holomorphic("cube", lambda z: z**3, lambda z: 3 * z**2),
    holomorphic("tanh", np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    holomorphic("a number", lambda z: z * z, lambda z: 2 * z, 0.5 - 1.5j),
    Row(
        "complex64",
        lambda z: z * z,
        lambda dy, z: dy * 2 * np.conj(z),
        (draw(2, 3, dtype=np.complex64),),
        {"no conjugate": lambda dy, z: dy * 2 * z, "float32": lambda dy, z: (dy * 2 * z).real},
    ),
    Row(
        "modulus",
        np.abs,
        lambda dy, z: dy * z / np.abs(z),
        (Z,),
        {
            "conjugate": lambda dy, z: dy * np.conj(z) / np.abs(z),
            "half": lambda dy, z: dy * z / (2 * np.abs(z)),
            "one": lambda dy, z: dy + 0j,
        },
    ),
    Row(
        "conjugate",
        np.conj,
        lambda dy, z: np.conj(dy),
        (Z,),
        {"identity": lambda dy, z: dy, "zero, as of no holomorphic function": lambda dy, z: 0 * dy},
    ),
    Row(
        "real part, whose gradient may be real",
        np.real,
        lambda dy, z: dy,
        (Z,),
        {"in the imaginary part too": lambda dy, z: dy * (1 + 1j), "half": lambda dy, z: dy / 2},
    ),
    Row(
        "imaginary part",
        np.imag,
        lambda dy, z: 1j * dy,
        (Z,),
        {"sign": lambda dy, z: -1j * dy, "no i": lambda dy, z: dy + 0j},
    ),
    Row(
        "angle",
        np.angle,
        lambda dy, z: 1j * dy * z / np.abs(z) ** 2,
        (Z,),
        {"no i": lambda dy, z: dy * z / np.abs(z) ** 2, "1/z": lambda dy, z: 1j * dy / z},
    ),
    Row(
        "real and complex inputs",
        lambda x, z: x * z,
        lambda dy, x, z: ((dy * np.conj(z)).real, dy * x),
        (X, Z),
        {
            "no conjugate": lambda dy, x, z: ((dy * z).real, dy * x),
            "imaginary part for a real input": lambda dy, x, z: (dy * np.conj(z), dy * x),
            "modulus": lambda dy, x, z: (np.abs(dy * z), dy * x),
        },
    ),
    Row(
        "complex gradient of a real input, with nothing but rounding in its imaginary part",
        lambda x: np.fft.ifft(np.fft.fft(x) * np.fft.fft([1.0, 2.0, 0.5])).real,
        lambda dy, x: np.fft.ifft(np.fft.fft(dy) * np.conj(np.fft.fft([1.0, 2.0, 0.5]))),
        (X,),
        {"no conjugate": lambda dy, x: np.fft.ifft(np.fft.fft(dy) * np.fft.fft([1.0, 2.0, 0.5]))},
    ),
    Row(
        "Fourier transform",
        np.fft.fft,
        lambda dy, a: len(a) * np.fft.ifft(dy),
        (Z,),
        {"transpose": lambda dy, a: np.fft.fft(dy), "inverse": lambda dy, a: np.fft.ifft(dy)},
    ),
    Row(
        "matrix product",
        lambda a, b: a @ b,
        lambda dy, a, b: (dy @ b.conj().T, a.conj().T @ dy),
        (A, B),
        {
            "transposes": lambda dy, a, b: (dy @ b.T, a.T @ dy),
            "one transpose": lambda dy, a, b: (dy @ b.conj().T, a.T @ dy),
            "imaginary part dropped": lambda dy, a, b: ((dy @ b.conj().T).real, a.conj().T @ dy),
        },
    ),
    Row(
        "solve",
        np.linalg.solve,
        d_solve,
        (WELL, Z),
        {
            "no conjugate": lambda dy, a, b: (
                -np.outer(np.linalg.solve(a.conj().T, dy), np.linalg.solve(a, b)),
                d_solve(dy, a, b)[1],
            ),
            "transpose": lambda dy, a, b: (d_solve(dy, a, b)[0], np.linalg.solve(a.T, dy)),
        },
    ),
    Row(
        "Cholesky factor of a Hermitian matrix",
        cholesky,
        d_cholesky,
        (WELL,),
        {
            "transposes": lambda dy, z: d_cholesky(dy, z).T,
            "diagonal not halved": lambda dy, z: d_cholesky(dy + np.diag(np.diag(dy)), z),
        },
    ),
    Row(
        "several outputs, one of them real",
        lambda z: (z * z, np.abs(z) ** 2),
        lambda dy, z: 2 * dy[0] * np.conj(z) + 2 * dy[1] * z,
        (Z,),
        {
            "first": lambda dy, z: 2 * dy[0] * z + 2 * dy[1] * z,
            "second": lambda dy, z: 2 * dy[0] * np.conj(z) + 2 * dy[1] * np.conj(z),
        },
    ),
    Row(
        "complex constant, and a leaf of a dict",
        lambda p, w: p["z"] * w,
        lambda dy, p, w: {"z": dy * np.conj(w)},
        ({"z": Z}, 1 - 2j),
        {"no conjugate": lambda dy, p, w: {"z": dy * w}},
        options={"wrt": "p"},
    ),
    Row(
        "large",
        lambda z: z * z,
        lambda dy, z: 2 * dy * np.conj(z),
        (draw(3000),),
        {
            "one entry": lambda dy, z: 2 * dy * np.conj(z) * np.where(np.arange(3000) == 1234, 1j, 1),
            "imaginary parts": lambda dy, z: (2 * dy * np.conj(z)).real,
        },
    ),
    Row(
        "kink",
        lambda z: np.abs(z.real) + np.abs(z),
        lambda dy, z: dy * (np.sign(z.real) + z / np.abs(z)),
        (np.array([2j, 1 - 1j, -1 + 0.5j]),),
        {"beside the kink": lambda dy, z: dy * (1 + z / np.abs(z))},
    ),
    Row(
        "real at the point, complex elsewhere, is no value",
        lambda x: np.sqrt(x + 0j) if (x < 0).any() else np.sqrt(x),
        lambda dy, x: dy / (2 * np.sqrt(x)),
        (np.array([0.5, 1.0]),),
        {"no 2": lambda dy, x: dy / np.sqrt(x)},
    ),
]


@each_of(ROWS)
def test_real_and_imaginary_parts_are_checked(forward, backward, row, expected):
    agree(forward, backward, row, expected)


def transposed(backward):
    """The same rule in JAX's convention."""

    def rule(dy, *inputs):
        gradients = backward(np.conj(dy), *inputs)
        return tuple(map(np.conj, gradients)) if isinstance(gradients, tuple) else np.conj(gradients)

    return rule


CONVENTIONS = [ROWS[0], ROWS[5], ROWS[6], ROWS[12], ROWS[13], ROWS[14]]


@pytest.mark.parametrize("row", CONVENTIONS, ids=lambda row: row.name)
def test_each_convention_passes_as_itself(row):
    assert gradcheck(row.forward, transposed(row.right), row.inputs, convention="jax")
    for wrong in row.wrong.values():
        with pytest.raises(GradientError):
            gradcheck(row.forward, transposed(wrong), row.inputs, convention="jax")


@pytest.mark.parametrize("row", [ROWS[0], ROWS[5], ROWS[12], ROWS[13]], ids=lambda row: row.name)
def test_rule_in_the_other_convention_fails_and_is_told_so(row):
    for backward, convention, other in (
        (transposed(row.right), "torch", "JAX"),
        (row.right, "jax", "torch"),
    ):
        report = gradcheck(row.forward, backward, row.inputs, convention=convention, raise_exception=False)
        assert report.failed
        assert report.causes[0].code == "other-convention"
        assert f"right in {other}'s convention" in report.causes[0].message
        assert f"convention={other.lower()!r}" in report.causes[0].message


def test_conventions_are_those_of_jax_and_torch():
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):

        def forward(z):
            return np.asarray(jax.numpy.abs(z) * z)

        def backward(dy, z):
            return np.asarray(jax.vjp(lambda z: jax.numpy.abs(z) * z, z)[1](dy)[0])

        assert gradcheck(forward, backward, Z, convention="jax")
        assert gradcheck(forward, transposed(backward), Z)


def test_real_rule_is_the_same_in_both_conventions():
    for convention in ("torch", "jax"):
        assert gradcheck(np.sin, lambda dy, x: dy * np.cos(x), X, convention=convention)


def test_unknown_convention_is_refused():
    with pytest.raises(UsageError, match="convention is the str 'tf'; expected 'torch' or 'jax'"):
        gradcheck(np.sin, np.sin, X, convention="tf")


def test_upstream_gradient_of_the_caller_is_in_the_convention():
    seen = []

    def backward(dy, z):
        seen.append(np.array(dy))
        return dy * 2 * z

    dy = draw(3)
    assert gradcheck(lambda z: z * z, backward, Z, grad_output=dy, convention="jax")
    np.testing.assert_array_equal(seen[0], dy)


def test_complex_upstream_of_a_real_output_is_refused():
    with pytest.raises(UsageError, match="grad_output is complex; expected real numbers"):
        gradcheck(np.abs, lambda dy, z: dy * z / np.abs(z), Z, grad_output=1j * np.ones(3))


def test_wrong_part_is_named():
    report = gradcheck(
        lambda z: z * z,
        lambda dy, z: 2 * dy * np.conj(z) * [1, 1, 1] + [0, 0, 1j],
        Z,
        raise_exception=False,
    )
    assert report.inputs[0].wrong_entries == ((2, 1),)
    assert report.inputs[0].where == "the imaginary part of z[-1]"
    assert "worst z[2].imag: backward" in str(report)


def test_report_repeats_itself_from_its_snippet():
    report = gradcheck(np.conj, np.multiply, (np.array([1 - 0.5j]),), raise_exception=False)
    assert "x = np.array([1-0.5j])" in report.example or "np.array([1-0.5j])" in report.example


def test_entry_that_is_not_finite_is_one_constant():
    z = np.array([1 + 1j, complex(np.inf, 0), 2 - 1j])
    report = gradcheck(lambda z: z[::2] + 0, lambda dy, z: np.array([dy[0], 0, dy[1]]), z)
    assert report.notes == ("1 entry of z is not finite and was taken as a constant",)


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (lambda dy, z: (2 * dy * np.conj(z)).astype(np.complex64), "is complex64, and z is complex128"),
        (lambda dy, z: np.stack([dy.real, dy.imag]), r"has shape \(2, 3\); expected \(3,\)"),
        (lambda dy, z: None, r"is None; expected an array of shape \(3,\)"),
        (lambda dy, z: "text", "expected a complex128 array"),
    ],
)
def test_form_of_a_complex_gradient(gradient, message):
    with pytest.raises(GradientError, match=message):
        gradcheck(lambda z: z * z, gradient, Z)


def test_backward_that_is_linear_over_the_reals_alone_is_linear():
    assert gradcheck(lambda z: z.real + 1j * z, lambda dy, z: dy.real - 1j * dy, Z)


@pytest.mark.parametrize(
    ("backward", "kind"),
    [
        (lambda dy, z: 2 * np.conj(z) * np.abs(dy), "nonlinear-in-upstream"),
        (lambda dy, z: 2 * np.conj(z), "ignores-upstream"),
        (lambda dy, z: np.multiply(dy, 2 * np.conj(z), out=dy), "mutates-upstream"),
    ],
)
def test_contract_of_a_complex_rule(backward, kind):
    report = gradcheck(lambda z: z * z, backward, Z, raise_exception=False)
    assert kind in {finding.kind for finding in report.findings}
