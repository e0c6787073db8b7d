"""Reports as HTML, for notebooks: one fragment with its styles in it, no scripts, nothing loaded.

Pictures are in it where the check was quick: to take them costs about as much once more.
"""

from __future__ import annotations

from html import escape

from gradlab.report import Report, Verdict
from gradlab.reporters import wording
from gradlab.reporters.drawings import STYLE, figures_of
from gradlab.reporters.rows import InputRow, roles_of, rows_of

# White on each of these is readable whatever the theme; all else is in the notebook's own colours.
BACKGROUNDS = {Verdict.PASS: "#1a7f37", Verdict.FAIL: "#c1272d", Verdict.INCONCLUSIVE: "#8a6100"}
HEADERS = ("input", "verdict", "where", "worst entry", "{roles}", "{oracle}", "resolution")

QUICK = 1.0  # seconds of a check, up to which its pictures are shown unasked
CELL = "text-align:left;vertical-align:top;padding:2px 12px 2px 0;border:none"
RULE = "border-bottom:1px solid rgba(128,128,128,.5)"
FLOW = "display:flex;flex-wrap:wrap;gap:12px 24px;margin:10px 0"
FIGURE = "margin:0;width:356px;max-width:100%"
TABLE = "border-collapse:collapse;margin:6px 0;background:transparent"


def render(report: Report) -> str:
    """Return one report as an HTML fragment; every name and message in it is escaped.

    >>> import numpy as np
    >>> from gradlab import gradcheck
    >>> report = gradcheck(np.sin, lambda dy, x: dy * np.cos(x), np.array([0.5]), name="<sin>")
    >>> "&lt;sin&gt;: x right at the one entry" in render(report)
    True
    """
    verdict, _, rest = wording.headline(report).partition(" ")
    parts = [f"<div>{_badge(report.verdict, verdict)} {escape(rest)}</div>"]
    if not report.passed:
        also = [f"also: {message}" for message in wording.further(report)]
        causes = [
            f"cause ({wording.clean(cause.code)}): {wording.clean(cause.message)}" for cause in report.causes
        ]
        parts += [_line(text) for text in also]
        parts += [_table(report)] if report.inputs else []
        parts += [_line(text) for text in causes]
    parts += [_line(f"note: {wording.clean(note)}") for note in report.notes]
    if not report.passed:
        parts.append(_pictures(report))
    if not report.passed:
        parts += [_line(wording.counts(report))] if report.points > 1 else []
        parts.append(_reproduction(report))
    return f"<div>{''.join(parts)}</div>"


def _table(report: Report) -> str:
    compared = {"roles": roles_of(report), "oracle": report.oracle}
    headers = (header.format(**compared) for header in HEADERS)
    head = "".join(f'<th style="{CELL};{RULE}">{header}</th>' for header in headers)
    rows = "".join(map(_row, rows_of(report)))
    return f'<table style="{TABLE}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(row: InputRow) -> str:
    cells = [
        escape(row.name),
        _badge(row.verdict, row.word),
        *map(escape, (row.where, row.at, row.analytic, row.numeric, row.resolution)),
    ]
    written = "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells)
    return f"<tr>{written}</tr>"


def _badge(verdict: Verdict, word: str) -> str:
    style = f"background:{BACKGROUNDS[verdict]};color:#fff;padding:0 6px;border-radius:3px;white-space:nowrap"
    return f'<span style="{style}">{escape(word)}</span>'


def _pictures(report: Report) -> str:
    if report.origin is None:
        return ""
    if report.seconds > QUICK:
        return _line("pictures: report.to_html(path) writes a page with them")
    pictures = report.pictures
    assert pictures is not None
    figures = [
        f'<figure style="{FIGURE}"><figcaption><b>{escape(one.title)}</b>: {escape(one.caption)}</figcaption>'
        f"{one.svg}</figure>"
        for one in figures_of(report, pictures)
    ]
    notes = "".join(_line(wording.clean(note)) for note in pictures.notes)
    return f'<style>{STYLE}</style><div style="{FLOW}">{"".join(figures)}</div>{notes}' if figures else notes


def _line(text: str) -> str:
    return f"<div>{escape(text)}</div>"


def _reproduction(report: Report) -> str:
    snippet = report.snippet or report.example
    if snippet is None:
        return _line(f"reproduce with rng={report.seed}")
    code = f'<pre style="background:transparent;overflow-x:auto;margin:4px 0">{escape(snippet)}</pre>'
    return f"<details><summary>reproduce with rng={report.seed}</summary>{code}</details>"
