"""What probes find: both sides of a comparison along a direction, and what is known of the difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab.checks.directions import Direction
from gradlab.checks.kinks import Sides
from gradlab.numerics import Array
from gradlab.numerics.differences import Derivative
from gradlab.numerics.noise import SMALLEST

Mask: TypeAlias = npt.NDArray[np.bool_]

COARSE = 0.1  # with an error bar wider than this part of the gradient, a probe tells nothing
LADDER_RTOL = 0.1  # of the caller's rtol: what the error bar of a ladder has to come down to


@dataclass(frozen=True)
class Claim:
    """What backward says along a direction, for each part of the upstream gradient.

    Attributes
    ----------
    value : Array
        Shape ``(..., s)``: ``⟨g, d⟩``.
    size : Array
        Shape ``(..., s)``: the norm of its terms, which is what a relative error is relative to: the terms
        may happen to cancel.
    """

    value: Array
    size: Array

    def rows(self, which: slice | int | npt.NDArray[np.intp]) -> Claim:
        """Return some of many claims."""
        return Claim(self.value[which], self.size[which])


@dataclass(frozen=True)
class Reading:
    """What one probe found, for each part of the upstream gradient; of ``k`` probes, with ``...`` for ``k``.

    Attributes
    ----------
    claim : Claim
        What backward says.
    numeric, error_bar : Array
        Shape ``(..., s)``: what the forward function shows, and what that may be off by. At a kink, the
        numeric value is the slope nearest to the analytic one among those around the point.
    slope : Array
        Shape ``(..., s)``: how steep the forward function is nearby, the scale of a derivative that vanishes.
    sides : Sides or None
        At a kink, the slopes between both sides.
    imprecise : bool
        Whether a contradiction vanishes when backward, too, works in float64.
    blind : Array or float
        Shape ``(..., s)``: which change of the claim one difference would have taken for truncation.
    gradients : tuple of dict, or None
        What backward returned for the upstream gradient that was compared, where that is not the whole.
    left_out : int
        How many outputs were left out of it, because they are within one step of a kink.
    direction : Direction or None
        Along which it was compared, where that is not the direction asked for.
    """

    claim: Claim
    numeric: Array
    error_bar: Array
    slope: Array
    sides: Sides | None = None
    imprecise: bool = False
    blind: Array | float = 0.0
    gradients: tuple[dict[int, Array], ...] | None = None
    left_out: int = 0
    direction: Direction | None = None

    def row(self, j: int) -> Reading:
        """Return the ``j``-th of many readings of one difference each."""
        return Reading(self.claim.rows(j), self.numeric[j], self.error_bar[j], self.slope[j])

    def narrowed(self, other: Reading) -> Reading:
        """Return in each part the one of two readings whose error bar is narrower."""
        narrower = other.error_bar < self.error_bar
        return Reading(
            self.claim,
            np.where(narrower, other.numeric, self.numeric),
            np.where(narrower, other.error_bar, self.error_bar),
            np.where(narrower, other.slope, self.slope),
        )

    def put(self, rows: npt.NDArray[np.intp], others: Reading) -> None:
        """Replace some of many readings of one difference each."""
        self.numeric[rows], self.error_bar[rows] = others.numeric, others.error_bar
        self.slope[rows] = others.slope

    @classmethod
    def unknown(cls, probes: int, parts: int) -> Reading:
        """Return readings of which nothing is known."""
        nothing = np.full((probes, parts), np.nan)
        return cls(Claim(nothing, nothing), nothing, nothing, nothing)

    @property
    def analytic(self) -> Array:
        """The value of the claim."""
        return self.claim.value

    @property
    def size(self) -> Array:
        """What the disagreement of both sides is relative to."""
        return np.maximum(self.claim.size, np.maximum(np.abs(self.claim.value), np.abs(self.numeric)))

    @property
    def sharp(self) -> bool:
        """Whether every error bar is narrow enough to tell anything."""
        return bool((self.error_bar <= COARSE * self.size).all())

    @property
    def relative_bar(self) -> float:
        """The widest error bar, relative to the size of what is compared."""
        return float(np.nan_to_num(self.error_bar / np.maximum(self.size, SMALLEST), nan=np.inf).max())

    def tolerance(self, rtol: float) -> Array:
        """Return what is not cared about: ``rtol`` of the claim, or of the slope where that vanishes."""
        return rtol * np.maximum(self.slope, self.claim.size)

    def noticed(self, rtol: float) -> Array:
        """Return which change of the claim was certain to be noticed.

        Two ladders have to contradict it, the second with up to twice the error bar of the first, which also
        lies on both sides of the numeric value; hence four error bars, and ``rtol`` on top. At a kink, it
        has to leave the slopes between both sides.
        """
        # A probe that one difference settled would, had it disagreed, have had the error bar of a ladder.
        ladder_bar = LADDER_RTOL * rtol * np.maximum(self.size, self.slope)
        contradicted = 4 * np.maximum(self.error_bar, ladder_bar) + rtol * self.size
        swing = 0.0 if self.sides is None else self.sides.highest - self.sides.lowest
        return np.asarray(np.maximum(contradicted, self.blind) + swing)

    @property
    def has_two_sides(self) -> bool:
        """Whether the slopes on both sides of the point certainly differ."""
        if self.sides is None:
            return False
        return bool((self.sides.highest - self.sides.lowest > 2 * self.error_bar).any())

    def disagreement(self, rtol: float) -> float:
        """Return by how much both sides differ beyond what is explained, relative to their size."""
        with np.errstate(invalid="ignore"):
            excess = np.abs(self.numeric - self.claim.value) - self.error_bar
            excess = excess - rtol * self.size
        return float(np.where(excess <= 0, 0.0, np.nan_to_num(excess / self.size, nan=np.inf)).max())

    @classmethod
    def of(cls, found: Derivative, claim: Claim) -> Reading:
        """Compare a claim with what a ladder found."""
        return cls(claim, found.value, found.error_bar, found.slope)


@dataclass(frozen=True)
class Readings:
    """What ``k`` probes found, as arrays.

    Attributes
    ----------
    analytic, numeric, error_bar, slope, size : Array
        Shape ``(k, s)``: as in `Reading` and `Claim`.
    kinked, imprecise : arrays of shape (k,)
        Where a kink was found at the point; what is wrong only in the dtype given.
    left_out : int
        How many outputs were left out at most, being within one step of a kink.
    rtol : float
        The relative disagreement that the caller does not care about.
    """

    analytic: Array
    numeric: Array
    error_bar: Array
    slope: Array
    size: Array
    kinked: Mask
    imprecise: Mask
    left_out: int
    rtol: float

    @classmethod
    def of(cls, readings: Reading, others: Mapping[int, Reading], *, rtol: float) -> Readings:
        """Collect ``k`` readings of one difference each, some of which are replaced by others."""
        names = ("analytic", "numeric", "error_bar", "slope", "size")
        arrays = {name: np.array(getattr(readings, name), dtype=np.float64) for name in names}
        kinked, imprecise = (np.zeros(len(readings.numeric), dtype=bool) for _ in range(2))
        for j, other in others.items():
            for name, array in arrays.items():
                array[j] = getattr(other, name)
            kinked[j], imprecise[j] = other.has_two_sides, other.imprecise
        left_out = max((other.left_out for other in others.values()), default=0)
        return cls(**arrays, kinked=kinked, imprecise=imprecise, left_out=left_out, rtol=rtol)

    @property
    def scale(self) -> Array:
        """What a disagreement is relative to: the larger side, or the slope nearby where both vanish."""
        return np.maximum(self.size, self.slope)

    @property
    def error(self) -> Array:
        """The difference of both sides, relative to their scale; infinite where one is not finite."""
        with np.errstate(divide="ignore", invalid="ignore"):
            difference, scale = np.abs(self.analytic - self.numeric), self.scale
            relative = np.where(scale > 0, difference / scale, 0.0)
        return np.where(np.isfinite(difference), relative, np.inf)

    @cached_property
    def wrong(self) -> Mask:
        """Which directions differ by more than the error bar and ``rtol`` together can explain."""
        with np.errstate(invalid="ignore"):
            difference = np.abs(self.analytic - self.numeric)
            explained = np.isfinite(self.analytic) & (difference <= self.error_bar + self.rtol * self.size)
        # What is not finite agrees with nothing.
        return np.asarray((~explained & np.isfinite(self.error_bar)).any(axis=1))

    @cached_property
    def undecided(self) -> Mask:
        """Which directions have an error bar too wide to tell."""
        visible = np.maximum(max(self.rtol, COARSE) * self.size, self.rtol * self.slope)
        return np.asarray(~self.wrong & ~(self.error_bar <= visible).all(axis=1))

    def deciding_rtol(self) -> float:
        """Return the smallest ``rtol`` at which no probe would be undecided."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(self.error_bar == 0, 0.0, self.error_bar / self.scale)
        return float(ratio.max(initial=0.0))
