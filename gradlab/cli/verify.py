"""``gradlab verify``: rules checked at many points, as a gate in continuous integration."""

from __future__ import annotations

import argparse
import sys
import textwrap
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradlab.cli._check import check
from gradlab.cli._files import check_folder, check_writable, is_standard_output
from gradlab.cli._reports import PAGE, print_report, write_reports
from gradlab.cli._terminal import complain
from gradlab.errors import UsageError
from gradlab.runs import OK, USAGE, Run
from gradlab.runs.config import COLORS, FORMATS, KINDS, Settings, read_configuration

if TYPE_CHECKING:
    from gradlab.reporters.style import Style

KEYS = textwrap.indent(textwrap.fill(", ".join(KINDS), 74, break_on_hyphens=False), "  ")
DESCRIPTION = f"""\
Check rules at points drawn by Hypothesis, against central differences and
against the explicit Jacobian.

Without targets, those of [tool.gradlab] in the nearest pyproject.toml are
checked; where there is no such table, the built-in rules, and a line says
so. Options win over that table, whose keys are
{KEYS}

Rules are imported and run in processes of their own, so that one that
crashes, hangs or exits is an error, and all others are checked.
"""
EPILOG = """\
a TARGET is one of
  linear                    a built-in rule
  package.module            all rules of a module: its attributes that are
                            gradlab.Rule objects, or lists, tuples, sets and
                            dictionaries that hold some
  package.module:name       one attribute of a module
  path/to/file.py           all rules of a file
  path/to/file.py:name      one attribute of a file

exit codes
  0    every rule passes, or fails as known_failure= says
  1    something is wrong, or a rule with known_failure= passes
  2    error: a target cannot be found or imported, a rule cannot be checked
       (it crashes, hangs, exhausts memory, or is asked wrongly), or there is
       none to check
  3    nothing is wrong, but something is inconclusive
  130  interrupted by Ctrl-C, SIGTERM or SIGHUP; what was done so far is
       reported
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
        group.add_argument(f"--{key}", type=KINDS[key].argument, metavar=metavar, help=text, **more)

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
        "max-seconds",
        "SECONDS",
        "for each rule; the points checked by then decide, and what is left out is said (default: no end)",
    )
    setting(
        how,
        "timeout",
        "SECONDS",
        "a rule that takes longer, or whose import does, is an error (default: none)",
    )
    setting(
        how,
        "jobs",
        "N",
        "processes at once, or auto; the reports are the same, unless rules share state (default: 1)",
    )
    how.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="check them on the cluster of this scheduler, such as tcp://10.0.0.1:8786; --jobs is then for "
        "what is left should it be lost",
    )
    how.add_argument(
        "--journal",
        type=Path,
        metavar="PATH",
        help="keep the reports in a file; the same run that was ended before goes on from there",
    )
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
    _check_paths(arguments)
    output = None if is_standard_output(arguments.output) else arguments.output
    settings = replace(Settings(), format=arguments.format or Settings.format)
    try:
        settings, folders = _settings(arguments)
        document = settings.format == "json" and output is None  # and nothing else on standard output
        style = _style(settings, streams=not document)
        show = None if document or arguments.quiet else style
        done = check(settings, arguments, folders, show)
    except UsageError as error:
        if not arguments.list:  # or files would say what they said of the last run
            written = {**settings.as_written(), "k": arguments.k}
            write_reports(Run((), (str(error),), written, 0.0, 0), settings, arguments, output)
        raise
    if arguments.list:
        code = USAGE if done.problems or not done.selected else OK
    else:
        code = done.exit_code
        print_report(done, settings, style, document=document, marks=output is None)
        if not write_reports(done, settings, arguments, output):
            code = code or USAGE
    for problem in done.problems:
        complain(problem)
    return code


def _check_paths(arguments: argparse.Namespace) -> None:
    """Refuse paths that cannot be written, or not without loss, before the work is done."""
    taken: dict[Path, str] = {}
    given = [
        option for option in ("format", "output", "html", "junit") if getattr(arguments, option) is not None
    ]
    if arguments.list and given:
        raise UsageError(
            f"--list checks no rule, and has no report for --{given[0]}; expected one of the two"
        )
    if str(arguments.junit) == "-":
        raise UsageError("--junit is '-'; expected the path of a file: standard output has the table")
    for option in ("output", "junit"):
        path = getattr(arguments, option)
        if path is None or is_standard_output(path):
            continue
        check_writable(path, option)
        if path.suffix == ".py" and path.exists():
            raise UsageError(f"--{option} {path} is a file of Python; expected the path of a report")
        if path.is_file() or not path.exists():
            other = taken.setdefault(path.resolve(), option)
            if other != option:
                raise UsageError(f"--{other} and --{option} are both {path}; expected two paths")
    if arguments.html is not None:
        check_folder(arguments.html, "html")
        other = taken.get((arguments.html / PAGE).resolve(), "")
        if other:
            raise UsageError(f"--{other} is the page of --html {arguments.html}; expected two paths")


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
    elif configuration.folder is not None:
        if "targets" not in values:
            raise UsageError(
                f"{configuration.folder / 'pyproject.toml'}: [tool.gradlab] has no targets, and none is "
                "given; expected targets = ['path/to/rules.py'] there, or a target on the command line"
            )
        if configuration.folder != here:
            folders.append(configuration.folder)
    return replace(Settings(), **{**values, **given}), folders


def _style(settings: Settings, *, streams: bool) -> Style:
    from gradlab.reporters.style import PLAIN, style_of

    return style_of(sys.stdout, color=settings.color) if streams else PLAIN
