"""What the verdict on a sparse Jacobian costs, and whether one wrong entry is named.

    python tests/benchmarks/sparse.py [UNKNOWNS]

Memory is the peak over 8 bytes for each input, output and non-zero: the indices of a sparse array, another
half of its non-zeros, are not counted, nor is what ``fun`` and ``jac`` need taken off.
"""

import sys
import time
import tracemalloc
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize._numdiff import approx_derivative
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import aslinearoperator

from gradlab import numerical_jacobian
from gradlab.scipy import check_jac

N = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10**5
VERDICT, NAMED, MEMORY = 40, 100, 8.0  # calls to a pass, calls to the name of an entry, memory
AT = N // 3  # where the defects are
X = np.random.default_rng(0).normal(size=N)


def fun(x):
    """Return a residual in which each output depends on three neighbours."""
    y = 3 * x + np.sin(x)
    y[1:] -= x[:-1] ** 2
    y[:-1] -= np.exp(x[1:]) / 2
    return y


def jac(x):
    """Return its Jacobian."""
    diagonals = [-2 * x[:-1], 3 + np.cos(x), -np.exp(x[1:]) / 2]
    return diags_array(diagonals, offsets=[-1, 0, 1]).tocsr()


def changed(*places, jac=jac):
    """Return a Jacobian, some entries of which, ``(output, unknown, factor, more)``, are others."""

    def wrong(x):
        matrix = jac(x)
        more = [(i, j, matrix[i, j] * (by - 1) + plus) for i, j, by, plus in places]
        rows, columns, values = zip(*more, strict=True)
        return (matrix + coo_array((values, (rows, columns)), shape=matrix.shape)).tocsr()

    return wrong


def without(x):
    """Return the Jacobian whose pattern lacks an entry."""
    matrix = changed((AT, AT - 1, 0, 0))(x)
    matrix.eliminate_zeros()
    return matrix


def swapped(x):
    """Return the Jacobian with two rows swapped."""
    order = np.arange(N)
    order[[AT, AT + 7]] = AT + 7, AT
    return jac(x)[order]


def far(x):
    """Return the residual, an output of which depends on an unknown far away."""
    y = fun(x)
    y[7] += x[2 * AT] ** 2 / 2
    return y


def kinked(x):
    """Return the residual with a kink at the point."""
    y = fun(x)
    y[AT] += abs(x[AT] - X[AT])
    return y


def narrow(function):
    """Return a function that computes in float32."""
    return lambda x: function(x.astype(np.float32))


def operator(jac):
    """Return a Jacobian as an operator, which says nothing of its pattern."""
    return lambda x: aslinearoperator(jac(x))


@dataclass(frozen=True)
class Case:
    """A question, and what is to be said of it: the entries that are wrong."""

    fun: Any
    jac: Any
    wrong: tuple[tuple[int, int], ...] = ()
    pattern: Any = None


ONE = ((AT, AT + 1),)
ROWS = tuple((i, j) for i in (AT, AT + 7) for k in (AT, AT + 7) for j in (k - 1, k, k + 1))
PATTERN = jac(X)
CASES = {
    "right": Case(fun, jac),
    "one entry 1 % too large": Case(fun, changed((*ONE[0], 1.01, 0)), ONE),
    "one entry 1e-6 too large": Case(fun, changed((*ONE[0], 1 + 1e-6, 0)), ONE),
    "one entry missing": Case(fun, without, ((AT, AT - 1),)),
    "one output depends on more": Case(far, jac, ((7, 2 * AT),)),
    "two rows swapped": Case(fun, swapped, ROWS),
    "right at a kink": Case(kinked, changed((AT, AT, 1, 0.5))),
    "wrong at a kink": Case(kinked, changed((AT, AT, 1, 1.5)), ((AT, AT),)),
    "float32, right": Case(narrow(fun), narrow(jac)),
    "float32, one entry 10 % too large": Case(narrow(fun), narrow(changed((*ONE[0], 1.1, 0))), ONE),
    "operator with a pattern, right": Case(fun, operator(jac), (), PATTERN),
    "operator with a pattern, one entry": Case(fun, operator(changed((*ONE[0], 1.01, 0))), ONE, PATTERN),
    "transposed": Case(fun, lambda x: jac(x).T.tocsr(), None),
}


def measured(function):
    """Return what a function returns, its seconds of CPU, and its peak of memory in bytes."""
    started = time.process_time()
    result = function()
    seconds = time.process_time() - started
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, seconds, peak


def verdicts():
    """Print what each case costs, and whether exactly the wrong entries are named."""
    print(
        f"{N} unknowns, three diagonals; bars: {VERDICT} calls to a pass, {NAMED} to the name of one entry,"
    )
    print(f"{MEMORY:g} times the memory of inputs, outputs and non-zeros\n")
    print(f"{'case':<36}{'verdict':<9}{'named':>6}{'calls':>6}  met{'memory':>8}  met{'seconds':>9}")
    for name, case in CASES.items():
        ask = partial(check_jac, case.fun, case.jac, X, jac_sparsity=case.pattern, raise_exception=False)
        report, seconds, peak = measured(ask)
        one = case.wrong is not None and len(case.wrong) <= 1
        bar = NAMED if case.wrong else VERDICT
        (result,) = report.inputs
        memory = peak / (8 * (X.size + fun(X).size + PATTERN.nnz))
        as_it_should = case.wrong is None or (
            report.passed if not case.wrong else set(result.wrong_entries) == set(case.wrong)
        )
        print(
            f"{name:<36}{report.verdict:<9}{result.wrong_count or '-':>6}{report.forward_calls:>6}  "
            f"{'yes' if as_it_should and report.forward_calls <= bar else 'NO' if one else '-':<3}"
            f"{memory:>8.1f}  {'yes' if memory <= MEMORY else 'NO' if one else '-':<3}{seconds:>9.2f}"
        )


def jacobians():
    """Print what the numerical Jacobian costs and errs by, beside SciPy's of the same pattern."""
    exact = jac(X)
    print(f"\n{'numerical Jacobian of that pattern':<36}{'calls':>6}{'largest error':>15}{'seconds':>9}")
    for name, function in {
        "numerical_jacobian(sparsity=)": lambda f: numerical_jacobian(f, X, sparsity=exact),
        "SciPy, 3-point": lambda f: approx_derivative(f, X, method="3-point", sparsity=exact),
        "SciPy, 2-point": lambda f: approx_derivative(f, X, method="2-point", sparsity=exact),
    }.items():
        calls = []
        started = time.process_time()
        found = function(lambda x, calls=calls: calls.append(1) or fun(x))
        seconds = time.process_time() - started
        print(f"{name:<36}{len(calls):>6}{abs(found - exact).max():>15.1e}{seconds:>9.2f}")


if __name__ == "__main__":
    verdicts()
    jacobians()
