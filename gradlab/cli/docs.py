"""``gradlab docs``: the pages of the documentation, which are Markdown files in ``gradlab/docs/``."""

from __future__ import annotations

import argparse
import difflib
import sys
from importlib import resources
from typing import Any

from gradlab.cli._terminal import say
from gradlab.errors import UsageError
from gradlab.runs import OK


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "docs",
        help="show a page of the documentation",
        description="Show a page of the documentation, or list all. It is Markdown; on a terminal it is laid "
        "out where rich is installed (pip install 'gradlab-verify[docs]').",
    )
    parser.add_argument(
        "page", metavar="PAGE", nargs="?", help="its name, such as forms (default: a list of all)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the page, or a line for each."""
    found = pages()
    if arguments.page is None:
        width = max(map(len, found))
        say("\n".join(f"{name:{width}}  {title_of(text)}" for name, text in found.items()))
        return OK
    name = arguments.page.removesuffix(".md")
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        known = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(found)}"
        raise UsageError(f"there is no page {arguments.page!r}; {known}")
    show(found[name])
    return OK


def pages() -> dict[str, str]:
    """Return the text of every page by its name, in alphabetical order.

    >>> title_of(pages()["verdicts"])
    'What a verdict means'
    """
    files = resources.files("gradlab").joinpath("docs").iterdir()
    texts = {file.name: file.read_text(encoding="utf-8") for file in files if file.name.endswith(".md")}
    return {name.removesuffix(".md"): texts[name] for name in sorted(texts)}


def title_of(text: str) -> str:
    """Return what the first line of a page says."""
    return text.partition("\n")[0].removeprefix("# ")


def show(text: str) -> None:
    """Print Markdown: laid out by rich on a terminal, where that is installed, or else as it is."""
    if sys.stdout.isatty():
        try:
            from rich.console import Console
            from rich.markdown import Markdown
        except ModuleNotFoundError:
            pass
        else:
            Console().print(Markdown(text))
            return
    say(text.rstrip())
