"""Which directions are probed, and what all probes of an input say together.

Of small inputs every entry is probed by itself, and a few directions jointly. Large ones are probed along
random directions, whose number does not grow with the size. So that entries of small gradients are not
drowned by large ones, the entries are sorted into strata of similar ``|gradient| × scale``, each of which has
directions of its own; entries whose gradient is exactly zero are a stratum too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab.checks.directions import Direction, Joint, SingleEntry, random_joint
from gradlab.checks.probe import COARSE, LADDER_RTOL, Prober, Reading
from gradlab.checks.upstream import Upstream
from gradlab.numerics import Array
from gradlab.numerics.differences import exact_displacement, random_direction, scales
from gradlab.problem import Problem

Mask: TypeAlias = npt.NDArray[np.bool_]

SMALL = 1000  # entries; up to here every entry is probed by itself
PER_STRATUM = 2  # random directions
JOINT_DIRECTIONS = 2  # in all inputs together
STRATUM = 1e3  # entries of one stratum differ by at most this factor
STRATA = 4  # at most, besides that of exact zeros


@dataclass(frozen=True)
class Probes:
    """The probes of one input, or of all inputs jointly: ``k`` directions, ``s`` parts of the upstream.

    Attributes
    ----------
    position : int or None
        The input; ``None`` for joint directions in all of them.
    indices : tuple of tuple of int, or None
        The entry that each probe moves; ``None`` where many of them move along a random direction.
    stratum : array of shape (k,)
        Which entries a probe moves: probes of the same stratum move the same ones.
    resolution : Array of shape (k,)
        The smallest relative change of any single entry that the probe was certain to catch.
    analytic, numeric, error_bar, slope, size : Array of shape (k, s)
        As in `Reading` and `Claim`.
    kinked, precise : arrays of shape (k,)
        Where a kink was found at the point; what is wrong only in the dtype given.
    left_out : int
        How many outputs were left out at most, being within one step of a kink.
    unprobed : int
        How many entries were left out because no call was left.
    wrong_direction : Direction or None
        Of the random directions that contradict backward, the one that moves the most entries.
    """

    position: int | None
    indices: tuple[tuple[int, ...], ...] | None
    stratum: npt.NDArray[np.int_]
    resolution: Array
    analytic: Array
    numeric: Array
    error_bar: Array
    slope: Array
    size: Array
    kinked: Mask
    precise: Mask
    left_out: int
    unprobed: int
    wrong_direction: Direction | None

    @property
    def scale(self) -> Array:
        """What a disagreement is relative to: the larger side, or the slope nearby where both vanish."""
        return np.maximum(self.size, self.slope)

    def wrong(self, rtol: float) -> Mask:
        """Which directions differ by more than the error bar and ``rtol`` together can explain."""
        return np.asarray(self._wrong(rtol).any(axis=1))

    def undecided(self, rtol: float) -> Mask:
        """Which directions have an error bar too wide to tell."""
        visible = np.maximum(max(rtol, COARSE) * self.size, rtol * self.slope)
        return np.asarray(~self.wrong(rtol) & ~(self.error_bar <= visible).all(axis=1))

    def deciding_rtol(self) -> float:
        """Return the smallest ``rtol`` at which no probe would be undecided."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(self.error_bar == 0, 0.0, self.error_bar / self.scale)
        return float(ratio.max(initial=0.0))

    def overall_resolution(self) -> float:
        """Return the smallest relative change of any single entry that was certain to be caught.

        Any one of the probes that move the same entries may catch it. NaN when every gradient is zero.
        """
        best = np.full(int(self.stratum.max(initial=-1)) + 1, np.nan)
        np.fmin.at(best, self.stratum, self.resolution)
        return float(np.fmax.reduce(best, initial=np.nan))

    def _wrong(self, rtol: float) -> Mask:
        with np.errstate(invalid="ignore"):
            difference = np.abs(self.analytic - self.numeric)
            explained = np.isfinite(self.analytic) & (difference <= self.error_bar + rtol * self.size)
        return ~explained & np.isfinite(self.error_bar)  # what is not finite agrees with nothing


