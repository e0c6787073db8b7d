"""Conjugates that are missing, or too many: which one it is, and never one that it is not."""

import numpy as np
import pytest
from explaining import codes, first

from gradlab import gradcheck

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 2, 3)) + 1j * RNG.normal(size=(2, 2, 3))
X = RNG.normal(size=(2, 3))


def product(a, b):
    return a * b


def test_missing_in_all_gradients_is_the_other_convention():
    found = gradcheck(product, lambda u, a, b: (u * b, u * a), (A, B), raise_exception=False).causes
    assert [cause.code for cause in found] == ["other-convention"] * 2
    assert "gradient of a is right in JAX's convention, dL/dx - i dL/dy" in found[0].message


def test_missing_in_one_gradient_is_no_convention():
    code, message = first(product, lambda u, a, b: (u * b, u * a.conj()), A, B)
    assert code == "conjugated"
    assert message == ("gradient of a uses b where it has to use its complex conjugate: write b.conj()")


def test_conjugate_of_the_gradient():
    code, message = first(product, lambda u, a, b: ((u * b.conj()).conj(), u * a.conj()), A, B)
    assert (code, message) == (
        "conjugated",
        "gradient of a is the complex conjugate of the right one: return its conjugate",
    )


def test_conjugate_of_the_upstream_gradient():
    code, message = first(product, lambda u, a, b: (u.conj() * b.conj(), u * a.conj()), A, B)
    assert code == "conjugated"
    assert "uses the complex conjugate of grad_output" in message


def test_conjugate_of_a_constant_is_not_guessed():
    constant = 1 - 2j

    def wrong(u, a):
        return u * constant

    report = gradcheck(lambda a: a * constant, wrong, (A,), raise_exception=False)
    # The rule as a whole is right in the other convention, which is what is said.
    assert [cause.code for cause in report.causes] == ["other-convention"]


def test_missing_term_is_written_in_complex_numbers():
    code, message = first(lambda z: z * z.conj(), lambda u, z: u.conj() * z, A)
    assert code == "missing-term"
    assert message == "gradient of z misses a term: add grad_output * z"


def test_missing_term_with_a_conjugate():
    code, message = first(lambda z: z**2 + z, lambda u, z: u, A)
    assert code == "missing-term"
    assert message == "gradient of z misses a term: add 2 * grad_output * z.conj()"


@pytest.mark.parametrize(
    "backward",
    [
        lambda u, z: u * z.conj() * (2 + 0.1j),  # turned a little
        lambda u, z: 2 * u * z.conj() + 0.1j * u.real,
    ],
)
def test_what_is_no_conjugate_is_not_called_one(backward):
    assert not {"conjugated", "other-convention"} & set(codes(lambda z: z**2, backward, A))


def test_real_rule_is_never_told_of_conjugates():
    assert not {"conjugated", "other-convention"} & set(codes(np.sin, lambda u, x: -u * np.cos(x), X))
