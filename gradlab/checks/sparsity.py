"""Where a Jacobian may have entries: read, used to move unknowns together, and held against what is claimed.

A direction that moves unknowns that share no output shows the entries of all of them at once, each in the
outputs of its own: a banded Jacobian takes as many directions as its band is wide, however many unknowns
there are.

Source: A. R. Curtis, M. J. D. Powell and J. K. Reid, On the estimation of sparse Jacobian matrices, IMA
Journal of Applied Mathematics 13 (1974) 117-119; the groups are SciPy's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize._numdiff import group_columns
from scipy.sparse import csr_array, issparse
from scipy.sparse.linalg import LinearOperator

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array, Indices
from gradlab.point.values import describe

__tracebackhide__ = is_deliberate

FULL = 100  # entries of a row, above which its unknowns may move together


def read_pattern(what: str, given: Any, shape: tuple[int, int]) -> csr_array:
    """Return where a Jacobian may have entries, as a matrix of ones in canonical form.

    Parameters
    ----------
    what : str
        What messages call it, such as ``jac_sparsity``.
    given : array_like or sparse array, shape (m, n)
        Of a sparse one every stored entry counts, as in SciPy, of others what is not zero.
    shape : tuple of int
        The shape ``(m, n)`` that it has to have.

    Raises
    ------
    UsageError
        When it is no such matrix.
    """
    try:
        matrix = given.tocsr() if issparse(given) else csr_array(np.atleast_2d(np.asarray(given) != 0))
        found = tuple(matrix.shape)
    except (TypeError, ValueError):
        found = ()
    if found != shape:
        raise UsageError(f"{what} is {describe(given)}; expected a matrix of shape {shape}, sparse or dense")
    return ones(canonical(matrix))


def canonical(matrix: Any) -> csr_array:
    """Return a matrix in CSR form with sorted indices, each once; the one given stays as it is."""
    matrix = csr_array(matrix)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return matrix


def ones(matrix: csr_array, numbers: Array | None = None) -> csr_array:
    """Return a matrix with entries where another has them: ones, or the numbers given."""
    numbers = np.ones(matrix.indices.size, dtype=np.int8) if numbers is None else numbers
    return csr_array((numbers, matrix.indices, matrix.indptr), shape=matrix.shape)


def group(pattern: csr_array, *, sums: bool) -> Indices:
    """Return for each unknown the number of its group: no two of one group share an output.

    Parameters
    ----------
    pattern : csr_array, shape (m, n)
        Every stored entry counts.
    sums : bool
        Whether outputs of more than `FULL` entries may depend on several of a group, whose sum is then seen.

    Examples
    --------
    >>> band = csr_array(np.eye(6) + np.eye(6, k=1) + np.eye(6, k=-1))
    >>> group(band, sums=False).tolist()
    [0, 1, 2, 0, 1, 2]
    """
    if sums and full_rows(pattern).any():
        pattern = pattern[np.flatnonzero(~full_rows(pattern))]
    # Neighbours first is best of a band; of what has no order, one drawn at random may need fewer.
    found = [group_columns(pattern, order) for order in (np.arange(pattern.shape[1]), 0)]
    return np.asarray(min(found, key=lambda groups: int(groups.max(initial=-1))), dtype=np.intp)


def full_rows(pattern: csr_array) -> npt.NDArray[np.bool_]:
    """Return which outputs depend on so many unknowns that these are not moved one by one."""
    return np.asarray(np.diff(pattern.indptr) > FULL)


def look_up(matrix: csr_array, rows: Indices, columns: Indices) -> tuple[npt.NDArray[np.bool_], Array]:
    """Return which of some places are stored in a matrix in canonical form, and the entries there.

    >>> stored, entries = look_up(csr_array([[0.0, 2.0], [3.0, 0.0]]), np.array([0, 1]), np.array([1, 1]))
    >>> stored.tolist(), entries.tolist()
    ([True, False], [2.0, 0.0])
    """
    distinct, local = np.unique(rows, return_inverse=True)
    part, n = matrix[distinct], matrix.shape[1]
    places = np.repeat(np.arange(distinct.size), np.diff(part.indptr)) * n + part.indices
    if not places.size:
        return np.zeros(rows.size, dtype=bool), np.zeros(rows.size)
    wanted = local * n + columns
    at = np.minimum(np.searchsorted(places, wanted), places.size - 1)
    stored = places[at] == wanted
    return stored, np.where(stored, part.data[at], 0.0)


def confined(given: Any, pattern: csr_array, same: float) -> tuple[csr_array, tuple[int, ...] | None]:
    """Return the entries of a Jacobian within a pattern, and one that is outside of it, if there is any.

    Parameters
    ----------
    given : ndarray, csr_array or LinearOperator
        The Jacobian. An operator is asked once for each group of unknowns.
    pattern : csr_array
        Of the same shape.
    same : float
        The relative difference of two products that are the same but for rounding.

    Returns
    -------
    entries : csr_array
        With the pattern's structure.
    outside : tuple of int or None
        Output and unknown; the output alone, where an operator has several there.
    """
    if isinstance(given, LinearOperator):
        return _confined_operator(given, pattern, same)
    rows, columns = pattern.tocoo().coords
    if issparse(given):
        same_places = np.array_equal(given.indptr, pattern.indptr)
        same_places = same_places and np.array_equal(given.indices, pattern.indices)
        entries = given.data if same_places else look_up(given, rows, columns)[1]
        if np.count_nonzero(given.data) == np.count_nonzero(entries):
            return ones(pattern, entries), None
        places = given.tocoo()
        others = (places.data != 0) & ~look_up(pattern, *places.coords)[0]
        k = int(np.argmax(others))
        return ones(pattern, entries), tuple(int(axis[k]) for axis in places.coords)
    others = given != 0
    others[rows, columns] = False
    found = tuple(int(k) for k in np.unravel_index(int(np.argmax(others)), others.shape))
    return ones(pattern, given[rows, columns]), found if others.any() else None


def _confined_operator(
    given: LinearOperator, pattern: csr_array, same: float
) -> tuple[csr_array, tuple[int, ...] | None]:
    def product(v: Array) -> Array:
        return np.asarray(given.matvec(v), dtype=np.float64).ravel()

    n, labels, entries = pattern.shape[1], group(pattern, sums=False), np.zeros(pattern.indices.size)
    rows, columns = pattern.tocoo().coords
    for label in range(int(labels.max(initial=-1)) + 1):
        mine = labels[columns] == label
        entries[mine] = product((labels == label).astype(np.float64))[rows[mine]]
    matrix = ones(pattern, entries)
    v = np.random.default_rng(0).uniform(1, 2, n)
    gap, size = np.abs(product(v) - matrix @ v), abs(matrix) @ v
    beyond = np.flatnonzero(gap > same * np.fmax(size, same * size.max(initial=0.0)))
    if not beyond.size:
        return matrix, None
    # What a group shows of that output is a sum with what is outside: only the others move.
    i = int(beyond[0])
    rest = np.ones(n)
    rest[pattern[[i]].indices] = 0.0
    weighted, whole = product(rest * v * np.arange(1, n + 1))[i], product(rest * v)[i]
    number = weighted / whole - 1 if whole else np.nan
    unknown = int(np.nan_to_num(np.round(number), nan=-1))
    alone = product(rest * v * (np.arange(n) == unknown))[i]
    return matrix, (i, unknown) if abs(alone - whole) <= same * abs(whole) else (i,)
