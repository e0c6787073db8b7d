"""The catalogue itself: its right rules are right, and its defects are wrong, by differences of their own.

Nothing of gradlab's engine is used here: one-sided five-point differences on both sides of the point, for
each output by itself, so that a kink gives the interval in which every right slope lies.
"""

import copy
import itertools
import zlib

import numpy as np
import pytest

from gradlab.mutants import catalogue
from gradlab.point.arguments import names_of

SEEDS = range(2)
STENCIL = np.array([48, -36, 16, -3]) / 12  # f'(0) h = Σ c_k (f(kh) − f(0)) + O(h⁵)

# Step lengths, relative to an entry's size: small where a kink or the edge of the domain is close, large
# where forward is noisy. The second number is how noisy, in units of rounding.
USUAL = (5e-4, 1)
STEPS = {
    **dict.fromkeys(["relu", "leaky_relu", "abs", "maximum", "clip", "hinge"], (1e-8, 1)),
    "logsumexp": (1e-6, 1),
    "softplus": (1e-6, 1),
    "kl_divergence": (2e-4, 1),
    "cholesky_logdet": (5e-6, 1e3),
    "equilibrium": (1e-2, 1e7),
    "cubic_root": (5e-3, 3e7),
    "kepler": (2e-3, 1),
    "offset": (3e-2, 1),
    "hidden_float32": (3e-2, 1e9),
    "small_angle": (1e-2, 1e3),
    "saturated": (3e-3, 1),
}
FLOAT32 = {"small_angle", "saturated", "complex_rms"}
# Joint directions leave the domain on both sides.
AT_THE_EDGE = {"logarithm", "table_lookup", "chi_square", "decay"}
UNSCALED = {
    "logarithm",
    "logsumexp",
    "softplus",
    "wide_entries",
}  # every entry by its own size, however small


def numbers(array):
    """Return an array in float64, a complex one as pairs."""
    array = np.asarray(array)
    if array.dtype.kind != "c":
        return array.astype(float)
    return np.stack([array.real, array.imag], axis=-1).astype(float)


def like(x, gradient):
    """Return a gradient of an input as the numbers that count: a real input has no imaginary part."""
    gradient = np.asarray(gradient)
    return numbers(gradient.astype(complex) if np.iscomplexobj(x) else gradient.real)


def point_of(case, seed):
    rng = np.random.default_rng([seed, zlib.crc32(case.name.encode())])
    inputs = case.point(rng)
    output = np.asarray(call(case.functions()[0], inputs, case.cached)[0])
    upstream = rng.choice([-1.0, 1.0], output.shape) * rng.uniform(1, 2, output.shape)
    if np.iscomplexobj(output):
        upstream = upstream * np.exp(1j * rng.uniform(0.5, 1, output.shape))
    return inputs, output, np.asarray(upstream, dtype=output.dtype)


def call(forward, inputs, cached):
    returned = forward(*copy.deepcopy(inputs))
    return returned if cached else (returned, None)


def gradients_of(case, defect, inputs, upstream):
    forward, backward = case.functions(defect)
    inputs = copy.deepcopy(inputs)
    with np.errstate(all="ignore"):
        arguments = (forward(*inputs)[1],) if case.cached else inputs
        returned = backward(np.array(upstream), *arguments)
    return returned if isinstance(returned, tuple) else (returned,)


def differentiable(inputs):
    return [i for i, x in enumerate(inputs) if isinstance(x, np.ndarray) and x.dtype.kind in "fc"]


def slopes(case, inputs, direction, h):
    """Return both one-sided slopes of all outputs along a direction in some of the inputs."""
    inputs = tuple(
        np.asarray(x, np.result_type(x, float)) if i in direction else x for i, x in enumerate(inputs)
    )

    def at(t):
        moved = [x + t * direction[i] if i in direction else x for i, x in enumerate(inputs)]
        return numbers(call(case.forward, moved, case.cached)[0])

    def side(sign):
        try:
            return sum(c * (at(sign * k * h) - start) for k, c in enumerate(STENCIL, start=1)) / (sign * h)
        except ValueError:
            return None  # outside of the domain

    start = at(0)
    left, right = side(-1), side(1)
    return (right if left is None else left), (left if right is None else right), np.abs(start)


