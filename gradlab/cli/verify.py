"""``gradlab verify``: rules checked at many points, as a gate in continuous integration.

This process imports and runs none of the rules: a `Pool` of others does, so that nothing that a rule does can
end the run before all is said.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradlab.cli._files import check_folder, check_writable, is_standard_output, write_whole
from gradlab.cli._options import of_kind
from gradlab.cli._terminal import Interruptible, ProgressLine, complain, say
from gradlab.runs import OK, USAGE, Outcome, Run, Status
from gradlab.runs.config import COLORS, FORMATS, KINDS, Settings, read_configuration
from gradlab.runs.outcomes import twice
from gradlab.words import counted

if TYPE_CHECKING:
    from gradlab.reporters.style import Style
    from gradlab.runs import Listed, Result

DESCRIPTION = """\
Check rules at points drawn by Hypothesis, against central differences and
against the explicit Jacobian.

Without targets, those of [tool.gradlab] in the nearest pyproject.toml are
checked; without these, the built-in rules. The keys of that table are
'targets' and the long options from --expect-rules to --durations; options
win.

Rules are imported and run in processes of their own, so that one that
crashes, hangs or exits is an error, and all others are checked.
"""
BUILT_IN = ("gradlab.rules:RULES", "gradlab.networks:RULES")
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
  2    error: a target cannot be found or imported, a rule cannot be checked
       (it crashes, hangs, exhausts memory, or is asked wrongly), or there is
       none to check
  3    nothing is wrong, but something is inconclusive
  130  interrupted by Ctrl-C; what was done so far is reported
"""


