r"""One table of differences: what the outputs do along some directions, at some steps.

A row is a direction :math:`d_r` in the inputs. At a step :math:`h` it holds what the contracted outputs do on
both sides of the point,

.. math:: \mathrm{up}_{rs} = \langle u_s,\, f(x + h d_r) - f(x) \rangle, \qquad
          \mathrm{down}_{rs} = \langle u_s,\, f(x - h d_r) - f(x) \rangle ,

for each of a few upstream gradients :math:`u_s`. Outputs are subtracted before they are contracted, and
contracted as soon as they are evaluated, block by block, so that a table is small however large the outputs
are. Directions are as long as the scales of their entries: a derivative along one is the *influence* of the
entries moved, what moving them by their scales would do to the contracted output, were that linear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array, Indices
from gradlab.numerics.extrapolation import RATIO
from gradlab.numerics.rounding import SUBNORMAL, rounding_of_values
from gradlab.numerics.scales import SHORTEST, blocks
from gradlab.numerics.step_sizes import LONG_STEPS, coarse_steps, usual_step

# Evaluates some rows at a step, a block of them at a time: yields which rows, and the changes of all outputs
# on both sides, of shape (rows, m) each; not finite where the function has no value.
Evaluate: TypeAlias = Callable[[Indices, float], Iterator[tuple[Indices, Array, Array]]]

WHOLE = 4  # roundings of the values that one difference may be off by, in the worst case of both of them


@dataclass
class Changes:
    """What the contracted outputs did at one step, for every row; NaN where they were not evaluated.

    Attributes
    ----------
    up, down : Array
        Shape ``(r, s)``.
    """

    up: Array
    down: Array


class Table:
    """Differences along ``r`` directions, contracted with ``s`` upstream gradients.

    Parameters
    ----------
    count : int
        The number of rows.
    evaluate : Evaluate
        Gives the changes of the outputs: of a point, from `Directions.evaluate`.
    upstreams : Array or None
        Shape ``(s, m)``; ``None`` for every output by itself: the Jacobian, with ``s = m``.
    output : Array
        Shape ``(m,)``: the outputs at the point.
    eps : float
        The unit of rounding of the function.
    noise : Array, optional
        Shape ``(m,)``: what each output may be off by, where that was measured; its rounding by default.
    keep : bool
        Whether what single outputs do at the usual step and the next longer one is kept: the Jacobian.

    Attributes
    ----------
    noise : Array
        As above.
    noise_is_measured : bool
        Whether it is more than the rounding that is assumed: ``eps`` times the outputs.
    stepped : array of bool, shape (m,)
        Which outputs were seen to leap on purpose, and not by rounding.
    steps : dict of float to Changes
        What was evaluated.
    seen, moved : arrays of bool, shape (r,)
        Which rows were evaluated at all, and along which an output was not the same at some step.
    slopes : dict of float to Array
        With ``keep``, at both of these steps: the slope of each output, shape ``(r, m)``.
    """

    def __init__(
        self,
        count: int,
        evaluate: Evaluate,
        upstreams: Array | None,
        output: Array,
        eps: float,
        *,
        noise: Array | None = None,
        keep: bool = False,
    ) -> None:
        self.count, self.evaluate, self.upstreams = count, evaluate, upstreams
        self.output, self.eps = output, eps
        self.steps: dict[float, Changes] = {}
        self.slopes: dict[float, Array] = {}
        self.seen, self.moved = np.zeros((2, count), dtype=bool)
        self._still: dict[int, tuple[float, npt.NDArray[np.bool_]]] = {}
        self.noise, self.noise_is_measured = rounding_of_values(output, eps), False
        self.stepped = np.zeros(output.shape, dtype=bool)
        self._stairs: dict[tuple[int, int], float] = {}
        self._roundings: dict[float, Array] = {}  # what `rounding` returned, until more is known
        self._steepness: tuple[Array, Array] | None = None  # likewise
        self._square: tuple[Array, Array, Array] | None = None
        if noise is not None:
            self.know_noise(noise)
        if keep:
            usual = usual_step(eps)
            unknown = np.full((2, count, output.size), np.nan)
            self.slopes = dict(zip((usual, usual / RATIO), unknown, strict=True))

    def know_noise(self, noise: Array, stepped: npt.NDArray[np.bool_] | None = None) -> None:
        """Take what was measured for what each output may be off by, and which are staircases on purpose."""
        self.noise, self.noise_is_measured, self._square = noise, True, None
        self.stepped = self.stepped if stepped is None else stepped
        self._forget()

    def _forget(self) -> None:
        self._roundings.clear()
        self._steepness = None

    def take(self, rows: Indices, step: float, *, note_still: bool = False) -> None:
        """Evaluate some rows at a step, those that were not yet.

        With ``note_still``, it is noted which outputs stay as they are: what does not move over a step ``h``
        has a slope of at most its rounding over ``h``.
        """
        if step in self.steps:
            rows = rows[np.isnan(self.steps[step].up[rows]).any(axis=1)]
        else:
            self.steps[step] = Changes(*np.full((2, self.count, self.parts), np.nan))
        if not rows.size:
            return
        sides = self.steps[step]
        self._forget()
        for block, plus, minus in self.evaluate(rows, step):
            self.seen[block] = True
            up = self._contract(plus)
            sides.up[block], sides.down[block] = up, self._contract(minus)
            self.moved[block] |= _moved(up, plus, minus)
            if step in self.slopes:
                self.slopes[step][block] = (plus - minus) / (2 * step)
            if note_still:
                for row, a, b in zip(block.tolist(), plus, minus, strict=True):
                    # What has no value on one side is not seen to stay as it is.
                    self._still[row] = step, (a == 0) & (b == 0)
            del plus, minus  # as large as the outputs: before the next are evaluated
        for side in (sides.up, sides.down):
            finite = np.isfinite(side)
            if np.count_nonzero(finite) < finite.size:
                side[~finite] = np.nan

    def note_stairs(self, row: int, part: int, height: float) -> None:
        """Note that along a row the contracted outputs rise by leaps of some height: it adds to rounding."""
        self._stairs[row, part] = height
        self._forget()

    @property
    def heights_of_stairs(self) -> Array:
        """How high the stairs are that were found, shape ``(r, s)``; zero where none was."""
        heights = np.zeros((self.count, self.parts))
        for at, height in self._stairs.items():
            heights[at] = height
        return heights

    @property
    def on_stairs(self) -> npt.NDArray[np.bool_]:
        """Along which rows the outputs were found to rise by leaps, shape ``(r,)``."""
        return np.isin(np.arange(self.count), [row for row, _ in self._stairs])

    def remembering(self, evaluate: Evaluate) -> Evaluate:
        """Return the same function, which takes from this table what that knows of every output already."""

        def remembered(rows: Indices, step: float) -> Iterator[tuple[Indices, Array, Array]]:
            sides = self.steps.get(step) if self.upstreams is None else None
            if sides is not None:
                known = np.isfinite(sides.up[rows]).all(axis=1) & np.isfinite(sides.down[rows]).all(axis=1)
                if known.any():
                    yield rows[known], sides.up[rows[known]], sides.down[rows[known]]
                rows = rows[~known]
            if rows.size:
                yield from evaluate(rows, step)

        return remembered

    @property
    def jacobian(self) -> Array:
        """With ``keep``, the slope of each output along each row, extrapolated where both steps are known."""
        return without_leading_term(*self.slopes.values())

    @property
    def parts(self) -> int:
        """How many numbers a row has at each step: ``s``."""
        return self.output.size if self.upstreams is None else len(self.upstreams)

    def _contract(self, changes: Array) -> Array:
        if self.upstreams is None:
            return changes
        # Each row by itself, unlike a product of matrices: its bits do not depend on how many come at a time;
        # and a long one by blocks, for which BLAS starts no threads.
        changes = changes[:, np.newaxis]
        if self.output.size <= SHORTEST:
            return np.asarray(np.vecdot(changes, self.upstreams))
        parts = blocks(self.output.size)
        return np.asarray(sum(np.vecdot(changes[..., part], self.upstreams[:, part]) for part in parts))

    def total(self, sizes: Array) -> Array:
        """Return what sizes of all outputs, ``(m,)``, may add up to in each part, ``(s,)``."""
        return sizes if self.upstreams is None else np.asarray(np.abs(self.upstreams) @ sizes)

    def peak(self, sizes: Array) -> Array:
        """Return the most that one output of these sizes, ``(m,)``, adds to each part, ``(s,)``."""
        return sizes if self.upstreams is None else np.abs(self.upstreams * sizes).max(axis=1, initial=0.0)

    def central(self, step: float) -> Array:
        """Return the central differences at a step, shape ``(r, s)``."""
        sides = self.steps[step]
        return (sides.up - sides.down) / (2 * step)

    def half_jump(self, step: float) -> Array:
        """Return half the jump between the slopes of both sides at a step, shape ``(r, s)``."""
        sides = self.steps[step]
        return (sides.up + sides.down) / (2 * step)

    def secant(self, step: float) -> Array:
        """Return how far the contracted outputs move at a step, relative to it: ``(r, s)``, not negative."""
        sides = self.steps[step]
        return np.fmax(np.abs(sides.up), np.abs(sides.down)) / step

    def movement(self, step: float) -> Array:
        """Return `secant` as far as it is certainly no rounding; zero where nothing is known."""
        return np.fmax(self.secant(step) - WHOLE * self.rounding(step), 0.0)

    def steepness(self) -> tuple[Array, Array]:
        """Return how steep the contracted outputs are nearby and afar: ``(r, s)`` each, not negative.

        Over the longest of `coarse_steps` that a row was evaluated at; and over the first of `LONG_STEPS` at
        which any row moves.
        """
        if self._steepness is None:
            nearby, afar = np.zeros((2, self.count, self.parts))
            for k, step in enumerate(filter(self.steps.__contains__, reversed(coarse_steps(self.eps)))):
                moved = self.movement(step)
                nearby = np.where(np.isnan(self.secant(step)), nearby, moved) if k else moved
            for step in filter(self.steps.__contains__, LONG_STEPS):
                moved = self.movement(step)
                afar = moved if np.count_nonzero(moved) else afar
            self._steepness = nearby, afar
        return self._steepness

    def rounding(self, step: float) -> Array:
        """Return what central differences at a step are off by because outputs are: ``(r, s)``, to read only.

        With errors that are independent of each other, ``4 (‖u ∘ noise‖ + eps · how far the contracted
        outputs move + the height of a stair) / 2h``; of outputs that stay as they are over a longer step, as
        little as that tells.
        """
        if step not in self._roundings:
            values = self._rounding_of(range(self.count), step)
            values.flags.writeable = False
            self._roundings[step] = values
        return self._roundings[step]

    def rounding_along(self, row: int, step: float) -> Array:
        """Return one row of that, ``(s,)``: to ask for one after the other takes no longer with many rows."""
        known = self._roundings.get(step)
        return np.asarray(self._rounding_of(range(row, row + 1), step)[0] if known is None else known[row])

    def _rounding_of(self, rows: range, step: float) -> Array:
        """Return what rows that stand together are rounded by at a step."""
        values = np.empty((len(rows), self.parts))
        values[:] = self._noise_of_parts()
        for row in rows if self._still else ():
            longer, still = self._still.get(row, (0.0, None))
            if longer > step:
                values[row - rows.start] = self._noise_of_parts(still, step / longer)
        if step in self.steps:
            sides, these = self.steps[step], slice(rows.start, rows.stop)
            steep = np.fmax(np.abs(sides.up[these]), np.abs(sides.down[these])) / step  # may overflow
            values += self.eps * np.fmax(steep * step, 0.0)
        for (row, part), height in self._stairs.items():
            if row in rows:
                values[row - rows.start, part] += height
        values *= WHOLE / (2 * step)
        return values

    def _noise_of_parts(self, still: npt.NDArray[np.bool_] | None = None, part: float = 1.0) -> Array:
        """Return what the contracted outputs may be off by, ``(s,)``; of some that are still only a part."""
        if self.upstreams is None:
            return self.noise if still is None else np.where(still, self.noise * part, self.noise)
        square, total, largest = self._squares(self.upstreams)
        if still is None:
            return np.asarray(largest * np.sqrt(total))
        quiet = square @ still
        return np.asarray(largest * np.sqrt(np.maximum(total - quiet, 0.0) + quiet * part**2))

    def _squares(self, upstreams: Array) -> tuple[Array, Array, Array]:
        """Return the squares of ``u ∘ noise`` relative to the largest of a part, their sums, and that."""
        if self._square is None:
            size = np.abs(upstreams) * self.noise
            largest = size.max(axis=1, initial=0.0)
            size /= np.fmax(largest, SUBNORMAL)[:, np.newaxis]
            square = np.square(size, out=size)
            self._square = square, square.sum(axis=1), largest
        return self._square


def without_leading_term(shorter: Array, longer: Array) -> Array:
    """Return central differences without the leading term of truncation, where both steps are known."""
    extrapolated = (shorter - RATIO**2 * longer) / (1 - RATIO**2)
    return np.where(np.isfinite(extrapolated), extrapolated, shorter)


def _moved(contracted: Array, *sides: Array) -> npt.NDArray[np.bool_]:
    """Return along which rows an output is not the same on some side; NaN counts as a move."""
    # Most often what one side is contracted to is enough: nothing as long as the outputs is looked at.
    moved: npt.NDArray[np.bool_] = np.asarray(contracted.any(axis=1))
    if np.count_nonzero(moved) < moved.size:
        still = np.flatnonzero(~moved)
        moved[still] = np.logical_or.reduce([changes[still].any(axis=1) for changes in sides])
    return moved
