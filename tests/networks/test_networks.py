from itertools import repeat

import numpy as np
import pytest

from gradlab import UsageError, gradcheck
from gradlab.networks import language_model, layer, neuron
from gradlab.networks.descent import gradient_descent
from gradlab.rules import embedding, linear, square_loss, tanh

W = np.array([[0.5, -1.0], [2.0, 0.25]])
X = np.array([[1.0, -0.5], [0.75, 2.0], [0.1, 0.2]])


def test_neuron_computes_the_shared_factor_once_and_uses_it_twice(monkeypatch):
    _, values = neuron.forward(0.5, -1.2, 1.5, 0.8)
    dw1, dw2, *_ = neuron.backward(1.0, values)
    original, calls = neuron.shared_factor, []

    def doubled(v):
        calls.append(v)
        return 2 * original(v)

    monkeypatch.setattr(neuron, "shared_factor", doubled)
    again1, again2, *_ = neuron.backward(1.0, values)
    assert len(calls) == 1
    assert (again1, again2) == (2 * dw1, 2 * dw2)


def test_neuron_is_the_chain_rule_written_out():
    w1, w2, x, y = 0.5, -1.2, 1.5, 0.8
    h = np.tanh(w1 * x)
    o = np.tanh(w2 * h)
    _, values = neuron.forward(w1, w2, x, y)
    dw1, dw2, *_ = neuron.backward(1.0, values)
    assert dw2 == pytest.approx(-(y - o) * (1 - o**2) * h, rel=1e-15)
    assert dw1 == pytest.approx(-(y - o) * (1 - o**2) * w2 * (1 - h**2) * x, rel=1e-15)


def test_layer_is_its_activation_of_the_linear_map():
    np.testing.assert_array_equal(layer.IDENTITY.forward(X, W)[0], X @ W)
    np.testing.assert_array_equal(layer.TANH.forward(X, W)[0], np.tanh(X @ W))


def test_language_model_gives_a_uniform_guess_without_weights():
    loss, _ = language_model.forward(
        np.ones((7, 2)), np.zeros((6, 3)), np.zeros((3, 7)), np.array([[0, 1, 2]]), np.array([3])
    )
    assert loss == pytest.approx(np.log(7))


def test_word_that_occurs_twice_in_a_context_gets_both_contributions(monkeypatch):
    rng = np.random.default_rng(0)
    table, w1, w2 = rng.normal(size=(5, 2)), rng.normal(size=(6, 3)), rng.normal(size=(3, 5))
    seen = []
    original = embedding.backward
    monkeypatch.setattr(embedding, "backward", lambda dy, *rest: seen.append(dy) or original(dy, *rest))
    _, cache = language_model.forward(table, w1, w2, np.array([[4, 1, 4]]), np.array([0]))
    dtable, _, _ = language_model.backward(np.array(1.0), cache)
    np.testing.assert_allclose(dtable[4], seen[0][0, 0] + seen[0][0, 2])


class TestGradientDescent:
    def test_each_step_is_the_formula_and_the_start_is_not_written_to(self):
        start = {"w": W.copy()}
        (step,) = gradient_descent(linear_loss, start, [{"x": X}], learning_rate=0.1)
        np.testing.assert_array_equal(start["w"], W)
        np.testing.assert_allclose(step.gradients["w"], X.T @ (X @ W), rtol=1e-15)
        np.testing.assert_allclose(step.parameters["w"], W - 0.1 * X.T @ (X @ W), rtol=1e-15)

    def test_loss_falls_to_the_minimum(self):
        steps = list(gradient_descent(linear_loss, {"w": W}, repeat({"x": X}, 200), learning_rate=0.1))
        losses = [step.loss for step in steps]
        assert losses == sorted(losses, reverse=True)
        assert losses[-1] < 1e-6 * losses[0]

    def test_cached_rules_descend_too(self):
        pair = {"x": 1.5, "y": 0.8}
        steps = list(
            gradient_descent(neuron.RULE, {"w1": 0.5, "w2": -1.2}, repeat(pair, 200), learning_rate=0.5)
        )
        assert steps[-1].loss < 0.01 * steps[0].loss

    def test_parameter_that_is_no_argument(self):
        with pytest.raises(UsageError, match="parameters names z; the arguments of forward are x, w"):
            next(gradient_descent(linear.RULE, {"z": W}, [{}], learning_rate=0.1))

    def test_parameter_without_a_gradient(self):
        with pytest.raises(UsageError, match="backward returns no gradient for target"):
            next(
                gradient_descent(
                    language_model.RULE,
                    {"target": np.array([0])},
                    [
                        {
                            "table": np.ones((2, 1)),
                            "w1": np.ones((3, 1)),
                            "w2": np.ones((1, 2)),
                            "context": np.array([[0, 1, 1]]),
                        }
                    ],
                    learning_rate=0.1,
                )
            )


def _loss(x, w):
    return square_loss.forward(linear.forward(x, w), np.zeros((len(x), w.shape[1])))


def _loss_backward(dl, x, w):
    do, _ = square_loss.backward(dl, linear.forward(x, w), np.zeros((len(x), w.shape[1])))
    return linear.backward(do, x, w)


linear_loss = linear.Rule("linear_loss", _loss, _loss_backward, (X, W))


def test_loss_used_above_is_itself_right():
    assert gradcheck(_loss, _loss_backward, (X, W))
    assert gradcheck(tanh.forward, tanh.backward, X, cached=True)
