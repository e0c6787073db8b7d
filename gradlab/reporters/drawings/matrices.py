"""Matrices with their numbers in them, coloured by sign and size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gradlab.numerics import Array
from gradlab.pictures import JacobianPair
from gradlab.reporters.drawings.canvas import element, figure, label, short, svg

WIDTH = 340.0
READABLE = 8  # columns, up to which numbers stand in the cells
LEVELS = 12  # of the opacity of cells


def jacobian_pair(pair: JacobianPair, alt: str) -> str:
    """Return the explicit Jacobian and the one that is claimed, on one scale of colours."""
    both = np.abs([pair.numeric, pair.claimed])
    size = float(np.max(both[np.isfinite(both)], initial=0.0)) or 1.0
    rows, columns = pair.numeric.shape
    beside = columns <= 5
    wide = min(44.0, (WIDTH - 16) / columns) if columns <= READABLE else (WIDTH - 60) / columns
    if beside:
        wide = min(wide, (WIDTH - 20) / 2 / columns)
        wide = max(wide, 118 / columns)  # the titles stand beside each other
    high = 22.0 if columns <= READABLE else max(min(wide, 16.0), 8.0)
    high = max(8.0, min(high, 420 / rows))
    parts, x, y = [], 4.0, 18.0
    nothing = np.zeros(pair.wrong.shape, dtype=bool)
    shown = (
        ("what forward shows", pair.numeric, nothing),
        (f"what {pair.role} claims", pair.claimed, pair.wrong),
    )
    for title, values, wrong in shown:
        parts.append(label(x, y - 6, title, "t-clm" if values is pair.claimed else "t-fwd"))
        parts.append(cells(values, x, y, wide, high, size, wrong))
        if beside:
            x += columns * wide + 14
        else:
            y += rows * high + 26
    bottom = y + rows * high + 6 if beside else y - 22
    return svg(WIDTH + 8, bottom, alt, *parts)


def cells(
    values: Array,
    x: float,
    y: float,
    wide: float,
    high: float,
    size: float,
    wrong: npt.NDArray[np.bool_] | None = None,
) -> str:
    """Return the cells of a matrix: opacity is size, the hue is the sign, a frame is wrong.

    Cells of one colour are one path: a page has tens of thousands of them.
    """
    paths: dict[tuple[str, int], str] = {}
    texts, frames = [], ""
    numbers = wide >= 26 and high >= 14
    for (p, q), value in np.ndenumerate(values):
        left, top = x + q * wide, y + p * high
        box = f"M{short(left)} {short(top)}h{short(wide - 1)}v{short(high - 1)}h{short(1 - wide)}z"
        colour = _colour(float(value), size)
        paths[colour] = paths.get(colour, "") + box
        if numbers:
            muted = " muted" if not value else ""
            place = left + (wide - 1) / 2, top + high / 2 + 3.5
            texts.append(label(*place, number(float(value)), f"mid mono{muted}"))
        if wrong is not None and wrong[p, q]:
            frames += box
    parts = [
        element(
            "path", d=path, class_=hue, opacity=f"{0.12 + 0.38 * level / LEVELS:.2f}" if level >= 0 else None
        )
        for (hue, level), path in sorted(paths.items())
    ]
    if frames:
        texts.append(element("path", d=frames, class_="cross", stroke_width=1.5))
    return "".join([*parts, *texts])


def _colour(value: float, size: float) -> tuple[str, int]:
    """Return the class of a cell, and its level of opacity; -1 where it has none."""
    if not np.isfinite(value):
        return "cx", -1
    if not value:
        return "c0", LEVELS
    return "neg" if value < 0 else "pos", round(LEVELS * min(1.0, abs(value) / size))


def number(value: float) -> str:
    """Return a number that fits a cell.

    >>> number(0.0), number(-1.23456), number(12345.0)
    ('0', '−1.23', '1e+04')
    """
    digits = 3 if abs(value) >= 0.1 else 2
    written = figure(value, digits) if 1e-3 <= abs(value) < 1e4 or not value else f"{value:.0e}"
    return written.replace("-", "−").replace("e+0", "e+").replace("e−0", "e−")
