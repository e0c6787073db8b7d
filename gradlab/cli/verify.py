"""``gradlab verify``: rules checked at many points, as a gate in continuous integration."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradlab.cli._files import check_writable, write_whole
from gradlab.cli._options import of_kind
from gradlab.cli._terminal import Interruptible, Progress, complain, say
from gradlab.run import USAGE, Run
from gradlab.run.config import FORMATS, KINDS, Settings, read_configuration
from gradlab.words import counted

if TYPE_CHECKING:
    from gradlab.run import Outcome, Result
    from gradlab.run.targets import Found

DESCRIPTION = """\
Check rules at points drawn by Hypothesis, against central differences and
against the explicit Jacobian.

Without targets, those of [tool.gradlab] in the nearest pyproject.toml are
checked; without these, the built-in rules. The keys of that table are
'targets' and the long options below except --output; options win.
"""
EPILOG = """\
a TARGET is one of
  linear                    a built-in rule
  package.module            all rules of a module: its attributes that are
                            gradlab.Rule objects, or lists or tuples of them
  package.module:name       one attribute of a module
  path/to/file.py           all rules of a file
  path/to/file.py:name      one attribute of a file

exit codes
  0    every rule passes
  1    something is wrong, or a rule with known_failure= passes
  2    wrong call: a target cannot be found or imported, a rule cannot be
       checked, or there is none to check
  3    nothing is wrong, but something is inconclusive
  130  interrupted by Ctrl-C; what was done so far is reported
"""


def add(commands: Any) -> None:
    """Add the command."""
    verify = commands.add_parser(
        "verify",
        help="check rules at many points",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def setting(group: Any, key: str, metavar: str, text: str, **more: Any) -> None:
        group.add_argument(f"--{key}", type=of_kind(KINDS[key]), metavar=metavar, help=text, **more)

    which = verify.add_argument_group("which rules")
    which.add_argument(
        "targets", nargs="*", metavar="TARGET", help="what to check, in one of the forms below"
    )
    which.add_argument(
        "-k", metavar="EXPR", default="", help="only names that match, as in 'tanh and not layer'"
    )
    setting(which, "expect-rules", "N", "fewer rules than N, counted before -k, are an error")
    how = verify.add_argument_group("how they are checked")
    setting(how, "max-examples", "N", "points for each rule (default: 100)")
    setting(how, "seed", "N", "draws the points (default: 0)")
    setting(how, "rtol", "X", "the relative defect that does not matter (default: by dtype; 1e-7 in float64)")
    setting(how, "timeout", "SECONDS", "a rule that takes longer is inconclusive (default: no limit)")
    setting(how, "jobs", "N", "processes at once; the reports are the same (default: 1)")
    what = verify.add_argument_group("what comes out")
    what.add_argument(
        "--format",
        choices=FORMATS,
        help="text, one json document, or github: text, annotations and the job's summary page "
        "(default: text)",
    )
    what.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="write that format to a file, as a whole or not at all; standard output gets the text",
    )
    setting(what, "durations", "N", "list the N slowest rules, 0 for all")
    verify.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check what the arguments and ``[tool.gradlab]`` name, report it, and return the exit code."""
    from gradlab.run.targets import importable

    settings, folders = _settings(arguments)
    if arguments.output is not None:
        check_writable(arguments.output)
    # Whatever modules and rules print goes to standard error: standard output is the report.
    with importable(*folders), redirect_stdout(sys.stderr):
        done = _check(settings, arguments.k)
    try:
        _report(done, settings, arguments.output)
    except OSError as error:
        complain(f"the report cannot be written: {error}")
        return done.exit_code or USAGE
    finally:
        for problem in done.problems:
            complain(problem)
    return done.exit_code


