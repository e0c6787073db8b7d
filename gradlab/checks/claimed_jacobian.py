"""A Jacobian as SciPy's functions return it: an array, a sparse one, or an operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, issparse
from scipy.sparse.linalg import LinearOperator

from gradlab.checks.directions import Directions
from gradlab.checks.jacobian_claims import Product
from gradlab.checks.sparsity import canonical, confined, full_rows, group, look_up
from gradlab.checks.strata import apart_at_bounds, strata
from gradlab.checks.stratum import StratumDirection
from gradlab.errors import UsageError
from gradlab.numerics import Array, Indices
from gradlab.numerics.scales import random_direction
from gradlab.point.problem import Problem
from gradlab.point.values import describe
from gradlab.report import Finding
from gradlab.words import told_apart

SMALL = 1000  # unknowns, up to which each is moved by itself
DIRECTIONS = 2  # otherwise, of each stratum
# Relative: two answers, or two halves of a Hessian, that are the same; in a narrower dtype than float64, as
# many square roots of a rounding.
SAME, SAME_ROUNDED = 1e-8, 1e-2


class ClaimedJacobian:
    """What a function returned as a Jacobian.

    Parameters
    ----------
    what : str
        What messages call it, such as ``jac``.
    returned : array_like, sparse array or LinearOperator
        What it returned.
    shape : tuple of int
        The shape ``(m, n)`` that it has to have.
    scalar : bool
        Whether it is a gradient, of shape ``(n,)``.
    symmetric : bool
        Whether it is a Hessian.
    rtol : float
        The relative defect that the caller does not care about.
    pattern : csr_array, optional
        Where it may have entries; of a sparse one, that is by default where it has.
    """

    def __init__(
        self,
        what: str,
        returned: Any,
        shape: tuple[int, int],
        *,
        scalar: bool = False,
        symmetric: bool = False,
        rtol: float = 0.0,
        pattern: csr_array | None = None,
    ) -> None:
        self.what, self.shape, self.scalar, self.symmetric = what, shape, scalar, symmetric
        self.sparse, self.operator = issparse(returned), isinstance(returned, LinearOperator)
        self.value = canonical(returned) if self.sparse else returned
        dtype = returned.dtype if self.sparse or self.operator else np.asarray(returned).dtype
        if not self.sparse and not self.operator:
            array = np.asarray(returned)
            if array.dtype.kind not in "fiub":
                raise UsageError(f"{what} returns {describe(returned)}; expected an array of numbers")
            flat = array.ndim <= 1 and 1 in shape and array.size == shape[0] * shape[1]
            self.value = array.astype(np.float64).reshape(shape if flat else array.shape)
        self.misshapen = tuple(self.value.shape) != shape
        eps = float(np.finfo(dtype).eps) if dtype is not None and dtype.kind == "f" else 0.0
        self.same = max(SAME, rtol, SAME_ROUNDED * np.sqrt(eps))
        self._given, self._pattern = self.value, pattern
        self._beyond: tuple[int, ...] | None = None
        if pattern is not None and not self.misshapen:
            self.value, self._beyond = confined(self.value, pattern, self.same)
            self.sparse = True

    @property
    def unreadable(self) -> bool:
        """Whether it cannot be read by entry: of another shape, or an operator beyond its pattern."""
        return self.misshapen or (self.operator and self._beyond is not None)

    @property
    def product(self) -> Product:
        """The function ``d -> J d``."""
        return lambda d: self.value @ d

    @property
    def by_entry(self) -> bool:
        """Whether each entry is compared by itself, or in a column that shares no output with others."""
        return self.sparse or self.shape[1] <= SMALL

    @property
    def compared(self) -> int:
        """How many entries that is: all, or none, or those of rows that are not full."""
        m, n = self.shape
        if self.sparse and n > SMALL:
            m -= int(full_rows(self.value).sum())
        return m * n if self.by_entry else 0

    def entries(self, outputs: Indices, unknowns: Indices) -> Array:
        """Return its entries at some places, of shape ``(k,)``."""
        if self.sparse:
            return look_up(self.value, outputs, unknowns)[1]
        if not self.operator:
            return np.asarray(self.value[outputs, unknowns])
        found = np.empty(outputs.size)
        for unknown in np.unique(unknowns):
            here = unknowns == unknown
            column = np.zeros(self.shape[1])
            column[unknown] = 1.0
            found[here] = np.asarray(self.value.matvec(column)).ravel()[outputs[here]]
        return found

    def outside(self, outputs: Indices, unknowns: Indices) -> npt.NDArray[np.bool_]:
        """Return which places are none of its pattern; none, if it has no pattern."""
        if not self.sparse:
            return np.zeros(outputs.size, dtype=bool)
        return ~look_up(self.value, outputs, unknowns)[0]

    def known(self, outputs: Indices) -> Indices:
        """Return the unknowns on which some outputs depend by its pattern; none, if it has no pattern."""
        return np.asarray(self.value[outputs].indices) if self.sparse else np.empty(0, dtype=np.intp)

    def directions(self, problem: Problem, rng: np.random.Generator) -> Directions:
        """Return displacements along which it is compared: of columns that share no output, together."""
        (i,) = problem.wrt
        n, x, reach = self.shape[1], problem.value(i), problem.reach(i)
        labels: npt.NDArray[Any]
        labels, each = group(self.value, sums=n > SMALL) if self.sparse else np.arange(n), 1
        if not self.by_entry:  # as of any large input, a stratum of entries of similar influence at a time
            size = np.ones(n) if self.operator else np.abs(self.value).max(axis=0)
            (labels, _), each = strata([size], reach), DIRECTIONS
        if self.sparse or not self.by_entry:
            labels = apart_at_bounds(problem, i, labels)
        drawn = [problem.direction(i, random_direction(x, rng, reach)) for _ in range(each)]
        joint = [StratumDirection(i, d, labels, label) for d in drawn for label in np.unique(labels[d != 0])]
        return Directions.of(problem, {}, joint)

    def findings(self, again: Callable[[Array], Any], x: Array) -> list[Finding]:
        """Return what is wrong with it whatever the function does.

        Parameters
        ----------
        again : callable
            Calls its function once more, with an array that it may have written to.
        x : Array
            The point.
        """
        if self.misshapen:
            return [self._shape()]
        found = self._form()
        if self._beyond is not None:
            where = str([*self._beyond]) if len(self._beyond) == 2 else f"in output {self._beyond[0]}"
            message = f"has an entry {where} where jac_sparsity has none"
            found.append(self._finding("outside-pattern", message))
        if found or self.operator:
            return found
        argument = x.copy()
        second = ClaimedJacobian(self.what, again(argument), self.shape, pattern=self._pattern)
        if not np.array_equal(argument, x):
            return [self._finding("mutates-input", "writes to x, which it was given", "x")]
        if second.misshapen or _gap(self.value, second.value) > self.same * _largest(self.value):
            return [self._finding("not-deterministic", "gives two answers when it is called twice at x0")]
        return []

    def _finding(self, kind: str, message: str, name: str | None = None) -> Finding:
        return Finding("contract", name or self.what, kind, f"{self.what} {message}")

    def _shape(self) -> Finding:
        have, want = tuple(self.value.shape), self.shape
        hint = ": it is transposed" if have == want[::-1] else ", a row for each output"
        if self.scalar:
            return self._finding("jacobian-shape", f"has shape {have}; expected {(want[1],)}, that of x")
        return self._finding("jacobian-shape", f"has shape {have}; expected {want}{hint}")

    def _form(self) -> list[Finding]:
        """Return what is wrong with an operator's transpose, with a Hessian, or with numbers."""
        if (self.sparse or not self.operator) and not np.isfinite(_numbers(self.value)).all():
            return [self._finding("not-finite", "has entries that are not finite")]
        if self.operator:
            return self._transpose()
        if not self.symmetric:
            return []
        gap = abs(self.value - self.value.T)
        if gap.max() <= self.same * _largest(self.value):
            return []
        i, j = np.unravel_index(int(gap.argmax()), self.shape)
        one, other = told_apart(self.value[i, j], self.value[j, i])
        numbers = f"[{i}, {j}] is {one}, and [{j}, {i}] is {other}"
        return [self._finding("not-symmetric", f"is not symmetric: {numbers}")]

    def _transpose(self) -> list[Finding]:
        """Compare ``⟨u, J v⟩`` with ``⟨Jᵀ u, v⟩``, which needs no differences."""
        rng = np.random.default_rng(0)
        u, v = rng.standard_normal(self.shape[0]), rng.standard_normal(self.shape[1])
        image = np.asarray(self._given.matvec(v)).ravel()
        try:
            back = np.asarray(self._given.rmatvec(u)).ravel()
        except NotImplementedError:
            return []
        left, right = float(u @ image), float(back @ v)
        if abs(left - right) <= self.same * float(np.abs(u) @ np.abs(image) + np.abs(back) @ np.abs(v)):
            return []
        one, other = told_apart(left, right)
        numbers = f"⟨u, J v⟩ is {one}, and ⟨Jᵀ u, v⟩ is {other}"
        if self.symmetric:
            return [self._finding("not-symmetric", f"is not the product with a symmetric matrix: {numbers}")]
        return [self._finding("rmatvec-is-no-transpose", f"has an rmatvec that is no transpose: {numbers}")]


def _numbers(value: Any) -> Array:
    return np.asarray(value.data if issparse(value) else value)


def _largest(value: Any) -> float:
    numbers = _numbers(value)
    return max(float(numbers.max(initial=0.0)), -float(numbers.min(initial=0.0)))


def _gap(one: Any, other: Any) -> float:
    """Return the largest difference of two matrices; of the same pattern, without another matrix."""
    if not issparse(one) or not issparse(other):
        return _largest(one - other)
    same = np.array_equal(one.indptr, other.indptr) and np.array_equal(one.indices, other.indices)
    return _largest(one.data - other.data if same else one - other)
