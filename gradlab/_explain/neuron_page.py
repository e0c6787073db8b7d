"""The page of the single neuron: the chain rule with numbers, the shared factor marked, one step."""

from __future__ import annotations

from collections.abc import Iterator

from gradlab._explain.layout import digits, factor, number
from gradlab._numerical import numerical_vjp
from gradlab.networks import neuron
from gradlab.networks.descent import gradient_descent

WEIGHTS = {"w1": 0.5, "w2": -1.2}
PAIR = {"x": 1.5, "y": 0.8}
LEARNING_RATE = 0.5


def page() -> str:
    """Return the page."""
    return "\n".join([*_forward(), *_backward(), *_check(), *_descent()])


def _forward() -> Iterator[str]:
    _, v = neuron.forward(**WEIGHTS, **PAIR)  # type: ignore[arg-type]
    loss = 0.5 * (v.y - v.o) ** 2
    yield "neuron: one pair (x, y), two weights, and the chain rule by hand"
    yield ""
    yield f"  x = {number(v.x)}, y = {number(v.y)}, w1 = {number(v.w1)}, w2 = {number(v.w2)}"
    yield ""
    yield "Forward: every number is kept for the way back."
    yield ""
    yield f"  b = w1 x        = {number(v.w1)} × {number(v.x)} = {number(v.b)}"
    yield f"  h = tanh(b)     = {number(v.h)}"
    yield f"  a = w2 h        = {factor(v.w2)} × {factor(v.h)} = {number(v.a)}"
    yield f"  o = tanh(a)     = {number(v.o)}"
    yield f"  L = ½ (y − o)²  = ½ × {factor(v.y - v.o)}² = {number(loss)}"


def _backward() -> Iterator[str]:
    _, v = neuron.forward(**WEIGHTS, **PAIR)  # type: ignore[arg-type]
    delta = neuron.shared_factor(v)
    dw1, dw2, _, _ = neuron.backward(1.0, v)  # type: ignore[arg-type]
    yield ""
    yield "Backward: from the loss to the weights."
    yield ""
    yield f"  dL/do  = −(y − o)             = {number(-(v.y - v.o))}"
    yield f"  do/da  = 1 − o²               = {number(1 - v.o**2)}"
    yield f"  δ      = dL/do · do/da        = {number(delta)}    <-- shared: computed once, used twice"
    yield ""
    yield f"  dL/dw2 = δ · da/dw2           = δ · h = {factor(delta)} × {factor(v.h)} = {number(dw2)}"
    yield "  dL/dw1 = δ · da/dh · dh/db · db/dw1 = δ · w2 · (1 − h²) · x"
    factors = " × ".join(map(factor, (delta, v.w2, 1 - v.h**2, v.x)))
    yield f"         = {factors} = {number(dw1)}"


def _check() -> Iterator[str]:
    _, v = neuron.forward(**WEIGHTS, **PAIR)  # type: ignore[arg-type]
    claimed = dict(zip(neuron.Values._fields, neuron.backward(1.0, v), strict=False))  # type: ignore[arg-type]
    shown, bars = numerical_vjp(lambda **inputs: neuron.forward(**inputs)[0], {**WEIGHTS, **PAIR})
    yield ""
    yield "Central differences, which know nothing of the chain rule, say the same:"
    yield ""
    for name in WEIGHTS:
        numeric = float(shown[name])
        agree = digits(float(claimed[name]), numeric)
        yield f"  dL/d{name} = {numeric:.10f} ± {float(bars[name]):.0e}, which agrees to {agree} digits"


def _descent() -> Iterator[str]:
    steps = gradient_descent(neuron.RULE, WEIGHTS, [PAIR], learning_rate=LEARNING_RATE)  # type: ignore[arg-type]
    (step,) = steps
    loss, _ = neuron.forward(**step.parameters, **PAIR)  # type: ignore[arg-type]
    yield ""
    yield f"One step of gradient descent, w ← w − η dL/dw, with η = {number(LEARNING_RATE)}:"
    yield ""
    for name, old in WEIGHTS.items():
        slope, new = float(step.gradients[name]), float(step.parameters[name])
        yield f"  {name} ← {number(old)} − {number(LEARNING_RATE)} × {factor(slope)} = {number(new)}"
    yield f"  L:  {number(step.loss)} before, {number(float(loss))} after"