def directions(case, inputs, rng):
    """Yield single entries, and joint directions: of equal numbers, and random ones."""
    for d, relative in any_directions(case, inputs, rng):
        kept = {i: tangent(case, i, inputs[i], x) for i, x in d.items()}
        if any(np.abs(x).max() > 1e-9 * np.abs(d[i]).max() for i, x in kept.items()):
            yield kept, relative


def tangent(case, i, x, d):
    names = names_of(case.forward, i + 1)
    return case.tangents[names[i]](x, d) if names[i] in case.tangents else d


def any_directions(case, inputs, rng):
    relative, _ = STEPS.get(case.name, USUAL)
    wrt = differentiable(inputs)
    for i in wrt:
        x = np.abs(np.asarray(inputs[i], np.result_type(inputs[i], float)))
        typical = 0 if case.name in UNSCALED else 0.1 * np.sqrt(np.mean(x**2))
        chosen = range(x.size) if x.size <= 1000 else [0, x.size - 1, *rng.integers(x.size, size=10)]
        for flat, unit in itertools.product(chosen, (1.0, 1j) if np.iscomplexobj(inputs[i]) else (1.0,)):
            d = np.zeros(x.shape, dtype=type(unit))
            d.flat[flat] = unit * max(x.flat[flat], typical)
            yield {i: d}, relative
    if case.name not in AT_THE_EDGE and all(inputs[i].size <= 1000 for i in wrt):
        turn = {i: np.exp(1j) if np.iscomplexobj(inputs[i]) else 1.0 for i in wrt}
        scale = {i: np.sqrt(np.mean(np.square(numbers(inputs[i])))) for i in wrt}
        least = min(scale.values())
        yield {i: np.full(inputs[i].shape, least * turn[i]) for i in wrt}, relative
        yield {i: turn[i] * scale[i] * rng.uniform(0.5, 1, inputs[i].shape) for i in wrt}, relative


def intervals(case, inputs, upstream, rng):
    """Return the lowest and the highest right slope along each direction, and their rounding."""
    _, noise = STEPS.get(case.name, USUAL)
    upstream_numbers = numbers(upstream)
    found = []
    for d, h in directions(case, inputs, rng):
        left, right, size = slopes(case, inputs, d, h)
        bounds = np.sort([upstream_numbers * left, upstream_numbers * right], axis=0)
        rounding = noise * 2e-15 * np.sum(np.abs(upstream_numbers) * size * ((left != 0) | (right != 0))) / h
        found.append((d, bounds[0].sum(), bounds[1].sum(), rounding))
    return found


def disagreement(case, gradients, inputs, right):
    """Return how far outside of the right intervals a gradient is, at worst, in units of the tolerance."""
    worst = 0.0
    rtol = 1e-4 if case.name in FLOAT32 else 1e-6
    gradients = dict(zip(differentiable(inputs), gradients, strict=False))
    for d, low, high, rounding in right:
        terms = [like(inputs[i], gradients[i]) * like(inputs[i], d[i]) for i in d]
        claimed = sum(term.sum() for term in terms)
        digits = 1e-6 if case.name in FLOAT32 else 1e-13
        cancelled = digits * sum(np.abs(term).sum() for term in terms)
        tolerance = rtol * max(abs(low), abs(high)) + rounding + cancelled + 1e-300
        if not np.isfinite(claimed):
            return np.inf
        worst = max(worst, (low - claimed) / tolerance, (claimed - high) / tolerance)
    return worst


