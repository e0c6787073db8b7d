"""What is wrong with one array that backward or jvp returned: its kind, shape, dtype and finiteness."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.numerics.dtypes import is_complex, is_floating, loses_digits
from gradlab.point.problem import Problem
from gradlab.point.trees import items_of
from gradlab.point.values import describe, is_number, same
from gradlab.report import Finding
from gradlab.words import counted

JAX_ZERO = np.dtype([("float0", "V")])  # of JAX's gradients of integers, which hold nothing


def misfit(problem: Problem, name: str, what: str) -> Finding:
    """Say that what backward returned cannot be matched with the inputs, or with one of them."""
    message = f"gradient of {name} {what}" if name else f"backward {what}"
    return Finding("contract", name if name in problem.names else None, "gradient-count", message)


def of_a_constant(problem: Problem, i: int, gradient: Any) -> Iterator[Finding]:
    """Say that there is a gradient of a constant, if it is one."""
    name, value = problem.names[i], problem.arguments.values[i]
    # A number by itself would be taken for its gradient; in a copy of the inputs with the gradients put in,
    # it is what stood there.
    may_be_kept = i not in problem.arguments.tree.children or not is_numeric(value)
    if _is_zero(gradient) or (may_be_kept and _is_same_constant(gradient, value)):
        return
    numbers = np.atleast_1d(gradient) if is_numeric(gradient) else np.zeros(1)
    where = tuple(int(k) for k in np.argwhere(numbers)[0]) if numbers.any() else ()
    what = describe(gradient)
    if where:
        at = f" at {[*where]}" if np.ndim(gradient) else ""
        what = f"{numbers[where]:.6g}{at}"
    message = f"gradient of {name} is {what}; expected None or zeros, because {name} is {describe(value)}"
    yield Finding("contract", name, "gradient-of-constant", message)


def _is_zero(gradient: Any) -> bool:
    """Whether a gradient says that there is none: ``None``, zeros, or containers of these."""
    items = items_of(gradient)
    if items is not None:
        return all(map(_is_zero, items.values()))
    if gradient is None or getattr(gradient, "dtype", None) == JAX_ZERO:
        return True
    return is_numeric(gradient) and not np.any(gradient)


def _is_same_constant(gradient: Any, value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return isinstance(gradient, np.ndarray) and same(gradient, value)
    try:
        return bool(gradient is value or (type(gradient) is type(value) and gradient == value))
    except Exception:  # it cannot be compared
        return False


@dataclass(frozen=True)
class _Expected:
    """What one gradient, or one tangent of an output, has to be like.

    Attributes
    ----------
    word : str
        ``gradient`` or ``tangent``: the first word of the kinds of findings.
    of : str
        Whose it is.
    input : str or None
        The input that findings name.
    shape, dtype
        Of the array.
    plain : bool
        Whether it is that of a Python number, which takes on the precision of what it meets.
    real : bool
        Whether it may not be complex.
    label : callable
        Names one entry.
    constant : array of bool or None
        Which entries are not looked at.
    """

    word: str
    of: str
    input: str | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    plain: bool
    real: bool
    label: Callable[[tuple[int, ...]], str]
    constant: npt.NDArray[np.bool_] | None


def defect_of_gradient(problem: Problem, i: int, gradient: Any) -> Finding | None:
    """Say what is wrong with the gradient of an input, if anything is."""
    return _defect(_gradient_of(problem, i), gradient)


def defect_of_tangent(problem: Problem, k: int, tangent: Any) -> Finding | None:
    """Say what is wrong with the tangent of an output, if anything is."""
    return _defect(_tangent_of(problem, k), tangent)


def _gradient_of(problem: Problem, i: int) -> _Expected:
    name, value = problem.names[i], problem.arguments.values[i]
    fixed = problem.by_entry(i, problem.fixed[i]) if i in problem.fixed else None
    return _Expected(
        "gradient",
        name,
        name,
        problem.arguments.shape(i),
        np.asarray(value).dtype,
        plain=type(value) in (float, complex),
        real=False,  # that of a real input may have an imaginary part that is nothing but rounding
        label=lambda index: problem.arguments.label(i, index),
        constant=fixed,
    )


def _tangent_of(problem: Problem, k: int) -> _Expected:
    form = problem.form
    return _Expected(
        "tangent",
        form.name(k),
        None,
        form.shapes[k],
        form.dtypes[k],
        plain=False,
        real=True,
        label=lambda index: form.label(k, index),
        constant=form.parted(problem.left_out)[k] if problem.left_out is not None else None,
    )


def _defect(expected: _Expected, array: Any) -> Finding | None:
    """Say what is wrong with what was returned in the place of one array."""
    word, shape, dtype = expected.word, expected.shape, expected.dtype

    def finding(kind: str, message: str) -> Finding:
        return Finding("contract", expected.input, kind, f"{word} of {expected.of} {message}")

    if array is None:
        return finding(f"{word}-none", f"is None; expected an array of shape {shape}")
    masked = isinstance(array, np.ma.MaskedArray)
    if not is_numeric(array, booleans=False) or masked or (expected.real and is_complex_array(array)):
        given = f"{'masked: ' if masked else ''}{describe(array)}"
        return finding(f"{word}-dtype", f"is {given}; expected a {dtype} array")
    array = np.asarray(array)
    if array.shape != shape:
        return finding(f"{word}-shape", f"has shape {array.shape}; expected {shape}, that of {expected.of}")
    finite = np.isfinite(array)
    if expected.constant is not None:
        finite |= expected.constant
    if not finite.all():
        index = tuple(int(k) for k in np.argwhere(~finite)[0])
        count = counted(int((~finite).sum()), "entry", "entries")
        return finding("not-finite", f"is {array[index]} at {expected.label(index)} ({count} not finite)")
    if is_floating(array.dtype) and not expected.plain and loses_digits(array.dtype, dtype):
        return finding(f"{word}-dtype", f"is {array.dtype}, and {expected.of} is {dtype}: digits are lost")
    return None


def is_complex_array(array: Any) -> bool:
    """Whether an array is complex."""
    return is_complex(np.asarray(array).dtype)


def is_numeric(gradient: Any, *, booleans: bool = True) -> bool:
    """Whether a gradient is a number, or an array of them."""
    return is_number(gradient) and (booleans or np.asarray(gradient).dtype.kind != "b")
