"""Which directions are probed, and what all probes of an input say together.

Of small inputs every entry is probed by itself, and a few directions jointly. Large ones are probed along
random directions, whose number does not grow with the size. So that entries of small gradients are not
drowned by large ones, the entries are sorted into strata of similar ``|gradient| × scale``, each of which has
directions of its own; entries whose gradient is exactly zero are a stratum too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradlab.checks.directions import Direction, Joint, random_joint
from gradlab.checks.probe import Prober
from gradlab.checks.reading import Reading, Readings
from gradlab.checks.upstream import Upstream
from gradlab.numerics import Array
from gradlab.numerics.differences import exact_displacement, random_direction, scales
from gradlab.point.problem import Problem

SMALL = 1000  # entries; up to here every entry is probed by itself
PER_STRATUM = 2  # random directions
JOINT_DIRECTIONS = 2  # in all inputs together
STRATUM = 1e3  # entries of one stratum differ by at most this factor
STRATA = 4  # at most, besides that of exact zeros


@dataclass(frozen=True)
class Probes:
    """The probes of one input, or of all inputs jointly.

    Attributes
    ----------
    position : int or None
        The input; ``None`` for joint directions in all of them.
    readings : Readings
        What ``k`` probes found.
    stratum : array of shape (k,)
        Which entries a probe moves: probes of the same stratum move the same ones.
    resolution : Array of shape (k,)
        The smallest relative change of any single entry that the probe was certain to catch.
    unprobed : int
        How many entries were left out because no call was left.
    indices : tuple of tuple of int, or None
        The entry that each probe moves; ``None`` where many of them move along a random direction.
    wrong_direction : Direction or None
        Of the random directions that contradict backward, the one that moves the most entries.
    """

    position: int | None
    readings: Readings
    stratum: npt.NDArray[np.int_]
    resolution: Array
    unprobed: int
    indices: tuple[tuple[int, ...], ...] | None = None
    wrong_direction: Direction | None = None

    def overall_resolution(self) -> float:
        """Return the smallest relative change of any single entry that was certain to be caught.

        Any one of the probes that move the same entries may catch it. NaN when every gradient is zero.
        """
        best = np.full(int(self.stratum.max(initial=-1)) + 1, np.nan)
        np.fmin.at(best, self.stratum, self.resolution)
        return float(np.fmax.reduce(best, initial=np.nan))


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
            probes, others = _probe_entries(prober, i)
            kinks.add(i, others)
        else:
            probes = _probe_all(prober, _strata(upstream, i, rng), i)
        found.append(probes)
    prober.ladders.towards_the_gradient = kinks.towards
    joint: list[_Planned] = []
    if positions:
        joint = [
            _Planned(random_joint(problem, dict.fromkeys(positions), rng), 0) for _ in range(JOINT_DIRECTIONS)
        ]
    if kinks.count >= 2:
        joint += [
            _Planned(Joint(parts), stratum)
            for stratum, parts in enumerate((kinks.across, kinks.towards, kinks.together), 1)
            if any(d.any() for d in parts.values())
        ]
    return [*found, _probe_all(prober, joint, None)] if joint else found


@dataclass(frozen=True)
class _Planned:
    """A direction to probe, the stratum of entries that it moves, and how many these are."""

    direction: Direction
    stratum: int
    entries: int = 1


def _probe_entries(prober: Prober, i: int) -> tuple[Probes, dict[int, Reading]]:
    """Probe every entry of one input by itself, as far as there are calls for it."""
    problem = prober.problem
    x = problem.value(i)
    count = int(min(x.size, problem.calls_left / 2))
    scale = exact_displacement(x, scales(x)).ravel()[:count]
    readings, others = prober.probe_entries(i, scale)
    noticed = readings.noticed(prober.rtol)
    for j, other in others.items():
        noticed[j] = other.noticed(prober.rtol)
    contribution = np.abs(readings.claim.value)
    with np.errstate(divide="ignore", invalid="ignore"):
        caught = np.where(contribution > 0, noticed / contribution, np.nan)
    return (
        Probes(
            position=i,
            readings=Readings.of(readings, others, rtol=prober.rtol),
            stratum=np.arange(count),
            resolution=np.fmin.reduce(caught, axis=1, initial=np.nan),
            unprobed=x.size - count,
            indices=tuple(itertools.islice(np.ndindex(x.shape), count)),
        ),
        others,
    )


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
            yield _Planned(Joint({i: direction}), stratum, int(mask.sum()))


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


def _probe_all(prober: Prober, planned: Iterable[_Planned], position: int | None) -> Probes:
    """Probe some directions, as far as there are calls for it."""
    readings: list[Reading] = []
    strata: list[int] = []  # the directions are not kept: each is as large as its input
    resolutions: list[float] = []
    left_out: dict[int, int] = {}
    widest: tuple[int, Direction | None] = (0, None)
    for plan in planned:
        if not prober.problem.affords(2):
            left_out[plan.stratum] = plan.entries
            continue
        reading = prober.probe(plan.direction)
        readings.append(reading)
        strata.append(plan.stratum)
        direction = reading.direction or plan.direction
        gradients = reading.gradients or prober.upstream.gradients
        resolutions.append(_weakest_link(direction, reading.noticed(prober.rtol), gradients))
        certain = bool(np.isfinite(reading.error_bar).all())
        if certain and reading.disagreement(prober.rtol) > 0 and plan.entries > widest[0]:
            widest = plan.entries, direction
    unknown = Reading.unknown(len(readings), len(prober.upstream.gradients))
    return Probes(
        position=position,
        readings=Readings.of(unknown, dict(enumerate(readings)), rtol=prober.rtol),
        stratum=np.array(strata, dtype=int),
        resolution=np.array(resolutions, dtype=np.float64),
        unprobed=sum(entries for stratum, entries in left_out.items() if stratum not in strata),
        wrong_direction=widest[1],
    )


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


class _Kinks:
    """The entries at kinks, and three directions in them.

    ``towards`` leads to the side of each kink whose slope backward gives. ``across`` moves each entry by its
    scale in the direction in which backward's slope deviates from the middle of both sides: two equal entries
    of a maximum, each given the full gradient, agree with one side each, and only moved together show twice
    the slope that there is. ``together`` moves entries of equal value by the same amount, so that those tied
    stay tied: whatever share of the gradient each of them gets, the sum is known.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.towards: dict[int, Array] = {}
        self.across: dict[int, Array] = {}
        self._steps: dict[tuple[int, int], float] = {}

    @property
    def count(self) -> int:
        """How many entries there are."""
        return len(self._steps)

    @property
    def together(self) -> dict[int, Array]:
        """The third direction; its step suits the entry that varies on the shortest length."""
        rng = np.random.default_rng(0)
        step = float(np.exp2(np.floor(np.log2(min(self._steps.values())))))
        amounts: dict[float, float] = {}
        direction = {i: np.zeros_like(d) for i, d in self.across.items()}
        for i, j in self._steps:
            value = float(self.problem.value(i).flat[j])
            if value not in amounts:
                amounts[value] = step * rng.choice([-1.0, 1.0]) * rng.uniform(1, 2)
            direction[i].flat[j] = amounts[value]
        return direction

    def add(self, i: int, readings: Mapping[int, Reading]) -> None:
        """Note the entries of one input at which a reading found two sides."""
        scale = scales(self.problem.value(i))
        for j, reading in readings.items():
            if reading.sides is None or not reading.has_two_sides:
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
            self._steps[i, j] = step
