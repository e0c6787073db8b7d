"""Matrices in equations: a block of the Jacobian, what it is multiplied by, and the sum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradlab.numerics import Array
from gradlab.reporters.drawings.canvas import label, svg
from gradlab.reporters.drawings.matrices import cells

CELL, ROW = 56.0, 22.0  # of one entry
SMALL = 26.0  # of one entry of the whole Jacobian


def as_matrix(value: object) -> Array:
    """Return an array as rows and columns; leading axes are rows."""
    array = np.asarray(value, dtype=float)
    return array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)


def row_of(terms: Sequence[tuple[str, object]], alt: str) -> str:
    """Return matrices beside each other; a text of one character between them is a sign."""
    matrices = [as_matrix(value) for _, value in terms if not isinstance(value, str)]
    height = max(matrix.shape[0] for matrix in matrices) * ROW
    size = max(float(np.abs(matrix).max(initial=0.0)) for matrix in matrices)
    parts, x, top = [], 4.0, 18.0
    for name, value in terms:
        if isinstance(value, str):
            parts.append(label(x + 2, top + height / 2 + 4, value, font_size="15"))
            x += 10 + 8.5 * len(value)
            continue
        matrix = as_matrix(value)
        rows, columns = matrix.shape
        parts.append(label(x, 11, name, "muted"))
        parts.append(cells(matrix, x, top + (height - rows * ROW) / 2, CELL, ROW, size or 1.0))
        x += max(columns * CELL, 6.2 * len(name)) + 10
    return svg(x, top + height + 4, alt, *parts)


def whole(jacobian: Array, entries: Sequence[str], name: str, alt: str) -> str:
    """Return the whole Jacobian, a column for each entry of the input, headed by it."""
    outputs, columns = jacobian.shape
    wide = CELL if columns <= 8 else SMALL
    size = float(np.abs(jacobian).max(initial=0.0)) or 1.0
    left, top = 64.0, 18.0
    parts = [
        label(left + (k + 0.5) * wide, 11, entry.removeprefix(name) or entry, "muted mid mono")
        for k, entry in enumerate(entries)
        if wide == CELL
    ]
    parts += [label(2, top + (r + 0.5) * ROW + 4, f"Y #{r}", "muted mono") for r in range(outputs)]
    parts.append(cells(jacobian, left, top, wide, ROW, size))
    return svg(left + columns * wide + 4, top + outputs * ROW + 4, alt, *parts)
