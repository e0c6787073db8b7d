"""`gradlab.run`: many rules at once, on this machine or by an executor."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from gradlab._question import seed_of
from gradlab.errors import UsageError
from gradlab.point.values import describe
from gradlab.rule import Rule
from gradlab.runs.code import code_of
from gradlab.runs.config import KINDS, processes
from gradlab.runs.journal import journaled
from gradlab.runs.outcomes import Listed, Options, Outcome, Progress, Run, twice
from gradlab.runs.pickled import given
from gradlab.runs.pool import Pool
from gradlab.runs.spread import Spread
from gradlab.words import counted


def run(
    rules: Iterable[Rule | str],
    *,
    executor: Executor | None = None,
    jobs: int | str = 1,
    timeout: float | None = None,
    max_examples: int = 100,
    rng: int | np.random.Generator | None = None,
    rtol: float | None = None,
    max_seconds: float | None = None,
    journal: str | os.PathLike[str] | None = None,
    progress: Callable[[Outcome], None] | None = None,
) -> Run:
    """Check many rules, as ``gradlab verify`` does, each in a process that it can do no harm.

    A rule that crashes, hangs, exits or exhausts memory is an error of its own, and all others are checked.
    Rules are sent to other processes by cloudpickle (``pip install 'gradlab-verify[run]'``), so they may be
    defined anywhere: in a notebook, in ``__main__``, in a function.

    Parameters
    ----------
    rules : iterable of Rule or str
        What to check; a string is a target of the command line, such as ``"mypackage.rules"`` or
        ``"path/to/file.py"``, and stands for all rules that it names.
    executor : concurrent.futures.Executor, optional
        What runs the checks, a task for each rule: a `concurrent.futures.ProcessPoolExecutor`, Dask's
        ``client.get_executor()``, an ``mpi4py.futures.MPIPoolExecutor``. Its workers need gradlab, and what
        is installed here as far as the rules use it; the code of your own project is sent to them. It is
        not shut down.
    jobs : int or "auto", default 1
        How many processes of this machine check rules at once; with an executor, of those that check what is
        left should it break.
    timeout : float, optional
        Seconds for each rule; one that takes longer is an error.
    max_examples, rng, rtol, max_seconds
        As in `gradlab.verify`, for every rule.
    journal : path, optional
        A file in which reports are kept: the same call, after whatever ended the first, goes on from there.
        It is made where there is none, and serves for the same rules, code, options and versions only.
    progress : callable, optional
        Called with the `Outcome` of each rule as soon as there is one.

    Returns
    -------
    Run
        ``outcomes`` in the order of the rules, with the same reports whatever checks them,
        unless rules share state; ``problems``, what could not be found. True if every rule passes; its text
        is what ``gradlab verify`` prints. Ctrl-C ends it early, and it holds what is known by then.

    Raises
    ------
    UsageError
        When something else than rules and targets is given, an option makes no sense, or the journal is that
        of another run.

    Examples
    --------
    >>> import gradlab, numpy as np
    >>> square = gradlab.Rule("square", lambda x: x**2, lambda dy, x: 2 * x * dy, "(n)")
    >>> cube = gradlab.Rule("cube", lambda x: x**3, lambda dy, x: 3 * x * dy, "(n)")
    >>> done = gradlab.run([square, cube], max_examples=20)
    >>> done
    <Run 2 rules: 1 pass, 1 fail>
    >>> print(done.outcomes[1].status, done.outcomes[1].report.inputs[0].name)
    fail x
    """
    started = time.perf_counter()
    asked = _asked(rules)
    if journal is not None and not isinstance(journal, str | os.PathLike):
        raise UsageError(f"journal is {journal!r}; expected the path of a file")
    if progress is not None and not callable(progress):
        raise UsageError(f"progress is {describe(progress)}; expected a function")
    jobs, timeout, max_examples, rtol, max_seconds = map(
        _plain, (jobs, timeout, max_examples, rtol, max_seconds)
    )
    _check_options(
        executor, jobs=jobs, timeout=timeout, max_examples=max_examples, rtol=rtol, max_seconds=max_seconds
    )
    options = Options(int(max_examples), seed_of(rng), rtol, max_seconds, keep=False)
    outcomes: dict[int, Outcome] = {}
    notes: list[str] = []
    listed: list[Listed] = []
    problems: list[str] = []
    interrupted = False
    with Pool(processes(jobs), timeout=timeout) as pool:
        checker = pool if executor is None else Spread(executor, pool, notes.append)
        try:
            listed, problems = _listed(asked, pool, pickles=executor is not None, coded=journal is not None)
            problems += twice(listed)
            code = (
                "" if journal is None else pool.code + code_of(one for one in asked if isinstance(one, Rule))
            )
            with journaled(checker, journal, listed, options, code) as continued:
                for position, said in continued.check(listed, options):
                    if isinstance(said, Progress):
                        continue
                    outcomes[position] = Outcome.of(listed[position], said)
                    if progress is not None:
                        progress(outcomes[position])
        except KeyboardInterrupt:
            interrupted = True
            problems.append(f"interrupted; {len(outcomes)} of {counted(len(listed), 'rule')} were checked")
        problems += checker.remarks
    return Run(
        outcomes=tuple(outcomes[position] for position in sorted(outcomes)),
        problems=tuple(problems),
        settings={"max-examples": options.max_examples, "seed": options.seed, "rtol": rtol, "jobs": jobs}
        | {"max-seconds": max_seconds, "timeout": timeout},
        seconds=time.perf_counter() - started,
        selected=len(listed),
        interrupted=interrupted,
        notes=tuple(notes),
    )


def _asked(rules: Any) -> list[Rule | str]:
    if isinstance(rules, Rule | str | Mapping) or not isinstance(rules, Iterable):
        raise UsageError(f"run was given {rules!r}; expected a list of rules")
    asked = list(rules)
    for rule in asked:
        if not isinstance(rule, Rule | str):
            raise UsageError(f"run was given {describe(rule)} among the rules; expected a Rule or a target")
    if not asked:
        raise UsageError("run was given no rules, which would check nothing")
    return asked


def _plain(value: Any) -> Any:
    """Return a number of NumPy's as one of Python's, which is what other processes are told."""
    return value.item() if isinstance(value, np.generic) else value


def _check_options(executor: Any, **options: Any) -> None:
    if hasattr(executor, "get_executor"):
        raise UsageError("executor is a client of Dask; expected its client.get_executor()")
    if executor is not None and not isinstance(executor, Executor):
        raise UsageError(f"executor is {executor!r}; expected a concurrent.futures.Executor")
    for name, value in options.items():
        option = KINDS[name.replace("_", "-")]
        if not (value is None and name in ("timeout", "rtol", "max_seconds")) and not option.accepts(value):
            raise UsageError(f"{name} is {value!r}; expected {option.expected}")


def _listed(
    asked: Sequence[Rule | str], pool: Pool, *, pickles: bool, coded: bool
) -> tuple[list[Listed], list[str]]:
    """Return what is to be checked, in order, and a sentence for each target that names nothing."""
    targets = list(dict.fromkeys(one for one in asked if isinstance(one, str)))
    found, problems = pool.find(targets, pickles=pickles, coded=coded) if targets else ([], [])
    if pickles:
        pool.close()  # or workers that an executor starts by forks would keep its channels open
    listed: list[Listed] = []
    for position, one in enumerate(dict.fromkeys(asked)):
        if isinstance(one, Rule):
            listed.append(given(one, position))
        else:
            listed += [rule for rule in found if str(rule.target) == one]
    return listed, problems
