"""The points of a rule: drawn by Hypothesis, several at a time, and shrunk where a check fails.

With a database, Hypothesis keeps the simplest failing point, and begins with it the next time.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import numpy as np
from hypothesis import configuration
from hypothesis import strategies as st
from hypothesis.database import ExampleDatabase

from gradlab import strategies
from gradlab.errors import UsageError
from gradlab.point.values import describe
from gradlab.rule import Rule

# Examples in one run of Hypothesis: from the tenth on, it makes most of them of parts of one that it drew
# before. They are alike in what makes them degenerate: of runs of 100, one in twenty had next to no zeros,
# for an average of 15.
EXAMPLES = 9
# Points in one example, which costs about as much as one to set up: at most, and on average.
POINTS, USUAL = 20, 6
SIZE = 1024  # of the cache in which Hypothesis keeps what it may draw of the constants of modules


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
        # Large integers would not do: Hypothesis prefers some of them.
        seeds = st.lists(st.integers(0, 99), min_size=5, max_size=5)
        return seeds.map(lambda seed: inputs(np.random.default_rng(seed)))
    if is_example(inputs):
        return st.just(inputs)
    raise UsageError(
        f"rule {rule.name!r}: inputs is {describe(inputs)}; expected a signature such as '(n,d),(d,m)', "
        "a Hypothesis strategy, a tuple of example inputs, or a function of a numpy Generator"
    )


def is_example(inputs: Any) -> bool:
    """Whether the inputs of a rule are its only point."""
    return isinstance(inputs, tuple | list | Mapping | np.ndarray) and not callable(inputs)


def run(
    rule: Rule,
    check: Callable[[Any], bool],
    drawn: st.SearchStrategy[Any],
    *,
    max_examples: int,
    seed: int,
    database: ExampleDatabase | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> None:
    """Let Hypothesis check points, and shrink the first at which ``check`` raises.

    Parameters
    ----------
    rule : Rule
        Whose points they are.
    check : callable
        Checks one point, and says whether it counts: a point that was checked before does not.
    drawn : strategy
        From `points`.
    max_examples : int
        How many points to draw, where there are so many.
    seed : int
        Draws them.
    database : ExampleDatabase, optional
        Where the point at which ``check`` raises is kept, and looked for first.
    enough : callable, optional
        Says after each point whether to draw no more.

    Raises
    ------
    UsageError
        When no point can be drawn.
    """
    counted, failed = 0, False

    def check_all(several: list[Any]) -> None:
        nonlocal counted, failed
        for point in several:
            if failed or (counted < max_examples and not enough()):
                try:
                    counted += check(point)
                except BaseException:
                    failed = True
                    raise

    # Not where points are so large that Hypothesis does not draw several, or few of them have a value.
    together, alone = st.lists(drawn, min_size=1, max_size=POINTS), drawn.map(lambda point: [point])
    several = together
    with _hypothesis_writes_nothing(), hypothesis_reads_nothing():
        for start in itertools.count():
            before = counted
            # No more than are likely to be needed; the first is always the simplest, which is known soon.
            needed = 1 + math.ceil((max_examples - counted) / USUAL)
            wanted = EXAMPLES if several is alone else min(EXAMPLES, needed)
            settings = _settings(wanted, shrink=not callable(rule.inputs), database=database)
            # In this order: with a seed, Hypothesis leaves out the database, unless told so after it.
            test = settings(hypothesis.seed(f"{seed}, {start}")(hypothesis.given(several)(check_all)))
            # By default it is made of the source of `check_all`, which is the same for all rules.
            vars(test)["_hypothesis_internal_database_key"] = _database_key(rule, alone=several is alone)
            try:
                test()
            except hypothesis.errors.Unsatisfiable as error:
                if several is alone and not counted:
                    raise UsageError(f"rule {rule.name!r}: its inputs gave no point: {error}") from error
            if counted == max_examples or enough() or (several is alone and counted == before):
                break
            if counted < before + wanted:
                several = alone


def _database_key(rule: Rule, *, alone: bool) -> bytes:
    """Return what the points of a rule are kept under, which another process finds them by.

    A rule is told from others as reports tell it, by its name, and by the modules of its functions; an
    editor that moves it about in a file loses nothing.
    """
    functions = (rule.forward, rule.backward, rule.jvp)
    modules = [str(getattr(function, "__module__", None)) for function in functions]
    return "\n".join(["gradlab", *modules, rule.name, "alone" if alone else "together"]).encode()


def _settings(max_examples: int, *, shrink: bool, database: ExampleDatabase | None) -> hypothesis.settings:
    """Return settings of our own: everything that a user's profile could change is set."""
    phases = [hypothesis.Phase.reuse, hypothesis.Phase.generate, hypothesis.Phase.shrink]
    return hypothesis.settings(
        max_examples=max_examples,
        phases=phases if shrink else phases[:2],
        deadline=None,
        database=database,
        derandomize=False,
        print_blob=False,
        report_multiple_bugs=False,
        stateful_step_count=1,
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
        backend="hypothesis",
    )


@contextlib.contextmanager
def _hypothesis_writes_nothing() -> Iterator[None]:
    """Keep Hypothesis out of the user's folder: without a database, too, it caches the source it reads.

    It puts up with a home that cannot be made. One that is made for the occasion would be left behind by a
    process that is killed.
    """
    before = vars(configuration)["__hypothesis_home_directory"]
    configuration.set_hypothesis_home_dir(Path(os.devnull, "hypothesis"))
    try:
        yield
    finally:
        configuration.set_hypothesis_home_dir(before)


@contextlib.contextmanager
def hypothesis_reads_nothing() -> Iterator[None]:
    """Draw the same whatever modules are imported.

    Hypothesis parses all that are not installed, in each process anew, to prefer the numbers in their source:
    with the same seed, a call that is repeated elsewhere would draw other points. It has no public way to be
    kept from that; where it is not as expected, it reads.
    """
    with contextlib.ExitStack() as kept:
        with contextlib.suppress(ImportError, AttributeError):
            from hypothesis.internal.conjecture import providers
            from hypothesis.internal.constants_ast import Constants

            kept.enter_context(
                _replaced(providers, _get_local_constants=Constants, CONSTANTS_CACHE=_own_constants())
            )
        yield


@functools.cache
def _own_constants() -> Any:
    """Return a cache of our own of what may be drawn of constants: it is the same for all rules."""
    from hypothesis.internal.conjecture import providers

    return type(providers.CONSTANTS_CACHE)(SIZE)


@contextlib.contextmanager
def _replaced(module: ModuleType, **values: Any) -> Iterator[None]:
    before = {name: getattr(module, name) for name in values}
    vars(module).update(values)
    try:
        yield
    finally:
        vars(module).update(before)
