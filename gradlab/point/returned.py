"""What backward and jvp returned, read as one array for each leaf or output: its form, shape and kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array
from gradlab.numerics.dtypes import is_complex, is_floating, is_storage, limits, loses_digits, widened
from gradlab.point.matching import PLAIN, match
from gradlab.point.nonfinite import about_gradient
from gradlab.point.outputs import flatten
from gradlab.point.pairs import gradient_as_pairs, with_partners
from gradlab.point.problem import Problem
from gradlab.point.trees import items_of
from gradlab.point.values import describe, is_number, same
from gradlab.report import Finding
from gradlab.words import counted

JAX_ZERO = np.dtype([("float0", "V")])  # of JAX's gradients of integers, which hold nothing


def read_gradients(problem: Problem, returned: Any) -> tuple[dict[int, Array], list[Finding]]:
    """Match what backward returned with the leaves of the inputs.

    Backward may return one gradient for every input, or one for every floating-point input, or one for
    every input that is differentiated, each nested as the input is; a bare array stands for a single
    gradient, a dict is read by name.

    Where outputs are left out, entries without a finite gradient in the first answer that is read, which is
    that at the point itself, are constants from then on, by `Problem.fixed`.

    Parameters
    ----------
    problem : Problem
        The point at which backward was called.
    returned : object
        What it returned.

    Returns
    -------
    gradients : dict of int to Array
        The gradients that can be compared, by position, each as `Problem.value` has its input, in float64;
        zero at entries that are constants.
    findings : list of Finding
        What is wrong with the others.
    """
    found = match(problem.arguments, returned)
    findings = [_misfit(problem, name, what) for name, what in found.misfits]
    gradients: dict[int, Array] = {}
    floating, wrt, paired = problem.arguments.floating, problem.wrt, problem.arguments.paired
    for i, gradient in found.gradients.items():
        if i not in floating:
            findings += _of_a_constant(problem, i, gradient)
        if i not in wrt:
            continue
        x = problem.arguments.value(i)
        if i not in problem.fixed and not paired[i] and _is_plain(gradient, x.shape, x.dtype):
            gradients[i] = np.array(gradient, order="C")
            continue
        finding = _defect(_gradient_of(problem, i), gradient)
        if finding is not None and finding.kind == "not-finite" and _accepted(problem, i, gradient):
            finding = _defect(_gradient_of(problem, i), gradient)
        if finding is not None:
            findings.append(finding)
        # A gradient of another shape with as many entries can still be compared: is it only the shape?
        if _comparable(problem, i, gradient):
            gradients[i] = in_real_numbers(problem, i, gradient).reshape(problem.arguments.value(i).shape)
            dtype = np.asarray(gradient).dtype
            if is_floating(dtype) and is_storage(dtype):  # then it is no more precise than that
                problem.given_eps = max(problem.given_eps, float(limits(dtype).eps))
            if i in problem.fixed:
                gradients[i][problem.fixed[i]] = 0
    problem.fixed_is_final = True
    return gradients, findings


def _is_plain(array: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether what was returned is finite, in float64, and expected so: nothing to examine.

    That is by far the most frequent.
    """
    return (
        type(array) in PLAIN
        and array.dtype == dtype == np.float64
        and array.shape == shape
        and bool(np.isfinite(array).all() if shape else math.isfinite(array))
    )


def read_tangents(problem: Problem, returned: Any) -> tuple[dict[int, Array], list[Finding]]:
    """Match what jvp returned with the outputs.

    It has the form of the output: one array, or a tuple or list of as many as there are outputs.

    Parameters
    ----------
    problem : Problem
        The point at which jvp was called.
    returned : object
        What it returned.

    Returns
    -------
    tangents : dict of int to Array
        Those that can be compared, by the position of the output, each in its shape, in float64; zero
        where outputs are left out.
    findings : list of Finding
        What is wrong with the others.
    """
    form = problem.form
    given = returned if form.several else (returned,)
    if not isinstance(given, tuple | list) or len(given) != len(form.shapes):
        count = counted(len(form.shapes), "array")
        message = f"jvp returns {describe(returned)}; expected a tuple of {count}, one for each output"
        return {}, [Finding("contract", None, "tangent-count", message)]
    if not form.several and isinstance(returned, tuple | list):
        message = f"jvp returns {describe(returned)}; expected one array, the tangent of the output alone"
        return {}, [Finding("contract", None, "tangent-count", message)]
    findings, tangents = [], {}
    for k, tangent in enumerate(given):
        if problem.left_out is None and _is_plain(tangent, form.shapes[k], form.dtypes[k]):
            tangents[k] = np.array(tangent, order="C")
            continue
        finding = _defect(_tangent_of(problem, k), tangent)
        if finding is not None:
            findings.append(finding)
        real = _is_numeric(tangent, booleans=False) and not _is_complex(tangent)
        if real and np.size(tangent) == form.sizes[k]:
            tangents[k] = np.array(tangent, dtype=np.float64).reshape(form.shapes[k])
            if problem.left_out is not None:
                tangents[k][form.parted(problem.left_out)[k]] = 0
    return tangents, findings


