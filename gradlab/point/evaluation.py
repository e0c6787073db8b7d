"""Forward on the numerical side: outputs as vectors, at the point and beside it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.point.arguments import Displaced
from gradlab.point.functions import OUTSIDE, Functions, OutOfBounds, RuleRaised
from gradlab.point.nonfinite import Mask
from gradlab.point.outputs import split

__tracebackhide__ = is_deliberate


class Evaluation(Functions):
    """The functions under test, evaluated to be differenced; `Problem` says what the attributes are."""

    output: Array
    wide: bool

    def value(self, position: int) -> npt.NDArray[Any]:
        """Return one input as the numerical side sees it, in real numbers, to read, not to write.

        Entries that are not finite are zero here, so that the scale of the others can be told.
        """
        value = self.arguments.value(position)
        if position in self.fixed:
            value = np.where(np.isfinite(value), value, np.zeros_like(value))
        return value.astype(np.float64) if self.wide else value

    def evaluate(self, displaced: Displaced) -> Array:
        """Evaluate ``forward`` on the numerical side, with some inputs displaced.

        Parameters
        ----------
        displaced : mapping of int to array
            The new values by position; they are given away, not copied.

        Returns
        -------
        Array
            All outputs as one vector, zero where they are left out. The others are NaN where ``forward``
            raises, or returns something of another shape, since there it has no value to compare.
        """
        with np.errstate(all="ignore"):  # the point is of our making, and so would be a warning about it
            return self._evaluate(displaced)

    def evaluate_entries(
        self,
        position: int,
        entries: npt.NDArray[np.intp],
        reach: Array,
        *,
        displaced: Displaced | None = None,
    ) -> tuple[Array, Array]:
        """Evaluate ``forward`` with entries of one input moved to both sides, one at a time.

        Parameters
        ----------
        position : int
            The input.
        entries : array of int, shape (k,)
            Their flat indices.
        reach : Array
            Shape ``(k,)``: how far each is moved.
        displaced : mapping of int to array, optional
            Another point: the inputs that differ from the problem's own.

        Returns
        -------
        plus, minus : Array
            Shape ``(k, m)``: for each entry, what `evaluate` returns; NaN outside of the bounds.
        """
        base = dict(displaced or {})
        x = self._held({position: np.array(base.get(position, self.value(position)))})[position]
        there = x.ravel()[entries]
        plus, minus = np.empty((2, entries.size, self.output.size))
        targets = np.array([there + reach, there - reach], dtype=x.dtype).T
        inside = self._inside(position, entries, targets)
        if not inside.all():
            for side, has_value in zip((plus, minus), inside.T, strict=True):
                side[~has_value] = self._no_value()
        moves = zip(entries.tolist(), there, targets, inside.tolist(), strict=True)
        with np.errstate(all="ignore"):
            kind = type(self.arguments.values[position])
            if self.changed or kind is not np.ndarray or self.arguments.paired[position]:
                for row, (entry, _, values, has_value) in enumerate(moves):
                    for side, value, wanted in zip((plus, minus), values, has_value, strict=True):
                        if wanted:
                            moved = x.copy()
                            moved.flat[entry] = value
                            side[row] = self._evaluate({**base, position: moved})
                return plus, minus
            # All calls share their arguments, but for the entry that moves: forward was seen not to write.
            leaves, positional, keyword = self._arguments_at(base) if base else self._arguments_here
            x = leaves[position]
            for row, (entry, start, values, has_value) in enumerate(moves):
                for side, value, wanted in zip((plus, minus), values, has_value, strict=True):
                    if wanted:
                        x.flat[entry] = value
                        self._evaluate_into(side[row], positional, keyword)
                x.flat[entry] = start
        return plus, minus

    def _arguments_at(self, displaced: Displaced) -> tuple[list[Any], list[Any], dict[str, Any]]:
        """Return the leaves of one point on the numerical side, and the arguments of a call with them."""
        own = {i: np.array(x) for i, x in displaced.items()}
        leaves = self.arguments.fresh(self._held(own), wide=self.wide)
        return leaves, *self.arguments.passed(leaves)

    @cached_property
    def _arguments_here(self) -> tuple[list[Any], list[Any], dict[str, Any]]:
        return self._arguments_at({})

    def _evaluate_into(self, row: Array, positional: list[Any], keyword: dict[str, Any]) -> None:
        self.forward_calls += 1
        try:
            returned = self._forward(*positional, **keyword)
        except MemoryError:
            raise  # which says nothing of the function
        except (Exception, SystemExit) as error:
            self.obstacle = str(RuleRaised("forward", error))
            row[:] = self._no_value()
            return
        kind = type(returned)
        if kind is np.ndarray and returned.shape == self._only_shape and returned.dtype == float:
            row[:] = returned.ravel()
        elif kind is np.float64 and self._only_shape == ():
            row[0] = returned
        else:
            row[:] = self._read(returned)

    def _inside(self, position: int, entries: npt.NDArray[np.intp], targets: npt.NDArray[Any]) -> Mask:
        """Return which new values of single entries, of shape ``(k, 2)``, are within the bounds."""
        box = self.constraints.boxes.get(position)
        if box is None:
            return np.ones(targets.shape, dtype=bool)
        inside = box.holds_entries(entries[:, np.newaxis], targets)
        if not inside.all():
            self.obstacle = self.obstacle or OUTSIDE
        return inside

    @cached_property
    def _only_shape(self) -> tuple[int, ...] | None:
        """The shape of the output, where it is one real array that can be taken as it is."""
        plain = not self._cached and not self.form.several and self.left_out is None
        plain = plain and not self.form.paired[0]
        return self.form.shapes[0] if plain else None

    def _evaluate(self, displaced: Displaced) -> Array:
        try:
            return self._flattened(self.call_forward(displaced, wide=self.wide)[1])
        except (RuleRaised, UsageError) as error:
            if not (self.obstacle and isinstance(error.__cause__, OutOfBounds)):
                self.obstacle = str(error)
            return self._no_value()

    def _read(self, returned: Any) -> Array:
        """Return what a call of ``forward`` returned as one vector."""
        try:
            _, outputs, _ = split(returned, self._cached)
        except UsageError as error:
            self.obstacle = str(error)
            return self._no_value()
        return self._flattened(self._kept(outputs))

    def _flattened(self, outputs: list[Any]) -> Array:
        vector = self.form.vector(outputs)
        if vector is not None:
            return vector
        shapes = tuple(map(np.shape, outputs))
        found, expected = (" and ".join(map(str, s)) for s in (shapes, self.form.shapes))
        what = "a complex output, and a real one" if found == expected else ""
        what = what or f"an output of shape {found}, and of {expected}"
        self.obstacle = f"forward returned {what} at the point"
        return self._no_value()

    def _no_value(self) -> Array:
        nothing = np.full_like(self.output, np.nan)
        if self.left_out is not None:
            nothing[self.left_out] = 0
        return nothing
