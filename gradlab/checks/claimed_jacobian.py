"""A Jacobian as SciPy's functions return it: an array, a sparse one, or an operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize._numdiff import group_columns
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from gradlab.checks.columns import Product
from gradlab.checks.plan import strata
from gradlab.errors import UsageError
from gradlab.numerics import Array
from gradlab.numerics.scales import random_direction
from gradlab.point.problem import Problem
from gradlab.point.values import describe
from gradlab.report import Finding

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
    ) -> None:
        self.what, self.shape, self.scalar, self.symmetric = what, shape, scalar, symmetric
        self.sparse, self.operator = issparse(returned), isinstance(returned, LinearOperator)
        self.value = returned.tocsr() if self.sparse else returned
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

    @property
    def product(self) -> Product:
        """The function ``d -> J d``."""
        return self.value.matvec if self.operator else lambda d: self.value @ d

    @property
    def by_entry(self) -> bool:
        """Whether each entry is compared by itself, or in a column that shares no output with others."""
        return self.sparse or self.shape[1] <= SMALL

    @property
    def stored(self) -> set[tuple[int, int]] | None:
        """The entries of its pattern, if it has one."""
        if not self.sparse:
            return None
        rows, columns = self.value.tocoo().coords
        return set(zip(rows.tolist(), columns.tolist(), strict=True))

    def directions(self, problem: Problem, rng: np.random.Generator) -> list[Array]:
        """Return displacements along which it is compared: of columns that share no output, together.

        A. R. Curtis, M. J. D. Powell and J. K. Reid, On the estimation of sparse Jacobian matrices, IMA
        Journal of Applied Mathematics 13 (1974) 117-119; the groups are SciPy's.
        """
        (i,) = problem.wrt
        n, x, reach = self.shape[1], problem.value(i), problem.reach(i)
        groups, each = group_columns(self.value) if self.sparse else np.arange(n), 1
        if not self.by_entry:  # as of any large input, a stratum of entries of similar influence at a time
            size = np.ones(n) if self.operator else np.abs(self.value).max(axis=0)
            groups, each = strata([size], reach), DIRECTIONS
        masks = (groups == group for group in range(int(groups.max(initial=-1)) + 1) for _ in range(each))
        drawn = [problem.direction(i, np.where(mask, random_direction(x, rng, reach), 0.0)) for mask in masks]
        return [d for d in drawn if d.any()]

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
        if found or self.operator:
            return found
        argument = x.copy()
        second = ClaimedJacobian(self.what, again(argument), self.shape)
        if not np.array_equal(argument, x):
            return [self._finding("mutates-input", "writes to x, which it was given", "x")]
        gap = 0.0 if second.misshapen else abs(self.value - second.value).max()
        if second.misshapen or gap > self.same * abs(self.value).max():
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
        if self.operator:
            return self._transpose()
        if not np.isfinite(self.value.data if self.sparse else self.value).all():
            return [self._finding("not-finite", "has entries that are not finite")]
        if not self.symmetric:
            return []
        gap = abs(self.value - self.value.T)
        if gap.max() <= self.same * abs(self.value).max():
            return []
        i, j = np.unravel_index(int(gap.argmax()), self.shape)
        numbers = f"[{i}, {j}] is {self.value[i, j]:.6g}, and [{j}, {i}] is {self.value[j, i]:.6g}"
        return [self._finding("not-symmetric", f"is not symmetric: {numbers}")]

    def _transpose(self) -> list[Finding]:
        """Compare ``⟨u, J v⟩`` with ``⟨Jᵀ u, v⟩``, which needs no differences."""
        rng = np.random.default_rng(0)
        u, v = rng.standard_normal(self.shape[0]), rng.standard_normal(self.shape[1])
        image = np.asarray(self.value.matvec(v)).ravel()
        try:
            back = np.asarray(self.value.rmatvec(u)).ravel()
        except NotImplementedError:
            return []
        left, right = float(u @ image), float(back @ v)
        if abs(left - right) <= self.same * float(np.abs(u) @ np.abs(image) + np.abs(back) @ np.abs(v)):
            return []
        numbers = f"⟨u, J v⟩ is {left:.6g}, and ⟨Jᵀ u, v⟩ is {right:.6g}"
        if self.symmetric:
            return [self._finding("not-symmetric", f"is not the product with a symmetric matrix: {numbers}")]
        return [self._finding("rmatvec-is-no-transpose", f"has an rmatvec that is no transpose: {numbers}")]
