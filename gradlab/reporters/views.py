"""What the templates of pages are filled in with: plain text, but for the pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gradlab.report import Report
from gradlab.reporters import wording
from gradlab.reporters.drawings import Figure, figures_of
from gradlab.reporters.drawings.canvas import figure
from gradlab.reporters.drawings.figures import SCALED
from gradlab.reporters.rows import InputRow, roles_of, rows_of
from gradlab.runs import WORST_FIRST, Status
from gradlab.words import counted

if TYPE_CHECKING:
    from gradlab.pictures import Pictures
    from gradlab.runs import Outcome, Run


@dataclass(frozen=True)
class CauseView:
    """A cause, and what it predicts."""

    code: str
    message: str
    predicts: str


@dataclass(frozen=True)
class View:
    """One report."""

    name: str
    status: str
    headline: str
    meta: str
    roles: str
    oracle: str
    inputs: tuple[InputRow, ...]
    causes: tuple[CauseView, ...]
    said: tuple[str, ...]
    figures: tuple[Figure, ...]
    snippet: str
    snippet_title: str
    trace: str = ""
    id: str = ""
    place: str = ""


def view_of(report: Report, pictures: Pictures | None) -> View:
    """Return what is said of a report."""
    name = wording.clean(report.name)
    headline = wording.headline(report).removeprefix(f"{report.verdict.upper()} {name}: ")
    notes = [*wording.further(report), *map(wording.clean, report.notes)]
    figures: tuple[Figure, ...] = ()
    if pictures is not None:
        notes += map(wording.clean, pictures.notes)
        figures = tuple(replace(f, svg=_markup(f.svg)) for f in figures_of(report, pictures))
    calls = [
        (report.forward_calls, "forward"),
        (report.backward_calls, "backward"),
        (report.jvp_calls, "jvp"),
    ]
    meta = [
        wording.counts(report) or counted(report.points, "point"),
        " and ".join(f"{count} {what}" for count, what in calls if count) + " calls",
        f"{report.seconds:.2g} s",
        f"compared with {report.oracle}",
        f"rng={report.seed}",
    ]
    return View(
        name=name,
        status=str(report.verdict),
        headline=f"{headline[:1].upper()}{headline[1:]}",
        meta=" · ".join(meta),
        roles=roles_of(report),
        oracle=report.oracle,
        inputs=tuple(rows_of(report)),
        causes=tuple(_cause(cause, pictures) for cause in report.causes),
        said=tuple(notes),
        figures=figures,
        snippet=report.snippet or report.example or "",
        snippet_title="Reproduce at the simplest failing point" if report.points > 1 else "Reproduce",
    )


def _cause(cause: Any, pictures: Pictures | None) -> CauseView:
    factor = None
    if pictures is not None and cause.code in SCALED:
        factor = next((c.factor for c in pictures.comparisons if c.name == cause.input), None)
    predicts = "" if factor is None else f"it predicts claims of {figure(factor)} times what forward shows"
    return CauseView(wording.clean(cause.code), wording.clean(cause.message), predicts)


@dataclass(frozen=True)
class RowView:
    """A row of the overview; what has no number is an empty text."""

    name: str
    status: str
    order: int
    link: str
    points: int | str
    calls: int | str
    resolution: str
    resolution_value: float | str
    seconds: str
    said: str


@dataclass(frozen=True)
class RunView:
    """A whole run."""

    title: str
    heading: str
    meta: str
    counts: tuple[tuple[str, int], ...]
    problems: tuple[str, ...]
    rows: tuple[RowView, ...]
    views: tuple[View, ...]

    @classmethod
    def of(cls, run: Run) -> RunView:
        """Return what is said of a run; what does not pass comes first."""
        rows, views = [], []
        for number, outcome in enumerate(sorted(run.outcomes, key=_order), start=1):
            link = f"rule-{number}" if str(outcome.status) != "pass" else ""
            rows.append(_row(outcome, link))
            if link:
                views.append(_section(outcome, link))
        asked = {key: run.settings.get(key) for key in ("max-examples", "seed", "rtol", "k")}
        settings = ", ".join(f"{key} {value}" for key, value in asked.items() if value not in ("", None))
        statuses = [(str(status), count) for status, count in run.counts.items() if count]
        statuses.sort(key=lambda pair: WORST_FIRST.index(Status(pair[0])))
        return cls(
            title=f"{run.summary()} - gradlab",
            heading=counted(run.selected, "rule"),
            meta=f"{run.seconds:.1f} s · exit code {run.exit_code} · {settings}",
            counts=tuple(statuses),
            problems=run.problems,
            rows=tuple(rows),
            views=tuple(views),
        )


def _order(outcome: Outcome) -> int:
    return WORST_FIRST.index(outcome.status)


def _row(outcome: Outcome, link: str) -> RowView:
    report = outcome.report
    seen = [r.resolution for r in report.inputs if r.resolution is not None] if report is not None else []
    coarsest = max(seen, default=None)
    return RowView(
        name=wording.clean(outcome.rule.name),
        status=str(outcome.status),
        order=_order(outcome),
        link=link,
        points=report.points if report is not None else "",
        calls=report.forward_calls if report is not None else "",
        resolution="" if coarsest is None else f"{coarsest:.0e}",
        resolution_value="" if coarsest is None else coarsest,
        seconds=f"{report.seconds:.2f}" if report is not None else "",
        said=wording.clean(outcome.headline),
    )


def _section(outcome: Outcome, link: str) -> View:
    rule, error = outcome.rule, outcome.error
    place = "" if rule.file is None else f"{rule.file}:{rule.line}"
    if outcome.report is not None:
        view = view_of(outcome.report, outcome.pictures)
        known = (f"known failure: {wording.clean(outcome.headline)}",) if rule.known_failure else ()
        return replace(
            view,
            status=str(outcome.status),
            id=link,
            place=place,
            trace=outcome.raised,
            said=(*known, *view.said),
        )
    return View(
        name=wording.clean(rule.name),
        status=str(outcome.status),
        headline=wording.clean(outcome.headline),
        meta=str(error.kind) if error is not None else "",
        roles="",
        oracle="",
        inputs=(),
        causes=(),
        said=(),
        figures=(),
        snippet=_snippet(error.call) if error is not None and error.call else "",
        snippet_title="Reproduce",
        trace=error.stack if error is not None else "",
        id=link,
        place=place,
    )


def _snippet(call: str) -> str:
    from gradlab.report import snippet_of

    return snippet_of(call)


def _markup(svg: str) -> Any:
    from markupsafe import Markup

    return Markup(svg)  # whose texts were escaped where it was written
