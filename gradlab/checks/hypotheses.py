"""What people get wrong: each hypothesis says what the right gradient would be, were it the cause.

A hypothesis is made from the evidence at one point. Its prediction can then be computed at any other point,
so that it is tested, and not only fitted. Adding one is a function and a line in `HYPOTHESES`; they stand
there simplest first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import methodcaller

import numpy as np
import numpy.typing as npt

from gradlab.checks.directions import SingleEntry
from gradlab.checks.evidence import Evidence, shape_of
from gradlab.checks.returned import raw_gradients
from gradlab.numerics import Array
from gradlab.problem import RuleRaised

Prediction = Callable[[Evidence], Sequence[Array | None]]
Term = Callable[[Evidence], list[Array]]

DISTINCT = 4  # entries at least, for an order to be evidence
ROUGHLY = 1e-3  # likewise, for a factor that is then tested exactly
NAMED = 1e-6  # relative: how near a factor has to be to a number to be called that


@dataclass(frozen=True)
class Hypothesis:
    """A possible cause, and the gradient that it predicts.

    Attributes
    ----------
    code : str
        The cause's stable name.
    message : str
        What is wrong and what to change.
    predict : callable
        ``predict(evidence) -> gradients``: the right gradient at a point, one for each upstream; ``None`` for
        one where the hypothesis makes no sense.
    constants : int
        How many numbers were fitted.
    other : str or None
        Another input whose gradient has to be wrong too.
    mirrored : bool
        Whether it has to hold at ``-x`` too: numbers of one sign hide a forgotten absolute value.
    """

    code: str
    message: str
    predict: Prediction
    constants: int = 0
    other: str | None = None
    mirrored: bool = False


def sign(e: Evidence) -> Iterator[Hypothesis]:
    """Return the negative."""
    yield Hypothesis(
        "sign", f"gradient of {e.name} has the opposite sign: negate it", _scaled(-1.0), mirrored=True
    )


def factor(e: Evidence) -> Iterator[Hypothesis]:
    """Return a constant multiple, named after a size where it equals one."""
    ratio = _ratio(e)
    if ratio is None or abs(abs(ratio) - 1) < NAMED:
        return
    sizes = _sizes(e)
    summed = _summed_over(e)
    for count in sorted({size for size in sizes if size > 2}):
        if count in summed and _is_degree(e, count):
            continue  # a forgotten exponent gives the same factor
        what = f"{_size_in_words(e, count, sizes)} = {count}"
        if count in summed and _near(ratio, count, ROUGHLY):
            message = f"gradient of {e.name} is averaged where it has to be summed: multiply it by {what}"
            yield Hypothesis("averaged-instead-of-summed", message, _scaled(float(count)), mirrored=True)
        if count in summed and _near(ratio, 1 / count, ROUGHLY):
            message = f"gradient of {e.name} is summed where it has to be averaged: divide it by {what}"
            yield Hypothesis("summed-instead-of-averaged", message, _scaled(1 / count), mirrored=True)
    yield Hypothesis("factor", _factor_in_words(e, ratio, sizes), _scaled(ratio), constants=1, mirrored=True)


def transposed(e: Evidence) -> Iterator[Hypothesis]:
    """Return the transpose: of the gradient itself, or of an input that it is computed from."""
    swapped = (*e.shape[:-2], *e.shape[:-3:-1])
    if len(e.shape) >= 2 and shape_of(e.returned[0], e.position) == swapped:
        message = f"gradient of {e.name} is transposed: return its transpose"
        yield Hypothesis("transposed", message, _rearranged(lambda g: g.swapaxes(-1, -2)))
    for j in e.problem.wrt:
        shape = e.value(j).shape
        if len(shape) >= 2 and shape[-1] == shape[-2] > 1:
            other = e.problem.names[j]
            message = f"gradient of {e.name} uses {other} where it has to use its transpose: write {other}.T"
            yield Hypothesis("transposed", message, _with_transposed(j))


def permuted(e: Evidence) -> Iterator[Hypothesis]:
    """Exchange, reverse or roll axes."""
    name = e.name
    raw = e.returned[0].get(e.position)
    if raw is None or raw.shape != e.shape:
        return
    for axes in itertools.permutations(range(len(e.shape))):
        identity = axes == tuple(sorted(axes))
        if not identity and len(axes) > 2 and tuple(e.shape[a] for a in axes) == e.shape:
            message = f"gradient of {name} has its axes in another order: it is right after transpose{axes}"
            yield Hypothesis("permuted", message, _rearranged(partial(np.transpose, axes=axes)))
    for axis, length in enumerate(e.shape):
        if length > 1:
            along = f" along axis {axis}" if len(e.shape) > 1 else ""
            message = f"gradient of {name} is in reverse order{along}: reverse it"
            yield Hypothesis("permuted", message, _rearranged(partial(np.flip, axis=axis)))
        for shift in (1, -1) if length > 2 else ():
            way = "late" if shift < 0 else "early"
            message = f"gradient of {name} is rolled by one{along}: every entry stands one place too {way}"
            yield Hypothesis("permuted", message, _rearranged(partial(np.roll, shift=shift, axis=axis)))
    order = _order(e, raw)
    if order is not None:
        message = f"gradient of {name} holds the right entries in another order"
        yield Hypothesis("permuted", message, _rearranged(partial(_reordered, order)))


def swapped_inputs(e: Evidence) -> Iterator[Hypothesis]:
    """Return the gradient of another input."""
    for j in e.problem.wrt:
        if j != e.position and shape_of(e.returned[0], j) == e.shape:
            other = e.problem.names[j]
            message = f"backward returns the gradient of {e.name} in the place of that of {other}: swap them"
            yield Hypothesis("swapped-inputs", message, partial(_of_input, j), other=other)


def not_summed_over_broadcast(e: Evidence) -> Iterator[Hypothesis]:
    """Sum over the axes along which the input was broadcast."""
    raw = e.returned[0].get(e.position)
    if raw is None or raw.size <= int(np.prod(e.shape)):
        return
    for axes in _broadcast_axes(raw.shape, e.shape):
        message = (
            f"gradient of {e.name} has the broadcast shape {raw.shape}: sum it over axis "
            f"{' and '.join(map(str, axes))}, along which {e.name} was broadcast"
        )
        yield Hypothesis("not-summed-over-broadcast", message, _rearranged(partial(_summed, axes, e.shape)))


def missing_term(e: Evidence) -> Iterator[Hypothesis]:
    """Add a multiple of the upstream gradient, the input, the output, or of a product of them."""
    for words, term in _terms(e).items():
        coefficient = _fitted(e, term(e))
        if coefficient is None:
            continue
        size = "" if _near(abs(coefficient), 1) else f"{abs(coefficient):.6g} * "
        change = f"{'subtract' if coefficient < 0 else 'add'} {size}{words}"

        def predict(p: Evidence, term: Term = term, c: float = coefficient) -> list[Array | None]:
            gradients = (p.gradient(s) for s in range(len(p.upstreams)))
            return [None if g is None else g + c * t for g, t in zip(gradients, term(p), strict=True)]

        yield Hypothesis(
            "missing-term", f"gradient of {e.name} misses a term: {change}", predict, constants=1
        )


HYPOTHESES = (
    sign,
    factor,
    transposed,
    permuted,
    swapped_inputs,
    not_summed_over_broadcast,
    missing_term,
)


def _scaled(c: float) -> Prediction:
    def predict(e: Evidence) -> list[Array | None]:
        gradients = (e.gradient(s) for s in range(len(e.upstreams)))
        return [None if g is None else c * g for g in gradients]

    return predict


def _rearranged(change: Callable[[Array], Array]) -> Prediction:
    def predict(e: Evidence) -> list[Array | None]:
        raw = (returned.get(e.position) for returned in e.returned)
        return [None if g is None else np.asarray(change(g)) for g in raw]

    return predict


def _of_input(j: int, e: Evidence) -> list[Array | None]:
    return [returned.get(j) for returned in e.returned]


def _with_transposed(j: int) -> Prediction:
    """Predict what backward returns when one of its inputs is transposed."""

    def predict(e: Evidence) -> list[Array | None]:
        displaced = {**e.displaced, j: e.value(j).swapaxes(-1, -2).copy()}
        given = {i: np.asarray(x).astype(e.problem.arguments.value(i).dtype) for i, x in displaced.items()}
        try:
            answers = [e.problem.call_backward(u, displaced=dict(given)) for u in e.upstreams]
        except RuleRaised:
            return [None for _ in e.upstreams]
        return [raw_gradients(e.problem, answer).get(e.position) for answer in answers]

    return predict


def _order(e: Evidence, gradient: Array) -> npt.NDArray[np.intp] | None:
    """Return the order in which the entries of the gradient would be right, if each was probed."""
    singles = [(k, d.index) for k, d in enumerate(e.directions) if isinstance(d, SingleEntry)]
    if len(singles) < gradient.size or gradient.size < DISTINCT:
        return None
    right = np.empty(gradient.size)
    right[[index for _, index in singles]] = e.numeric[[k for k, _ in singles], 0]
    order = np.empty(gradient.size, dtype=np.intp)
    order[np.argsort(right, kind="stable")] = np.argsort(gradient.ravel(), kind="stable")
    return order


def _reordered(order: npt.NDArray[np.intp], gradient: Array) -> Array:
    return gradient.ravel()[order].reshape(gradient.shape)


def _ratio(e: Evidence) -> float | None:
    """Return what the gradient has to be multiplied by, from the derivative that is known best."""
    gradients = [e.gradient(s) for s in range(len(e.upstreams))]
    if any(g is None for g in gradients):
        return None
    analytic = e.along([g for g in gradients if g is not None])
    with np.errstate(divide="ignore", invalid="ignore"):
        known = np.where(np.abs(e.numeric) > 0, e.error_bar / np.abs(e.numeric), np.inf)
    k = np.unravel_index(int(np.argmin(known)), known.shape)
    ratio = float(e.numeric[k] / analytic[k]) if analytic[k] else 0.0
    return ratio if ratio and np.isfinite(ratio) else None


def _near(value: float, target: float, relative: float = NAMED) -> bool:
    return abs(value - target) <= relative * abs(target)


def _sizes(e: Evidence) -> dict[int, list[str]]:
    """Return the sizes of all arrays, each with what it is the size of, the input's own first."""
    problem = e.problem
    shapes = {problem.names[i]: np.shape(problem.arguments.values[i]) for i in range(len(problem.names))}
    if not problem.form.several:
        shapes["output"] = problem.form.shape
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
        array = np.asarray(value)
        if array.size > 1 and array.dtype.kind in "fiub" and np.isin(array, (0, 1)).all():
            yield name, int(array.sum())


