"""The numbers behind the pictures of one point, each as it is plotted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array

ALIKE = 1 - 1e-6  # of the largest relative difference
LARGEST = 1e300  # and of one that is infinite


@dataclass(frozen=True, eq=False)
class Comparison:
    """The gradient of one input from both sides: what a heat map and a scatter plot show.

    A probe is one entry of the input, or of a large input one block of entries, moved together in a random
    direction.

    Attributes
    ----------
    name : str
        The input.
    role : str
        Whose claim it is: ``backward`` or ``jvp``.
    claimed, numeric, error_bar : Array
        Shape ``(k,)``: the claim, what forward shows, and what that may be off by. At a kink, ``numeric`` is
        the slope nearest to the claim of those between both sides.
    scale : Array
        Shape ``(k,)``: what a difference is relative to, as in `gradlab.report.Entry`.
    wrong : array of bool, shape (k,)
        Which probes are wrong.
    labels : tuple of str
        What each moves: ``w[0, 1]``, or ``w[0:16, 32:48]``.
    cells : array of int, shape (rows, columns)
        Which probe stands where in the heat map; -1 where there is none.
    row_labels : tuple of str
        The index of each row of the map.
    blocks : bool
        Whether a probe is a block of entries.
    """

    name: str
    role: str
    claimed: Array
    numeric: Array
    error_bar: Array
    scale: Array
    wrong: npt.NDArray[np.bool_]
    labels: tuple[str, ...]
    cells: npt.NDArray[np.intp]
    row_labels: tuple[str, ...]
    blocks: bool

    @property
    def relative(self) -> Array:
        """The differences of both sides, relative to their scale: shape ``(k,)``; NaN where unknown."""
        difference = np.abs(self.claimed - self.numeric)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(difference == 0, 0.0, difference / self.scale)

    @property
    def worst(self) -> int | None:
        """The wrong probe with the largest relative difference; ``None`` where none is wrong."""
        if not self.wrong.any():
            return None
        size = np.where(self.wrong, np.nan_to_num(self.relative, nan=np.inf), -1.0)
        # Of differences that are alike the first is taken, so that rounding does not choose.
        return int(np.argmax(size >= ALIKE * min(float(size.max()), LARGEST)))

    @property
    def factor(self) -> float | None:
        """By what the wrong claims are forward's slopes multiplied, where it is one number for all."""
        known = self.wrong & np.isfinite(self.claimed) & (np.abs(self.numeric) > 2 * self.error_bar)
        if known.sum() < 1 or not self.numeric[known].any():
            return None
        ratios = self.claimed[known] / self.numeric[known]
        middle = float(np.median(ratios))
        same = np.abs(ratios - middle) <= 1e-3 * abs(middle)
        return middle if middle and same.all() else None


@dataclass(frozen=True, eq=False)
class Steps:
    """Central differences along one probe as the step shrinks: truncation, then rounding.

    Attributes
    ----------
    label : str
        What is moved.
    role : str
        Whose claim it is.
    step : Array
        Shape ``(s,)``: how far, longest first.
    difference : Array
        Shape ``(s,)``: the central difference at each.
    rounding : Array
        Shape ``(s,)``: what rounding of forward's values may add to each.
    extrapolated, extrapolated_bar : Array
        Shape ``(s,)``: Richardson extrapolation of all down to this step, and its error bar.
    value, error_bar : float
        The best of these, and its error bar.
    claim : float
        The claim.
    """

    label: str
    role: str
    step: Array
    difference: Array
    rounding: Array
    extrapolated: Array
    extrapolated_bar: Array
    value: float
    error_bar: float
    claim: float

    @property
    def error(self) -> Array:
        """How far each central difference is from the best value."""
        return np.abs(self.difference - self.value)

    @property
    def distance(self) -> float:
        """How far the claim is from the best value."""
        return abs(self.claim - self.value)


@dataclass(frozen=True, eq=False)
class Kink:
    """Forward on both sides of a kink, along one entry.

    Attributes
    ----------
    label, role : str
        What is moved, and whose claim it is.
    offset, change : Array
        Shape ``(t,)``: how far the entry is moved, ascending, and by what the contracted output changes.
    left, right : float
        The slopes of both sides.
    claim : float
        The claim.
    wrong : bool
        Whether it lies outside of them.
    """

    label: str
    role: str
    offset: Array
    change: Array
    left: float
    right: float
    claim: float
    wrong: bool


@dataclass(frozen=True, eq=False)
class JacobianPair:
    """The explicit Jacobian of a small point beside the one that is claimed.

    Attributes
    ----------
    name, role : str
        The input, and whose claim it is.
    numeric, error_bar, claimed : Array
        Shape ``(m, n)``: a row for each output, a column for each entry of the input.
    wrong : array of bool, shape (m, n)
        Where both differ by more than error bar and tolerance.
    outputs, entries : tuple of str
        What rows and columns are.
    """

    name: str
    role: str
    numeric: Array
    error_bar: Array
    claimed: Array
    wrong: npt.NDArray[np.bool_]
    outputs: tuple[str, ...]
    entries: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Pictures:
    """All that is drawn of one point.

    Attributes
    ----------
    comparisons : tuple of Comparison
        One for each input that could be compared, failures first.
    steps : tuple of Steps
        The worst probes.
    kinks : tuple of Kink
        Where forward has one, failures first.
    jacobians : tuple of JacobianPair
        Of small points.
    notes : tuple of str
        What is left out, and why.
    """

    comparisons: tuple[Comparison, ...] = ()
    steps: tuple[Steps, ...] = ()
    kinks: tuple[Kink, ...] = ()
    jacobians: tuple[JacobianPair, ...] = ()
    notes: tuple[str, ...] = ()
