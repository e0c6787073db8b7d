"""What a verdict costs: forward calls, time beside the simplest checks, memory.

Run: python tests/benchmarks/cost.py [LARGEST]
     python tests/benchmarks/cost.py autograd [ENTRIES]    the last table alone

Times are ratios in one run: to a plain loop of central differences where every entry is probed, and to
``autograd.test_util.check_grads`` (which probes one random direction) on large inputs, where autograd is
installed.
"""

import os
import statistics
import sys
import time
import tracemalloc
from functools import partial

# Others wait for work in a loop, and that is counted as time of the CPU.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from gradlab import gradcheck, networks, rules
from gradlab._explain import _small_point

BESIDE_AUTOGRAD_ALONE = sys.argv[1:2] == ["autograd"]
NUMBERS = [int(float(number)) for number in sys.argv[1 + BESIDE_AUTOGRAD_ALONE :]]
LARGEST = NUMBERS[0] if NUMBERS else 10**7
RATIOS = {10: 6.0, 100: 2.0, 1000: 1.3}  # entries, and how many times a plain loop a verdict may take
SMOOTH, ANY, MEMORY, BESIDE_AUTOGRAD = 32, 64, 8.0, 4.0
STEP = 1e-6  # of the plain loop
PAIRS = 7  # of a check and of autograd's, one after the other


def met(value, bar):
    """Say whether a bar is met."""
    return "yes" if value <= bar else "NO"


def fastest(function, repeats):
    """Return the seconds that a call takes when nothing disturbs it."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def small():
    """Print forward calls for the built-in rules at one small point each."""
    print("small inputs: forward calls (bar: 2 n + 12)\n")
    print(f"{'rule':<22}  {'n':>3}  {'calls':>5}  {'bar':>4}  met")
    for rule in (*rules.RULES, *networks.RULES):
        point = _small_point(rule)
        n = sum(np.size(v) for v in point if np.asarray(v).dtype.kind == "f")
        report = gradcheck(rule.forward, rule.backward, point, cached=rule.cached, raise_exception=False)
        calls, bar = report.forward_calls, 2 * n + 12
        print(f"{rule.name:<22}  {n:>3}  {calls:>5}  {bar:>4}  {met(calls, bar)}")


def central_differences(forward, backward, inputs):
    """Compare both sides as a plain loop over the entries does."""
    inputs = [x.copy() for x in inputs]
    u = np.random.default_rng(0).normal(size=np.shape(forward(*inputs)))
    gradients = backward(u, *inputs)
    for x, gradient in zip(inputs, gradients, strict=True):
        numeric = np.empty_like(x)
        for index in np.ndindex(x.shape):
            old = x[index]
            x[index] = old + STEP
            plus = forward(*inputs)
            x[index] = old - STEP
            minus = forward(*inputs)
            x[index] = old
            numeric[index] = np.sum(u * (plus - minus)) / (2 * STEP)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-7)


def tanh(x):
    """Return tanh."""
    return np.tanh(x)


def tanh_backward(dy, x):
    """Return its gradient."""
    return (dy * (1 - np.tanh(x) ** 2),)


def matmul(x, w):
    """Return a product."""
    return x @ w


def matmul_backward(dy, x, w):
    """Return its gradients."""
    return dy @ w.T, x.T @ dy


def cross_entropy(z):
    """Return the mean cross-entropy of rows of logits; the first class is the target."""
    z = z - z.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(z).sum(axis=1)) - z[:, 0])


def cross_entropy_backward(dl, z):
    """Return its gradient."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    dz = e / e.sum(axis=1, keepdims=True)
    dz[:, 0] -= 1
    return (dl * dz / len(z),)


def sides(n):
    """Return the shapes of a product whose factors have about ``n`` entries together."""
    side = max(1, round(np.sqrt(n / 2)))
    return (side, side), (side, side)


