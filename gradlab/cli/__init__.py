"""The console script ``gradlab``.

Each command is a module of this package with one function, ``add(commands)``, which adds the command's parser
to ``commands`` and sets its default ``run``: a function that takes the parsed arguments and returns the exit
code. A new command is such a function, and one line in `COMMANDS`. What it needs beyond the standard library
it imports inside ``run``, so that ``gradlab --help`` stays quick; it prints with `say` and `complain` of
`gradlab.cli._terminal`; and for a wrong call it raises `UsageError`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from gradlab import __version__
from gradlab.cli import docs, explain, mutants, train, verify
from gradlab.cli._terminal import complain, output
from gradlab.errors import UsageError
from gradlab.runs import INTERRUPTED, USAGE

COMMANDS = (
    verify.add,
    explain.add,
    train.add,
    mutants.add,
    docs.add,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    0: all passed. 1: something is wrong. 2: the call was wrong. 3: nothing failed, but something is
    inconclusive. 130: interrupted.
    """
    output.open()
    arguments, unknown = _parser().parse_known_args(argv)
    if unknown:
        arguments.command.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        code: int = arguments.run(arguments)
    except UsageError as error:
        complain(str(error))
        return USAGE
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    if output.trouble:
        complain(f"standard output cannot be written: {output.trouble}")
        return code or USAGE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gradlab", description="Is this backward rule right, and if not, where and why?"
    )
    parser.add_argument("--version", action="version", version=f"gradlab {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    for command in commands.choices.values():
        command.set_defaults(command=command)  # which says how it is used
    return parser
