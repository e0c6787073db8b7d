"""What `gradlab verify` says of a run: on standard output, and in the files that were asked for."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradlab._files import write_whole
from gradlab.cli._terminal import complain, say
from gradlab.runs import Run
from gradlab.runs.config import Settings

if TYPE_CHECKING:
    from gradlab.reporters.style import Style

PAGE = "index.html"  # in the folder of --html


def print_report(done: Run, settings: Settings, style: Style, *, document: bool, marks: bool) -> None:
    """Print the document, or what stands below the table."""
    from gradlab.reporters import github, json
    from gradlab.reporters.overview import details

    if document:
        say(json.render(done).rstrip())
        return
    if done.outcomes or done.interrupted:
        say(f"\n{details(done, style=style, durations=settings.durations)}")
    if settings.format == "github" and marks and (annotations := github.annotate(done)):
        say(f"\n{annotations}")


def write_reports(done: Run, settings: Settings, arguments: argparse.Namespace, output: Path | None) -> bool:
    """Write the files that were asked for, each whatever becomes of the others; say what cannot be."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY") if settings.format == "github" else None
    writers: list[tuple[Callable[..., None], Any]] = [
        (_write_document, output),
        (_write_junit, arguments.junit),
        (_write_page, arguments.html),
        (_write_summary, summary),
    ]
    all_written = True
    for write, path in writers:
        try:
            if path:
                write(path, done, settings)
        except OSError as error:
            complain(f"the report cannot be written: {error}")
            all_written = False
    return all_written


def _write_document(path: Path, done: Run, settings: Settings) -> None:
    write_whole(path, _document(done, settings))


def _write_junit(path: Path, done: Run, _: Settings) -> None:
    from gradlab.reporters.junit import render_junit

    write_whole(path, render_junit(done))


def _write_page(folder: Path, done: Run, _: Settings) -> None:
    from gradlab.reporters.page import page_of_run

    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / PAGE, page_of_run(done))


def _write_summary(path: str, done: Run, _: Settings) -> None:
    from gradlab.reporters import github

    with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as page:
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