def flat_tangent(problem: Problem, returned: Any) -> Array:
    """Return what jvp returned as one vector, as the outputs are; NaN where it has another form."""
    form = problem.form
    if not form.several and problem.left_out is None and _is_plain(returned, form.shapes[0], form.dtypes[0]):
        return np.array(returned, order="C").reshape(-1)  # by far the most frequent
    tangents, _ = read_tangents(problem, returned)
    if len(tangents) < len(form.shapes):
        return np.full(form.size, np.nan)
    return flatten([tangents[k] for k in range(len(tangents))])


def raw_gradients(problem: Problem, returned: Any) -> dict[int, npt.NDArray[Any]]:
    """Return the numeric gradients that backward returned, by position, each in the shape it came in.

    They are in float64, or complex128, as backward writes them.
    """
    by_position = match(problem.arguments, returned).gradients
    raw = {
        i: np.array(by_position[i], dtype=widened(np.asarray(by_position[i]).dtype))
        for i in problem.wrt
        if i in by_position and _is_numeric(by_position[i])
    }
    for i, mask in problem.fixed.items():
        own = problem.by_entry(i, mask)
        if i in raw and raw[i].shape == own.shape:
            raw[i][own] = 0
    return raw


def in_real_numbers(problem: Problem, i: int, gradient: Any) -> Array:
    """Return a gradient of one input as it is compared: in float64, that of a complex input as pairs."""
    return gradient_as_pairs(gradient, paired=problem.arguments.paired[i], convention=problem.convention)


def imaginary_parts(problem: Problem, returned: Any) -> dict[int, Array]:
    """Return the imaginary parts of what backward returned for real inputs, where there are any."""
    arrays = returned if isinstance(returned, tuple) else (returned,)
    if all(type(array) in PLAIN and array.dtype.kind != "c" for array in arrays):
        return {}  # by far the most frequent
    found = {}
    for i, gradient in match(problem.arguments, returned).gradients.items():
        real = i in problem.wrt and not problem.arguments.paired[i]
        if real and np.iscomplexobj(gradient) and _comparable(problem, i, gradient):
            imaginary = np.array(np.imag(gradient), dtype=np.float64)
            if imaginary.any():
                found[i] = imaginary.reshape(problem.value(i).shape)
    return found


def _misfit(problem: Problem, name: str, what: str) -> Finding:
    message = f"gradient of {name} {what}" if name else f"backward {what}"
    return Finding("contract", name if name in problem.names else None, "gradient-count", message)


def _of_a_constant(problem: Problem, i: int, gradient: Any) -> Iterator[Finding]:
    name, value = problem.names[i], problem.arguments.values[i]
    # A number by itself would be taken for its gradient; in a copy of the inputs with the gradients put in,
    # it is what stood there.
    may_be_kept = i not in problem.arguments.tree.children or not _is_numeric(value)
    if _is_zero(gradient) or (may_be_kept and _is_same_constant(gradient, value)):
        return
    numbers = np.atleast_1d(gradient) if _is_numeric(gradient) else np.zeros(1)
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
    return _is_numeric(gradient) and not np.any(gradient)


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
    if not _is_numeric(array, booleans=False) or masked or (expected.real and _is_complex(array)):
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


def _accepted(problem: Problem, i: int, gradient: Any) -> bool:
    """Take entries that are not finite for constants where outputs are left out; return whether they are."""
    if problem.left_out is None or problem.fixed_is_final:
        return False
    wrong = ~np.isfinite(in_real_numbers(problem, i, gradient))
    if problem.arguments.paired[i]:
        wrong = with_partners(wrong)
    fixed = problem.fixed.get(i, np.zeros_like(wrong))
    if (wrong | fixed).all():
        return False  # then nothing of this input would be compared
    problem.fixed[i] = wrong | fixed
    problem.notes.append(about_gradient(problem.names[i], problem.by_entry(i, wrong & ~fixed)))
    return True


def _is_complex(array: Any) -> bool:
    return is_complex(np.asarray(array).dtype)


def _comparable(problem: Problem, i: int, gradient: Any) -> bool:
    same_size = np.size(gradient) == math.prod(problem.arguments.shape(i))
    return _is_numeric(gradient, booleans=False) and bool(same_size)


def _is_numeric(gradient: Any, *, booleans: bool = True) -> bool:
    """Whether a gradient is a number, or an array of them."""
    return is_number(gradient) and (booleans or np.asarray(gradient).dtype.kind != "b")
