"""What forward returns: one array or several, seen as one flat vector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics import Array
from gradlab.point.values import describe, is_floating, is_number

__tracebackhide__ = is_deliberate


@dataclass(frozen=True)
class OutputForm:
    """The form of forward's outputs, to go from arrays to one vector and back.

    Attributes
    ----------
    several : bool
        Whether forward returns a tuple of outputs.
    shapes, dtypes : tuple
        Of each output.
    scalar : tuple of bool
        Which outputs are scalars rather than arrays.
    """

    several: bool
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype[Any], ...]
    scalar: tuple[bool, ...]

    @classmethod
    def of(cls, several: bool, outputs: Sequence[Any]) -> OutputForm:
        """Read the form off some outputs."""
        return cls(
            several,
            tuple(np.shape(output) for output in outputs),
            tuple(np.asarray(output).dtype for output in outputs),
            tuple(not isinstance(output, np.ndarray) for output in outputs),
        )

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of entries of each output."""
        return tuple(map(math.prod, self.shapes))

    @cached_property
    def size(self) -> int:
        """The number of entries of all outputs together."""
        return sum(self.sizes)

    @property
    def shape(self) -> tuple[int, ...]:
        """The output's shape; of several, that of all of them flattened to one vector."""
        return (self.size,) if self.several else self.shapes[0]

    def unflatten(self, vector: Array) -> Any:
        """Return a vector in the outputs' form, shapes and dtypes."""
        parts, start = [], 0
        for shape, size, dtype, scalar in zip(self.shapes, self.sizes, self.dtypes, self.scalar, strict=True):
            end = start + size
            part = vector[start:end].astype(dtype).reshape(shape)
            parts.append(part[()] if scalar else part)
            start = end
        return tuple(parts) if self.several else parts[0]

    def rounded(self, vector: Array) -> Array:
        """Return a vector as rounded as the outputs' dtypes have it."""
        with np.errstate(over="ignore"):
            returned = self.unflatten(vector)
        return flatten(returned if self.several else (returned,))

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
        upstream = self.rounded(flatten(parts))
        if upstream.size and not upstream.any():
            raise UsageError("grad_output is all zeros; expected something to contract the output with")
        if not np.isfinite(upstream).all():
            dtypes = " and ".join(map(str, self.dtypes))
            raise UsageError(f"grad_output is not finite in {dtypes}; expected finite numbers")
        return upstream


def split(returned: Any, cached: bool) -> tuple[bool, list[Any], Any]:
    """Split what ``forward`` returned: whether there are several outputs, the outputs, the cache.

    Raises
    ------
    UsageError
        When it is neither a floating-point array nor a tuple of them.
    """
    cache = None
    if cached:
        if not (isinstance(returned, tuple) and len(returned) == 2):
            raise UsageError(
                f"forward returned {describe(returned)}; "
                "with cached=True it is expected to return (output, cache)"
            )
        returned, cache = returned
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
    """Return a copy of some arrays as one vector, in float64."""
    vectors = [np.array(part, dtype=np.float64, order="C").ravel() for part in parts]
    return vectors[0] if len(vectors) == 1 else np.concatenate(vectors)
