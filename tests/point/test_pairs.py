import numpy as np
import pytest

from gradlab.point.pairs import as_complex, as_pairs, gradient_as_pairs, gradient_from_pairs, with_partners

Z = np.array([[1 + 2j, 3 - 4j, -0.5j]])


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, np.clongdouble])
@pytest.mark.parametrize(
    "z", [Z, Z.T, Z[:, ::2], Z[0, 0], Z[:, :0]], ids=["C", "F", "strided", "0-d", "empty"]
)
def test_pairs_and_back_is_the_same(z, dtype):
    z = np.asarray(z, dtype=dtype)
    pairs = as_pairs(z)
    assert pairs.shape == (*z.shape, 2)
    assert pairs.dtype == z.real.dtype
    assert as_complex(pairs).dtype == dtype
    np.testing.assert_array_equal(as_complex(pairs), z)


def test_real_array_stays_as_it_is():
    x = np.ones(3)
    assert as_pairs(x) is x


@pytest.mark.parametrize(("convention", "sign"), [("torch", 1), ("jax", -1)])
def test_convention_is_the_sign_of_the_imaginary_part(convention, sign):
    pairs = gradient_as_pairs(Z, paired=True, convention=convention)
    np.testing.assert_array_equal(pairs[..., 1], sign * Z.imag)
    np.testing.assert_array_equal(gradient_from_pairs(pairs, paired=True, convention=convention), Z)


def test_of_a_real_input_the_real_part_counts():
    np.testing.assert_array_equal(gradient_as_pairs(Z, paired=False, convention="jax"), Z.real)


def test_partners_are_marked_together():
    mask = np.array([[True, False], [False, False]])
    np.testing.assert_array_equal(with_partners(mask), [[True, True], [False, False]])
