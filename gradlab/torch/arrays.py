"""Tensors and arrays, one as the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gradlab.errors import UsageError, is_deliberate
from gradlab.numerics.dtypes import is_narrow, named
from gradlab.point.trees import Leaves, flatten

__tracebackhide__ = is_deliberate

# Those that NumPy lacks; they travel as the bits of integers.
NARROW = {torch.bfloat16, *(getattr(torch, name) for name in dir(torch) if name.startswith("float8_"))}


def tensor_of(array: Any, *, contiguous: bool = False) -> torch.Tensor:
    """Return an array as a tensor, in the same memory and layout where torch has that.

    >>> tensor_of(np.ones((2, 3)).T).stride()
    (1, 3)
    """
    array = np.asarray(array)
    flags = array.flags
    if flags.c_contiguous and flags.writeable and array.dtype.isbuiltin == 1:
        return torch.from_numpy(array)  # by far the most frequent
    if is_narrow(array.dtype):
        narrow = getattr(torch, str(array.dtype))
        return tensor_of(array.view(f"u{array.itemsize}"), contiguous=contiguous).view(narrow)
    if contiguous or any(stride < 0 for stride in array.strides):
        array = array.copy()  # torch has no negative strides
    if array.flags.writeable:
        return torch.from_numpy(array)
    if array.size and not any(array.strides):  # one number, everywhere
        return torch.from_numpy(array.reshape(-1)[:1].copy()).reshape(()).expand(array.shape)
    return torch.from_numpy(array.copy())


def array_of(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """Return a tensor as an array, in the same memory where that can be.

    >>> array_of(torch.tensor([1.0, 2.0], dtype=torch.bfloat16)).dtype.name
    'bfloat16'
    """
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    if tensor.dtype in NARROW:
        bits = torch.uint16 if tensor.element_size() > 1 else torch.uint8
        name = str(tensor.dtype).removeprefix("torch.")
        return array_of(tensor.detach().contiguous().view(bits)).view(named(name))
    if tensor.dtype == torch.complex32:
        raise UsageError("a tensor is of dtype torch.complex32, which NumPy lacks; expected complex64")
    array: npt.NDArray[Any] = tensor.numpy(force=True)
    return array


def tensor_like(array: Any, like: torch.Tensor) -> torch.Tensor:
    """Return an array as a tensor on the device of another."""
    return tensor_of(array).to(like.device)


def own_copy(leaf: Any, wide: bool) -> Any:
    """Return a tensor of one's own; so that float32 and float64 need not mix, in float64 if asked for."""
    if not isinstance(leaf, torch.Tensor):
        return leaf
    if wide and is_floating(leaf):
        leaf = leaf.to(torch.complex128 if leaf.is_complex() else torch.float64)
    return leaf.detach().clone()


def not_a_leaf(leaf: torch.Tensor) -> torch.Tensor:
    """Return a copy in the same memory layout that may be changed in place, as a leaf may not."""
    with torch.enable_grad():
        if leaf.is_contiguous():
            return leaf.clone()
        copy = torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device=leaf.device)
        return copy.copy_(leaf)


def floating_in(returned: Any) -> Iterator[torch.Tensor]:
    """Yield the floating tensors in an output."""
    leaves: Leaves = [("output", returned)]
    if not isinstance(returned, torch.Tensor):  # by far the most frequent
        leaves.clear()
        flatten("output", returned, leaves)
    for name, leaf in leaves:
        if is_floating(leaf):
            require_dense(leaf, name, "return its .to_dense()")
            yield leaf


def require_dense(tensor: torch.Tensor, name: str, advice: str) -> None:
    """Refuse a tensor that is no array of numbers.

    Raises
    ------
    UsageError
        When it is sparse, nested or without values; ``advice`` says what to do with a sparse one.
    """
    if tensor.is_meta:
        raise UsageError(
            f"{name} is a tensor of the device meta, which has no values; expected another device"
        )
    if tensor.is_nested:
        raise UsageError(f"{name} is a nested tensor; expected a dense one, or a list of dense ones")
    if tensor.layout is not torch.strided:
        raise UsageError(f"{name} is a tensor of layout {tensor.layout}; expected torch.strided: {advice}")


def is_floating(value: Any) -> bool:
    """Whether a value is a tensor that is differentiated."""
    return isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())