CASES = [case for case in catalogue() if not case.forward_mode]
DEFECTS = [(case, defect) for case in CASES for defect in case.defects]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_right_rule_agrees_with_one_sided_differences_and_a_thousandth_more_does_not(case):
    inputs, _, upstream = point_of(case, 0)
    gradients = gradients_of(case, None, inputs, upstream)
    assert len(gradients) == len(differentiable(inputs))
    for i, gradient in zip(differentiable(inputs), gradients, strict=True):
        assert gradient.shape == inputs[i].shape
        assert gradient.dtype == inputs[i].dtype
    right = intervals(case, inputs, upstream, np.random.default_rng(0))
    assert disagreement(case, gradients, inputs, right) <= 1
    assert disagreement(case, [1.001 * gradient for gradient in gradients], inputs, right) > 1


SHOWN = [
    (case, defect)
    for case, defect in DEFECTS
    if defect.breaks == "gradient" and defect.kind in ("kink", "tie", "zero", "domain")
]


@pytest.mark.parametrize(("case", "defect"), SHOWN, ids=[f"{c.name}: {d.name}" for c, d in SHOWN])
def test_defect_at_a_kink_is_no_other_subgradient(case, defect):
    for seed in SEEDS:
        inputs, _, upstream = point_of(case, seed)
        gradients = gradients_of(case, defect, inputs, upstream)
        right = intervals(case, inputs, upstream, np.random.default_rng(seed))
        assert disagreement(case, gradients, inputs, right) > 1


def upstreams(output, upstream):
    """Yield upstream gradients, with those that look at one output alone: some hide behind others."""
    yield from (upstream, -upstream)
    if output.size <= 64:
        for flat in range(output.size):
            one = np.zeros_like(upstream)
            one.flat[flat] = 1 + 0.5j if np.iscomplexobj(one) else 1
            yield one


def differs(case, defect, inputs, output, upstream):
    for u in upstreams(output, upstream):
        right, wrong = (gradients_of(case, which, inputs, u) for which in (None, defect))
        for i, *pair in zip(differentiable(inputs), right, wrong, strict=True):
            r, w = (like(inputs[i], gradient) for gradient in pair)
            if (np.abs(r - w) > 1e-6 * np.maximum(np.abs(r), np.abs(w))).any():
                return True
    return False


def changes_its_arguments(case, defect, inputs, output, upstream):
    forward, backward = case.functions(defect)
    given, u = copy.deepcopy(inputs), upstream.copy()
    backward(u, *((forward(*given)[1],) if case.cached else (given if forward(*given) is not None else ())))
    return not all(map(np.array_equal, (*inputs, upstream), (*given, u)))


BREAKS = {
    "gradient": differs,
    "finite": lambda case, defect, inputs, _, u: any(
        not np.isfinite(g).all() for g in gradients_of(case, defect, inputs, u)
    ),
    "shape": lambda case, defect, inputs, _, u: any(
        g.shape != inputs[i].shape
        for i, g in zip(differentiable(inputs), gradients_of(case, defect, inputs, u), strict=True)
    ),
    "count": lambda case, defect, inputs, _, u: (
        [g is not None for g in gradients_of(case, defect, inputs, u)] != [True] * len(differentiable(inputs))
    ),
    "arguments": changes_its_arguments,
    "repeat": lambda case, defect, inputs, _, u: (
        not all(map(np.array_equal, *(gradients_of(case, defect, inputs, u) for _ in range(2))))
    ),
}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_defect_is_wrong_in_the_way_that_it_declares(case, seed):
    inputs, output, upstream = point_of(case, seed)
    breaks = {
        defect.name: BREAKS[defect.breaks](case, defect, inputs, output, upstream) for defect in case.defects
    }
    assert breaks == dict.fromkeys(breaks, True)
    # The same question asked of the right rule is answered with no.
    assert not any(broken(case, None, inputs, output, upstream) for broken in BREAKS.values())
