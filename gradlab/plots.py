"""Pictures of a report as Matplotlib figures, for scripts and notebooks; the extra ``plot`` installs it.

Each function draws on axes of its own, or on those that it is given, and returns them: what is to be seen is
in the report's `Report.pictures`, as arrays.

>>> import numpy as np
>>> from gradlab import gradcheck
>>> report = gradcheck(np.sin, lambda dy, x: dy * x, np.array([0.5, 1.0, 2.0]), raise_exception=False)
>>> [comparison.name for comparison in report.pictures.comparisons]
['x']
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gradlab.errors import UsageError
from gradlab.pictures import Comparison, JacobianPair, Kink, Pictures, Steps
from gradlab.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISSING = (
    "Matplotlib is not installed, which plots are drawn with; pip install 'gradlab-verify[plot]' brings it"
)
FORWARD, CLAIM, EXTRAPOLATED, NEUTRAL = "#0b5cad", "#c1272d", "#1a7f37", "#57606a"
PANEL = (4.2, 3.6)  # inches
LEVELS = (-12.0, 0.0)  # of log10 of a relative difference, the colours between

T = TypeVar("T")


def overview(report: Report) -> Figure:
    """Draw everything that there is to see of a report.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    UsageError
        Where Matplotlib is missing, or the report has no point to draw.
    """
    plt = _pyplot()
    pictures = _pictures(report)
    wrong = [c for c in pictures.comparisons if c.wrong.any()] or list(pictures.comparisons[:1])
    drawn: list[tuple[Any, tuple[Any, ...]]] = []
    for c in wrong:
        drawn += [(_heat_map, (c,)), (_scatter, (c,))]
    drawn += [(_kink, (k,)) for k in pictures.kinks]
    drawn += [(_steps, (s,)) for s in pictures.steps]
    for pair in pictures.jacobians:
        size = _size(pair)
        drawn += [
            (_matrix, (pair, pair.numeric, "forward", size)),
            (_matrix, (pair, pair.claimed, pair.role, size)),
        ]
    if not drawn:
        raise UsageError(f"{report.name} has nothing to draw: {'; '.join(pictures.notes)}")
    columns = min(3, len(drawn))
    rows = -(-len(drawn) // columns)
    figure: Figure
    figure, axes = plt.subplots(
        rows, columns, figsize=(PANEL[0] * columns, PANEL[1] * rows), squeeze=False, layout="constrained"
    )
    figure.suptitle(f"{report.name}: {report.verdict}")
    for ax in axes.flat[len(drawn) :]:
        ax.set_axis_off()
    for ax, (draw, arguments) in zip(axes.flat, drawn, strict=False):
        draw(ax, *arguments)
    return figure


def heat_map(report: Report, input: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the relative difference at each entry of an input, those that are wrong with a cross.

    Parameters
    ----------
    report : Report
        From `gradlab.gradcheck`, or of a failing `gradlab.verify`.
    input : str, optional
        Which; by default the one that is worst.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Raises
    ------
    UsageError
        Where Matplotlib is missing, the report has no point to draw, or no such input.
    """
    return _heat_map(_axes(ax), _named(_pictures(report).comparisons, input))


