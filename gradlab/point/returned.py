"""What backward returned, matched with the inputs: count, shape, kind, finiteness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradlab.numerics import Array
from gradlab.point.problem import Problem
from gradlab.point.values import describe
from gradlab.report import Finding
from gradlab.words import counted


def read_gradients(problem: Problem, returned: Any) -> tuple[dict[int, Array], list[Finding]]:
    """Match what backward returned with the inputs.

    Backward may return one gradient for every input, or one for every floating-point input, or one for
    every input that is differentiated; a bare array stands for a single gradient, a dict is read by name.

    Parameters
    ----------
    problem : Problem
        The point at which backward was called.
    returned : object
        What it returned.

    Returns
    -------
    gradients : dict of int to Array
        The gradients that can be compared, by position, each in its input's shape, in float64.
    findings : list of Finding
        What is wrong with the others.
    """
    by_position, findings = _match(problem, returned)
    gradients: dict[int, Array] = {}
    for i, gradient in by_position.items():
        finding = _defect(problem, i, gradient)
        if finding is not None:
            findings.append(finding)
        # A gradient of another shape with as many entries can still be compared: is it only the shape?
        if _comparable(problem, i, gradient):
            gradients[i] = np.array(gradient, dtype=np.float64).reshape(problem.arguments.value(i).shape)
    return gradients, findings


def raw_gradients(problem: Problem, returned: Any) -> dict[int, Array]:
    """Return the numeric gradients that backward returned, by position, each in the shape it came in."""
    by_position, _ = _match(problem, returned)
    return {
        i: np.array(gradient, dtype=np.float64)
        for i, gradient in by_position.items()
        if isinstance(gradient, np.ndarray | np.generic | int | float)
        and np.asarray(gradient).dtype.kind in "fiu"
    }


def _match(problem: Problem, returned: Any) -> tuple[dict[int, Any], list[Finding]]:
    names = problem.names
    if isinstance(returned, Mapping):
        unknown = [str(name) for name in returned if name not in names]
        findings = []
        if unknown:
            extra = ", ".join(unknown)
            message = f"backward returns a gradient for {extra}; the inputs are {', '.join(names)}"
            findings.append(Finding("contract", None, "gradient-count", message))
        return {i: returned.get(names[i]) for i in problem.wrt}, findings
    gradients = returned if isinstance(returned, tuple | list) else (returned,)
    everything = tuple(range(len(names)))
    for positions in (everything, problem.arguments.floating, problem.wrt):
        if len(gradients) == len(positions):
            matched = dict(zip(positions, gradients, strict=True))
            return {i: matched[i] for i in problem.wrt}, []
    message = (
        f"backward returns {counted(len(gradients), 'gradient')}; expected {len(everything)}, "
        f"one for each of {', '.join(names)}"
    )
    if len(problem.wrt) < len(everything):
        message += f" (or {len(problem.wrt)}, for {', '.join(names[i] for i in problem.wrt)})"
    return {}, [Finding("contract", None, "gradient-count", message)]


def _defect(problem: Problem, i: int, gradient: Any) -> Finding | None:
    name, value = problem.names[i], problem.arguments.value(i)

    def finding(kind: str, message: str) -> Finding:
        return Finding("contract", name, kind, f"gradient of {name} {message}")

    if gradient is None:
        return finding("gradient-none", f"is None; expected an array of shape {value.shape}")
    array = np.asarray(gradient) if isinstance(gradient, np.ndarray | np.generic | int | float) else None
    if array is None or array.dtype.kind not in "fiu" or isinstance(gradient, np.ma.MaskedArray):
        masked = "masked: " if isinstance(gradient, np.ma.MaskedArray) else ""
        return finding("gradient-dtype", f"is {masked}{describe(gradient)}; expected a {value.dtype} array")
    if array.shape != value.shape:
        return finding("gradient-shape", f"has shape {array.shape}; expected {value.shape}, that of {name}")
    finite = np.isfinite(array)
    if not finite.all():
        index = tuple(int(k) for k in np.argwhere(~finite)[0])
        count = counted(int((~finite).sum()), "entry", "entries")
        return finding(
            "not-finite", f"is {array[index]} at {problem.arguments.label(i, index)} ({count} not finite)"
        )
    return None


def _comparable(problem: Problem, i: int, gradient: Any) -> bool:
    if not isinstance(gradient, np.ndarray | np.generic | int | float):
        return False
    array = np.asarray(gradient)
    return array.dtype.kind in "fiu" and array.size == problem.arguments.value(i).size