RULES = {
    "tanh": (tanh, tanh_backward, lambda n: ((n,),)),
    "matmul": (matmul, matmul_backward, sides),
    "cross-entropy": (cross_entropy, cross_entropy_backward, lambda n: ((n // 5, 5),)),
}


def beside_a_plain_loop():
    """Print times of passing verdicts in which every entry is probed by itself."""
    print("\nevery entry by itself: time over that of a plain loop of central differences\n")
    print(f"{'rule':<14}  {'entries':>7}  {'loop ms':>8}  {'ms':>8}  {'ratio':>6}  {'bar':>4}  met")
    for name, (forward, backward, shapes) in RULES.items():
        for n, bar in RATIOS.items():
            inputs = tuple(np.random.default_rng(0).normal(size=shape) for shape in shapes(n))
            repeats = max(5, 2000 // n)
            loop = fastest(partial(central_differences, forward, backward, inputs), repeats)
            own = fastest(partial(gradcheck, forward, backward, inputs), repeats)
            print(
                f"{name:<14}  {sum(x.size for x in inputs):>7}  {1e3 * loop:>8.2f}  {1e3 * own:>8.2f}  "
                f"{own / loop:>6.2f}  {bar:>4}  {met(own / loop, bar)}"
            )


def relu(x):
    """Return the positive part."""
    return np.maximum(x, 0)


def relu_backward(dy, x):
    """Return its gradient."""
    return dy * (x > 0)


def mean_square(x):
    """Return a scalar loss."""
    return np.mean(x * x)


def mean_square_backward(dl, x):
    """Return its gradient."""
    return dl * 2 * x / x.size


def total(x):
    """Return a sum."""
    return np.sum(x)


def total_backward(dl, x):
    """Return its gradient."""
    return np.full_like(x, dl)


def layer_norm(x, scale, shift):
    """Return rows normalized, scaled and shifted."""
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5) * scale + shift


def layer_norm_backward(dy, x, scale, shift):
    """Return its gradients."""
    centred = x - x.mean(axis=1, keepdims=True)
    inverse = 1 / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    normal, d = centred * inverse, dy * scale
    dx = d - d.mean(axis=1, keepdims=True) - normal * (d * normal).mean(axis=1, keepdims=True)
    return inverse * dx, (dy * normal).sum(axis=0), dy.sum(axis=0)


LARGE = {
    "tanh": (tanh, tanh_backward, SMOOTH),
    "mean square": (mean_square, mean_square_backward, SMOOTH),
    "relu": (relu, relu_backward, ANY),
}


def large():
    """Print calls, seconds and peak memory as the input grows."""
    print(
        f"\nlarge inputs: forward calls (bars: {SMOOTH} smooth, {ANY} any), peak memory over inputs + outputs"
    )
    print(f"(bar: {MEMORY:g})\n")
    print(f"{'rule':<12}  {'entries':>9}  {'calls':>5}  met  {'seconds':>8}  {'memory':>6}  met  verdict")
    for name, (forward, backward, bar) in LARGE.items():
        for n in (10**4, 10**5, 10**6, 10**7):
            if n > LARGEST:
                continue
            x = np.random.default_rng(0).normal(size=n)
            started = time.perf_counter()
            report = gradcheck(forward, backward, x, raise_exception=False)
            seconds = time.perf_counter() - started
            tracemalloc.start()
            gradcheck(forward, backward, x, raise_exception=False)
            peak = tracemalloc.get_traced_memory()[1] / (x.nbytes + np.asarray(forward(x)).nbytes)
            tracemalloc.stop()
            calls = report.forward_calls
            print(
                f"{name:<12}  {n:>9}  {calls:>5}  {met(calls, bar):<3}  {seconds:>8.2f}  "
                f"{peak:>6.1f}  {met(peak, MEMORY):<3}  {report.verdict}"
            )


def beside_autograd():
    """Print times on large inputs over those of autograd's own check of the same function."""
    try:
        import autograd.numpy as anp
        from autograd.test_util import check_grads
    except ImportError:
        print("\nautograd is not installed: large inputs are not compared with its check")
        return

    def cross_entropy_of(z):
        z = z - anp.max(z, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(z), axis=1)) - z[:, 0])

    def layer_norm_of(x, scale, shift):
        centred = x - anp.mean(x, axis=1, keepdims=True)
        return centred / anp.sqrt(anp.mean(centred**2, axis=1, keepdims=True) + 1e-5) * scale + shift

    print("\nlarge inputs: CPU time over that of autograd.test_util.check_grads, order 1, reverse mode: the")
    print(f"median of {PAIRS} pairs; memory over inputs + outputs\n")
    print(f"{'rule':<14}  {'entries':>8}  {'calls':>5}  {'memory':>6}  {'ratio':>6}  {'bar':>4}  met")
    rules = {
        "tanh": (tanh, tanh_backward, anp.tanh, lambda n: ((n,),)),
        "sum": (total, total_backward, anp.sum, lambda n: ((n,),)),
        "mean square": (mean_square, mean_square_backward, lambda x: anp.mean(x * x), lambda n: ((n,),)),
        "cross-entropy": (
            cross_entropy,
            cross_entropy_backward,
            cross_entropy_of,
            lambda n: ((n // 10, 10),),
        ),
        "layer norm": (
            layer_norm,
            layer_norm_backward,
            layer_norm_of,
            lambda n: ((n // 100, 100), (100,), (100,)),
        ),
        "matmul": (matmul, matmul_backward, anp.dot, sides),
    }
    for name, (forward, backward, theirs, shapes) in rules.items():
        for n in NUMBERS if BESIDE_AUTOGRAD_ALONE and NUMBERS else (10**5, 10**6):
            rng = np.random.default_rng(0)
            inputs = tuple(rng.normal(size=shape) for shape in shapes(n))
            own = partial(gradcheck, forward, backward, inputs)
            other = partial(check_grads(theirs, modes=["rev"], order=1), *inputs)
            report = own()
            ratio = statistics.median(cpu_seconds(own) / cpu_seconds(other) for _ in range(PAIRS))
            size = sum(x.nbytes for x in inputs) + np.asarray(forward(*inputs)).nbytes
            tracemalloc.start()
            own()
            memory = tracemalloc.get_traced_memory()[1] / size
            tracemalloc.stop()
            print(
                f"{name:<14}  {n:>8}  {report.forward_calls:>5}  {memory:>6.1f}  {ratio:>6.2f}  "
                f"{BESIDE_AUTOGRAD:>4}  {met(ratio, BESIDE_AUTOGRAD)}"
            )


def cpu_seconds(function):
    """Return the CPU seconds of one call: on a crowded machine they say more than those of the clock."""
    started = time.process_time()
    function()
    return time.process_time() - started


if __name__ == "__main__":
    if not BESIDE_AUTOGRAD_ALONE:
        small()
        beside_a_plain_loop()
        large()
    beside_autograd()
