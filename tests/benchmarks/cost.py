"""What a verdict costs: forward calls, time in gradlab's own code, memory.

Run: python tests/benchmarks/cost.py [LARGEST]
"""

import sys
import time
import tracemalloc

import numpy as np

from gradlab import gradcheck, networks, rules
from gradlab._explain import _small_point

LARGEST = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10**7


class Timed:
    """A function that measures the time it takes."""

    def __init__(self, function):
        self.function, self.seconds = function, 0.0
        self.__signature__ = __import__("inspect").signature(function)

    def __call__(self, *arguments, **keyword):
        started = time.perf_counter()
        try:
            return self.function(*arguments, **keyword)
        finally:
            self.seconds += time.perf_counter() - started


def small():
    """Print calls and own time for the built-in rules at one small point each."""
    print("small inputs: forward calls (bar: 2 n + 12) and µs of gradlab's own code per call (bar: 40)\n")
    print(f"{'rule':<22}  {'n':>3}  {'calls':>5}  {'bar':>4}  {'met':>3}  {'µs/call':>7}  {'met':>3}")
    for rule in (*rules.RULES, *networks.RULES):
        point = _small_point(rule)
        n = sum(np.size(v) for v in point if np.asarray(v).dtype.kind == "f")
        own = []
        for _ in range(20):
            forward, backward = Timed(rule.forward), Timed(rule.backward)
            started = time.perf_counter()
            report = gradcheck(forward, backward, point, cached=rule.cached, raise_exception=False)
            own.append(
                (time.perf_counter() - started - forward.seconds - backward.seconds) / report.forward_calls
            )
        calls, micro = report.forward_calls, 1e6 * float(np.median(own))
        met = ["yes" if ok else "NO" for ok in (calls <= 2 * n + 12, micro <= 40)]
        print(
            f"{rule.name:<22}  {n:>3}  {calls:>5}  {2 * n + 12:>4}  {met[0]:>3}  {micro:>7.1f}  {met[1]:>3}"
        )


def growing():
    """Print own time per call where every entry is probed by itself."""
    print("\nentries probed by themselves, tanh: own µs per forward call, without the fixed cost\n")
    for n in (10, 100, 1000):
        x = np.random.default_rng(0).normal(size=n)
        best = np.inf
        for _ in range(5):
            forward, backward = Timed(tanh), Timed(tanh_backward)
            started = time.perf_counter()
            report = gradcheck(forward, backward, x)
            seconds = time.perf_counter() - started - forward.seconds - backward.seconds
            best = min(best, seconds / report.forward_calls)
        print(f"{n:>6} entries  {report.forward_calls:>5} calls  {1e6 * best:>6.1f} µs")


def tanh(x):
    """Return tanh."""
    return np.tanh(x)


def tanh_backward(dy, x):
    """Return its gradient."""
    return dy * (1 - np.tanh(x) ** 2)


def mean_square(x):
    """Return a scalar loss."""
    return np.mean(x * x)


def mean_square_backward(dl, x):
    """Return its gradient."""
    return dl * 2 * x / x.size


def large():
    """Print calls, seconds and peak memory as the input grows."""
    print("\nlarge inputs: forward calls (bar: 64), peak memory over inputs + outputs (bar: 12)\n")
    head = ("rule", "entries", "calls", "met", "seconds", "memory", "met")
    print("{:<12}  {:>9}  {:>5}  {:>3}  {:>8}  {:>6}  {:>3}  verdict".format(*head))
    for forward, backward in ((tanh, tanh_backward), (mean_square, mean_square_backward)):
        for exponent in (2, 4, 6, 7):
            n = 10**exponent
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
            bar = 64 if n > 1000 else 2 * n + 12
            fits = "yes" if peak <= 12 else "NO"
            print(
                f"{forward.__name__:<12}  {n:>9}  {calls:>5}  {'yes' if calls <= bar else 'NO':>3}  "
                f"{seconds:>8.2f}  "
                f"{peak:>6.1f}  {fits if n > 1000 else '-':>3}  {report.verdict}"
            )


if __name__ == "__main__":
    small()
    growing()
    large()
