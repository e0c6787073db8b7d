"""Where: the relative difference at each entry of an input."""

from __future__ import annotations

import numpy as np

from gradlab.numerics import Array
from gradlab.pictures import Comparison
from gradlab.reporters.drawings.canvas import element, figure, label, short, svg, text

WIDTH = 340.0
READABLE = 8  # columns, up to which a cell has its number in it
EDGES = (1e-12, 1e-9, 1e-6, 1e-3, 1e-1)  # between the levels; the first two are of agreement
TITLED = 40  # cells, up to which each says what it is when it is pointed at


def levels(c: Comparison) -> Array:
    """Return the level of each probe: 0 to 2 where both sides agree, 3 to 6 where they do not, -1 unknown.

    What agrees within its error bar is never of a level of disagreement, nor the other way round.
    """
    relative = c.relative
    agreed = np.searchsorted(EDGES[:2], relative)
    wrong = 3 + np.searchsorted(EDGES[2:], np.nan_to_num(relative, nan=np.inf))
    known = np.isfinite(c.error_bar) & np.isfinite(relative)
    return np.where(c.wrong, wrong, np.where(known, agreed, -1))


def heat_map(c: Comparison, alt: str) -> str:
    """Return the picture of one input."""
    rows, columns = c.cells.shape
    left = 8 + 6.2 * max((len(head) for head in c.row_labels), default=0)
    numbers = columns <= READABLE
    room = (WIDTH - left) / max(1, columns)
    wide = min(room, 48.0) if numbers else min(room, 22.0)
    high = 24.0 if numbers else max(min(24.0, wide), min(10.0, 160 / rows))
    if rows > 40:
        high = max(3.0, min(high, 420 / rows))
    top, level = 16.0, levels(c)
    parts = [_columns(c, left, wide), *_rows(c, top, high)]
    places = [(int(k), left + q * wide, top + p * high) for (p, q), k in np.ndenumerate(c.cells) if k >= 0]
    gap = 1.0 if min(wide, high) > 5 else 0.0
    for shade in range(-1, 7):
        path = "".join(
            f"M{short(x)} {short(y)}h{short(wide - gap)}v{short(high - gap)}h{short(gap - wide)}z"
            for k, x, y in places
            if level[k] == shade
        )
        if path:
            parts.append(element("path", d=path, class_=f"c{shade}" if shade >= 0 else "cx"))
    if numbers and rows <= 40:
        parts += [
            label(x + (wide - gap) / 2, y + high / 2 + 3.5, _number(c, k), f"mid mono {_on(level[k])}")
            for k, x, y in places
        ]
    else:
        parts += [_crosses(places, level, wide, high, dark) for dark in (False, True)]
    if len(places) <= TITLED:
        parts += [
            element("rect", _title(c, k), x=x, y=y, width=wide, height=high, fill="transparent")
            for k, x, y in places
        ]
    bottom = top + rows * high + 8
    parts.append(_legend(left, bottom, any(level < 0)))
    return svg(WIDTH + 8, bottom + 32, alt, *parts)


def _columns(c: Comparison, left: float, wide: float) -> str:
    columns = c.cells.shape[1]
    every = max(1, int(np.ceil(22 / wide)))
    if c.blocks:
        return label(left, 10, f"{columns} blocks across" if c.cells.shape[0] > 1 else "", "muted")
    places = range(0, columns, every)
    return "".join(label(left + (q + 0.5) * wide, 10, str(q), "muted mid") for q in places)


def _rows(c: Comparison, top: float, high: float) -> list[str]:
    every = max(1, int(np.ceil(11 / high)))
    return [
        label(2, top + (p + 0.5) * high + 3.5, head, "muted mono")
        for p, head in enumerate(c.row_labels)
        if head and p % every == 0
    ]


def _number(c: Comparison, k: int) -> str:
    relative = float(c.relative[k])
    if not np.isfinite(relative):
        return "∞" if c.wrong[k] else "?"
    if not c.wrong[k]:
        return "✓" if np.isfinite(c.error_bar[k]) else "?"
    return f"{relative:.1g}".replace("e-0", "e-").replace("-", "−")


def _on(level: int) -> str:
    return "on6" if level == 6 else "on"


def _crosses(
    places: list[tuple[int, float, float]], level: Array, wide: float, high: float, dark: bool
) -> str:
    """Return a cross in every wrong cell, for those who do not see the colour."""
    if min(wide, high) < 6:
        return ""
    a, b = wide * 0.3, high * 0.3
    path = "".join(
        f"M{short(x + a)} {short(y + b)}l{short(wide * 0.4)} {short(high * 0.4)}"
        f"m0 {short(-high * 0.4)}l{short(-wide * 0.4)} {short(high * 0.4)}"
        for k, x, y in places
        if level[k] >= 3 and (level[k] == 6) == dark
    )
    return element("path", d=path, class_="mark6" if dark else "mark") if path else ""


def _title(c: Comparison, k: int) -> str:
    return element("title", text(say(c, k)))


def say(c: Comparison, k: int) -> str:
    """Say what both sides are at one probe."""
    what = "wrong" if c.wrong[k] else "right" if np.isfinite(c.error_bar[k]) else "not told"
    return (
        f"{c.labels[k]} {what}: {c.role} {figure(float(c.claimed[k]))}, "
        f"forward {figure(float(c.numeric[k]))} ± {figure(float(c.error_bar[k]))}"
    )


def _legend(left: float, y: float, unknown: bool) -> str:
    """Return what the colours mean: the relative difference between two of them."""
    parts = [label(left, y + 23, "agrees", "muted")]
    edges = [left + x for x in (0, 20, 40, 66, 100, 134, 168)]
    for k, x in enumerate(edges):
        parts.append(element("rect", x=x, y=y + 2, width=19 if k < 3 else 33, height=9, class_=f"c{k}"))
    ends = zip(("10⁻⁶", "10⁻³", "10%"), edges[4:], strict=True)
    parts += [label(x, y + 23, edge, "muted mid") for edge, x in ends]
    parts.append(label(left + 208, y + 10, "relative difference", "muted"))
    if unknown:
        parts.append(element("rect", x=left + 208, y=y + 16, width=14, height=8, class_="cx"))
        parts.append(label(left + 226, y + 23, "could not be told", "muted"))
    return "".join(parts)