def probe_gradients(prober: Prober, *, rng: np.random.Generator) -> list[Probes]:
    """Probe every gradient that backward returned.

    Parameters
    ----------
    prober : Prober
        Of the problem.
    rng : numpy.random.Generator
        Draws the random directions.

    Returns
    -------
    list of Probes
        One for each input, and one for all of them together.
    """
    upstream, problem = prober.upstream, prober.problem
    positions = list(upstream.gradients[0])
    small = [i for i in positions if problem.value(i).size <= SMALL]
    if not problem.affords(2 * sum(problem.value(i).size for i in small) + 8):
        small = []  # too dear: directions tell less, but of all entries
    found = []
    kinks = _Kinks(problem)
    for i in positions:
        if i in small:
            probes, readings = _probe_all(prober, _entries(problem, i), i)
            kinks.add(i, readings, upstream)
        else:
            probes, _ = _probe_all(prober, _strata(upstream, i, rng), i)
        found.append(probes)
    prober.towards_the_gradient = kinks.towards
    joint: list[_Planned] = []
    if positions:
        joint = [
            _Planned(random_joint(problem, dict.fromkeys(positions), rng), 0, None)
            for _ in range(JOINT_DIRECTIONS)
        ]
    if kinks.count >= 2:
        joint += [
            _Planned(Joint(parts), stratum, None)
            for stratum, parts in ((1, kinks.across), (2, kinks.towards))
            if any(d.any() for d in parts.values())
        ]
    return [*found, _probe_all(prober, joint, None)[0]] if joint else found


@dataclass(frozen=True)
class _Planned:
    """A direction to probe, its stratum, and the entry it moves where it moves one only."""

    direction: Direction
    stratum: int
    index: tuple[int, ...] | None
    entries: int = 1


def _entries(problem: Problem, i: int) -> Iterator[_Planned]:
    x = problem.value(i)
    lengths = exact_displacement(x, scales(x)).ravel().tolist()
    for j, (index, scale) in enumerate(zip(np.ndindex(x.shape), lengths, strict=True)):
        yield _Planned(SingleEntry(i, j, scale), j, index)


def _strata(upstream: Upstream, i: int, rng: np.random.Generator) -> Iterator[_Planned]:
    x = upstream.problem.value(i)
    weight = np.abs(upstream.gradients[0][i])
    for gradients in upstream.gradients[1:]:
        np.maximum(weight, np.abs(gradients[i]), out=weight)
    weight *= scales(x)
    labels = strata(weight)
    del weight
    for stratum in range(int(labels.max(initial=-1)) + 1):
        mask = labels == stratum
        for _ in range(PER_STRATUM):
            direction = random_direction(x, rng)
            direction *= mask
            yield _Planned(Joint({i: direction}), stratum, None, int(mask.sum()))


def strata(weight: Array) -> npt.NDArray[np.int8]:
    """Sort entries into strata of similar weight; zeros are one of their own.

    >>> strata(np.array([1.0, 0.5, 1e-5, 0.0]))
    array([0, 0, 1, 2], dtype=int8)
    """
    largest = float(np.nan_to_num(weight, posinf=0.0).max(initial=0.0))
    if largest == 0.0:
        return np.zeros(weight.shape, dtype=np.int8)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = weight / largest
        np.log10(steps, out=steps)
        steps /= -np.log10(STRATUM)
    labels = np.clip(np.nan_to_num(steps, copy=False, nan=0.0, posinf=STRATA), 0, STRATA - 1).astype(np.int8)
    labels[weight == 0] = STRATA
    filled = np.array([bool((labels == label).any()) for label in range(STRATA + 1)])
    return (np.cumsum(filled, dtype=np.int8) - np.int8(1))[labels]


def _probe_all(
    prober: Prober, planned: Sequence[_Planned] | Iterator[_Planned], position: int | None
) -> tuple[Probes, list[Reading]]:
    done: list[
        tuple[int, tuple[int, ...] | None]
    ] = []  # stratum and index; a direction is as large as its input
    resolutions: list[float] = []
    readings: list[Reading] = []
    left_out: dict[int, int] = {}
    widest: tuple[int, Direction | None] = (0, None)
    for plan in planned:
        if not prober.problem.affords(2):
            left_out[plan.stratum] = plan.entries
            continue
        reading = prober.probe(plan.direction)
        readings.append(reading)
        done.append((plan.stratum, plan.index))
        resolutions.append(_resolution(plan.direction, reading, prober))
        certain = plan.index is None and bool(np.isfinite(reading.error_bar).all())
        if certain and prober.disagreement(reading) > 0 and plan.entries > widest[0]:
            widest = plan.entries, plan.direction
    shape = (len(done), len(prober.upstream.gradients))
    analytic = np.array([reading.claim.value for reading in readings], dtype=np.float64).reshape(shape)
    numeric, error_bar, slope, size = (
        np.array([getattr(reading, name) for reading in readings], dtype=np.float64).reshape(shape)
        for name in ("numeric", "error_bar", "slope", "size")
    )
    indices = tuple(index for _, index in done if index is not None)
    probes = Probes(
        position,
        indices if len(indices) == len(done) and indices else None,
        np.array([stratum for stratum, _ in done], dtype=int),
        np.array(resolutions, dtype=np.float64),
        analytic,
        numeric,
        error_bar,
        slope,
        size,
        np.array([_has_two_sides(reading) for reading in readings], dtype=bool),
        np.array([reading.precise for reading in readings], dtype=bool),
        max((reading.left_out for reading in readings), default=0),
        sum(entries for stratum, entries in left_out.items() if stratum not in dict(done)),
        widest[1],
    )
    return probes, readings