STOPPING = (Status.FAIL, Status.INCONCLUSIVE, Status.ERROR, Status.UNEXPECTED_PASS)  # for -x


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
    setting(
        how,
        "timeout",
        "SECONDS",
        "a rule that takes longer, or whose import does, is an error (default: none)",
    )
    setting(how, "jobs", "N", "processes at once, or auto; the reports are the same (default: 1)")
    how.add_argument(
        "-x", "--exitfirst", action="store_true", help="stop at the first rule that is not as it should be"
    )
    what = verify.add_argument_group("what comes out")
    what.add_argument(
        "--format",
        choices=FORMATS,
        help="text, one json document, or github: text, annotations and the job's summary page "
        "(default: text)",
    )
    what.add_argument(
        "--color",
        choices=COLORS,
        help="auto is for terminals, unless NO_COLOR or FORCE_COLOR is set (default: auto)",
    )
    setting(what, "durations", "N", "list the N slowest rules, 0 for all")
    what.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="write that format to a file, as a whole or not at all; standard output gets the text",
    )
    what.add_argument(
        "--html",
        type=Path,
        metavar="DIR",
        help="write a page, DIR/index.html, with pictures of what is wrong; the folder is made",
    )
    what.add_argument("--junit", type=Path, metavar="PATH", help="write a JUnit file as well")
    what.add_argument("-q", "--quiet", action="store_true", help="no table, only what is not as it should be")
    what.add_argument("--list", action="store_true", help="print the rules that are meant, and check none")
    verify.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check what the arguments and ``[tool.gradlab]`` name, report it, and return the exit code."""
    settings, folders = _settings(arguments)
    for option in ("output", "junit"):
        if getattr(arguments, option) is not None:
            check_writable(getattr(arguments, option), option)
    if arguments.html is not None:
        check_folder(arguments.html, "html")
    output = None if is_standard_output(arguments.output) else arguments.output
    document = settings.format == "json" and output is None  # and nothing else on standard output
    style = _style(settings, streams=not document)
    show = None if document or arguments.quiet else style
    done = _check(settings, arguments, folders, show)
    if arguments.list:
        code = USAGE if done.problems or not done.selected else OK
    else:
        code = done.exit_code
        try:
            _report(done, settings, output, style, document=document)
            if arguments.junit is not None:
                _write_junit(arguments.junit, done)
            if arguments.html is not None:
                _write_page(arguments.html, done)
        except OSError as error:
            complain(f"the report cannot be written: {error}")
            code = code or USAGE
    for problem in done.problems:
        complain(problem)
    return code


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


def _check(
    settings: Settings, arguments: argparse.Namespace, folders: Sequence[Path], table_style: Style | None
) -> Run:
    """Find and check the rules; with a style, write a row for each as soon as it is done."""
    from gradlab.reporters.overview import Table, stack_lines
    from gradlab.runs import Options, Progress
    from gradlab.runs.config import processes
    from gradlab.runs.pool import Pool
    from gradlab.runs.selection import selector

    started = time.perf_counter()
    selected = selector(arguments.k)
    chosen: list[Listed] = []
    results: dict[int, Result] = {}
    problems: list[str] = []
    line = ProgressLine(sys.stderr)
    path = [*map(str, folders), *sys.path]
    with (
        Interruptible() as interrupt,
        Pool(processes(settings.jobs), timeout=settings.timeout, path=path) as pool,
    ):
        line.show("importing")
        found, problems = pool.find(settings.targets or BUILT_IN)
        line.clear()
        chosen = [_placed(one) for one in found if selected(one.name)]
        problems += _complaints(settings, arguments.k, found, chosen)
        if arguments.list:
            for one in chosen:
                say(f"{one.name}  {one.target}")
        elif chosen:
            table = None
            if table_style is not None:
                names = [one.name for one in chosen]
                table = Table.of(names, max_examples=settings.max_examples, style=table_style)
                say(table.header)
            pictures = arguments.html is not None
            options = Options(settings.max_examples, settings.seed, settings.rtol, pictures)
            running: dict[int, float] = {}
            for position, said in pool.check(chosen, options):
                interrupt.check()
                if isinstance(said, Progress):
                    running[position] = min(1.0, said.points / settings.max_examples)
                    count = f"{len(results) + 1}/{len(chosen)}"
                    bar = line.bar((len(results) + sum(running.values())) / len(chosen))
                    line.show(f"{bar}{count} {chosen[position].name}: {said.doing}, point {said.points}")
                    continue
                running.pop(position, None)
                results[position] = said
                outcome = Outcome.of(chosen[position], said)
                line.clear()
                if table is not None:
                    say(table.row(outcome))
                if arguments.exitfirst and outcome.status in STOPPING:
                    break
        problems += pool.remarks
    line.clear()
    if interrupt.came:
        problems.append(f"interrupted; {len(results)} of {counted(len(chosen), 'rule')} were checked")
        for position, error in sorted(pool.stopped.items()):
            problems.append(
                "\n".join([f"{chosen[position].name}: {error.message}", *stack_lines(error.stack)])
            )
    return Run(
        outcomes=tuple(Outcome.of(chosen[position], results[position]) for position in sorted(results)),
        problems=tuple(problems),
        settings={**settings.as_written(), "k": arguments.k},
        seconds=time.perf_counter() - started,
        selected=len(chosen),
        interrupted=interrupt.came,
    )


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


def _style(settings: Settings, *, streams: bool) -> Style:
    from gradlab.reporters.style import PLAIN, style_of

    return style_of(sys.stdout, color=settings.color) if streams else PLAIN


def _report(done: Run, settings: Settings, output: Path | None, style: Style, *, document: bool) -> None:
    """Print what stands below the table, and write what was asked for in another place."""
    from gradlab.reporters import github, json
    from gradlab.reporters.overview import details

    if document:
        say(json.render(done).rstrip())
        return
    if done.outcomes or done.interrupted:
        say(f"\n{details(done, style=style, durations=settings.durations)}")
    if settings.format == "github" and output is None and (marks := github.annotate(done)):
        say(f"\n{marks}")
    if output is not None:
        write_whole(output, _document(done, settings))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if settings.format == "github" and summary:
        with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as page:
            page.write(github.page(done))


def _write_junit(path: Path, done: Run) -> None:
    from gradlab.reporters.junit import render_junit

    write_whole(path, render_junit(done))


def _write_page(folder: Path, done: Run) -> None:
    from gradlab.reporters.page import page_of_run

    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "index.html", page_of_run(done))


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
