"""Computation graphs: what is computed from what, and what flows back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gradlab.reporters.drawings.canvas import element, label, short, svg

WIDE, HIGH = 84.0, 44.0  # of a node


@dataclass(frozen=True)
class Node:
    """One number or array of a graph, at a place, with what it is."""

    name: str
    value: str
    x: float
    y: float


@dataclass(frozen=True)
class Edge:
    """What flows from one node to another: its local derivative, and whether gradients share that."""

    start: str
    end: str
    derivative: str
    shared: bool = False


def graph(nodes: Sequence[Node], edges: Sequence[Edge], alt: str, *, notes: Sequence[str] = ()) -> str:
    """Return a graph; shared edges are thick, and their derivatives in the colour of claims."""
    places: Mapping[str, Node] = {node.name: node for node in nodes}
    width = max(node.x for node in nodes) + WIDE + 6
    height = max(node.y for node in nodes) + HIGH + 24
    parts = []
    for edge in edges:
        a, b = places[edge.start], places[edge.end]
        x1, y1, x2, y2 = _ends(a, b)
        parts.append(_arrow(x1, y1, x2, y2, shared=edge.shared))
        at = ((x1 + x2) / 2, (y1 + y2) / 2)
        flat = abs(y2 - y1) < HIGH / 2
        x, y, anchor = (at[0], at[1] - 8, "mid") if flat else (at[0] + 8, at[1] + 4, "")
        for k, row in enumerate(edge.derivative.split("\n")[::-1] if flat else edge.derivative.split("\n")):
            shift = -13 * k if flat else 13 * k
            parts.append(label(x, y + shift, row, f"{'t-clm' if edge.shared else 'muted'} {anchor}".strip()))
    for node in nodes:
        parts.append(
            element("rect", x=node.x, y=node.y, width=WIDE, height=HIGH, rx=8, class_="node")
            + element("rect", x=node.x, y=node.y, width=WIDE, height=HIGH, rx=8, class_="edge")
        )
        parts.append(label(node.x + WIDE / 2, node.y + 18, node.name, "mid", font_weight="600"))
        parts.append(label(node.x + WIDE / 2, node.y + 34, node.value, "mid mono muted"))
    for k, note in enumerate(notes):
        parts.append(label(4, height + 4 + 16 * k, note, "t-clm" if k == 0 else "muted"))
    return svg(width, height + 16 * len(notes), alt, *parts)


def _ends(a: Node, b: Node) -> tuple[float, float, float, float]:
    """Return where an edge leaves one node and reaches the other."""
    if b.x > a.x + WIDE:  # to the right
        return a.x + WIDE, a.y + HIGH / 2, b.x, b.y + HIGH / 2
    if b.y > a.y:  # down
        return a.x + WIDE / 2, a.y + HIGH, b.x + WIDE / 2, b.y
    return a.x + WIDE / 2, a.y, b.x + WIDE / 2, b.y + HIGH  # up


def _arrow(x1: float, y1: float, x2: float, y2: float, *, shared: bool) -> str:
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5 or 1.0
    dx, dy = (x2 - x1) / length, (y2 - y1) / length
    head = "".join(
        f"M{short(x2)} {short(y2)}L{short(x2 - 8 * dx + s * 4 * dy)} {short(y2 - 8 * dy - s * 4 * dx)}"
        for s in (1, -1)
    )
    path = f"M{short(x1)} {short(y1)}L{short(x2)} {short(y2)}{head}"
    return element("path", d=path, class_="hot" if shared else "edge", stroke_width=2.5 if shared else 1.2)
