"""Random compositions with exact gradients: is the right rule passed, and a wrong one caught as promised?

Run: python tests/benchmarks/fuzz.py [TRIALS] [SEED] [--verbose] [--only INDEX] [--oracle jax]

Every operation is written once over a module ``xp``: NumPy runs it as the forward under test, and autograd
differentiates it in float64. JAX does so too, but compiles for seconds what autograd does in a
millisecond: it is the witness of every 50th trial, or with ``--oracle jax`` of all. Trial k depends on
(SEED, k) alone.
"""

import argparse
import importlib
import math
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import gradlab

# Rounding of forward, in units of the dtype's, over the influence of an input: far beyond, no central
# difference reaches the default rtol (1e-12 of rounding leaves a derivative good to about 1e-8).
CONDITION = {np.dtype(np.float64): 3e3, np.dtype(np.float32): 1e3}
FADED = 1e-2  # what rounding may do to the output in float32; sin(1e15) is lost in float64 as well
NEAREST = 2.0**-33  # of the scale: no difference shows what varies over less
MOST_AT_KINKS = 50  # entries that are looked at on both sides
SHARP = 1e4  # influence over what a move of 10 % does: tanh(1e10 x) at 0 is a step to any difference
TOO_SMALL = 10  # times rtol and the largest influence: what cannot matter, whatever the scale of an entry
EQUAL_EVERY, WITNESS_EVERY = 20, 50  # trials
DIMS = (1, 2, 3, 4)  # few, as JAX compiles for each shape anew
LARGE, LARGE_SHARE, MOST = ((2_000,), (20_000,), (100, 80), (3, 1_000)), 1 / 60, 20_000  # shapes, entries
VIEWS = (np.s_[::-1], np.s_[..., ::-1], np.s_[::2], np.s_[..., 1:], np.s_[:, None], np.s_[0])
DEFECTS = ("entry scaled", "entries swapped", "row zero", "entry negated", "negated", "transposed", "stale")
BAD = ("false alarms", "promises broken", "max_calls exceeded", "unequal reports", "crashes")
ROWS = (
    *("trials", "false alarms", "undecided", "defects made", "defects caught", "defects undecided"),
    *("missed below resolution (fine)", *BAD[1:], "oracles disagree"),
)


def _rms(x):
    return float(np.sqrt(np.mean(np.square(x, dtype=float)))) if x.size and x.any() else 1.0


def _none(rng, *values):
    return ()


def _axis(rng, v):
    return (int(rng.integers(v.ndim)) if v.ndim and rng.random() < 0.7 else None,)


def _log_add_exp(xp, a, b):  # frameworks' own gradient of logaddexp is twice too large from 1e16 on
    return xp.maximum(a, b) + xp.log1p(xp.exp(-xp.abs(a - b)))


