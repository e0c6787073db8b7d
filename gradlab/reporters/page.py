"""Reports as pages: one file that opens from disk, with its pictures, styles and script in it.

Whatever a rule is called or says is escaped by the templates. A policy in the page's head, which browsers
enforce, names the one script and the one style that it has by their digests: nothing else would run, and
nothing is loaded from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradlab._files import write_whole
from gradlab.errors import UsageError
from gradlab.report import Report
from gradlab.reporters.drawings.palette import STYLE, variables
from gradlab.reporters.json import environment
from gradlab.reporters.views import RunView, view_of

if TYPE_CHECKING:
    from gradlab.runs import Run

TEMPLATES = Path(__file__).with_name("templates")
MISSING = (
    "jinja2 is not installed, which pages are written with; pip install 'gradlab-verify[html]' brings it"
)


def page_of(report: Report) -> str:
    """Return one report as a page."""
    view = view_of(report, report.pictures)
    return rendered("report.html.j2", title=f"{view.name}: {report.verdict} - gradlab", view=view)


def page_of_run(run: Run) -> str:
    """Return a whole run as a page: an overview of all rules, and a section for each that does not pass."""
    return rendered("run.html.j2", **vars(RunView.of(run)))


def write_page(path: str | os.PathLike[str], page: str) -> None:
    """Write a page to a file, as a whole or not at all.

    Raises
    ------
    UsageError
        Where it cannot be written.
    """
    try:
        write_whole(path, page)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}; expected the path of a file"
        ) from error


def rendered(template: str, **values: Any) -> str:
    """Fill a template of a page in."""
    from markupsafe import Markup

    style = "".join(
        [
            f":root{{{variables('light')}}}",
            f"@media screen and (prefers-color-scheme:dark){{:root{{{variables('dark')}}}}}",
            _text("page.css"),
            STYLE,
        ]
    )
    script = _text("page.js")
    allowed: Mapping[str, str] = {"style-src": style, "script-src": script}
    policy = ["default-src 'none'", "base-uri 'none'", "form-action 'none'"]
    policy += [f"{kind} 'sha256-{_digest(text)}'" for kind, text in allowed.items()]
    page = (
        templates()
        .get_template(template)
        .render(
            policy="; ".join(policy),
            style=Markup(style),
            script=Markup(script),
            environment=environment("numpy"),
            **values,
        )
    )
    return str(page)


@cache
def templates() -> Any:
    """Return the templates, which escape all that they are filled in with.

    Raises
    ------
    UsageError
        Where jinja2 is missing.
    """
    try:
        import jinja2
    except ImportError as error:
        raise UsageError(MISSING) from error
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