def _settings(arguments: argparse.Namespace) -> tuple[Settings, list[Path]]:
    """Return the settings, options before the configuration, and the folders to import from."""
    here = Path.cwd()
    configuration = read_configuration(here)
    values = dict(configuration.values)
    given = {field.name: getattr(arguments, field.name) for field in fields(Settings)}
    given = {name: value for name, value in given.items() if value not in (None, [])}
    folders = [here]
    if "targets" in given:
        given["targets"] = tuple(given["targets"])
        values.pop("expect_rules", None)  # how many rules other targets give
    elif configuration.folder not in (None, here):
        folders.append(configuration.folder)
    return replace(Settings(), **{**values, **given}), folders


def _check(settings: Settings, expression: str) -> Run:
    from gradlab.run import Options, check_all
    from gradlab.run.selection import selector
    from gradlab.run.targets import builtin_rules, collect

    started = time.perf_counter()
    selected = selector(expression)
    found, problems = collect(settings.targets or list(builtin_rules()))
    least = settings.expect_rules
    if least is not None and len(found) < least:
        problems.append(f"the targets give {counted(len(found), 'rule')}; at least {least} were expected")
    chosen = [one for one in found if selected(one.rule.name)]
    if found and not chosen:
        problems.append(f"-k {expression!r} matches no rule; the targets give {counted(len(found), 'rule')}")

    results: dict[int, Result] = {}
    progress = Progress(sys.stderr)
    with Interruptible() as interrupt:

        def point(position: int, points: int) -> None:
            interrupt.check()
            name = chosen[position].rule.name
            progress.show(f"{len(results) + 1}/{len(chosen)} {name}: point {points}")

        check_all(
            chosen,
            Options(settings.max_examples, settings.seed, settings.rtol),
            jobs=settings.jobs,
            timeout=settings.timeout,
            point=point,
            done=results.__setitem__,
        )
    progress.clear()
    outcomes = _outcomes(chosen, results)
    problems += [results[k].problem for k in sorted(results) if results[k].report is None]
    if interrupt.came:
        problems.append(f"interrupted; {len(outcomes)} of {len(chosen)} rules were checked")
    return Run(
        outcomes=outcomes,
        problems=tuple(problems),
        settings={**settings.as_written(), "k": expression},
        seconds=time.perf_counter() - started,
        interrupted=interrupt.came,
    )


def _outcomes(chosen: Sequence[Found], results: Mapping[int, Result]) -> tuple[Outcome, ...]:
    """Put the reports into the order of the rules, each with where its backward function is."""
    from gradlab.run import Outcome
    from gradlab.run.source import source_of

    root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    outcomes = []
    for position, one in enumerate(chosen):
        report = results[position].report if position in results else None
        if report is not None:
            file, line = source_of(one.rule.backward) or (None, None)
            if file is not None:
                path = Path(file).resolve()
                file = (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
            outcomes.append(Outcome(report, one.target, one.rule.known_failure, file, line))
    return tuple(outcomes)


def _report(done: Run, settings: Settings, output: Path | None) -> None:
    """Print the run, and write what was asked for in another place."""
    from gradlab.reporters import github, json
    from gradlab.reporters.overview import overview
    from gradlab.reporters.text import style_of

    if settings.format == "json" and output is None:
        say(json.render(done).rstrip())
        return
    if done.outcomes or done.interrupted:
        say(overview(done, style=style_of(sys.stdout), durations=settings.durations))
    if settings.format == "github" and output is None and (marks := github.annotate(done)):
        say(f"\n{marks}")
    if output is not None:
        write_whole(output, _document(done, settings))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if settings.format == "github" and summary:
        with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as page:
            page.write(github.page(done))


def _document(done: Run, settings: Settings) -> str:
    from gradlab.reporters import github, json
    from gradlab.reporters.overview import overview

    match settings.format:
        case "json":
            return json.render(done)
        case "github":
            marks = github.annotate(done)
            return f"{marks}\n" if marks else ""
    return f"{overview(done, durations=settings.durations)}\n"
