"""What people get wrong: each hypothesis says what the right gradient would be, were it the cause.

A hypothesis is made from the evidence at one point. Its prediction can then be computed at any other point,
so that it is tested, and not only fitted. Adding one is a function and a line in `HYPOTHESES`; they stand
there simplest first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from gradlab.checks.evidence import Evidence, Numbers
from gradlab.checks.factors import factor_in_words, fitted_factor, near, summed_counts
from gradlab.checks.terms import Term, fitted_coefficient, terms
from gradlab.numerics import Array, Indices
from gradlab.point.pairs import as_pairs
from gradlab.point.raised import RuleRaised
from gradlab.point.returned import raw_gradients
from gradlab.rule import JAX, TORCH

Prediction: TypeAlias = Callable[[Evidence], Sequence[Numbers] | None]

DISTINCT = 4  # entries at least, for an order to be evidence
NAMES = {TORCH: "torch", JAX: "JAX"}
FORMULAS = {TORCH: "dL/dx + i dL/dy", JAX: "dL/dx - i dL/dy"}
LARGEST_EXPONENT = 100  # beyond, a logarithm is none
SQUARE = 32  # entries at most, of a Jacobian that is transposed column by column
ROUGHLY = 1e-3  # relative: how near a factor has to be to a number of terms for that to be tested exactly


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
        ``predict(evidence) -> gradients``: the right gradient at a point, one for each upstream; ``None``
        where the hypothesis makes no sense.
    constants : int
        How many numbers were fitted.
    others : tuple of str
        Other inputs whose gradients have to be wrong too.
    mirrored : bool
        Whether it has to hold at ``-x`` too: numbers of one sign hide a forgotten absolute value.
    """

    code: str
    message: str
    predict: Prediction
    constants: int = 0
    others: tuple[str, ...] = ()
    mirrored: bool = False


def sign(e: Evidence) -> Iterator[Hypothesis]:
    """Return the negative."""
    yield Hypothesis("sign", f"{e.claim} has the opposite sign: negate it", _scaled(-1.0), mirrored=True)


def factor(e: Evidence) -> Iterator[Hypothesis]:
    """Return a constant multiple, named after a number of terms where it equals one."""
    ratio = fitted_factor(e)
    if ratio is None or near(abs(ratio), 1):
        return
    for count, words in summed_counts(e):
        if near(ratio, count, ROUGHLY):
            message = f"{e.claim} is averaged where it has to be summed: multiply it by {words}"
            yield Hypothesis("averaged-instead-of-summed", message, _scaled(float(count)), mirrored=True)
        if near(ratio, 1 / count, ROUGHLY):
            message = f"{e.claim} is summed where it has to be averaged: divide it by {words}"
            yield Hypothesis("summed-instead-of-averaged", message, _scaled(1 / count), mirrored=True)
    yield Hypothesis("factor", factor_in_words(e, ratio), _scaled(ratio), constants=1, mirrored=True)


def other_variable(e: Evidence) -> Iterator[Hypothesis]:
    """Return to the input from its logarithm or its exponential, by which the gradient was taken."""
    name, x = e.name, e.value(e.position)
    if x.all():
        message = (
            f"gradient of {name} is multiplied by {name}, as a gradient for log({name}): divide it by {name}"
        )
        yield Hypothesis("other-variable", message, _times(lambda x: 1 / x), mirrored=True)
    if (np.abs(x) < LARGEST_EXPONENT).all():
        message = f"gradient of {name} is a gradient for exp({name}): multiply it by exp({name})"
        yield Hypothesis("other-variable", message, _times(np.exp))


def transposed(e: Evidence) -> Iterator[Hypothesis]:
    """Return the transpose: of the gradient itself, or of an input that it is computed from."""
    swapped = (*e.shape[:-2], *e.shape[:-3:-1])
    if len(e.shape) >= 2 and e.returned_shape(e.position) == swapped:
        message = f"{e.claim} is transposed: return its transpose"
        yield Hypothesis("transposed", message, _rearranged(lambda g: g.swapaxes(-1, -2)))
    for j in e.problem.wrt:
        shape = e.value(j).shape
        if len(shape) >= 2 and shape[-1] == shape[-2] > 1:
            other = e.problem.names[j]
            write = f"write {other}.{'T' if len(shape) == 2 else 'mT'}"
            message = f"{e.claim} uses {other} where it has to use its transpose: {write}"
            transpose = partial(np.swapaxes, axis1=-1, axis2=-2)
            yield Hypothesis("transposed", message, _with_input(j, transpose))


