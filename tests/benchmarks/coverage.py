"""How often the error bar covers the true error, and how wide it is.

Run: python tests/benchmarks/coverage.py [NUMBER] [SEED]
"""

import sys
import time

import numpy as np
from random_functions import random_program, run, run_dual

from gradlab import numerical_vjp
from gradlab.numerics.ladder import differentiate
from gradlab.numerics.table import Table

NUMBER = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 0
BARS = {np.float64: 0.999, np.float32: 0.99}
RTOL = 1e-9  # of a slope, at which its kinks are looked for
LARGEST = {np.float64: 1e6, np.float32: 1e4}  # values and slopes of the functions that are kept


def measure(dtype, number, seed):
    """Return errors and error bars of the oracle on random functions that compute in one dtype alone."""
    rng = np.random.default_rng(seed)
    errors, bars, sizes = [], [], []
    while len(errors) < number:
        program = random_program(rng)
        x = dtype(rng.normal() * 10.0 ** rng.uniform(-3, 1))
        with np.errstate(all="ignore"):
            truth = run_dual(program, x)
            size = max(abs(truth.value), abs(truth.slope))
            if not (np.isfinite(run(program, x)) and np.isfinite(truth.slope) and size < LARGEST[dtype]):
                continue
            (slope,), (bar,) = numerical_vjp(lambda x: run(program, x.astype(dtype)), (np.array([x]),))  # noqa: B023
        errors.append(abs(float(np.longdouble(slope[0]) - truth.slope)))
        bars.append(float(bar[0]))
        sizes.append(abs(float(truth.slope)))
    return np.array(errors), np.array(bars), np.array(sizes)


def kinks(number, seed):
    """Return how often a kink of random height is seen at the point, and how often one is seen in vain."""
    rng = np.random.default_rng(seed)
    seen = {0.0: [], 1e-3: [], 1e-2: [], 1e-1: [], 1.0: []}
    eps = np.finfo(float).eps
    for _ in range(number):
        program = random_program(rng)
        x = rng.normal() * 10.0 ** rng.uniform(-3, 1)
        with np.errstate(all="ignore"):
            truth = run_dual(program, x)
            if not (abs(truth.value) < 1e6 and 1e-6 < abs(truth.slope) < 1e6):
                continue
            for height, found in seen.items():

                def function(t, height=height):
                    return run(program, t) + height * abs(float(truth.slope)) * np.abs(t - x)  # noqa: B023

                y = function(np.float64(x))

                def evaluate(rows, h, y=y, function=function):
                    sides = (function(np.float64(x) + t) - y for t in (h * abs(x), -h * abs(x)))  # noqa: B023
                    yield rows, *(np.array([[side]]) for side in sides)

                noise = np.array([3 * eps * abs(y)])
                table = Table(1, evaluate, None, np.array([y]), eps, noise=noise)
                _, _, half_jump = differentiate(table, rtol=RTOL)
                found.append(bool(half_jump[0, 0] > 0))
    return {height: np.mean(found) for height, found in seen.items()}


def row(name, errors, bars, sizes, bar, seconds):
    """Print one line of the table."""
    covered = errors <= bars
    ratio = np.median(bars[errors > 0] / errors[errors > 0])
    relative = np.median(bars / np.maximum(sizes, 1e-300))
    print(
        f"{name:<8}  {len(errors):>9}  {100 * covered.mean():>8.2f} %  {100 * bar:>6.1f} %  "
        f"{'yes' if covered.mean() >= bar else 'NO':>3}  {ratio:>9.1f}  {relative:>12.1e}  {seconds:>6.1f} s"
    )


def main():
    """Print the tables."""
    print(f"seed {SEED}\n")
    print("dtype     functions  covered     bar      met  bar/error  relative bar   time")
    for dtype, bar in BARS.items():
        started = time.perf_counter()
        measured = measure(dtype, NUMBER, SEED)
        row(dtype.__name__, *measured, bar, time.perf_counter() - started)
    print("\nkink at the point, height relative to the slope: how often it is seen (0: in vain)")
    for height, rate in kinks(NUMBER // 10, SEED).items():
        print(f"  {height:>6g}: {100 * rate:.1f} %")


if __name__ == "__main__":
    main()
