"""The points of a rule: drawn by Hypothesis, a few at a time, and shrunk where a check fails."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import hypothesis
import numpy as np
from hypothesis import configuration
from hypothesis import strategies as st

from gradlab import strategies
from gradlab.errors import UsageError
from gradlab.point.values import describe
from gradlab.rule import Rule

# Points in one run of Hypothesis: once it has drawn ten, it makes most of them of parts of one that it drew
# before. They are alike in what makes them degenerate: of runs of 100, one in twenty had next to no zeros,
# for an average of 15.
BATCH = 10


def points(rule: Rule) -> st.SearchStrategy[Any]:
    """Return the strategy that draws a rule's points."""
    inputs = rule.inputs
    if isinstance(inputs, st.SearchStrategy):
        return inputs
    if isinstance(inputs, str):
        try:
            return strategies.inputs(inputs)
        except UsageError as error:
            raise UsageError(f"rule {rule.name!r}: {error}") from None
    if callable(inputs):
        # Large integers would not do: Hypothesis prefers those that it finds in the modules at hand.
        seeds = st.lists(st.integers(0, 99), min_size=5, max_size=5)
        return seeds.map(lambda seed: inputs(np.random.default_rng(seed)))
    if isinstance(inputs, tuple | list | Mapping | np.ndarray):
        return st.just(inputs)
    raise UsageError(
        f"rule {rule.name!r}: inputs is {describe(inputs)}; expected a signature such as '(n,d),(d,m)', "
        "a Hypothesis strategy, a tuple of example inputs, or a function of a numpy Generator"
    )


def run(
    rule: Rule, check: Callable[[Any], None], drawn: st.SearchStrategy[Any], *, max_examples: int, seed: int
) -> Iterator[None]:
    """Let Hypothesis check points, a few at a time, and shrink the first at which ``check`` raises.

    Parameters
    ----------
    rule : Rule
        Whose points they are.
    check : callable
        Checks one point; it may call ``hypothesis.reject``.
    drawn : strategy
        From `points`.
    max_examples : int
        How many points to draw.
    seed : int
        Draws them.

    Yields
    ------
    None
        After every few points.

    Raises
    ------
    UsageError
        When no point can be drawn.
    """
    shrink = [] if callable(rule.inputs) else [hypothesis.Phase.shrink]
    with _hypothesis_writes_elsewhere():
        for start in range(0, max_examples, BATCH):
            few = hypothesis.settings(
                max_examples=min(BATCH, max_examples - start),
                phases=[hypothesis.Phase.generate, *shrink],
                # Everything that a user's profile could change is set here.
                deadline=None,
                database=None,
                derandomize=False,
                print_blob=False,
                report_multiple_bugs=False,
                stateful_step_count=1,
                suppress_health_check=list(hypothesis.HealthCheck),
                verbosity=hypothesis.Verbosity.quiet,
                backend="hypothesis",
            )(hypothesis.given(drawn)(check))
            try:
                hypothesis.seed(f"{seed}, {start}")(few)()
            except hypothesis.errors.Unsatisfiable as error:
                if start:
                    return  # all that there are were checked
                raise UsageError(f"rule {rule.name!r}: its inputs gave no point: {error}") from error
            yield


@contextlib.contextmanager
def _hypothesis_writes_elsewhere() -> Iterator[None]:
    """Keep Hypothesis out of the user's folder: without a database, too, it caches the source it reads."""
    before = vars(configuration)["__hypothesis_home_directory"]
    with tempfile.TemporaryDirectory(prefix="gradlab-") as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(before)
