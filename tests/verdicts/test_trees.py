"""Parameters in dicts, lists, named tuples and dataclasses: every leaf is checked, and each by its name."""

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from tables import Row, agree, each_of, normal

from gradlab import gradcheck

X, W, B, V = normal((4, 3), (3, 3), 3, (3, 3))
Affine = namedtuple("Affine", "weight bias")


@dataclass
class Gate:
    scale: Any
    shift: Any
    power: int = 2


def two_layers(x, p):
    return np.tanh(x @ p["first"]["W"] + p["first"]["b"]) @ p["second"]["W"]


def d_two_layers(dy, x, p):
    h = np.tanh(x @ p["first"]["W"] + p["first"]["b"])
    d = dy @ p["second"]["W"].T * (1 - h * h)
    return d @ p["first"]["W"].T, {"first": {"W": x.T @ d, "b": d.sum(axis=0)}, "second": {"W": h.T @ dy}}


def d_two_layers_with(change):
    def backward(dy, x, p):
        dx, dp = d_two_layers(dy, x, p)
        change(dp)
        return dx, dp

    return backward


def stack(x, layers):
    for w, b in layers:
        x = x @ w + b
    return x


def d_stack(dy, x, layers):
    seen, gradients = [], []
    for w, b in layers:
        seen.append(x)
        x = x @ w + b
    for (w, _), a in zip(layers[::-1], seen[::-1], strict=True):
        gradients.append((a.T @ dy, dy.sum(axis=0)))
        dy = dy @ w.T
    return dy, gradients[::-1]


def d_stack_in_the_middle(dy, x, layers):
    dx, (first, (w, b), last) = d_stack(dy, x, layers)
    return dx, [first, (w, b + 1), last]


def gate(x, p):
    return p.scale * x**p.power + p.shift


def d_gate(dy, x, p):
    return dy * p.scale * 2 * x, Gate((dy * x * x).sum(axis=0), dy.sum(axis=0), None)


ROWS = [
    Row(
        "dicts of dicts",
        two_layers,
        d_two_layers,
        (X, {"first": {"W": W, "b": B}, "second": {"W": V}}),
        {
            "b": d_two_layers_with(lambda p: p["first"].update(b=2 * p["first"]["b"])),
            "second W": d_two_layers_with(lambda p: p["second"].update(W=-p["second"]["W"])),
            "leaf missing": d_two_layers_with(lambda p: p["first"].pop("b")),
        },
    ),
    Row(
        "list of tuples",
        stack,
        d_stack,
        (X, [(W, B), (V, B + 1), (W + V, B - 1)]),
        {
            "b in the middle": d_stack_in_the_middle,
            "reversed": lambda dy, x, layers: (d_stack(dy, x, layers)[0], d_stack(dy, x, layers)[1][::-1]),
        },
    ),
    Row(
        "named tuple",
        lambda x, p: x @ p.weight + p.bias,
        lambda dy, x, p: (dy @ p.weight.T, Affine(x.T @ dy, dy.sum(axis=0))),
        (X, Affine(W, B)),
        {
            "bias": lambda dy, x, p: (dy @ p.weight.T, Affine(x.T @ dy, 3 * dy.sum(axis=0))),
            "weight": lambda dy, x, p: (dy @ p.weight.T, Affine(-x.T @ dy, dy.sum(axis=0))),
        },
    ),
    Row(
        "dataclass with a constant",
        gate,
        d_gate,
        (X, Gate(B, B + 1)),
        {
            "shift": lambda dy, x, p: (
                d_gate(dy, x, p)[0],
                Gate((dy * x * x).sum(axis=0), dy.mean(axis=0), None),
            )
        },
    ),
    Row(
        "one dict, with a number",
        lambda p: p["a"] * np.sin(p["x"]),
        lambda dy, p: {"a": dy @ np.sin(p["x"]), "x": dy * p["a"] * np.cos(p["x"])},
        ({"a": 1.7, "x": B},),
        {
            "number": lambda dy, p: {"a": 2 * dy @ np.sin(p["x"]), "x": dy * p["a"] * np.cos(p["x"])},
            "array": lambda dy, p: {"a": dy @ np.sin(p["x"]), "x": dy * np.cos(p["x"])},
        },
    ),
    Row(
        "empty leaf",
        lambda p: np.concatenate([p["a"], p["b"] ** 2]),
        lambda dy, p: {"a": dy[:0], "b": 2 * dy * p["b"]},
        ({"a": np.empty(0), "b": B},),
        {
            "other leaf": lambda dy, p: {"a": dy[:0], "b": dy * p["b"]},
            "its shape": lambda dy, p: {"a": dy, "b": 2 * dy * p["b"]},
        },
    ),
]


@each_of(ROWS)
def test_every_leaf_is_checked(forward, backward, row, expected):
    agree(forward, backward, row, expected)


@pytest.mark.parametrize(
    ("row", "name", "leaf"),
    [(0, "b", "p['first']['b']"), (1, "b in the middle", "layers[1][1]"), (2, "bias", "p.bias")],
)
def test_wrong_leaf_is_named_and_the_others_are_right(row, name, leaf):
    report = gradcheck(ROWS[row].forward, ROWS[row].wrong[name], ROWS[row].inputs, raise_exception=False)
    assert {result.name for result in report.inputs if result.verdict == "fail"} == {leaf}


def test_dtype_of_a_leaf_counts():
    def backward(dy, x, p):
        return dy @ p.weight.T, Affine(x.T @ dy, dy.sum(axis=0).astype(np.float32))

    report = gradcheck(ROWS[2].forward, backward, ROWS[2].inputs, raise_exception=False)
    assert "gradient-dtype" in {finding.kind for finding in report.findings}
