"""Sparse Jacobians of many unknowns: tens of calls, memory like their own, and each wrong entry by name."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array, diags_array, vstack
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from gradlab import UsageError
from gradlab.scipy import check, check_jac

N = 5_000
AT = N // 3
X = np.random.default_rng(0).normal(size=N)
QUIET = {"raise_exception": False}


def fun(x):
    y = 3 * x + np.sin(x)
    y[1:] -= x[:-1] ** 2
    y[:-1] -= np.exp(x[1:]) / 2
    return y


def jac(x):
    return diags_array([-2 * x[:-1], 3 + np.cos(x), -np.exp(x[1:]) / 2], offsets=[-1, 0, 1]).tocsr()


def plus(places, jac=jac):
    """Return a Jacobian to which something is added at some places."""

    def changed(x):
        matrix = jac(x)
        rows, columns = zip(*places, strict=True)
        return (matrix + coo_array((list(places.values()), (rows, columns)), shape=matrix.shape)).tocsr()

    return changed


def without(i, j):
    """Return the Jacobian whose pattern lacks an entry."""

    def lacking(x):
        matrix = plus({(i, j): -jac(x)[i, j]})(x)
        matrix.data[np.abs(matrix.data) < 1e-12] = 0
        matrix.eliminate_zeros()
        return matrix

    return lacking


def kinked(x):
    y = fun(x)
    y[AT] += abs(x[AT] - X[AT])
    return y


def far(x):
    y = fun(x)
    y[7] += x[2 * AT] ** 2
    return y


def in_float32(function):
    return lambda x: function(x.astype(np.float32))


def operator(jac):
    return lambda x: aslinearoperator(jac(x))


RIGHT = {
    "three diagonals": (fun, jac, {}),
    "kink, inside": (kinked, plus({(AT, AT): 0.5}), {}),
    "kink, of one side": (kinked, plus({(AT, AT): 1.0}), {}),
    "every derivative vanishes": (lambda x: x**2, lambda x: diags_array(2 * x).tocsr(), {"x0": np.zeros(N)}),
    "pattern without entries": (lambda x: 0 * x + 1, lambda x: csr_array((N, N)), {}),
    "operator with a pattern": (fun, operator(jac), {"jac_sparsity": jac(X)}),
    "larger pattern than that of the Jacobian": (fun, jac, {"jac_sparsity": plus({(5, 900): 1.0})(X)}),
    "more outputs than unknowns": (
        lambda x: np.concatenate([fun(x), np.sin(x)]),
        lambda x: vstack([jac(x), diags_array(np.cos(x))]).tocsr(),
        {},
    ),
    "one output depends on all": (
        lambda x: np.append(fun(x), x @ x),
        lambda x: vstack([jac(x), csr_array(2 * x[np.newaxis])]).tocsr(),
        {},
    ),
}


@pytest.mark.parametrize(("function", "jacobian", "options"), RIGHT.values(), ids=RIGHT)
def test_right_jacobian_passes_in_forty_calls(function, jacobian, options):
    report = check_jac(function, jacobian, **{"x0": X} | options)
    assert report.forward_calls <= 40


@pytest.mark.parametrize(("by", "entries"), [(1.0, ()), (1.01, ((AT, AT),))])
def test_unknowns_of_very_different_sizes_are_seen_on_their_own_scale(by, entries):
    size = 10.0 ** np.random.default_rng(3).uniform(-7, 7, N)

    def bells(x):
        return np.exp(-((x / size) ** 2))

    def slopes(x):
        return diags_array(np.where(np.arange(N) == AT, by, 1.0) * -2 * x / size**2 * bells(x)).tocsr()

    report = check_jac(bells, slopes, X * size, **QUIET)
    assert report.passed is not bool(entries)
    assert report.inputs[0].wrong_entries == entries


def test_float32_passes_once_its_noise_is_measured():
    assert check_jac(in_float32(fun), in_float32(jac), X).forward_calls <= 60


@pytest.mark.parametrize("seed", range(3))
def test_float32_behind_float64_is_no_false_alarm(seed):
    x = np.random.default_rng(seed).normal(size=20_000)
    report = check_jac(lambda x: in_float32(fun)(x).astype(float), in_float32(jac), x, **QUIET)
    assert not report.failed
    assert "rtol=" in report.reason


WRONG = {
    "1 % too large": (fun, plus({(AT, AT + 1): 0.02}), {}, [(AT, AT + 1)]),
    "1e-6 too large": (fun, plus({(AT, AT + 1): 1e-6}), {}, [(AT, AT + 1)]),
    "missing in the pattern": (fun, without(AT, AT - 1), {}, [(AT, AT - 1)]),
    "one output depends on more": (far, jac, {}, [(7, 2 * AT)]),
    "kink, outside": (kinked, plus({(AT, AT): 1.5}), {}, [(AT, AT)]),
    "float32": (in_float32(fun), in_float32(plus({(AT, AT + 1): 0.02})), {}, [(AT, AT + 1)]),
    "operator with a pattern": (
        fun,
        operator(plus({(AT, AT + 1): 0.02})),
        {"jac_sparsity": jac(X)},
        [(AT, AT + 1)],
    ),
    "fun depends on more than the pattern given": (
        far,
        operator(jac),
        {"jac_sparsity": jac(X)},
        [(7, 2 * AT)],
    ),
    "one entry of a row that has all": (
        lambda x: np.append(fun(x), x @ x),
        plus({(N, AT): 0.5}, lambda x: vstack([jac(x), csr_array(2 * x[np.newaxis])]).tocsr()),
        {},
        [(N, AT)],
    ),
    "where every derivative vanishes": (
        lambda x: x**2,
        lambda x: diags_array(2 * x + 1e-3 * (np.arange(N) == AT)).tocsr(),
        {"x0": np.zeros(N)},
        [(AT, AT)],
    ),
}


@pytest.mark.parametrize(("function", "jacobian", "options", "entries"), WRONG.values(), ids=WRONG)
def test_one_wrong_entry_is_named_in_a_hundred_calls(function, jacobian, options, entries):
    report = check_jac(function, jacobian, **{"x0": X} | options | QUIET)
    assert report.failed
    assert report.inputs[0].wrong_entries == tuple(entries)
    assert report.forward_calls <= 100


def test_hundred_thousand_unknowns_are_checked_in_forty_calls_and_little_memory():
    x = np.random.default_rng(0).normal(size=100_000)
    tracemalloc.start()
    report = check_jac(fun, jac, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.forward_calls <= 40
    assert peak <= 8 * (x.nbytes + fun(x).nbytes + jac(x).data.nbytes)


def test_all_entries_of_two_swapped_rows_are_named():
    def swapped(x):
        order = np.arange(N)
        order[[AT, AT + 7]] = AT + 7, AT
        return jac(x)[order]

    unknowns = [j for k in (AT, AT + 7) for j in (k - 1, k, k + 1)]
    report = check_jac(fun, swapped, X, **QUIET)
    assert report.inputs[0].wrong_entries == tuple((i, j) for i in (AT, AT + 7) for j in unknowns)
    assert [finding.kind for finding in report.findings] == ["wrong-jacobian", "outside-pattern"]


def test_output_that_depends_on_all_unknowns_beyond_the_pattern_is_named():
    report = check_jac(
        lambda x: np.append(fun(x), x @ x), lambda x: vstack([jac(x), csr_array((1, N))]), X, **QUIET
    )
    assert "wrong in output 5000, at several unknowns that were not told apart" in report.reason
    assert report.forward_calls < 300


def test_unknowns_at_their_bounds_are_decided():
    lower = np.full(N, -np.inf)
    lower[::2] = X[::2]
    assert check_jac(fun, jac, X, bounds=(lower, np.inf))
    report = check_jac(fun, plus({(AT, AT + 1): 0.02}), X, bounds=(lower, np.inf), **QUIET)
    assert report.inputs[0].wrong_entries == ((AT, AT + 1),)


@pytest.mark.parametrize("form", [lambda J: J.toarray(), lambda J: J, aslinearoperator])
def test_entry_of_the_jacobian_outside_of_the_pattern_given_is_named(form):
    x = X[:50]
    report = check_jac(fun, lambda x: form(plus({(7, 18): 1.0})(x)), x, jac_sparsity=jac(x), **QUIET)
    assert [finding.kind for finding in report.findings][:1] == ["outside-pattern"]
    assert report.reason == "jac has an entry [7, 18] where jac_sparsity has none"


def test_pattern_may_be_an_array_and_reaches_the_check_of_a_solver():
    def least_squares():
        raise AssertionError("the solver itself is not called")

    x = X[:60]
    pattern = jac(x).toarray() != 0
    assert check_jac(fun, lambda x: jac(x).toarray(), x, jac_sparsity=pattern)
    pattern[3, 4] = False
    report = check(least_squares, fun, x, jac=jac, jac_sparsity=pattern, **QUIET)
    assert report.findings[0].message == "jac has an entry [3, 4] where jac_sparsity has none"


@pytest.mark.parametrize("pattern", [np.eye(3), "tridiagonal", csr_array((4, 5))])
def test_pattern_of_another_shape_is_refused(pattern):
    with pytest.raises(UsageError, match=r"jac_sparsity is .*; expected a matrix of shape \(4, 4\)"):
        check_jac(fun, jac, X[:4], jac_sparsity=pattern)


def test_matrix_that_stores_an_entry_twice_is_read_as_its_sum_and_left_as_it_is():
    given = csr_array((np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1]), np.array([0, 2, 3])), shape=(2, 2))
    assert check_jac(lambda x: 3 * x, lambda x: given, X[:2])
    assert given.data.tolist() == [1, 2, 3]


def test_operator_is_asked_once_for_each_colour_of_its_pattern():
    asked = []

    def banded(x):
        matrix = jac(x)
        return LinearOperator((N, N), matvec=lambda v: asked.append(1) or matrix @ v, dtype=float)

    assert check_jac(fun, banded, X, jac_sparsity=jac(X))
    assert len(asked) <= 5
