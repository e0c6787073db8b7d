"""One probe: forward and backward compared along one direction, by as little as tells.

One central difference settles most. What it leaves open is read from ladders of steps, and where these tell
nothing on the scale of all entries, on that of each entry by itself.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradlab.checks.analytic import Analytic
from gradlab.checks.directions import Direction, Joint, SingleEntry
from gradlab.checks.ladders import Ladders
from gradlab.checks.one_difference import (
    accepted,
    beyond_rounding,
    blind_to,
    differences_of_entries,
    foreseen_lengthening,
    lengthening,
    one_difference,
    settled,
)
from gradlab.checks.reading import COARSE, Reading
from gradlab.checks.straddling import looks_bent, sides_of_a_difference, without_straddling
from gradlab.checks.upstream import Upstream
from gradlab.numerics import Array
from gradlab.numerics.differences import Sample, cheap_step

ENOUGH_CURVED = 2  # entries without slope that turn out to be curved, before the rest is taken to be


class Prober:
    """Makes probes of one problem.

    Parameters
    ----------
    upstream : Upstream
        The upstream gradient, with what backward returned for each part of it.
    rtol : float
        The relative disagreement that the caller does not care about.
    """

    def __init__(self, upstream: Upstream, *, rtol: float) -> None:
        self.upstream, self.rtol = upstream, rtol
        self.problem = upstream.problem
        self.analytic = Analytic(upstream)
        self.ladders = Ladders(self.analytic, rtol=rtol)
        # Single entries where curvature, or a kink, was found behind a difference.
        self._curved = self._bent = 0

    def probe(self, direction: Direction) -> Reading:
        """Compare both sides along one direction."""
        sample = direction.sample(self.problem)
        pair = self._pair(sample)
        reading = one_difference(self.upstream, self.analytic.claim(direction), *pair)
        if settled(reading, self.rtol):
            single = isinstance(direction, SingleEntry)
            return self._accept_entry(sample, reading) if single else accepted(reading)
        if isinstance(direction, Joint) and np.isfinite(reading.numeric).all():
            without = without_straddling(self.upstream, direction, *pair)
            if without is not None and settled(without, self.rtol):
                return accepted(without)
        longer = float(lengthening(reading, self.rtol))
        if longer > 1 and self.problem.affords(2):
            reading = one_difference(self.upstream, reading.claim, *self._pair(sample, longer))
            if settled(reading, self.rtol):
                return accepted(reading)
        return self._look_further(direction, sample, reading)

    def probe_entries(self, position: int, scale: Array) -> tuple[Reading, dict[int, Reading]]:
        """Compare both sides at the first ``k`` entries of one input, each by itself.

        Parameters
        ----------
        position : int
            The input.
        scale : Array
            Shape ``(k,)``: the length on which forward is expected to vary.

        Returns
        -------
        readings : Reading
            What one difference shows of each entry.
        others : dict of int to Reading
            What has to be said instead, where that does not settle it, or where there is a kink.
        """
        claim = self.analytic.claim_of_entries(position, scale.size)
        step = cheap_step(self.problem.eps) * scale
        step *= foreseen_lengthening(self.upstream, claim, step, self.rtol)
        entries = np.arange(scale.size)
        readings = differences_of_entries(self.upstream, claim, position, entries, step)
        longer = lengthening(readings, self.rtol)
        noisy = entries[longer > 1][: int(min(scale.size, self.problem.calls_left / 2))]
        again = differences_of_entries(
            self.upstream, claim.rows(noisy), position, noisy, (longer * step)[noisy]
        )
        readings.put(noisy, again)
        is_settled, others = settled(readings, self.rtol), {}
        for j in np.flatnonzero(~is_settled | looks_bent(readings)).tolist():
            direction, one = SingleEntry(position, j, float(scale[j])), readings.row(j)
            sample = direction.sample(self.problem)
            if is_settled[j]:
                others[j] = self._accept_entry(sample, one)
            else:
                others[j] = self._look_further(direction, sample, one)
        return accepted(readings), others

    def disagrees_at_once(self, direction: Direction) -> bool:
        """Whether one central difference contradicts the claim by more than its rounding."""
        pair = self._pair(direction.sample(self.problem))
        reading = one_difference(self.upstream, self.analytic.claim(direction), *pair)
        if not beyond_rounding(reading, self.rtol):
            return False
        without = (
            without_straddling(self.upstream, direction, *pair) if isinstance(direction, Joint) else None
        )
        return without is None or beyond_rounding(without, self.rtol)

    def _pair(self, sample: Sample, longer: float = 1.0) -> tuple[Array, Array, Array]:
        plus, minus, width = sample(longer * cheap_step(self.problem.eps))
        return plus, minus, np.array(width)

    def _accept_entry(self, sample: Sample, reading: Reading) -> Reading:
        """Accept one difference along a single entry, with the slopes on both sides if it is at a kink."""
        if not looks_bent(reading) or (self._curved >= ENOUGH_CURVED and not self._bent):
            return accepted(reading)  # where others are only curved so is this, and looking costs two calls
        sides = sides_of_a_difference(self.upstream, sample, reading)
        self._curved, self._bent = self._curved + (sides is None), self._bent + (sides is not None)
        return replace(accepted(reading), sides=sides)

    def _look_further(self, direction: Direction, sample: Sample, reading: Reading) -> Reading:
        """Read a direction from ladders after one difference has not settled it."""
        if not np.isfinite(reading.numeric).all():  # the edge of a domain is nearer than one step
            closer = direction.closer(self.problem)
            if closer is not None:
                return self._probe_instead(closer)
        found = self.ladders.read(direction, sample, reading.claim)
        if not found.sharp or found.disagreement(self.rtol) > 0:
            found = self._on_own_scale(direction, found)
        # A claim that is off by just the truncation of the one difference would have been settled by it.
        # Of a derivative that vanishes, how steep the function is at the distance of the one difference.
        return replace(
            found,
            slope=np.fmax(found.slope, reading.slope),
            blind=blind_to(reading, found.numeric, self.rtol),
        )

    def _probe_instead(self, direction: Direction) -> Reading:
        reading = self.probe(direction)
        return reading if reading.direction is not None else replace(reading, direction=direction)

    def _on_own_scale(self, direction: Direction, found: Reading) -> Reading:
        """Probe a direction on the scale of each entry by itself; return what shows more."""
        closer = direction.closer(self.problem)
        if closer is None or (found.sharp and direction.moves_zeros(self.problem)):
            return found  # what entries that are zero show is not undone by leaving them where they are
        nearer = self._probe_instead(closer)
        # Along many entries this is another derivative; relative error bars can be compared all the same.
        better = nearer.relative_bar < min(found.relative_bar, COARSE)
        return nearer if better else found
