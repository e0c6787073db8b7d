"""How many calls of forward it takes to name the wrong entries of a large input.

    python tests/benchmarks/location.py [ENTRIES]

Counted from the moment the failure is known until the entries are named: when `locate` is entered and left.
"""

import math
import sys
from unittest import mock

import numpy as np

import gradlab.checks.one_point as module
from gradlab import gradcheck
from gradlab.checks.locate import locate

BAR = 100  # calls for one wrong entry
ENTRIES = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10**6
DEFECTS = {
    "1 %": lambda g: 1.01 * g,
    "10 %": lambda g: 1.1 * g,
    "factor 2": lambda g: 2 * g,
    "zeroed": lambda g: 0 * g,
}
SHAPES = {
    "vector": lambda n: (n,),
    "matrix": lambda n: (math.isqrt(n), n // math.isqrt(n)),
    "batch": lambda n: (10, math.isqrt(n // 10), n // 10 // math.isqrt(n // 10)),
}


def located(forward, backward, *inputs):
    """Return the report, and how many calls of forward each search took."""
    counts = []

    def counted(criteria, claims, probes):
        before = criteria.problem.forward_calls
        region = locate(criteria, claims, probes)
        counts.append(criteria.problem.forward_calls - before)
        return region

    with mock.patch.object(module, "locate", counted):
        report = gradcheck(forward, backward, inputs, raise_exception=False)
    return report, counts


def tanh_with(change, chosen):
    """Return a backward rule of tanh that is wrong at the chosen entries."""

    def backward(dy, x):
        dx = dy * (1 - np.tanh(x) ** 2)
        dx[chosen] = change(dx[chosen])
        return dx

    return backward


def mean_square_with(change, chosen):
    """Return the same for the mean square, whose output is one number."""

    def backward(dl, x):
        dx = dl * 2 * x / x.size
        dx[chosen] = change(dx[chosen])
        return dx

    return backward


RULES = {
    "tanh": (np.tanh, tanh_with),
    "mean square": (lambda x: np.mean(x * x), mean_square_with),
}


def positions(n, count=12):
    """Return entries to be wrong: the ends, the middle, and some at random."""
    some = np.random.default_rng(1).choice(n, count - 5, replace=False)
    return [0, 1, n // 2, n - 2, n - 1, *map(int, some)]


def single_entries():
    """Print calls for one wrong entry, at several positions."""
    print(f"one wrong entry among {ENTRIES}: of 12 positions, failures found, the entry named, others named")
    print(f"in its place; calls (bar {BAR})\n")
    columns = f"{'rule':<12}{'shape':<8}{'defect':<10}{'found':>6}{'named':>6}{'others':>7}"
    print(f"{columns}{'mean':>7}{'most':>6}{'bar':>5}  met")
    for rule, (forward, wrong) in RULES.items():
        for shape_name, shape_of in SHAPES.items():
            x = np.random.default_rng(0).normal(size=shape_of(ENTRIES))
            for defect, change in DEFECTS.items():
                found, named, others, calls = 0, 0, 0, []
                for k in positions(x.size):
                    index = np.unravel_index(k, x.shape)
                    report, counts = located(forward, wrong(change, index), x)
                    found += report.failed
                    said = report.inputs[0].wrong_entries
                    right = said == (tuple(map(int, index)),)
                    named, others = named + right, others + (bool(said) and not right)
                    calls += counts
                most = max(calls, default=0)
                met = most <= BAR and named == found
                print(
                    f"{rule:<12}{shape_name:<8}{defect:<10}{found:>6}{named:>6}{others:>7}"
                    f"{np.mean(calls or [0]):>7.1f}{most:>6}{BAR:>5}  {'yes' if met else 'NO'}"
                )


def regions():
    """Print what is said of larger regions, and the calls."""
    rows = math.isqrt(ENTRIES)
    x = np.random.default_rng(0).normal(size=(rows, ENTRIES // rows))
    zeros = np.where(np.random.default_rng(2).random(x.shape) < 0.1, 0.0, x)
    apart = np.random.default_rng(3).choice(x.size, 5, replace=False)
    cases = {
        "one row": (x, np.s_[rows // 3]),
        "one column": (x, np.s_[:, rows // 3]),
        "block": (x, np.s_[rows // 4 : rows // 2, rows // 3 : rows // 2]),
        "last row": (x, np.s_[-1]),
        "every second row": (x, np.s_[::2]),
        "where x == 0": (zeros, zeros == 0),
        "5 entries far apart": (x, np.unravel_index(apart, x.shape)),
        "every entry": (x, np.s_[...]),
        "none": (x, np.s_[:0]),
    }
    print(f"\nregions of {x.shape[0]} x {x.shape[1]} entries, each 10 % too large, tanh\n")
    print(f"{'wrong':<22}{'verdict':<9}{'entries':>8}{'said':>8}{'calls':>6}  where")
    for name, (value, chosen) in cases.items():
        report, counts = located(np.tanh, tanh_with(DEFECTS["10 %"], chosen), value)
        (result,) = report.inputs
        wrong = np.zeros(value.shape, dtype=bool)
        wrong[chosen] = True
        print(
            f"{name:<22}{report.verdict:<9}{wrong.sum():>8}{result.wrong_count:>8}"
            f"{max(counts, default=0):>6}  {result.where or '-'}"
        )


if __name__ == "__main__":
    single_entries()
    regions()