def scatter(report: Report, input: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw what is claimed of each entry of an input against what forward shows, with error bars.

    Takes what `heat_map` takes, and raises what it raises.
    """
    return _scatter(_axes(ax), _named(_pictures(report).comparisons, input))


def steps(report: Report, which: int = 0, *, ax: Axes | None = None) -> Axes:
    """Draw the error of central differences against the step, and the claim as a line.

    Parameters
    ----------
    report : Report
        As for `heat_map`.
    which : int
        Of ``report.pictures.steps``, the worst first.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    """
    return _steps(_axes(ax), _at(_pictures(report).steps, which, "error against step"))


def kink(report: Report, which: int = 0, *, ax: Axes | None = None) -> Axes:
    """Draw forward on both sides of a kink, and the slope that is claimed there.

    Takes what `steps` takes; ``which`` is of ``report.pictures.kinks``.
    """
    return _kink(_axes(ax), _at(_pictures(report).kinks, which, "kink"))


def jacobians(report: Report, input: str | None = None) -> Figure:
    """Draw the explicit Jacobian of an input beside the one that is claimed; what differs has a frame."""
    plt = _pyplot()
    pair = _named(_pictures(report).jacobians, input)
    figure: Figure
    figure, (left, right) = plt.subplots(1, 2, figsize=(2 * PANEL[0], PANEL[1]), layout="constrained")
    size = _size(pair)
    _matrix(left, pair, pair.numeric, "forward", size)
    _matrix(right, pair, pair.claimed, pair.role, size)
    return figure


def _heat_map(ax: Axes, c: Comparison) -> Axes:
    with np.errstate(divide="ignore"):
        shown = np.log10(np.where(np.isfinite(c.relative), c.relative, np.where(c.wrong, 1.0, np.nan)))
    values = np.where(c.cells >= 0, np.clip(shown, *LEVELS)[c.cells], np.nan)
    picture = ax.imshow(
        values, cmap="Reds", vmin=LEVELS[0], vmax=LEVELS[1], aspect="auto", interpolation="none"
    )
    rows, columns = np.nonzero((c.cells >= 0) & c.wrong[c.cells])
    ax.plot(columns, rows, "kx", markersize=4, label="wrong")
    bar = ax.figure.colorbar(picture, ax=ax)
    bar.set_label("log10 of the relative difference")
    every = max(1, len(c.row_labels) // 16)
    ax.set_yticks(range(0, len(c.row_labels), every), c.row_labels[::every])
    ax.set_title(f"gradient of {c.name}: {int(c.wrong.sum())} of {c.wrong.size} wrong")
    return ax


def _scatter(ax: Axes, c: Comparison) -> Axes:
    for which, style, colour, name in ((~c.wrong, "o", FORWARD, "right"), (c.wrong, "x", CLAIM, "wrong")):
        known = which & np.isfinite(c.numeric) & np.isfinite(c.claimed) & np.isfinite(c.error_bar)
        if known.any():
            x, y, bar = c.numeric[known], c.claimed[known], c.error_bar[known]
            ax.errorbar(x, y, xerr=bar, fmt=style, color=colour, markersize=4, label=name)
    ax.axline((0.0, 0.0), slope=1.0, color=NEUTRAL, linewidth=0.8)
    ax.set_xlabel("what forward shows")
    ax.set_ylabel(f"what {c.role} claims")
    ax.set_title(f"claim against forward: {c.name}")
    ax.legend()
    return ax


def _steps(ax: Axes, s: Steps) -> Axes:
    ax.loglog(s.step, s.error, "o-", color=FORWARD, markersize=3, label="central differences")
    ax.loglog(s.step, s.extrapolated_bar, color=EXTRAPOLATED, label="extrapolated ±")
    ax.loglog(s.step, s.rounding, ":", color=NEUTRAL, label="rounding")
    if np.isfinite(s.error_bar):
        ax.axhspan(0.0, s.error_bar, color=FORWARD, alpha=0.12)
    if s.distance > 0:
        ax.axhline(s.distance, color=CLAIM, linestyle="--", label=f"what {s.role} claims")
    ax.set_xlabel("step")
    ax.set_ylabel("error")
    ax.set_title(f"error against step: {s.label}")
    ax.legend(fontsize="small")
    return ax


def _kink(ax: Axes, k: Kink) -> Axes:
    reach = float(np.abs(k.offset).max())
    ax.plot(k.offset, k.change, color=FORWARD, label="forward")
    ax.plot([-reach, 0], [-reach * k.left, 0], ":", color=NEUTRAL, label="its slopes")
    ax.plot([0, reach], [0, reach * k.right], ":", color=NEUTRAL)
    ax.plot([-reach, reach], [-reach * k.claim, reach * k.claim], "--", color=CLAIM, label=k.role)
    ax.set_xlabel(f"how far {k.label} is moved")
    ax.set_ylabel("what the output changes by")
    ax.set_title(f"kink at {k.label}")
    ax.legend(fontsize="small")
    return ax


def _matrix(ax: Axes, pair: JacobianPair, values: Any, whose: str, size: float) -> Axes:
    ax.imshow(values, cmap="PuOr_r", vmin=-size, vmax=size, aspect="auto", interpolation="none")
    if values is pair.claimed:
        rows, columns = np.nonzero(pair.wrong)
        ax.plot(columns, rows, "s", markerfacecolor="none", markeredgecolor=CLAIM, markersize=9)
    ax.set_xlabel(f"entries of {pair.name}")
    ax.set_ylabel("outputs")
    ax.set_title(f"Jacobian: {whose}")
    return ax


def _size(pair: JacobianPair) -> float:
    both = np.abs([pair.numeric, pair.claimed])
    return float(np.max(both[np.isfinite(both)], initial=0.0)) or 1.0


def _pictures(report: Report) -> Pictures:
    pictures = report.pictures
    if pictures is None:
        raise UsageError(
            f"{report.name} has no point to draw: it passed at many points, or comes from a file or another "
            "process; expected a report of gradlab.gradcheck, or of a gradlab.verify that failed, made here"
        )
    return pictures


def _named(items: Sequence[T], name: str | None) -> T:
    """Return the picture of an input; the first, which is worst, where none is named."""
    if not items:
        raise UsageError("the report has no such picture: its point is too large for it, or has one output")
    if name is None:
        return items[0]
    found = [item for item in items if getattr(item, "name", None) == name]
    if not found:
        names = ", ".join(str(getattr(item, "name", "")) for item in items)
        raise UsageError(f"input is {name!r}; expected one of {names}")
    return found[0]


def _at(items: Sequence[T], which: int, what: str) -> T:
    if not 0 <= which < len(items):
        raise UsageError(f"which is {which}; the report has {len(items)} pictures of {what}")
    return items[which]


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    made: Axes
    _, made = _pyplot().subplots(figsize=PANEL, layout="constrained")
    return made


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise UsageError(MISSING) from error
    return plt
