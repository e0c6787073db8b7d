"""What backward and jvp returned, read as one array for each leaf or output: its form, shape and kind."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array
from gradlab.numerics.dtypes import is_floating, is_storage, limits, widened
from gradlab.point.defects import (
    defect_of_gradient,
    defect_of_tangent,
    is_complex_array,
    is_numeric,
    misfit,
    of_a_constant,
)
from gradlab.point.matching import PLAIN, match
from gradlab.point.nonfinite import about_gradient
from gradlab.point.outputs import flatten
from gradlab.point.pairs import gradient_as_pairs, with_partners
from gradlab.point.problem import Problem
from gradlab.point.values import describe
from gradlab.report import Finding
from gradlab.words import counted


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
    findings = [misfit(problem, name, what) for name, what in found.misfits]
    gradients: dict[int, Array] = {}
    floating, wrt, paired = problem.arguments.floating, problem.wrt, problem.arguments.paired
    for i, gradient in found.gradients.items():
        if i not in floating:
            findings += of_a_constant(problem, i, gradient)
        if i not in wrt:
            continue
        x = problem.arguments.value(i)
        if i not in problem.fixed and not paired[i] and _is_plain(gradient, x.shape, x.dtype):
            gradients[i] = np.array(gradient, order="C")
            continue
        finding = defect_of_gradient(problem, i, gradient)
        if finding is not None and finding.kind == "not-finite" and _accepted(problem, i, gradient):
            finding = defect_of_gradient(problem, i, gradient)
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
        and (math.isfinite(array) if not shape else np.count_nonzero(np.isfinite(array)) == array.size)
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
        finding = defect_of_tangent(problem, k, tangent)
        if finding is not None:
            findings.append(finding)
        real = is_numeric(tangent, booleans=False) and not is_complex_array(tangent)
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
        if i in by_position and is_numeric(by_position[i])
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


def _comparable(problem: Problem, i: int, gradient: Any) -> bool:
    same_size = np.size(gradient) == math.prod(problem.arguments.shape(i))
    return is_numeric(gradient, booleans=False) and bool(same_size)
