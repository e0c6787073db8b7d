"""``gradlab explain``: a rule's derivation with numbers."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradlab.cli._files import check_page
from gradlab.cli._terminal import say
from gradlab.runs import OK

if TYPE_CHECKING:
    from gradlab.rule import Rule

DEFAULT = Path("RULE.html")  # of --html: the name of the rule is put in


def add(commands: Any) -> None:
    """Add the command."""
    explain = commands.add_parser(
        "explain",
        help="show a rule's derivation with numbers",
        description="Write out a rule's Jacobian at one small point, its products with the upstream gradient "
        "and with tangents, and what backward and jvp return.",
    )
    explain.add_argument(
        "target", metavar="RULE", help="a built-in rule, package.module:name or path/to/file.py:name"
    )
    explain.add_argument(
        "--html",
        type=Path,
        nargs="?",
        const=DEFAULT,
        metavar="PATH",
        help="write it as a page instead, with the matrices drawn (default: RULE.html)",
    )
    explain.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the derivation."""
    from gradlab._explain import explain
    from gradlab.runs.targets import find_rule, importable

    with importable(Path.cwd()):
        rule = find_rule(arguments.target)
        if arguments.html is None:
            say(explain(rule))
        else:
            _write(rule, arguments.html)
    return OK


def _write(rule: Rule, path: Path) -> None:
    from gradlab.reporters.explained import page_of_rule
    from gradlab.reporters.page import write_page

    if path == DEFAULT:
        path = Path(re.sub(r"[^\w-]+", "_", rule.name) + ".html")
    check_page(path)
    write_page(path, page_of_rule(rule))
    say(f"{path} is written")