def _resolution(direction: Direction, reading: Reading, prober: Prober) -> float:
    """Return the smallest relative change of any single entry that a probe was certain to catch.

    A change ``δ`` of one entry moves the analytic value by ``δ`` times that entry's contribution. Two ladders
    have to contradict it, the second with up to twice the error bar of the first, which also lies on both
    sides of the numeric value; hence four error bars, and ``rtol`` on top, in any part of the upstream.
    Entries whose gradient is zero have no relative change: NaN when there is none other.
    """
    # A probe that one difference settled would, had it disagreed, have had the error bar of a ladder.
    ladder_bar = LADDER_RTOL * prober.rtol * np.maximum(reading.size, reading.slope)
    needed = 4 * np.maximum(reading.error_bar, ladder_bar) + prober.rtol * reading.size
    if reading.blind is not None:
        needed = np.maximum(needed, reading.blind)
    if reading.sides is not None:
        needed = needed + reading.sides.highest - reading.sides.lowest
    if isinstance(direction, SingleEntry):
        contribution = np.abs(reading.claim.value)
        caught = needed[contribution > 0] / contribution[contribution > 0]
        return float(caught.min()) if caught.size else float("nan")
    return _weakest_link(direction, needed, reading.gradients or prober.upstream.gradients)


def _weakest_link(direction: Direction, needed: Array, gradients: Sequence[dict[int, Array]]) -> float:
    worst = np.nan
    for contributions in zip(*(direction.contributions(g) for g in gradients), strict=True):
        caught = np.full(np.atleast_1d(contributions[0]).shape, np.inf)
        for needed_in_part, contribution in zip(needed, contributions, strict=True):
            size = np.atleast_1d(np.abs(contribution))
            np.fmin(caught, needed_in_part / size, out=caught, where=size > 0)
        present = np.isfinite(caught)
        if present.any():
            worst = float(np.fmax(worst, caught.max(initial=0.0, where=present)))
    return worst


def _has_two_sides(reading: Reading) -> bool:
    return reading.sides is not None and bool(
        (reading.sides.highest - reading.sides.lowest > 2 * reading.error_bar).any()
    )


class _Kinks:
    """The entries at kinks, and two directions in them.

    ``towards`` leads to the side of each kink whose slope backward gives. ``across`` moves each entry by its
    scale in the direction in which backward's slope deviates from the middle of both sides: two equal entries
    of a maximum, each given the full gradient, agree with one side each, and only moved together show twice
    the slope that there is.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.towards: dict[int, Array] = {}
        self.across: dict[int, Array] = {}
        self.count = 0

    def add(self, i: int, readings: list[Reading], upstream: Upstream) -> None:
        """Note the entries of one input at which a reading found two sides."""
        scale = scales(self.problem.value(i))
        for j, reading in enumerate(readings):
            if reading.sides is None or not _has_two_sides(reading):
                continue
            lowest, highest = float(reading.sides.lowest.sum()), float(reading.sides.highest.sum())
            gradient = float(reading.claim.value.sum())
            step = float(scale.flat[j])
            for directions in (self.towards, self.across):
                directions.setdefault(i, np.zeros_like(scale))
            # Of a gradient in the middle, the same side for all entries.
            nearer_highest = abs(gradient - highest) <= 1.001 * abs(gradient - lowest)
            self.towards[i].flat[j] = step if nearer_highest == reading.sides.rises else -step
            self.across[i].flat[j] = step * np.sign(gradient - (lowest + highest) / 2)
            self.count += 1
