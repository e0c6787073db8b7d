"""Forward on the numerical side: outputs as vectors, at the point and beside it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array, Indices
from gradlab.numerics.dtypes import widened
from gradlab.numerics.scales import both_sides
from gradlab.point.arguments import Displaced
from gradlab.point.derivatives import Derivatives
from gradlab.point.moves import EntryMoves, InputMoves, Moves, Outputs, runs
from gradlab.point.outputs import split
from gradlab.point.raised import OUTSIDE, RuleRaised
from gradlab.point.values import same

__tracebackhide__ = is_deliberate

Source: TypeAlias = Callable[[Moves], Iterator[Outputs]]

DOUBLE = np.dtype(np.float64)
MEMORY = 2**21  # numbers, 16 MiB: of what is evaluated once and asked for again


class Evaluation(Derivatives):
    """The functions under test, evaluated to be differenced; `Problem` says what the attributes are.

    The way of a call: ``Table.take`` → ``Directions.evaluate`` → `evaluate_entries` (or `evaluate`) →
    `evaluate_moves`, which may remember → `_evaluated`, which counts and limits → `gathered` → `here`, or a
    source that evaluates elsewhere.
    """

    output: Array
    eps: float
    wide: bool
    source: Source | None = None  # of what is not evaluated here, one point after the other
    at_once: int = 1  # points that keep the source busy
    _memory: dict[bytes, Array] | None = None
    _shared: dict[int, npt.NDArray[Any]] | None = None  # inputs that calls share
    # All arguments of a call that does, its leaves first.
    _own: tuple[list[Any], list[Any], dict[str, Any]] | None = None

    def value(self, position: int) -> npt.NDArray[Any]:
        """Return one input as the numerical side sees it, in real numbers, to read, not to write.

        Entries that are not finite are zero here, so that the scale of the others can be told.
        """
        value = self.arguments.in_real_numbers[position]
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
            As a row of what `evaluate_moves` returns.
        """
        row: Array = self.evaluate_moves(InputMoves((displaced,)))[0]
        return row

    def evaluate_entries(
        self,
        position: Indices,
        entries: Indices,
        far: Array,
        *,
        displaced: Displaced | None = None,
    ) -> tuple[Array, Array]:
        """Evaluate ``forward`` with single entries moved to both sides, one at a time.

        Parameters
        ----------
        position, entries : Indices
            Shape ``(k,)``: the inputs, and flat indices of their entries; those of an input stand together.
        far : Array
            Shape ``(k,)``: how far each is moved.
        displaced : mapping of int to array, optional
            Another point: the inputs that differ from the problem's own.

        Returns
        -------
        plus, minus : Array
            Shape ``(k, m)``: for each entry, what `evaluate_moves` returns; NaN outside of the bounds.
        """
        base = dict(displaced or {})
        targets = np.empty((entries.size, 2), dtype=self._number())
        inside = None
        for i, mine in runs(position):
            x = self._held({i: base.get(i, self.value(i))})[i]
            targets[mine, 0], targets[mine, 1] = both_sides(x.ravel()[entries[mine]], far[mine])
            if i in self.constraints.boxes:
                inside = np.ones(targets.shape, dtype=bool) if inside is None else inside
                box = self.constraints.boxes[i]
                inside[mine] = box.holds_entries(entries[mine, np.newaxis], targets[mine])
        moves = EntryMoves(position.repeat(2), entries.repeat(2), targets.ravel(), base)
        if inside is None or inside.all():
            values = self.evaluate_moves(moves)
        else:
            self.obstacle = self.obstacle or OUTSIDE
            values = np.tile(self._no_value(), (len(moves), 1))
            values[inside.ravel()] = self.evaluate_moves(moves.some(np.flatnonzero(inside)))
        return values[0::2], values[1::2]

    def _number(self) -> np.dtype[Any]:
        """Return the dtype in which new values of single entries are written down: it rounds none of them."""
        own = {self.value(i).dtype for i in self.wrt}
        return np.result_type(DOUBLE, *[dtype for dtype in own if dtype.kind == "f"])

    def evaluate_moves(self, moves: Moves) -> Array:
        """Evaluate ``forward`` on the numerical side at points beside this one.

        Returns
        -------
        Array
            Shape ``(k, m)``: at each point all outputs as one vector, zero where they are left out. The
            others are NaN where ``forward`` raises, returns something of another shape, or may not be called
            any more, since there it has no value to compare.
        """
        if self._memory is not None:
            return self._remembered(self._memory, moves)
        return self._evaluated(moves)

    @contextlib.contextmanager
    def remembering(self) -> Iterator[None]:
        """Evaluate no point twice within this context: what is asked again is no further call."""
        self._memory = {}
        try:
            yield
        finally:
            self._memory = None

    def _remembered(self, memory: dict[bytes, Array], moves: Moves) -> Array:
        keys = moves.keys()
        unknown = np.array([k for k, key in enumerate(keys) if key not in memory], dtype=np.intp)
        found = self._evaluated(moves.some(unknown)) if unknown.size else np.empty((0, self.form.size))
        new = dict(zip((keys[k] for k in unknown.tolist()), found, strict=True))
        if (len(memory) + len(new)) * self.form.size <= MEMORY:
            memory |= {key: row for key, row in new.items() if not np.isnan(row).any()}
        rows = [new.get(key, memory.get(key)) for key in keys]
        return np.array(rows, dtype=np.float64).reshape(len(keys), self.form.size)

    def _evaluated(self, moves: Moves) -> Array:
        count = asked = len(moves)
        if not self.pace.unlimited:
            count = int(max(0, min(self.calls_left, count)))
        wanted = moves if count == asked else moves.some(np.arange(count))
        started = time.perf_counter()
        try:
            found = self.gathered(wanted)
        except KeyboardInterrupt:
            if not self.resources.interruptible:
                raise
            self.pace.interrupt()
            count, found = 0, self.gathered(moves.some(np.arange(0)))
        values, obstacles = found.values, found.obstacles
        if count:
            self.pace.measured(time.perf_counter() - started, count - found.read)
            self.forward_calls += count
        if count < asked:
            nothing = np.tile(self._no_value(), (asked - count, 1))
            values = np.concatenate([values, nothing])
            obstacles = {**obstacles, count: f"{self.budget} was reached"}
        for _, why in sorted(obstacles.items()) if obstacles else ():
            if why == OUTSIDE:
                self.forward_calls -= 1
            if why != OUTSIDE or not self.obstacle:
                self.obstacle = why
        self.pace.tell(self.forward_calls)
        return values

    @np.errstate(all="ignore")  # the points are of our making, and so would be a warning about them
    def gathered(self, moves: Moves) -> Outputs:
        """Return the outputs at points, wherever they are evaluated, in whatever order they come."""
        if self.source is None:
            return self.here(moves)
        values, obstacles, read = np.full((len(moves), self.form.size), np.nan), {}, 0
        for found in self.source(moves):
            values[found.which] = found.values
            obstacles.update({int(found.which[row]): why for row, why in found.obstacles.items()})
            read += found.read
        return Outputs(np.arange(len(moves)), values, obstacles, read)

    def one_by_one(self, moves: Moves) -> Iterator[Outputs]:
        """Yield what `here` returns: this evaluation as a source of others."""
        yield self.here(moves)

    def here(self, moves: Moves) -> Outputs:
        """Evaluate ``forward`` at points in this process, one after the other."""
        count = len(moves)
        values, obstacles = np.empty((count, self.form.size)), {}
        shape, forward, takes_batch, cached = self._only_shape, self._forward, self.takes_batch, self._cached
        plain = np.empty((count, 0)) if shape is None else values.reshape(count, *shape)
        with np.errstate():  # as in `call_forward`
            for row, arguments in enumerate(self._arguments_of(moves)):
                if arguments is None:
                    why = OUTSIDE
                else:
                    try:
                        positional, keyword = arguments
                        returned = forward(*positional, **keyword) if keyword else forward(*positional)
                        if takes_batch:
                            returned = self._alone(returned)
                    except MemoryError:
                        raise  # which says nothing of the function
                    except (Exception, SystemExit) as error:
                        why = str(RuleRaised("forward", error))
                    else:
                        # By far the most frequent, and next to nothing beside a call.
                        output = returned[0] if cached and type(returned) is tuple and returned else returned
                        if type(output) is np.ndarray and output.dtype is DOUBLE and output.shape == shape:
                            plain[row] = output
                            continue
                        why = self._read_into(values[row], returned)
                if why:
                    values[row], obstacles[row] = self._no_value(), why
        return Outputs(np.arange(count), values, obstacles)

    def _arguments_of(self, moves: Moves) -> Iterator[tuple[list[Any], dict[str, Any]] | None]:
        """Yield the arguments of a call at each point; ``None`` outside of the bounds."""
        if isinstance(moves, InputMoves):
            for point in moves.points:
                still = [i for i in self.arguments.floating if i not in point and self.is_shared(i)]
                yield self._arguments_at(point, {i: self._unmoved(i) for i in still})
            return
        base = moves.base
        # Calls share their arguments, but for the entry that moves, where forward was seen not to write.
        if base:
            shared = self._arguments_apart({j: np.array(x) for j, x in base.items()})
        else:
            shared = self._own = self._own or self._arguments_apart({})
        if shared is None:
            yield from [None] * len(moves)
            return
        leaves, positional, keyword = shared
        for i, mine in runs(moves.position):
            entries, values = moves.entries[mine].tolist(), moves.values[mine].tolist()
            if self.is_shared(i):
                own = leaves[i].flat
                starts = own[moves.entries[mine]].tolist()
                for entry, value, start in zip(entries, values, starts, strict=True):
                    own[entry] = value
                    yield positional, keyword
                    own[entry] = start
                continue
            for entry, value in zip(entries, values, strict=True):
                moved = base.get(i, self.value(i)).copy()
                moved.flat[entry] = value
                yield self._arguments_at({**base, i: moved})

    def _unmoved(self, i: int) -> npt.NDArray[Any]:
        """Return an input that calls share."""
        if self._shared is None:
            self._shared = {}
        if i not in self._shared:
            own = self.arguments.values[i]
            self._shared[i] = np.array(own, dtype=widened(own.dtype) if self.wide else own.dtype)
        return self._shared[i]

    def spoiled(self) -> Iterator[str]:
        """Yield the names of inputs that calls shared, and that are not what they were any more."""
        if self.pace.interrupted:
            return  # an entry may be where it was moved
        shared = dict(self._shared or {})
        if self._own is not None:
            shared |= {i: self._own[0][i] for i in self.arguments.floating if self.is_shared(i)}
        for i, leaf in shared.items():
            if not same(self.arguments.values[i], leaf):
                yield self.arguments.names[i]

    def _arguments_at(
        self, displaced: Displaced, shared: Displaced | None = None
    ) -> tuple[list[Any], dict[str, Any]] | None:
        found = self._arguments_apart(displaced, shared)
        return None if found is None else found[1:]

    def _arguments_apart(
        self, displaced: Displaced, shared: Displaced | None = None
    ) -> tuple[list[Any], list[Any], dict[str, Any]] | None:
        """Return the leaves of a point on the numerical side, and the arguments of a call with them."""
        try:
            held = self._held(displaced)
        except RuleRaised:
            return None
        leaves = self.arguments.fresh({**shared, **held} if shared else held, wide=self.wide)
        return leaves, *self._passed(leaves)

    def _read_into(self, row: Array, returned: Any) -> str:
        """Write what ``forward`` returned into a row; return why it is no value, if so."""
        if type(returned) is np.float64 and self._only_shape == () and not self._cached:
            row[0] = returned
            return ""
        try:
            _, outputs, _ = split(returned, self._cached)
        except UsageError as error:
            return str(error)
        outputs = self._kept(outputs)
        vector = self.form.vector(outputs)
        if vector is not None:
            row[:] = vector
            return ""
        shapes = tuple(map(np.shape, outputs))
        found, expected = (" and ".join(map(str, s)) for s in (shapes, self.form.shapes))
        what = "a complex output, and a real one" if found == expected else ""
        what = what or f"an output of shape {found}, and of {expected}"
        return f"forward returned {what} at the point"

    @property
    def _only_shape(self) -> tuple[int, ...] | None:
        """The shape of the output, where it is one real array that can be taken as it is."""
        plain = not self.form.several and self.left_out is None
        plain = plain and not self.form.paired[0]
        return self.form.shapes[0] if plain else None

    def _no_value(self) -> Array:
        nothing = np.full(self.form.size, np.nan)
        if self.left_out is not None:
            nothing[self.left_out] = 0
        return nothing