def conjugated(e: Evidence) -> Iterator[Hypothesis]:
    """Return the complex conjugate: of all that backward computes, of the gradient, or of an input."""
    problem = e.problem
    if not any(problem.arguments.paired) and not any(problem.form.paired):
        return
    theirs = JAX if problem.convention == TORCH else TORCH
    # Where that is the cause, all gradients are wrong that are not the same in both conventions.
    complex_ones = tuple(problem.names[i] for i in problem.wrt if problem.arguments.paired[i])
    message = (
        f"gradient of {e.name} is right in {NAMES[theirs]}'s convention, {FORMULAS[theirs]} with z = x + iy: "
        f"conjugate the derivatives that grad_output is multiplied by, or say convention={theirs!r}"
    )
    yield Hypothesis("other-convention", message, _in_other_convention, others=complex_ones)
    if e.paired:
        message = f"gradient of {e.name} is the complex conjugate of the right one: return its conjugate"
        yield Hypothesis("conjugated", message, _rearranged(np.conj))
    if any(problem.form.paired):
        message = f"gradient of {e.name} uses the complex conjugate of grad_output: use grad_output itself"
        yield Hypothesis("conjugated", message, _for_conjugated_upstream)
    for j in problem.wrt:
        if problem.arguments.paired[j]:
            other = problem.names[j]
            message = f"gradient of {e.name} uses {other} where it has to use its complex conjugate"
            yield Hypothesis("conjugated", f"{message}: write {other}.conj()", _with_input(j, np.conj))


def transposed_jacobian(e: Evidence) -> Iterator[Hypothesis]:
    """Apply the Jacobian where its transpose belongs, or the other way round."""
    size = int(np.prod(e.shape))
    if not 2 <= size <= SQUARE or e.output.size != size or e.gradients is None or e.paired:
        return
    own, other = ("J.T @ u", "J @ u") if e.problem.role == "backward" else ("J @ v", "J.T @ v")
    message = f"{e.claim} is that of the transposed Jacobian J: {other}, where {own} belongs"
    yield Hypothesis("transposed-jacobian", message, _of_transposed_map)


def permuted(e: Evidence) -> Iterator[Hypothesis]:
    """Exchange, reverse or roll axes."""
    name = e.name
    if e.gradients is None or e.returned_shape(e.position) != e.shape:
        return
    in_order = tuple(range(len(e.shape)))
    for axes in itertools.permutations(in_order):
        if axes != in_order and len(axes) > 2 and tuple(e.shape[a] for a in axes) == e.shape:
            message = f"gradient of {name} has its axes in another order: it is right after transpose{axes}"
            yield Hypothesis("permuted", message, _rearranged(partial(np.transpose, axes=axes)))
    for axis, length in enumerate(e.shape):
        along = f" along axis {axis}" if len(e.shape) > 1 else ""
        if length > 1:
            message = f"gradient of {name} is in reverse order{along}: reverse it"
            yield Hypothesis("permuted", message, _rearranged(partial(np.flip, axis=axis)))
        for shift in (1, -1) if length > 2 else ():
            way = "late" if shift < 0 else "early"
            message = f"gradient of {name} is rolled by one{along}: every entry stands one place too {way}"
            yield Hypothesis("permuted", message, _rearranged(partial(np.roll, shift=shift, axis=axis)))
    order = _order(e, e.gradients[0])
    if order is not None:
        message = f"gradient of {name} holds the right entries in another order"
        yield Hypothesis("permuted", message, _rearranged(partial(_reordered, order)))


def swapped_inputs(e: Evidence) -> Iterator[Hypothesis]:
    """Return the gradient of another input."""
    for j in e.problem.wrt:
        if j != e.position and e.returned_shape(j) == e.shape:
            other = e.problem.names[j]
            message = f"{e.problem.role} returns the {e.claim} in the place of that of {other}: swap them"
            yield Hypothesis("swapped-inputs", message, _of_input(j), others=(other,))


def not_summed_over_broadcast(e: Evidence) -> Iterator[Hypothesis]:
    """Sum over the axes along which the input was broadcast."""
    shape = e.returned_shape(e.position)
    if shape is None or np.prod(shape) <= np.prod(e.shape):
        return
    for axes in _broadcast_axes(shape, e.shape):
        over = f"{'axis' if len(axes) == 1 else 'axes'} {' and '.join(map(str, axes))}"
        message = (
            f"{e.claim} has the broadcast shape {shape}: sum it over {over}, along which {e.name} "
            "was broadcast"
        )
        yield Hypothesis("not-summed-over-broadcast", message, _rearranged(partial(_summed, axes, e.shape)))


def missing_term(e: Evidence) -> Iterator[Hypothesis]:
    """Add a multiple of the upstream gradient, the input, the output, or of a product of them."""
    for words, term in terms(e).items():
        coefficient = fitted_coefficient(e, term)
        if coefficient is None:
            continue
        size = "" if near(abs(coefficient), 1) else f"{abs(coefficient):.6g} * "
        change = f"{'subtract' if coefficient < 0 else 'add'} {size}{words}"
        message = f"{e.claim} misses a term: {change}"
        yield Hypothesis("missing-term", message, _with_term(term, coefficient), constants=1)


