"""Differences of a function of PyTorch, many points in one call, by `torch.vmap`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics.dtypes import limits
from gradlab.point.values import text_of
from gradlab.torch.derivatives import Point

__tracebackhide__ = is_deliberate

# Points: fewer take less time one by one than together, before vmap was compared and afterwards.
LEAST, AGAIN = 8, 4
CLOSE = 32  # units of rounding of the largest output: by how much sums in another order differ

Outputs: TypeAlias = tuple[npt.NDArray[Any], ...]


class OneByOne(Exception):
    """Points are not to be evaluated in a batch, but one after the other."""


def in_batches(point: Point, *, required: bool = False) -> Callable[..., Any]:
    """Return the forward of a point for a batch of points; it raises where these are no matter for a batch.

    In each batch is the point itself. Operators for batches may add in another order: what they return
    differs then by a rounding, everywhere by the same, which is taken off; so that what does not move between
    two points of a batch does not move beside the point either. The first batch is compared with what the
    function gives by itself, at one of its points too: unless these are the same but for rounding, there is
    no other batch.

    Parameters
    ----------
    point : Point
        The function.
    required : bool
        Whether it is an error that there is no batch.

    Returns
    -------
    callable
        ``batched(**inputs) -> outputs``, with one more axis of each, the first.
    """
    obstacle = ""
    own: Outputs = ()

    def batched(**inputs: npt.NDArray[Any]) -> Any:
        nonlocal obstacle, own
        if obstacle or len(next(iter(inputs.values()))) < (AGAIN if own else LEAST):
            raise OneByOne
        start = {name: array.astype(inputs[name].dtype) for name, array in point.arrays.items()}
        stacked = {name: np.concatenate([array, start[name][np.newaxis]]) for name, array in inputs.items()}
        is_first = not own
        try:
            together = _several(point.forward_of_batch(**stacked))
            if is_first:
                own = _several(point.forward(**start)[0])
                last = {name: array[-1].copy() for name, array in inputs.items()}
                alone = _several(point.forward(**last)[0])
        except Exception as error:  # whatever vmap cannot do, or what is raised at one of the points
            if not is_first:
                raise OneByOne from error
            obstacle = f"raises {type(error).__name__}: {text_of(error)}"
        else:
            if not is_first or _are_close(together, own, at=-1):
                outputs = tuple(map(_beside, together, own))
                if not is_first or _are_close(outputs, alone, at=-1):
                    return outputs if len(outputs) > 1 else outputs[0]
            obstacle = "returns other numbers"
        if required:
            raise UsageError(f"with vectorized=True, {point.title} under torch.vmap {obstacle}")
        raise OneByOne

    return batched


def _beside(together: npt.NDArray[Any], own: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return outputs beside the point; the last are those at the point itself, and should be its own."""
    there, here = together[:-1], together[-1]
    differs = np.isfinite(here) & np.isfinite(own) & (here != own)
    return np.where(differs, own + (there - here), there) if differs.any() else there


def _are_close(batch: Outputs, expected: Outputs, *, at: int) -> bool:
    """Whether one point of a batch has the outputs that are expected, but for rounding."""
    found = [outputs[at] for outputs in batch]
    if [y.shape for y in found] != [y.shape for y in expected]:
        return False
    for one, other in zip(found, expected, strict=True):
        size = np.abs(other).max(initial=0.0, where=np.isfinite(other))
        atol = CLOSE * float(limits(other.real.dtype).eps) * size
        if not np.allclose(one, other, rtol=0, atol=atol, equal_nan=True):
            return False
    return True


def _several(outputs: Any) -> Outputs:
    return outputs if isinstance(outputs, tuple) else (outputs,)