def _size_in_words(e: Evidence, count: int, sizes: dict[int, list[str]]) -> str:
    """Name a size by the input's own axis if forward reduces that, and otherwise by another array."""
    own, output = list(e.shape), list(e.problem.form.shape)
    if count in _products(_without(own, output)):
        return sizes[count][0]
    others = (words for words in sizes[count] if not words.startswith(f"{e.name}."))
    return next(others, sizes[count][0])


def _is_degree(e: Evidence, count: int) -> bool:
    """Whether forward is homogeneous of this degree in the input, by Euler's theorem ``⟨x, ∇f⟩ = p f``."""
    singles = [(k, d.index) for k, d in enumerate(e.directions) if isinstance(d, SingleEntry)]
    x = e.value(e.position).ravel()
    if len(singles) < x.size:
        return False
    for s, u in enumerate(e.upstreams):
        terms = np.array([x[index] * e.numeric[k, s] for k, index in singles])
        if abs(terms.sum() - count * (u @ e.output)) > NAMED * np.abs(terms).sum():
            return False
    return True


def _summed_over(e: Evidence) -> set[int]:
    """Return over how many terms a gradient of this input may be a sum or a mean.

    Those are the axes of the output that the input does not have, along which it is broadcast or contracted,
    and the axes of an input that the output does not have, along which forward reduces.
    """
    output = list(e.problem.form.shape)
    counts: set[int] = set()
    for i in range(len(e.problem.names)):
        own = list(np.shape(e.problem.arguments.values[i]))
        if i == e.position:
            counts |= _products(_without(output, own))
        counts |= _products(_without(own, output))
    return counts | {count for _, count in _masks(e)}


