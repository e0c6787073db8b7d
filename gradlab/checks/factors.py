"""The constant factor by which a gradient is off, and what it may be: a number of terms, a size, or a number.

A gradient that is off by the number of terms of a sum was averaged where it has to be summed, or the reverse.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from gradlab.checks.evidence import Evidence
from gradlab.point.values import as_array

NAMED = 1e-6  # relative: how near a factor has to be to a number to be called that


def near(value: float, target: float, relative: float = NAMED) -> bool:
    """Whether a number that was fitted may be called by another."""
    return abs(value - target) <= relative * abs(target)


def fitted_factor(e: Evidence) -> float | None:
    """Return what the gradient has to be multiplied by, from the derivative that is known best."""
    if e.gradients is None:
        return None
    analytic = e.along(e.gradients)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative_bar = np.where(np.abs(e.numeric) > 0, e.error_bar / np.abs(e.numeric), np.inf)
    k = np.unravel_index(int(np.argmin(relative_bar)), relative_bar.shape)
    ratio = float(e.numeric[k] / analytic[k]) if analytic[k] else 0.0
    return ratio if ratio and np.isfinite(ratio) else None


def factor_in_words(e: Evidence, ratio: float) -> str:
    """Return the sentence that says by which factor a gradient is off, and which sizes that is."""
    large = abs(ratio) < 1
    times = 1 / abs(ratio) if large else abs(ratio)
    whole = round(times)
    called = f"{whole}" if near(times, whole) else f"{times:.6g}"
    message = f"{e.claim} is {called} times too {'large' if large else 'small'}"
    message += " and has the opposite sign" if ratio < 0 else ""
    names = _sizes(e).get(whole, [])[:2] if near(times, whole) else []
    if names:
        message += f" ({' = '.join([called, *names])})"
    return f"{message}: {'divide' if large else 'multiply'} it by {'-' if ratio < 0 else ''}{called}"


def summed_counts(e: Evidence) -> Iterator[tuple[int, str]]:
    """Yield over how many terms a gradient of this input may be a sum or a mean, each with what it counts.

    Left out are 2, which is the factor of many other mistakes, and a number that is forward's degree in the
    input, for a forgotten exponent gives the same factor.
    """
    sizes = _sizes(e)
    for count in sorted(_summed_over(e) & sizes.keys()):
        if count > 2 and not _is_degree(e, count):
            yield count, f"{_size_in_words(e, count, sizes)} = {count}"


def _sizes(e: Evidence) -> dict[int, list[str]]:
    """Return the sizes of all arrays, each with what it is the size of, the input's own first."""
    problem = e.problem
    leaves = zip(problem.names, problem.arguments.values, strict=True)
    shapes = {name: as_array(value).shape for name, value in leaves}
    if not problem.form.several:
        shapes["output"] = problem.form.shapes[0]
    names = sorted(shapes, key=lambda name: name != e.name)
    found: dict[int, list[str]] = {}
    for name in names:
        for axis, size in enumerate(shapes[name]):
            found.setdefault(size, []).append(f"{name}.shape[{axis}]")
        if len(shapes[name]) > 1:
            found.setdefault(int(np.prod(shapes[name])), []).append(f"{name}.size")
    for name, count in _masks(e):
        found.setdefault(count, []).append(f"{name}.sum()")
    return found


def _masks(e: Evidence) -> Iterator[tuple[str, int]]:
    """Yield the inputs that hold zeros and ones alone, and their sums."""
    for name, value in zip(e.problem.names, e.problem.arguments.values, strict=True):
        array = as_array(value)
        if array.size > 1 and array.dtype.kind in "fiub" and np.isin(array, (0, 1)).all():
            yield name, int(array.sum())


def _summed_over(e: Evidence) -> set[int]:
    """Return the numbers of terms of all sums that a gradient of this input may contain.

    Those are the axes of the output that the input does not have, along which it is broadcast or contracted,
    and the axes of an input that the output does not have, along which forward reduces.
    """
    output = _output_shape(e)
    counts: set[int] = set()
    for i in range(len(e.problem.names)):
        own = list(as_array(e.problem.arguments.values[i]).shape)
        if i == e.position:
            counts |= _products(_without(output, own))
        counts |= _products(_without(own, output))
    return counts | {count for _, count in _masks(e)}


def _output_shape(e: Evidence) -> list[int]:
    form = e.problem.form
    return list(form.shape if form.several else form.shapes[0])


def _size_in_words(e: Evidence, count: int, sizes: dict[int, list[str]]) -> str:
    """Name a size by the input's own axis if forward reduces that, and otherwise by another array."""
    own, output = list(e.shape), _output_shape(e)
    if count in _products(_without(own, output)):
        return sizes[count][0]
    others = (words for words in sizes[count] if not words.startswith(f"{e.name}."))
    return next(others, sizes[count][0])


def _is_degree(e: Evidence, count: int) -> bool:
    """Whether forward is homogeneous of this degree in the input, by Euler's theorem ``⟨x, ∇f⟩ = p f``."""
    directions, entries = e.single_entries
    x = e.real_value(e.position).ravel()
    if len(entries) < x.size:
        return False
    terms = x[entries, None] * e.numeric[directions] / e.directions.divisors[directions, None]
    outputs = np.array([u @ e.output for u in e.upstreams])
    return bool((np.abs(terms.sum(axis=0) - count * outputs) <= NAMED * np.abs(terms).sum(axis=0)).all())


def _without(sizes: list[int], others: list[int]) -> list[int]:
    """Return sizes less those of another shape, each as often as it occurs there."""
    rest = list(sizes)
    for size in others:
        if size in rest:
            rest.remove(size)
    return rest


def _products(sizes: list[int]) -> set[int]:
    """Return the sizes of all sets of axes."""
    subsets = itertools.chain.from_iterable(
        itertools.combinations(sizes, count) for count in range(1, len(sizes) + 1)
    )
    return {int(np.prod(subset)) for subset in subsets}
