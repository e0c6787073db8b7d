"""`explain`: a backward rule's derivation, shown with numbers at one small point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import numpy as np

from gradlab._explain import derivation, linear_page, neuron_page
from gradlab._explain.derived import Derived, DerivedInput, derive
from gradlab._points import hypothesis_reads_nothing, points
from gradlab._question import seed_of
from gradlab.errors import UsageError
from gradlab.networks import language_model, neuron
from gradlab.point.arguments import arrange
from gradlab.point.options import title_of
from gradlab.point.values import describe
from gradlab.rule import Rule
from gradlab.rules import linear

PAGES = {linear.RULE: linear_page.page, neuron.RULE: neuron_page.page}
# Four words, two contexts in which one of them occurs twice.
MODEL_POINT = (
    np.array([[0.5, -1.0], [1.5, 0.2], [-0.7, 0.8], [0.1, -0.4]]),
    np.array([[0.6, -0.2], [-0.5, 0.9], [0.3, 0.4], [-0.8, 0.1], [0.2, -0.6], [0.7, 0.5]]),
    np.array([[1.0, -0.5, 0.3, 0.2], [-0.4, 0.8, -0.9, 0.6]]),
    np.array([[0, 1, 1], [2, 3, 0]]),
    np.array([2, 1]),
)
READABLE = 6  # entries of one array, so that every block can be read


def explain(
    rule_or_forward: Rule | Callable[..., Any],
    backward: Callable[..., Any] | None = None,
    inputs: Any = None,
    *,
    jvp: Callable[..., Any] | None = None,
    cached: bool = False,
    rng: int | np.random.Generator | None = None,
) -> str:
    r"""Show a backward rule's derivation with numbers at one small point.

    The blocks of the explicit Jacobian are printed, their contraction with the upstream gradient entry by
    entry, and beside it what backward returns; of a rule with a jvp, the products with tangents too, and
    beside them what jvp returns. The built-in rules ``linear`` and ``neuron`` have pages of their own, with
    the formulas.

    Parameters
    ----------
    rule_or_forward : Rule or callable
        A rule, or a forward function together with ``backward`` or ``jvp``, and ``inputs``.
    backward, jvp : callable, optional
        As in `gradlab.gradcheck`; one of them, or both.
    inputs : tuple, dict or array, optional
        A small point: all blocks are printed. By default one of the rule's own.
    cached : bool, default False
        Whether the functions have the form ``out, cache``; a `Rule` says so itself.
    rng : int or numpy.random.Generator, optional
        For the upstream gradient; ``None`` is a fixed seed.

    Returns
    -------
    str
        Text for a terminal.

    Raises
    ------
    UsageError
        When the question is malformed, or the point is too large to be printed.

    Examples
    --------
    >>> text = explain(lambda x: x**2, lambda dy, x: 2 * x * dy, np.array([3.0]), rng=1)
    >>> print(*text.splitlines()[-2:], sep="\n")
      entry  contraction  backward  digits that agree
       x[0]       9.0709    9.0709                all
    """
    if isinstance(rule_or_forward, Rule):
        rule = rule_or_forward
        if rule in PAGES and inputs is None:
            return PAGES[rule]()
        point = _small_point(rule) if inputs is None else inputs
    elif callable(rule_or_forward) and not (backward is None and jvp is None) and inputs is not None:
        rule = Rule(title_of(rule_or_forward), rule_or_forward, backward, inputs, jvp=jvp, cached=cached)
        point = inputs
    else:
        raise UsageError(
            f"explain was given {describe(rule_or_forward)}; "
            "expected a Rule, or a forward function, a backward function or jvp=, and inputs"
        )
    return derivation.page(rule, point, seed=seed_of(rng))


def derived(rule: Rule, *, rng: int | np.random.Generator | None = None) -> Derived:
    """Return the numbers of a rule's derivation at one small point, as they are drawn.

    Of ``linear`` and ``neuron`` it is the point of their pages, of the language model one with several
    words; otherwise that of `explain`.

    Raises
    ------
    UsageError
        As `explain`.
    """
    if rule == linear.RULE:
        return derive(rule, (linear_page.X, linear_page.W), grad_output=linear_page.DY, seed=0)
    if rule == neuron.RULE:
        point = (*neuron_page.WEIGHTS.values(), *neuron_page.PAIR.values())
        return derive(rule, point, grad_output=np.ones(()), seed=0)
    if rule == language_model.RULE:
        return derive(rule, MODEL_POINT, grad_output=np.ones(()), seed=0)
    return derive(rule, _small_point(rule), seed=seed_of(rng))


def _small_point(rule: Rule) -> Any:
    """Return the simplest point of a rule at which no array is a mere number, but all can be read."""

    def arrays(point: Any) -> list[Any]:
        _, _, values = arrange(rule.forward, point)
        floating = (v for v in values if isinstance(v, np.ndarray) and v.dtype.kind in "fc")
        return [array for array in floating if array.ndim]

    def rows(point: Any) -> bool:
        return all(a.shape[-1] >= 2 and a.size <= READABLE for a in arrays(point))

    def several_entries(point: Any) -> bool:  # a softmax over a single class has no slope
        return all(2 <= a.size <= READABLE for a in arrays(point))

    strategy = points(rule)
    settings = hypothesis.settings(
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=300,
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    for condition in (rows, several_entries, lambda _: True):
        try:
            with hypothesis_reads_nothing():
                return hypothesis.find(strategy, condition, settings=settings)
        except hypothesis.errors.NoSuchExample:
            continue
        except UsageError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise UsageError(f"rule {rule.name!r}: no point could be drawn: {reason}") from error
    raise UsageError(f"rule {rule.name!r}: its inputs gave no point")


__all__ = ["PAGES", "Derived", "DerivedInput", "derived", "explain"]
