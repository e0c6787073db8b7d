"""Losses of points that are told apart well: what is left of them is made of roundings of one."""

import numpy as np
import pytest

from gradlab import gradcheck


def verdict(forward, backward, x):
    with np.errstate(all="ignore"):
        return gradcheck(forward, backward, x, raise_exception=False).verdict


def cross_entropy(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return -np.mean(np.log(e[:, 0] / e.sum(axis=1)))


def cross_entropy_backward(dl, z):
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[:, 0] -= 1
    return dl * p / len(z)


@pytest.mark.parametrize("margin", [5, 20, 24, 28])
@pytest.mark.parametrize("seed", range(3))
def test_cross_entropy_does_not_depend_on_the_layout_of_memory(margin, seed):
    """Sums in another order are another rounding of one: 1e-17 of a loss of 1e-9 is no other answer."""
    z = np.random.default_rng(seed).standard_normal((20, 10))
    z[:, 0] += margin
    assert (
        verdict(cross_entropy, cross_entropy_backward, z)
        in (("pass",), ("pass", "inconclusive"))[margin > 24]
    )
    assert verdict(cross_entropy, lambda dl, z: 1.5 * cross_entropy_backward(dl, z), z) == "fail"


def test_layout_of_small_outputs_is_still_looked_at():
    def forward(z):
        return 1e-9 * (1 + z.ravel()[0] if z.flags.c_contiguous else z.ravel()[-1])

    assert verdict(forward, lambda dl, z: 1e-9 * dl * np.eye(1, z.size)[0], np.arange(1.0, 6.0)) == "fail"


@pytest.mark.parametrize("margin", [45.0, 50.0, 60.0])
@pytest.mark.parametrize(("factor", "states"), [(1, ("pass", "inconclusive")), (1e10, ("fail",))])
def test_loss_that_is_rounded_to_zero(margin, factor, states):
    """Of log(1 + exp(-50)) nothing is left, and its derivative is not wrong for that."""
    x = margin + np.random.default_rng(0).standard_normal(4)
    found = verdict(lambda x: np.log(1 + np.exp(-x)).sum(), lambda dl, x: -factor * dl / (1 + np.exp(x)), x)
    assert found in states


@pytest.mark.parametrize("tiny", [1e-20, 1e-50, 1e-80])
def test_entropy_of_a_tiny_probability_has_a_slope_without_end(tiny):
    """It grows by as much with each shorter step: no ladder tells what it is at the point."""
    p = np.array([tiny, 0.3, 0.7])
    right = verdict(lambda p: -(p * np.log(p)).sum(), lambda dl, p: -dl * (np.log(p) + 1), p)
    wrong = verdict(
        lambda p: -(p * np.log(p)).sum(), lambda dl, p: -dl * (np.log(p) + np.array([1, 1.1, 1])), p
    )
    assert right != "fail"
    assert wrong == "fail"
