"""What forward returns: one array or several, seen as one flat vector."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array, Mask
from gradlab.numerics.dtypes import is_complex, widened
from gradlab.point.pairs import as_pairs, gradient_as_pairs, gradient_from_pairs
from gradlab.point.values import describe, is_floating, is_number
from gradlab.rule import TORCH

__tracebackhide__ = is_deliberate


@dataclass(frozen=True)
class OutputForm:
    """The form of forward's outputs, to go from arrays to one real vector and back.

    Attributes
    ----------
    several : bool
        Whether forward returns a tuple of outputs.
    shapes, dtypes : tuple
        Of each output.
    scalar : tuple of bool
        Which outputs are scalars rather than arrays.
    convention : {"torch", "jax"}
        Of upstream gradients of complex outputs, see `gradlab.point.pairs`.
    paired : tuple of bool
        Which outputs are complex.
    sizes, size : tuple of int, int
        How many real numbers each output is, and all of them together.
    places : tuple of slice
        Where each output stands in the vector of all.
    in_numbers : tuple of tuple of int
        The shape of each, of a complex one as pairs.
    exact : bool
        Whether all outputs are real, in float64.
    plain : bool
        Whether there is but one, and that an array: by far the most frequent.
    """

    several: bool
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype[Any], ...]
    scalar: tuple[bool, ...]
    convention: str = TORCH
    paired: tuple[bool, ...] = field(init=False, repr=False, compare=False)
    sizes: tuple[int, ...] = field(init=False, repr=False, compare=False)
    size: int = field(init=False, repr=False, compare=False)
    places: tuple[slice, ...] = field(init=False, repr=False, compare=False)
    in_numbers: tuple[tuple[int, ...], ...] = field(init=False, repr=False, compare=False)
    exact: bool = field(init=False, repr=False, compare=False)
    plain: bool = field(init=False, repr=False, compare=False)

    @classmethod
    def of(cls, several: bool, outputs: Sequence[Any], convention: str = TORCH) -> OutputForm:
        """Read the form off some outputs."""
        arrays = list(map(np.asarray, outputs))
        return _form(
            several,
            tuple([array.shape for array in arrays]),
            tuple([array.dtype for array in arrays]),
            tuple([not isinstance(output, np.ndarray) for output in outputs]),
            convention,
        )

    def __post_init__(self) -> None:
        """Keep what follows from these, which is asked for again and again."""
        paired = tuple(map(is_complex, self.dtypes))
        in_numbers = [shape + (2,) * pair for shape, pair in zip(self.shapes, paired, strict=True)]
        sizes = tuple(map(math.prod, in_numbers))
        ends = (0, *itertools.accumulate(sizes))
        exact = all(dtype == np.float64 for dtype in self.dtypes)
        vars(self).update(
            paired=paired,
            sizes=sizes,
            size=ends[-1],
            places=tuple(itertools.starmap(slice, itertools.pairwise(ends))),
            in_numbers=tuple(in_numbers),
            exact=exact,
            plain=exact and not self.several and not self.scalar[0],
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The output's shape, a complex one as pairs; of several, that of all flattened to one vector."""
        return (self.size,) if self.several else self.in_numbers[0]

    @property
    def wide(self) -> OutputForm:
        """The same in float64, or complex128."""
        return replace(self, dtypes=tuple(map(widened, self.dtypes)))

    def vector(self, outputs: Sequence[Any]) -> Array | None:
        """Return some outputs as one vector; ``None`` where they are not of this form.

        What was complex at the point may be real elsewhere.
        """
        if tuple(map(np.shape, outputs)) != self.shapes:
            return None
        kept = list(outputs)
        for k, (output, paired) in enumerate(zip(outputs, self.paired, strict=True)):
            if paired != is_complex(np.asarray(output).dtype):
                if not paired:
                    return None
                kept[k] = np.asarray(output, dtype=np.complex128)
        return flatten(kept)

    def parted(self, vector: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Return views of a vector of all outputs, one for each, in its shape; of a complex one as pairs."""
        form = zip(self.places, self.in_numbers, strict=True)
        return [vector[place].reshape(shape) for place, shape in form]

    def upstream(self, vector: Array) -> Any:
        """Return an upstream gradient in the outputs' form, shapes and dtypes, as backward takes it."""
        if self.plain:
            return np.array(vector).reshape(self.shapes[0])
        parts = []
        form = zip(self.parted(vector), self.dtypes, self.scalar, self.paired, strict=True)
        for numbers, dtype, scalar, paired in form:
            own = gradient_from_pairs(numbers, paired=True, convention=self.convention) if paired else numbers
            part = own.astype(dtype)
            parts.append(part[()] if scalar else part)
        return tuple(parts) if self.several else parts[0]

    def name(self, k: int) -> str:
        """Name one output: ``the output``, or ``output 1`` where there are several."""
        return f"output {k}" if self.several else "the output"

    def label(self, k: int, index: tuple[int, ...]) -> str:
        """Name one entry of one output, such as ``output[0, 1]``; of several, ``output 1[0, 1]``."""
        at = f"[{', '.join(map(str, index))}]" if index else ""
        return f"{f'output {k}' if self.several else 'output'}{at}"

    def place(self, flat: int) -> tuple[int, tuple[int, ...]]:
        """Return which output an entry of the vector of all belongs to, and its index there."""
        k = next(k for k, place in enumerate(self.places) if place.start <= flat < place.stop)
        index = np.unravel_index(flat - self.places[k].start, self.shapes[k])
        return k, tuple(int(axis) for axis in index)

    def rounded(self, vector: Array) -> Array:
        """Return an upstream gradient as rounded as the outputs' dtypes have it: itself, where none is."""
        if self.exact:
            return vector
        with np.errstate(over="ignore"):
            upstream = self.upstream(vector)
        return self._read(upstream if self.several else (upstream,))

    def _read(self, parts: Sequence[Any]) -> Array:
        own = (
            gradient_as_pairs(part, paired=paired, convention=self.convention)
            for part, paired in zip(parts, self.paired, strict=True)
        )
        return flatten(list(own))

    def conjugate(self, vector: Array) -> Array:
        """Return a vector with the imaginary parts of the opposite sign."""
        parts = ((vector[place], paired) for place, paired in zip(self.places, self.paired, strict=True))
        return np.concatenate(
            [part * np.resize([1.0, -1.0], part.size) if paired else part for part, paired in parts]
        )

    def by_entry(self, mask: Mask) -> Mask:
        """Return which entries of the outputs a mask of their real numbers marks in part."""
        parts = ((mask[place], paired) for place, paired in zip(self.places, self.paired, strict=True))
        return np.concatenate([part.reshape(-1, 2).any(axis=1) if paired else part for part, paired in parts])

    def by_number(self, mask: Mask) -> Mask:
        """Return the opposite of `by_entry`: which real numbers belong to some entries."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])[:-1]
        parts = zip(np.split(mask, ends), self.paired, strict=True)
        return np.concatenate([np.repeat(part, 1 + paired) for part, paired in parts])

    def read_upstream(self, grad_output: Any) -> Array:
        """Return an upstream gradient that the caller gave as one vector.

        Raises
        ------
        UsageError
            When it is not of the outputs' form and shape, or not finite.
        """
        given = grad_output if self.several and isinstance(grad_output, tuple | list) else (grad_output,)
        parts = [part if is_number(part) else require_floating(part, "grad_output is") for part in given]
        if len(parts) != len(self.shapes):
            raise UsageError(
                f"grad_output is {describe(grad_output)}; expected a tuple of {len(self.shapes)} arrays, "
                "one for each output"
            )
        if tuple(np.shape(part) for part in parts) != self.shapes:
            shapes = " and ".join(str(np.shape(part)) for part in parts)
            expected = " and ".join(map(str, self.shapes))
            raise UsageError(f"grad_output has shape {shapes}; expected {expected}, that of the output")
        for part, paired in zip(parts, self.paired, strict=True):
            if is_complex(np.asarray(part).dtype) and not paired:
                raise UsageError("grad_output is complex; expected real numbers, because the output is real")
        upstream = self.rounded(self._read(parts))
        if upstream.size and not upstream.any():
            raise UsageError("grad_output is all zeros; expected something to contract the output with")
        if not np.isfinite(upstream).all():
            dtypes = " and ".join(map(str, self.dtypes))
            raise UsageError(f"grad_output is not finite in {dtypes}; expected finite numbers")
        return upstream


_form = functools.lru_cache(maxsize=64)(OutputForm)  # most points of a rule have outputs of one form


def split(returned: Any, cached: bool) -> tuple[bool, list[Any], Any]:
    """Split what ``forward`` returned: whether there are several outputs, the outputs, the cache.

    Raises
    ------
    UsageError
        When it is neither a floating-point or complex array nor a tuple of them.
    """
    cache = None
    if cached:
        if not (isinstance(returned, tuple) and len(returned) == 2):
            raise UsageError(
                f"forward returned {describe(returned)}; "
                "with cached=True it is expected to return (output, cache)"
            )
        returned, cache = returned
    if type(returned) is np.ndarray and returned.dtype.kind == "f":
        return False, [returned], cache  # by far the most frequent
    if isinstance(returned, tuple):
        if not returned or not all(map(is_floating, returned)):
            hint = "" if cached else "; if its last item is a cache for backward, pass cached=True"
            raise UsageError(
                f"forward returned {describe(returned)}; "
                f"expected a floating-point array, or a tuple of them{hint}"
            )
        return True, list(returned), cache
    return False, [require_floating(returned, "forward returned")], cache


def require_floating(value: Any, what: str) -> Any:
    """Return a value that is floating-point; refuse another in one sentence."""
    if is_floating(value):
        return value
    hint = " (is a return statement missing?)" if value is None and "returned" in what else ""
    raise UsageError(f"{what} {describe(value)}; expected a floating-point array{hint}")


def flatten(parts: Sequence[Any]) -> Array:
    """Return a copy of some arrays as one vector, in float64, complex numbers as pairs."""
    vectors = [np.array(as_pairs(part), dtype=np.float64, order="C").reshape(-1) for part in parts]
    return vectors[0] if len(vectors) == 1 else np.concatenate(vectors)
