"""The pictures of a report in the order in which they are looked at, each with its words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradlab.pictures import Comparison, JacobianPair, Kink, Pictures, Steps
from gradlab.report import Report
from gradlab.reporters.drawings.canvas import figure
from gradlab.reporters.drawings.curves import kink, scatter, steps
from gradlab.reporters.drawings.heat_map import heat_map
from gradlab.reporters.drawings.matrices import jacobian_pair
from gradlab.words import counted

SCALED = ("factor", "sign", "averaged-instead-of-summed", "summed-instead-of-averaged")  # causes: one factor
VISIBLE = 0.005  # of the largest slope: a wider error bar can be seen
FEW = 3  # inputs whose gradient is right, that are drawn beside those that are wrong


@dataclass(frozen=True)
class Figure:
    """One picture.

    Attributes
    ----------
    title, caption : str
        What it shows, and what is to be seen; plain text.
    alt : str
        What it shows, for those who do not see it.
    svg : str
        The picture, as markup.
    """

    title: str
    caption: str
    alt: str
    svg: str


def figures_of(report: Report, pictures: Pictures) -> Iterator[Figure]:
    """Yield the pictures of a report: where, how both sides compare, how sure that is."""
    wrong = [c for c in pictures.comparisons if c.wrong.any()]
    right = [c for c in pictures.comparisons if not c.wrong.any()][: FEW if wrong else None]
    for c in wrong:
        if c.claimed.size > 1:  # of one entry, its step by step says more
            yield _where(c)
            yield _against(c, report)
    for pair in pictures.jacobians:
        yield _jacobian(pair)
    for one in pictures.kinks:
        yield _kink(one)
    for s in pictures.steps:
        yield _steps(s)
    for c in right:
        if c.claimed.size > 1:
            yield _where(c)


def _where(c: Comparison) -> Figure:
    what = "blocks of entries" if c.blocks else "entries"
    count = int(c.wrong.sum())
    if not count:
        unknown = int((~np.isfinite(c.error_bar)).sum())
        told = f"; {unknown} could not be told" if unknown else ""
        said = f"right at all {c.claimed.size} {what}{told}"
    else:
        k = c.worst
        assert k is not None
        relative = float(c.relative[k])
        largest = f"the largest relative difference is {relative:.2g}, at {c.labels[k]}"
        which = f"all {count}" if count == c.claimed.size else f"{count} of {c.claimed.size}"
        said = f"wrong at {which} {what}; {largest}"
    title = f"Where: gradient of {c.name}" if c.role == "backward" else f"Where: jvp along {c.name}"
    rows, columns = c.cells.shape
    alt = f"Heat map of {c.name}, {counted(rows, 'row')} of {counted(columns, 'cell')}: {said}."
    return Figure(title, _sentence(said), alt, heat_map(c, alt))


def _against(c: Comparison, report: Report) -> Figure:
    code = next((cause.code for cause in report.causes if cause.input == c.name), "")
    factor = c.factor if code in SCALED else None
    count = int(c.wrong.sum())
    said = f"{c.claimed.size - count} of {c.claimed.size} stand on the diagonal, {count} beside it"
    if not c.claimed.size - count:
        said = "every claim stands beside the diagonal"
    if factor is not None:
        said += f"; the cause predicts the dashed line, {figure(factor)} times what forward shows"
    widest = np.max(c.error_bar[np.isfinite(c.error_bar)], initial=0.0)
    visible = widest > VISIBLE * np.max(np.abs(c.numeric[np.isfinite(c.numeric)]), initial=0.0)
    said += "" if visible else ". Error bars are narrower than the marks"
    alt = f"Scatter plot of what {c.role} claims of {c.name} against what forward shows: {said}."
    return Figure(f"Claim against forward: {c.name}", _sentence(said), alt, scatter(c, alt, factor=factor))


def _jacobian(pair: JacobianPair) -> Figure:
    rows, columns = pair.numeric.shape
    said = f"{int(pair.wrong.sum())} of {pair.wrong.size} entries differ, in a frame"
    if not pair.wrong.any():
        said = f"all {pair.wrong.size} entries agree"
    else:
        p, q = (int(k) for k in np.argwhere(pair.wrong)[0])
        said += (
            f"; first d {pair.outputs[p]} / d {pair.entries[q]}: {figure(float(pair.numeric[p, q]))}, "
            f"claimed is {figure(float(pair.claimed[p, q]))}"
        )
    alt = f"Jacobian of {pair.name}, {rows} by {columns}, beside the one that {pair.role} claims: {said}."
    return Figure(f"Jacobian of {pair.name}", _sentence(said), alt, jacobian_pair(pair, alt))


def _kink(one: Kink) -> Figure:
    left, right, claim = map(figure, (one.left, one.right, one.claim))
    where = "outside of them" if one.wrong else "a subgradient"
    said = f"forward has a kink: its slope is {left} on the left, {right} on the right; "
    said += f"{one.role} claims {claim}, {where}"
    alt = f"What the output does as {one.label} moves: {said}."
    return Figure(f"Kink at {one.label}", _sentence(said), alt, kink(one, alt))


def _steps(s: Steps) -> Figure:
    best = float(np.nanmin(s.error)) if np.isfinite(s.error).any() else np.nan
    at = float(s.step[int(np.nanargmin(s.error))]) if np.isfinite(s.error).any() else np.nan
    away = f"{s.role} claims {figure(s.claim)}, {figure(s.distance, 2)} away"
    best_known = f"{figure(s.value, 6)} ± {figure(s.error_bar, 1)}"
    said = f"central differences come down to {best_known} (the blue band); {away}"
    alt = (
        f"Error of central differences along {s.label} against the step, from {s.step.max():.0e} to "
        f"{s.step.min():.0e}: smallest, {best:.0e}, at {at:.0e}. {_sentence(said)}"
    )
    return Figure(f"Error against step: {s.label}", _sentence(said), alt, steps(s, alt))


def _sentence(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}."