def _rows(rng, v):
    n = v.shape[0]
    return (rng.integers(-n, n, size=rng.choice(DIMS) if n < 100 else n // 2),)


def _bounds(rng, v):  # beside the entries, not on them
    low, high = np.quantile(v, np.sort(rng.random(2))).tolist()
    reach = 0.1 * (abs(low) + abs(high)) + 0.01
    return low - 0.37 * reach, high + 0.23 * reach


def _weights(rng, v):
    return (rng.normal(size=(v.shape[-1], rng.choice(DIMS))) / math.sqrt(v.shape[-1]),)


def _square(rng, a, b):  # autograd does not sum the gradient of what linalg.solve broadcasts
    if not a.ndim == b.ndim == 2:
        raise ValueError
    return ()


def _log_sum_exp(xp, v, axis):
    top = xp.max(v, axis=axis, keepdims=True)  # its derivative cancels
    return xp.squeeze(top + xp.log(xp.sum(xp.exp(v - top), axis=axis, keepdims=True)), axis=axis)


def _normalize(xp, v):
    centred = v - xp.mean(v, axis=-1, keepdims=True)
    return centred / xp.sqrt(0.1 + xp.mean(centred * centred, axis=-1, keepdims=True))


def _solve(xp, a, b):  # the diagonal dominates: condition at most 3
    n = a.shape[-1]
    return xp.linalg.solve(2 * np.eye(n, dtype=a.dtype) + xp.tanh(a) / n, b)


# name: (constants, from a generator and the values; function of xp, the values and the constants)
UNARY = {
    "tanh": (_none, lambda xp, v: xp.tanh(v)),
    "sin": (_none, lambda xp, v: xp.sin(v)),
    "arctan": (_none, lambda xp, v: xp.arctan(v)),
    "exp(sin)": (_none, lambda xp, v: xp.exp(xp.sin(v))),
    "softplus": (_none, lambda xp, v: _log_add_exp(xp, v, 0 * v)),
    "v/(1+v^2)": (_none, lambda xp, v: v / (1 + v * v)),
    "sqrt(1+v^2)": (_none, lambda xp, v: xp.sqrt(1 + v * v)),
    "log(1+v^2)": (_none, lambda xp, v: xp.log(1 + v * v)),
    "square": (_none, lambda xp, v: v * v),
    "relu": (_none, lambda xp, v: xp.maximum(v, 0 * v)),
    "abs": (_none, lambda xp, v: xp.abs(v)),
    "leaky relu": (_none, lambda xp, v: xp.where(v > 0, v, 0.1 * v)),
    "huber": (_none, lambda xp, v: xp.where(xp.abs(v) < 1, 0.5 * v * v, xp.abs(v) - 0.5)),
    "clip": (_bounds, lambda xp, v, low, high: xp.clip(v, low, high)),
    "max": (_axis, lambda xp, v, axis: xp.max(v, axis=axis)),
    "min": (_axis, lambda xp, v, axis: xp.min(v, axis=axis)),
    "sum": (_axis, lambda xp, v, axis: xp.sum(v, axis=axis)),
    "mean": (_axis, lambda xp, v, axis: xp.mean(v, axis=axis)),
    "logsumexp": (_axis, _log_sum_exp),
    "affine": (lambda rng, v: rng.normal(size=2).tolist(), lambda xp, v, a, b: a * v + b),
    "offset": (lambda rng, v: (_rms(v) * 10 ** rng.uniform(1, 3.5),), lambda xp, v, c: v + c),
    "gather": (_rows, lambda xp, v, rows: v[rows]),
    "pick": (lambda rng, v: rng.integers(v.shape, size=(6, v.ndim)).T, lambda xp, v, i, j: v[i, j]),
    "view": (lambda rng, v: (VIEWS[rng.integers(len(VIEWS))],), lambda xp, v, view: v[view]),
    "transpose": (_none, lambda xp, v: v.T),
    "flatten": (_none, lambda xp, v: xp.reshape(v, (-1,))),
    "normalize": (_none, _normalize),
    "weigh": (_weights, lambda xp, v, w: xp.matmul(v, w.astype(v.dtype))),
    "gram": (_none, lambda xp, v: (1 / v.shape[0]) * xp.matmul(v.T, v)),
}
BINARY = {
    "add": (_none, lambda xp, a, b: a + 0.5 * b),
    "subtract": (_none, lambda xp, a, b: a - b),
    "multiply": (_none, lambda xp, a, b: a * b),
    "a/(1+b^2)": (_none, lambda xp, a, b: a / (1 + b * b)),
    "logaddexp": (_none, _log_add_exp),
    "maximum": (_none, lambda xp, a, b: xp.maximum(a, b)),
    "minimum": (_none, lambda xp, a, b: xp.minimum(a, b)),
    "outer": (_none, lambda xp, a, b: xp.einsum("i,j->ij", a, b)),
    "a b.T": (_none, lambda xp, a, b: xp.einsum("ij,kj->ik", a, b)),
    "solve": (_square, _solve),
    "join": (_none, lambda xp, a, b: xp.concatenate([xp.reshape(a, (-1,)), xp.reshape(b, (-1,))])),
    "scale by": (
        lambda rng, a, b: (1 / _rms(b), 0.5 / math.sqrt(max(b.size, 1))),
        lambda xp, a, b, inner, outer: a * (1.5 + outer * xp.sum(xp.sin(inner * b))),
    ),
}
UNIT = {"unit": (lambda rng, v: (1 / float(f"{_rms(v):.1g}"),), lambda xp, v, unit: unit * v)}
OPERATIONS = UNARY | BINARY | UNIT
PRODUCTS, APART = {"outer", "a b.T", "gram", "solve"}, {"join", "scale by"}  # in size; whatever the shapes
KINKED = {"relu", "abs", "leaky relu", "huber", "clip", "max", "min", "maximum", "minimum"}


@dataclass(frozen=True)
class Trial:
    """A composition at a point, its gradients there, which of them are not mere rounding, a point 1 % away.

    A step is the name of an operation, the values it takes (counted from the inputs on) and its constants.
    """

    steps: tuple[tuple[str, tuple[int, ...], tuple], ...]
    inputs: tuple[np.ndarray, ...]
    grad_output: np.ndarray
    vjp: Callable
    right: tuple[np.ndarray, ...]
    told: tuple[bool, ...]
    elsewhere: tuple[np.ndarray, ...]

    def __str__(self):
        inputs = ", ".join(f"{x.dtype}{list(x.shape)} of {_rms(x):.1e}" for x in self.inputs)
        return f"{inputs}: " + "; ".join(f"{name} {','.join(map(str, of))}" for name, of, _ in self.steps)


def evaluate(steps, xp, inputs):
    """Run a composition; the value of its last step is the output."""
    values = list(inputs)
    for name, of, constants in steps:
        values.append(OPERATIONS[name][1](xp, *(values[i] for i in of), *constants))
    return values[-1]


def jax_vjp(steps):
    """Return ``vjp(dy, *inputs)`` in float64, which traces each point once."""
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    traced = {}

    def vjp(dy, *inputs):
        inputs = [np.array(x, dtype=float) for x in inputs]
        point = b"".join(x.tobytes() for x in inputs)
        if point not in traced:
            traced[point] = jax.vjp(lambda *x: evaluate(steps, jax.numpy, x), *inputs)[1]
        return [np.asarray(g) for g in traced[point](np.asarray(dy, dtype=float))]

    return vjp


def autograd_vjp(steps):
    """Return the same by autograd."""
    xp, autograd = importlib.import_module("autograd.numpy"), importlib.import_module("autograd")

    def vjp(dy, *inputs):
        inputs = tuple(np.array(x, dtype=float) for x in inputs)
        return autograd.make_vjp(lambda x: evaluate(steps, xp, x))(inputs)[0](np.asarray(dy, dtype=float))

    return vjp


ORACLES = {"autograd": autograd_vjp, "jax": jax_vjp}


def draw_inputs(rng, *, tied):
    """Draw one to three inputs, each of its own scale; with ``tied``, zeros and equal entries among them."""
    dtype = np.dtype(rng.choice([np.float64, np.float64, np.float32]))
    large, inputs = rng.random() < LARGE_SHARE, []
    for i in range(rng.integers(1, 4)):
        shape = tuple(rng.choice(DIMS, size=rng.choice([0, 1, 1, 2, 2, 2, 3])).tolist())
        if large and i == 0:
            shape = LARGE[rng.integers(len(LARGE))]
        elif i > 0 and rng.random() < 0.5:
            shape = inputs[0].shape  # as pairs need it
        elif i > 0 and rng.random() < 0.04:
            shape = (0, *shape[1:])
        x = rng.normal(size=shape) + (rng.random() < 0.1) * 10 ** rng.uniform(0, 3)
        inputs.append(np.asarray((np.round(x) if tied else x) * 10.0 ** rng.uniform(-8, 8), dtype=dtype))
    return tuple(inputs)


def draw_steps(rng, inputs, *, tied):
    """Draw a composition that depends on all inputs, or return None."""
    steps, values = [], [np.asarray(x, dtype=float) for x in inputs]
    parents = [{i} for i in range(len(inputs))]

    def append(name, *of):
        sizes, shapes = [values[i].size for i in of], {values[i].shape for i in of}
        grows = name in PRODUCTS or (name not in APART and len(shapes) > 1 and min(sizes) > 100)
        if grows and max(sizes) > 1_000:
            return
        try:  # what does not fit these shapes raises
            constants = tuple(OPERATIONS[name][0](rng, *(values[i] for i in of)))
            value = np.asarray(OPERATIONS[name][1](np, *(values[i] for i in of), *constants))
        except (ValueError, IndexError, TypeError, ZeroDivisionError):
            return
        if 0 < value.size <= MOST and np.abs(value).max() < 1e30:
            steps.append((name, of, constants))
            values.append(value)
            parents.append(set().union(*(parents[i] for i in of)))

    for i in range(len(inputs)):
        if rng.random() < 0.85:  # the rest keep their scale
            append("unit", i)
    first = min(0 if rng.random() < 0.2 else len(inputs), len(values) - 1)
    wanted = len(steps) + rng.integers(2, 8)
    for _ in range(60):
        table = UNARY if rng.random() < 0.65 else BINARY
        name = str(rng.choice(list(table)))
        of = (len(values) - 1, int(rng.integers(first, len(values))))[: 1 if table is UNARY else 2]
        # At an exact tie an oracle takes a slope of each kink; of two kinks these may compose to no slope.
        if not (tied and name in KINKED and KINKED.intersection(step[0] for step in steps)):
            append(name, *(of if rng.random() < 0.5 else of[::-1]))
        if len(steps) >= wanted:
            break
    for i in set(range(len(inputs))) - parents[-1]:
        append(str(rng.choice(["scale by", "scale by", "join"])), len(values) - 1, i)
    return tuple(steps) if len(parents[-1]) == len(inputs) and steps else None


def draw_trial(rng, oracle):
    """Draw until a trial is well posed: finite in float32, and not lost in the rounding of forward."""
    while True:
        tied = rng.random() < 0.1
        inputs = draw_inputs(rng, tied=tied)
        steps = draw_steps(rng, inputs, tied=tied)
        if steps is None:
            continue
        output = evaluate(steps, np, inputs)
        dy = np.asarray(rng.normal(size=output.shape), dtype=inputs[0].dtype)
        nearby = [tuple(x * (1 + 0.01 * rng.normal(size=x.shape)) for x in inputs) for _ in range(3)]
        rounding = max(_rounding(steps, at, dy) for at in (inputs, *nearby))
        if not math.isfinite(rounding) or output.dtype != inputs[0].dtype:
            continue
        vjp = oracle(steps)
        try:
            gradients = vjp(dy, *inputs)
        except ValueError:  # autograd cannot differentiate every product
            continue
        moved = vjp(dy, *(x * (1 + 1e-15 * rng.normal(size=x.shape)) for x in inputs))
        told = tuple(_is_told(*of) for of in zip(gradients, moved, inputs, strict=True))
        far = evaluate(steps, np, [x + 0.1 * _rms(x) * rng.normal(size=x.shape) for x in inputs])
        moves = np.sum(np.abs(dy * (far - output)))
        influences = [influence(g, x).max(initial=0) for g, x in zip(gradients, inputs, strict=True)]
        if not max(influences) <= SHARP * moves if any(told) else rng.random() < 0.8:  # few of constants
            continue
        if _is_isolated(vjp, dy, inputs, gradients):
            continue
        if all(_clear(steps, inputs, k, g, rounding, told=told[k]) for k, g in enumerate(gradients)):
            right = tuple(np.asarray(g, x.dtype) for g, x in zip(gradients, inputs, strict=True))
            return Trial(steps, inputs, dy, vjp, right, told, nearby[0])


def _is_isolated(vjp, dy, inputs, gradients):
    """Whether a gradient is that of nothing but the point: it is not between those on both sides of it.

    At ``x = 0``, ``x + arctan(1e20 * x) / 1e20`` has a slope of 2, and of 1 as far as anything shows; and
    what an oracle makes of ``relu(x) + min(x, 0)`` there is no slope of it, which is 1 everywhere.
    """
    rng = np.random.default_rng(0)  # its own: what else is drawn does not depend on it
    steps = [NEAREST * _rms(x) * rng.normal(size=x.shape) for x in inputs]
    sides = [vjp(dy, *(x + t * h for x, h in zip(inputs, steps, strict=True))) for t in (1, -1)]
    for x, g, *both in zip(inputs, gradients, *sides, strict=True):
        outside = np.fmax(np.fmin(*both) - g, g - np.fmax(*both))
        apart = 1e-6 * np.fmax(np.abs(g), np.fmax(*map(np.abs, both)))
        if np.any((outside > apart) & (influence(outside, x) > 1e-6 * np.linalg.norm(influence(g, x)))):
            return True
    return False


def _rounding(steps, inputs, dy):
    """Return the rounding of the contracted output in units of the dtype's, as seen in float32."""
    inputs = [np.asarray(x, dtype=np.float32) for x in inputs]
    exact = evaluate(steps, np, [x.astype(float) for x in inputs])
    seen = np.sum(np.abs(dy * (evaluate(steps, np, inputs).astype(float) - exact)))
    size = np.sum(np.abs(dy * exact))
    return max(seen / np.finfo(np.float32).eps, size) if seen <= FADED * size else math.inf


def _is_told(gradient, moved, x):
    """Whether a gradient is not zero, and not the rounding that an invariance of forward leaves of it."""
    total = np.linalg.norm(influence(gradient, x))
    return bool(total > 0 and np.linalg.norm(influence(moved - gradient, x)) < 0.01 * total)


def _clear(steps, inputs, k, gradient, rounding, *, told):
    """Whether a gradient is well above the rounding of forward, or forward is constant."""
    x, size = inputs[k], np.abs(gradient)
    # All of it has to be a normal number in float32.
    if not ((size == 0) | ((size > 1e-36) & (size < 1e37))).all():
        return False
    if told:
        return bool(rounding <= CONDITION[x.dtype] * np.linalg.norm(influence(gradient, x)))
    # An input at a stationary point is one of which nothing is seen: no check need pass it.
    there = [x.astype(float) + (0.1 * _rms(x) if i == k else 0) for i, x in enumerate(inputs)]
    here = evaluate(steps, np, [x.astype(float) for x in inputs])
    return np.allclose(evaluate(steps, np, there), here, rtol=1e-13, atol=1e-14 * np.abs(here).max())


def influence(gradient, x):
    """Return what each entry does to the contracted output when it moves by its own size."""
    return np.abs(gradient, dtype=float) * np.maximum(np.abs(x, dtype=float), 0.1 * _rms(x))


def draw_defect(rng, trial, k):
    """Return the name of a defect and a backward rule with it in the gradient of input k, or None."""
    shape, size = trial.inputs[k].shape, trial.inputs[k].size
    for name in rng.permutation(DEFECTS) if trial.told[k] else ():
        factor, order = np.ones(shape), np.arange(size).reshape(shape)
        i, j = rng.integers(size, size=2)
        if name == "entry scaled":
            factor.flat[i] += 10 ** rng.uniform(-6, 0)
        elif name == "entries swapped":
            order.flat[[i, j]] = j, i
        elif name == "row zero":
            factor[rng.integers(shape[0]) if shape else ()] = 0
        elif name == "entry negated":
            factor.flat[i] = -1
        elif name == "negated":
            factor = -factor
        elif name == "transposed" and len(shape) == 2 and shape[0] == shape[1]:
            order = order.T
        backward = backward_of(trial, k, factor, order, stale=name == "stale")
        if not np.array_equal(backward(trial.grad_output, *trial.inputs)[k], trial.right[k]):
            return f"{name} ({i}, {j}, {factor.flat[i]:.8g})", backward
    return None


def backward_of(trial, k=None, factor=None, order=None, *, stale=False):
    """Return the right backward rule, or one whose gradient of input k is permuted, scaled or stale."""

    def backward(dy, *inputs):
        gradients = list(trial.vjp(dy, *inputs))
        if stale:  # the gradient where the inputs were a step before, wherever they are now
            steps = (there - here for here, there in zip(trial.inputs, trial.elsewhere, strict=True))
            gradients[k] = trial.vjp(dy, *(x + step for x, step in zip(inputs, steps, strict=True)))[k]
        if factor is not None:
            gradients[k] = factor * np.ravel(gradients[k])[order]
        return tuple(np.asarray(g, x.dtype) for g, x in zip(gradients, trial.inputs, strict=True))

    return backward


def broken(trial, k, backward, report):
    """Return which promise the report breaks by passing this wrong gradient of input k; "" if none."""
    x, result = trial.inputs[k], report.inputs[k]
    right, wrong = trial.right[k].astype(float), backward(trial.grad_output, *trial.inputs)[k].astype(float)
    largest = max(influence(g, y).max(initial=0) for g, y in zip(trial.right, trial.inputs, strict=True))
    eps = float(np.finfo(x.dtype).eps)
    # No check calls rounding wrong; and what the report counts as too small is below rtol with its error bar.
    floor = TOO_SMALL * max(1e-7, math.sqrt(eps)) if getattr(result, "too_small", 0) else 8 * eps
    matters = influence(np.maximum(np.abs(right), np.abs(wrong)), x) >= floor * largest
    changed = (wrong != right) & matters
    if any(f"a kink at {result.name}" in note for note in report.notes):
        changed &= ~_between_sides(trial, k, wrong, changed)
    change = (np.abs(wrong - right) / np.abs(right))[changed].max(initial=0)
    if result.resolution is None and any(f"a kink at {result.name}" in note for note in report.notes):
        return ""  # nothing is promised: any slope between those on both sides is right, zero too
    resolution = result.resolution or 0  # none: all is said to be zero
    return f"changed by {change:.2e} beside a resolution of {resolution:.2e}" if change > resolution else ""


def _between_sides(trial, k, gradient, which):
    """Return which entries of a gradient of input k, of some, lie between those on both sides of them."""
    x, between = trial.inputs[k], np.zeros(which.shape, dtype=bool)
    for index in np.argwhere(which)[:MOST_AT_KINKS]:
        at, sides = tuple(index), []
        for step in (NEAREST, -NEAREST):
            moved = [np.array(y, dtype=float) for y in trial.inputs]
            moved[k][at] += step * _rms(x)
            sides.append(float(trial.vjp(trial.grad_output, *moved)[k][at]))
        bent = 1e-6 * max(map(abs, sides))
        between[at] = min(sides) - bent <= gradient[at] <= max(sides) + bent
    return between


def disagreement(trial):
    """Return on which input JAX differentiates to something else; "" where it agrees."""
    witness = ORACLES["jax"](trial.steps)(trial.grad_output, *trial.inputs)
    for i, g in enumerate(trial.vjp(trial.grad_output, *trial.inputs)):
        off, size = (np.linalg.norm(influence(d, trial.inputs[i])) for d in (witness[i] - g, g))
        if trial.told[i] and off > 1e-9 * size:
            return f"on input {i}: {g}, {witness[i]}"
    return ""


def run_trial(k, seed, oracle, say):
    """Check one trial in all ways; return what happened, counted."""
    rng = np.random.default_rng([seed, k])
    trial = draw_trial(rng, ORACLES[oracle])
    right, given = backward_of(trial), trial.grad_output if rng.random() < 0.75 else None
    happened, calls = Counter(trials=1), 0

    def note(event, detail=""):
        happened[event] += 1
        say(f"trial {k}: {event}. {trial}\n{detail}\n")

    def forward(*inputs):
        nonlocal calls
        calls += 1
        return evaluate(trial.steps, np, inputs)

    def check(backward, dy, **options):
        nonlocal calls
        calls = 0
        options |= {"grad_output": dy, "raise_exception": False}
        try:
            return gradlab.gradcheck(forward, backward, trial.inputs, **options)
        except gradlab.UsageError as error:  # no answer to a question that is well posed
            note("undecided", error)
        except Exception:
            note("crashes", f"max_calls={options.get('max_calls')}\n{traceback.format_exc()}")
        return None

    report = check(right, given)
    if report is not None and not report.passed:
        # A right rule is one that another framework confirms.
        wrong = report.failed and disagreement(trial)
        note("oracles disagree" if wrong else "false alarms" if report.failed else "undecided", report)
        if wrong:
            return happened
    if rng.random() < 0.15:
        most = int(rng.integers(4, 61))
        short = check(right, given, max_calls=most)
        if short is not None and short.failed:
            note("false alarms", f"with max_calls={most}\n{short}")
        if short is not None and max(calls, short.forward_calls) > most:
            note("max_calls exceeded", f"{calls} of {most}, {short.forward_calls} reported")
    if k % WITNESS_EVERY == 0 and (found := disagreement(trial)):
        note("oracles disagree", found)

    position = int(rng.integers(len(trial.inputs)))
    defect = draw_defect(rng, trial, position)
    if defect is not None:
        happened["defects made"] += 1
        report = check(defect[1], trial.grad_output)
        if report is not None and not report.passed:
            happened["defects caught" if report.failed else "defects undecided"] += 1
        elif report is not None and (promise := broken(trial, position, defect[1], report)):
            note("promises broken", f"gradient of input {position}: {defect[0]}; {promise}\n{report}")
        elif report is not None:
            happened["missed below resolution (fine)"] += 1
    return happened


def main():
    """Print the table; return 1 if a right rule fails or a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trials", type=int, nargs="?", default=1_000)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("--verbose", action="store_true", help="print each bad trial")
    parser.add_argument("--only", type=int, metavar="INDEX", help="run this trial alone, verbosely")
    parser.add_argument("--oracle", choices=ORACLES, default="autograd", help="what differentiates")
    asked = parser.parse_args()
    say = print if asked.verbose or asked.only is not None else lambda _: None
    started, happened = time.perf_counter(), Counter()
    warnings.simplefilter("ignore")  # means of empty arrays, among what is drawn and rejected
    for k in range(asked.trials) if asked.only is None else [asked.only]:
        with np.errstate(all="ignore"):
            happened += run_trial(k, asked.seed, asked.oracle, say)
    for row in ROWS:
        share = f"  ({100 * happened[row] / happened['trials']:.2f} %)" if row == "undecided" else ""
        print(f"{row:<32}{happened[row]:>7}{share}")
    print(f"{'seconds':<32}{time.perf_counter() - started:>7.1f}")
    return int(any(happened[row] for row in BAD) or happened["undecided"] > 0.005 * happened["trials"])


if __name__ == "__main__":
    raise SystemExit(main())
