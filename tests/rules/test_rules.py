"""Rules against other people's formulas, and where they are delicate."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special

from gradlab import networks, rules
from gradlab.rules import cross_entropy, embedding, softmax, square_loss

LOGITS = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 3.0]])
TARGET = np.array([2, 0])


def test_every_rule_has_both_modes_a_closed_form_jacobian_and_a_name_of_its_own():
    everything = (*rules.RULES, *networks.RULES)
    assert all(rule.backward and rule.jvp and rule.jacobian for rule in everything)
    assert len({rule.name for rule in everything}) == len(everything)


def test_softmax_is_scipys():
    np.testing.assert_allclose(softmax.forward(LOGITS)[0], scipy.special.softmax(LOGITS, axis=-1), rtol=1e-15)


def test_softmax_takes_any_number_of_leading_axes():
    z = np.arange(12.0).reshape(2, 2, 3)
    y, cache = softmax.forward(z)
    np.testing.assert_allclose(y.sum(axis=-1), 1)
    assert softmax.backward(np.ones_like(z), cache).shape == z.shape


def test_fused_cross_entropy_is_that_of_the_probabilities():
    p = scipy.special.softmax(LOGITS, axis=-1)
    loss, _ = cross_entropy.forward_logits(LOGITS, TARGET)
    np.testing.assert_allclose(loss, cross_entropy.forward(p, TARGET), rtol=1e-15)
    np.testing.assert_allclose(loss, -np.log(p[[0, 1], TARGET]).mean(), rtol=1e-15)


@pytest.mark.parametrize("size", [1000.0, -1000.0])
def test_fused_cross_entropy_is_stable_for_huge_logits(size):
    z = np.array([[size, -size, 0.0], [size, 0.0, size]])
    loss, cache = cross_entropy.forward_logits(z, np.array([0, 1]))
    gradient = cross_entropy.backward_logits(1.0, cache)
    assert np.isfinite(loss)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient.sum(axis=-1), 0, atol=1e-15)


@pytest.mark.parametrize("rule", [square_loss.SUM, square_loss.MEAN], ids=lambda rule: rule.name)
def test_scipy_agrees_about_the_square_loss(rule):
    y = np.array([0.5, -1.0, 2.0])
    o = np.array([1.0, 0.25, -0.5])
    numeric = scipy.optimize.approx_fprime(o, lambda o: float(rule.forward(o, y)))
    np.testing.assert_allclose(rule.backward(1.0, o, y)[0], numeric, rtol=1e-6)


def test_row_that_is_looked_up_twice_gets_both_contributions():
    dy = np.array([[[1.0], [2.0], [4.0]]])
    dtable = embedding.backward(dy, np.zeros((3, 1)), np.array([[0, 2, 0]]))
    np.testing.assert_array_equal(dtable, [[5.0], [0.0], [2.0]])
