"""``gradlab explain``: a rule's derivation with numbers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gradlab.cli._terminal import say
from gradlab.run import OK


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
    explain.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the derivation."""
    from gradlab._explain import explain
    from gradlab.run.targets import find_rule, importable

    with importable(Path.cwd()):
        say(explain(find_rule(arguments.target)))
    return OK
