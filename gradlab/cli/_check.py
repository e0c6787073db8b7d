"""``gradlab verify`` at work: rules are found and checked, with a row for each as soon as it is done.

This process imports and runs none of the rules: a `Pool` of others does, or a cluster.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gradlab.cli._terminal import Interruptible, ProgressLine, complain, say
from gradlab.runs import NOT_AS_EXPECTED, Listed, Options, Outcome, Progress, RuleError, Run
from gradlab.runs.config import Settings, processes
from gradlab.runs.journal import journaled
from gradlab.runs.outcomes import twice
from gradlab.words import counted

if TYPE_CHECKING:
    from gradlab.reporters.style import Style
    from gradlab.runs.pool import Pool
    from gradlab.runs.spread import Spread

BUILT_IN = ("gradlab.rules:RULES", "gradlab.networks:RULES")


def check(
    settings: Settings, arguments: argparse.Namespace, folders: Sequence[Path], table_style: Style | None
) -> Run:
    """Find and check the rules; with a style, write a row for each as soon as it is done."""
    from gradlab.reporters.overview import stack_lines
    from gradlab.runs.pool import Pool
    from gradlab.runs.selection import selector

    started = time.perf_counter()
    selected = selector(arguments.k)
    chosen: list[Listed] = []
    outcomes: dict[int, Outcome] = {}
    problems: list[str] = []
    stopped: dict[int, RuleError] = {}
    shown = Shown(settings.max_examples, table_style)
    path = [*map(str, folders), *sys.path]
    dask = None if arguments.list else arguments.dask
    with (
        Interruptible() as interrupt,
        Pool(processes(settings.jobs), timeout=settings.timeout, path=path) as pool,
        _checker(pool, dask, shown.note) as checker,
    ):
        if not settings.targets:
            shown.note(
                "no target is given, and there is no table [tool.gradlab] in a pyproject.toml from "
                f"{Path.cwd()} on up: the rules that gradlab brings are checked"
            )
        shown.line.show("importing")
        found, problems = pool.find(
            settings.targets or BUILT_IN, pickles=dask is not None, coded=arguments.journal is not None
        )
        shown.line.clear()
        chosen = [_placed(one) for one in found if selected(one.name)]
        problems += _complaints(settings, arguments.k, found, chosen)
        if arguments.list:
            for one in chosen:
                say(f"{one.name}  {one.target}")
        elif chosen:
            shown.begin([one.name for one in chosen])
            stopped = checker.stopped
            # On what a machine keeps for the next run, a report elsewhere or later must not depend.
            options = Options(
                settings.max_examples,
                settings.seed,
                settings.rtol,
                settings.max_seconds,
                pictures=arguments.html is not None,
                keep=dask is None and arguments.journal is None,
            )
            with journaled(checker, arguments.journal, chosen, options, pool.code) as continued:
                for position, said in continued.check(chosen, options):
                    interrupt.check()
                    if isinstance(said, Progress):
                        shown.progress(position, said)
                        continue
                    outcomes[position] = outcome = Outcome.of(chosen[position], said)
                    shown.end(position, outcome)
                    if arguments.exitfirst and outcome.status in NOT_AS_EXPECTED:
                        break
        problems += checker.remarks
    shown.line.clear()
    if interrupt.came:
        problems.append(f"interrupted; {len(outcomes)} of {counted(len(chosen), 'rule')} were checked")
        for position, error in sorted(stopped.items()):
            problems.append(
                "\n".join([f"{chosen[position].name}: {error.message}", *stack_lines(error.stack)])
            )
    return Run(
        outcomes=tuple(outcomes[position] for position in sorted(outcomes)),
        problems=tuple(problems),
        settings={**settings.as_written(), "k": arguments.k},
        seconds=time.perf_counter() - started,
        selected=len(chosen),
        interrupted=interrupt.came,
        notes=tuple(shown.notes),
    )


class Shown:
    """What is seen of a run while it goes on: the rows of a table, and a line that is written over.

    Parameters
    ----------
    max_examples : int
        How many points a rule has, at most.
    style : Style or None
        Of the table; ``None`` where there is to be none.
    """

    def __init__(self, max_examples: int, style: Style | None) -> None:
        self.max_examples, self.style = max_examples, style
        self.line = ProgressLine(sys.stderr)
        self.notes: list[str] = []
        self.names: list[str] = []
        self.done = 0
        self.running: dict[int, float] = {}

    def note(self, text: str) -> None:
        """Say and keep what happens on the way."""
        self.notes.append(text)
        self.line.clear()
        complain(text)

    def begin(self, names: list[str]) -> None:
        """Write the head of the table, for rules of these names."""
        from gradlab.reporters.overview import Table

        self.names = names
        if self.style is not None:
            self.table = Table.of(names, max_examples=self.max_examples, style=self.style)
            say(self.table.header)

    def progress(self, position: int, said: Progress) -> None:
        """Show how far the check of one rule is, and so the whole."""
        self.running[position] = min(1.0, said.points / self.max_examples)
        count = f"{self.done + 1}/{len(self.names)}"
        bar = self.line.bar((self.done + sum(self.running.values())) / len(self.names))
        self.line.show(f"{bar}{count} {self.names[position]}: {said.doing}, point {said.points}")

    def end(self, position: int, outcome: Outcome) -> None:
        """Write the row of a rule that is done."""
        self.done += 1
        self.running.pop(position, None)
        self.line.clear()
        if self.style is not None:
            say(self.table.row(outcome))


@contextmanager
def _checker(pool: Pool, dask: str | None, note: Callable[[str], None]) -> Iterator[Pool | Spread]:
    """Return what checks the rules: processes of this machine, or a cluster."""
    if dask is None:
        yield pool
        return
    from gradlab.runs.cluster import cluster
    from gradlab.runs.spread import Spread

    with cluster(dask, note) as executor:
        yield Spread(executor, pool, note)


def _complaints(
    settings: Settings, expression: str, found: Sequence[Listed], chosen: Sequence[Listed]
) -> list[str]:
    """Say what is wrong with the rules that were found, taken together."""
    problems = []
    least = settings.expect_rules
    if least is not None and len(found) < least:
        problems.append(f"the targets give {counted(len(found), 'rule')}; at least {least} were expected")
    if found and not chosen:
        problems.append(f"-k {expression!r} matches no rule; the targets give {counted(len(found), 'rule')}")
    return problems + twice(chosen)


def _placed(rule: Listed) -> Listed:
    """Say where a rule is as seen from the root of the repository, where that is known, or from here."""
    if rule.file is None:
        return rule
    root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    path = Path(rule.file).resolve()
    return replace(rule, file=(path.relative_to(root) if path.is_relative_to(root) else path).as_posix())
