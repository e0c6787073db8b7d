"""A project with a derivative in each form, as a new user writes it: one call each, and no adapter."""

import os
import re
import subprocess
import sys

import pytest

NETS = """
import numpy as np

FACTOR = {factor}


class Affine:
    def __init__(self, W, b):
        self.params, self.grads = {{"W": W, "b": b}}, {{}}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        self.grads["W"] = self.x.T @ dout
        self.grads["b"] = FACTOR * dout.sum(axis=0)
        return dout @ self.params["W"].T


class Scale:
    def __init__(self, size):
        self.gamma, self.dgamma = np.linspace(1, 2, size), None

    def forward(self, x):
        self.x = x
        return x * self.gamma

    def backward(self, dout):
        self.dgamma = FACTOR * (dout * self.x).sum(axis=0)
        return dout * self.gamma


class Model:
    def __init__(self):
        self.params = {{"w": np.array([0.5, -1.0, 2.0])}}

    def loss(self, X, y):
        e = X @ self.params["w"] - y
        return np.mean(e**2), {{"w": FACTOR * 2 * X.T @ e / len(y)}}


def least_squares(w, X, y):
    e = X @ w - y
    return 0.5 * e @ e, FACTOR * X.T @ e


def callback(x, grad):
    if grad.size > 0:
        grad[:] = FACTOR * 2 * x
    return float(x @ x)


def network(x, layers):
    for w in layers:
        x = np.tanh(x @ w["W"])
    return x


def network_backward(dy, x, layers):
    kept = []
    for w in layers:
        kept.append((x, np.tanh(x @ w["W"])))
        x = kept[-1][1]
    gradients = []
    for w, (before, after) in zip(layers[::-1], kept[::-1]):
        da = dy * (1 - after**2)
        gradients.append({{"W": FACTOR * before.T @ da}})
        dy = da @ w["W"].T
    return dy, gradients[::-1]
"""

TESTS = """
import gradlab
import numpy as np
from {module} import Affine, Model, Scale, callback, least_squares, network, network_backward

rng = np.random.default_rng(0)
X, W, V, b, y = (rng.normal(size=shape) for shape in [(4, 3), (3, 3), (3, 2), 2, 4])


def test_tree():
    gradlab.gradcheck(network, network_backward, (X, [{"W": W}, {"W": V}]))


def test_layer():
    gradlab.check_layer(Affine(V, b), X)


def test_layer_at_many_points():
    gradlab.verify(gradlab.Rule.from_layer(Scale(3), "(n,3)"), max_examples=20)


def test_loss_and_gradients():
    gradlab.check_value_and_grad(least_squares, b, X[:, :2], y)


def test_model():
    model = Model()
    gradlab.check_value_and_grad(model.loss, X, y, params=model.params)


def test_callback():
    gradlab.check_value_and_grad(callback, b)
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Return what pytest says of the right derivatives and of the wrong ones."""
    project = tmp_path_factory.mktemp("nets")
    for name, factor in (("right", 1.0), ("wrong", 2.5)):
        (project / f"{name}.py").write_text(NETS.format(factor=factor))
        (project / f"test_{name}.py").write_text(TESTS.replace("{module}", name))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=project,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.stdout


def test_one_call_tells_right_from_wrong_in_every_form(output):
    assert re.search(r"test_right.py \.{6}\s.*\ntest_wrong.py F{6}\s", output), output


def test_wrong_leaves_are_named_by_their_paths(output):
    blamed = [line for line in output.splitlines() if " is wrong" in line or " are wrong" in line]
    for name in ("layers[1]['W']", "params['b']", "gamma", "params['w']"):
        assert any(name in line for line in blamed)
