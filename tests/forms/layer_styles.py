"""One affine layer, ``Y = X W + b``, as courses, books and frameworks have people write it.

Each style is a class whose ``factor`` multiplies the gradient of the bias, so that 1 is right, and the
options that its call needs.
"""

from collections import namedtuple

import numpy as np

W, B, X = (np.random.default_rng(0).normal(size=shape) for shape in [(3, 2), 2, (4, 3)])
Style = namedtuple("Style", "make options names")


class Dicts:
    def __init__(self, W, b, factor=1.0):
        self.params, self.grads, self.factor = {"W": W, "b": b}, {}, factor

    def forward(self, x):
        self.cache = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        self.grads["W"] = self.cache.T @ dout
        self.grads["b"] = self.factor * dout.sum(axis=0)
        return dout @ self.params["W"].T


class DictsWithOtherKeys(Dicts):
    def backward(self, dout):
        dx = super().backward(dout)
        self.grads = {"dW": self.grads["W"], "db": self.grads["b"]}
        return dx


class Lists:
    def __init__(self, W, b, factor=1.0):
        self.params, self.factor = [W, b], factor
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None

    def forward(self, x):
        W, b = self.params
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, _ = self.params
        self.grads[0][...] = np.dot(self.x.T, dout)
        self.grads[1][...] = self.factor * np.sum(dout, axis=0)
        return np.dot(dout, W.T)


class Attributes:
    def __init__(self, W, b, factor=1.0):
        self.W, self.b, self.factor = W, b, factor

    def forward(self, A):
        self.A = A
        return A @ self.W + self.b

    def backward(self, dLdZ):
        self.dLdW = self.A.T @ dLdZ
        self.dLdb = self.factor * dLdZ.sum(axis=0)
        return dLdZ @ self.W.T


class NothingReturned:
    def __init__(self, W, b, factor=1.0):
        self.weights, self.biases, self.factor = W, b, factor

    def forward(self, inputs):
        self.inputs = inputs
        self.output = inputs @ self.weights + self.biases

    def backward(self, dvalues):
        self.dweights = self.inputs.T @ dvalues
        self.dbiases = self.factor * dvalues.sum(axis=0)
        self.dinputs = dvalues @ self.weights.T


class AllReturned:
    def __init__(self, W, b, factor=1.0):
        self.W, self.b, self.factor = W, b, factor

    def feedforward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backprop(self, delta):
        return delta @ self.W.T, self.x.T @ delta, self.factor * delta.sum(axis=0)


class AllReturnedByName(AllReturned):
    def backprop(self, delta):
        dx, dW, db = super().backprop(delta)
        return {"dx": dx, "dW": dW, "db": db}


class Pairs:
    def __init__(self, W, b, factor=1.0):
        self.w, self.bias, self.factor = W, b, factor
        self.dl_dw, self.dl_db = np.zeros_like(W), np.zeros_like(b)

    def forward(self, x):
        self.x = x
        return x @ self.w + self.bias

    def backward(self, gradwrtoutput):
        self.dl_dw += self.x.T @ gradwrtoutput
        self.dl_db += self.factor * gradwrtoutput.sum(axis=0)
        return gradwrtoutput @ self.w.T

    def param(self):
        return [(self.w, self.dl_dw), (self.bias, self.dl_db)]


class Parameter:
    def __init__(self, data):
        self.data, self.grad = data, None


class Objects:
    def __init__(self, W, b, factor=1.0):
        self.weight, self.bias, self.factor = Parameter(W), Parameter(b), factor

    def parameters(self):
        return [self.weight, self.bias]

    def __call__(self, x):
        self.x = x
        return x @ self.weight.data + self.bias.data

    def backward(self, grad):
        self.weight.grad = self.x.T @ grad
        self.bias.grad = self.factor * grad.sum(axis=0)
        return grad @ self.weight.data.T


class Slots:
    __slots__ = ("W", "b", "dW", "db", "factor", "x")

    def __init__(self, W, b, factor=1.0):
        self.W, self.b, self.factor = W, b, factor

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW, self.db = self.x.T @ dy, self.factor * dy.sum(axis=0)
        return dy @ self.W.T


class Stack:
    """Layers in a list, one behind the other."""

    def __init__(self, *layers):
        self.layers = list(layers)

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in self.layers[::-1]:
            dy = layer.backward(dy)
        return dy


class Network(Stack):
    """Layers share their arrays with the dict of the whole."""

    def __init__(self, W, b, factor=1.0):
        super().__init__(Attributes(W, b, factor))
        self.params = {"W1": W, "b1": b}

    predict = Stack.forward

    def backward(self, dy):
        dy = super().backward(dy)
        self.grads = {"W1": self.layers[0].dLdW, "b1": self.layers[0].dLdb}
        return dy


RETURNS = {"params": ("W", "b"), "forward": "feedforward", "backward": "backprop"}
STYLES = {
    "dicts": Style(Dicts, {}, ["x", "params['W']", "params['b']"]),
    "dicts with other keys": Style(DictsWithOtherKeys, {}, ["x", "params['W']", "params['b']"]),
    "lists": Style(Lists, {}, ["x", "params[0]", "params[1]"]),
    "attributes": Style(Attributes, {}, ["A", "W", "b"]),
    "slots": Style(Slots, {}, ["x", "W", "b"]),
    "nothing returned": Style(NothingReturned, {}, ["inputs", "weights", "biases"]),
    "all returned": Style(AllReturned, RETURNS, ["x", "W", "b"]),
    "all returned by name": Style(AllReturnedByName, RETURNS, ["x", "W", "b"]),
    "pairs": Style(Pairs, {"params": "param", "grads": "param"}, ["x", "param[0]", "param[1]"]),
    "objects": Style(
        Objects,
        {"params": "parameters", "forward": "__call__"},
        ["x", "parameters[0].data", "parameters[1].data"],
    ),
    "network": Style(Network, {"forward": "predict"}, ["x", "params['W1']", "params['b1']"]),
}


def made(style, factor=1.0, dtype=float):
    return STYLES[style].make(W.astype(dtype), B.astype(dtype), factor)