# Of backward; and of a jvp, which is seen through its transpose: whatever rearranges what backward returned,
# or adds to it, has no such words.
HYPOTHESES = {
    "backward": (
        sign,
        factor,
        conjugated,
        transposed,
        transposed_jacobian,
        permuted,
        swapped_inputs,
        not_summed_over_broadcast,
        other_variable,
        missing_term,
    ),
    "jvp": (sign, factor, transposed, transposed_jacobian, swapped_inputs),
}


def _scaled(c: float) -> Prediction:
    return lambda e: None if e.gradients is None else [c * g for g in e.gradients]


def _times(factor: Callable[[Array], Array]) -> Prediction:
    """Predict the gradient times a function of the input, entry by entry."""

    def predict(e: Evidence) -> list[Array] | None:
        return None if e.gradients is None else [g * factor(e.value(e.position)) for g in e.gradients]

    return predict


def _with_term(term: Term, c: float) -> Prediction:
    def predict(e: Evidence) -> list[Numbers] | None:
        if e.gradients is None:
            return None
        return [g + c * t for g, t in zip(e.gradients, term(e), strict=True)]

    return predict


def _rearranged(change: Callable[[Numbers], Numbers]) -> Prediction:
    def predict(e: Evidence) -> list[Numbers] | None:
        returned = e.returned_for(e.position)
        return None if returned is None else [np.asarray(change(g)) for g in returned]

    return predict


def _of_input(j: int) -> Prediction:
    return lambda e: e.returned_for(j)


def _with_input(j: int, change: Callable[[Numbers], Numbers]) -> Prediction:
    """Predict what backward returns when one of its inputs is another, such as its transpose."""

    def predict(e: Evidence) -> list[Numbers] | None:
        return _asked(e, e.upstreams, {**e.displaced, j: as_pairs(change(e.value(j))).copy()})

    return predict


def _in_other_convention(e: Evidence) -> list[Numbers] | None:
    """Predict the conjugate of what backward returns for the conjugate of the upstream gradient."""
    gradients = _for_conjugated_upstream(e)
    return None if gradients is None else [np.conj(g) for g in gradients]


def _for_conjugated_upstream(e: Evidence) -> list[Numbers] | None:
    return _asked(e, [e.problem.form.conjugate(u) for u in e.upstreams], e.displaced)


def _of_transposed_map(e: Evidence) -> list[Numbers] | None:
    """Predict the transpose of what backward does to the upstream gradient."""
    columns = _asked(e, np.eye(e.output.size), e.displaced)
    if columns is None:
        return None
    return [np.reshape(np.stack([c.ravel() for c in columns]) @ u, e.shape) for u in e.upstreams]


def _asked(
    e: Evidence, upstreams: Sequence[Array] | Array, displaced: Mapping[int, Any]
) -> list[Numbers] | None:
    """Return what backward says of other upstream gradients or inputs."""
    try:
        answers = [e.problem.call_backward(u, displaced=dict(displaced)) for u in upstreams]
    except RuleRaised:
        return None
    returned = [raw_gradients(e.problem, answer).get(e.position) for answer in answers]
    gradients = [g for g in returned if g is not None]
    return gradients if len(gradients) == len(returned) else None


def _order(e: Evidence, gradient: Numbers) -> Indices | None:
    """Return the order in which the entries of the gradient would be right, if each was probed."""
    directions, entries = e.single_entries
    if e.paired or len(entries) < gradient.size or gradient.size < DISTINCT:
        return None
    right = np.empty(gradient.size)
    right[entries] = e.numeric[directions, 0] / e.directions.divisors[directions]
    order = np.empty(gradient.size, dtype=np.intp)
    order[np.argsort(right, kind="stable")] = np.argsort(gradient.ravel(), kind="stable")
    return order


def _reordered(order: Indices, gradient: Numbers) -> Numbers:
    return gradient.ravel()[order].reshape(gradient.shape)


def _broadcast_axes(raw: tuple[int, ...], shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the sets of axes to sum over so that ``raw`` becomes ``shape``, but for axes of size 1."""
    essential = [size for size in shape if size != 1]
    for count in range(1, len(raw) + 1):
        for axes in itertools.combinations(range(len(raw)), count):
            rest = [size for axis, size in enumerate(raw) if axis not in axes and size != 1]
            if rest == essential and all(raw[axis] != 1 for axis in axes):
                yield axes


def _summed(axes: tuple[int, ...], shape: tuple[int, ...], gradient: Numbers) -> Numbers:
    return np.asarray(gradient.sum(axis=axes)).reshape(shape)