def _without(sizes: list[int], others: list[int]) -> list[int]:
    rest = list(sizes)
    for size in others:
        if size in rest:
            rest.remove(size)
    return rest


def _products(sizes: list[int]) -> set[int]:
    subsets = itertools.chain.from_iterable(
        itertools.combinations(sizes, count) for count in range(1, len(sizes) + 1)
    )
    return {int(np.prod(subset)) for subset in subsets}


def _factor_in_words(e: Evidence, ratio: float, sizes: dict[int, list[str]]) -> str:
    large = abs(ratio) < 1
    times = 1 / abs(ratio) if large else abs(ratio)
    whole = round(times)
    called = f"{whole}" if _near(times, whole) else f"{times:.6g}"
    message = f"gradient of {e.name} is {called} times too {'large' if large else 'small'}"
    message += " and has the opposite sign" if ratio < 0 else ""
    names = [words for words in sizes.get(whole, [])[:2] if _near(times, whole)]
    if names:
        message += f" ({' = '.join([called, *names])})"
    return f"{message}: {'divide' if large else 'multiply'} it by {'-' if ratio < 0 else ''}{called}"


def _broadcast_axes(raw: tuple[int, ...], shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the sets of axes to sum over so that ``raw`` becomes ``shape``, but for axes of size 1."""
    essential = [size for size in shape if size != 1]
    for count in range(1, len(raw) + 1):
        for axes in itertools.combinations(range(len(raw)), count):
            rest = [size for axis, size in enumerate(raw) if axis not in axes and size != 1]
            if rest == essential and all(raw[axis] != 1 for axis in axes):
                yield axes


def _summed(axes: tuple[int, ...], shape: tuple[int, ...], gradient: Array) -> Array:
    return np.asarray(gradient.sum(axis=axes)).reshape(shape)


def _terms(e: Evidence) -> dict[str, Term]:
    """Return the terms that a gradient may miss: functions that give one array for each upstream.

    They are linear in the upstream gradient, as every gradient is, and of the input's shape.
    """
    problem = e.problem
    output = problem.form.shape
    if problem.form.several or output != e.shape[: len(output)]:
        return {}
    factors: dict[str, Callable[[Evidence], Array]] = {
        problem.names[i]: methodcaller("value", i) for i in problem.wrt if e.value(i).shape in ((), e.shape)
    }
    factors["output"] = lambda p: _spread(p, p.output)
    terms: dict[str, Term] = {}
    for count in range(3):
        for names in itertools.combinations_with_replacement(factors, count):
            chosen = tuple(factors[name] for name in names)
            terms[" * ".join(["grad_output", *names])] = _product(chosen)
    for axis in range(len(output) if output == e.shape else 0):
        terms[f"grad_output.sum(axis={axis}, keepdims=True)"] = _sum_along(axis)
    return terms


def _product(factors: Sequence[Callable[[Evidence], Array]]) -> Term:
    def term(e: Evidence) -> list[Array]:
        upstreams = (_spread(e, u) for u in e.upstreams)
        products = (reduce(np.multiply, (f(e) for f in factors), u) for u in upstreams)
        return [np.broadcast_to(product, e.shape) for product in products]

    return term


def _spread(e: Evidence, vector: Array) -> Array:
    """Return an output, or an upstream gradient, with axes of size 1 for those that forward reduces."""
    shape = e.problem.form.shape
    return vector.reshape(shape + (1,) * (len(e.shape) - len(shape)))


def _sum_along(axis: int) -> Term:
    def term(e: Evidence) -> list[Array]:
        upstreams = (u.reshape(e.problem.form.shape) for u in e.upstreams)
        return [np.broadcast_to(u.sum(axis=axis, keepdims=True), e.shape) for u in upstreams]

    return term


def _fitted(e: Evidence, term: list[Array]) -> float | None:
    """Return the coefficient with which a term explains what is missing at the clearest derivative."""
    gradients = [e.gradient(s) for s in range(len(e.upstreams))]
    if any(g is None for g in gradients):
        return None
    missing = e.numeric - e.along([g for g in gradients if g is not None])
    there = e.along(term)
    with np.errstate(divide="ignore", invalid="ignore"):
        clarity = np.abs(missing) / (e.error_bar + np.finfo(np.float64).tiny) * (there != 0)
    k = np.unravel_index(int(np.argmax(clarity)), clarity.shape)
    if not there[k] or abs(missing[k]) <= e.error_bar[k]:
        return None
    coefficient = float(missing[k] / there[k])
    rounded = round(coefficient, 6)
    return rounded if rounded and _near(coefficient, rounded) else coefficient
