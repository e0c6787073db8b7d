"""Error against step, claim against numeric, and the slopes on both sides of a kink."""

from __future__ import annotations

import numpy as np

from gradlab.pictures import Comparison, Kink, Steps
from gradlab.reporters.drawings.canvas import (
    Axis,
    element,
    figure,
    frame,
    label,
    line,
    log_range,
    polyline,
    short,
    svg,
    text,
)
from gradlab.reporters.drawings.heat_map import say

WIDTH, HEIGHT = 348.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 22.0, 36.0
POINTS = 250  # of a scatter plot; wrong ones first
TITLED = 60  # points that say what they are when they are pointed at


def steps(s: Steps, alt: str) -> str:
    """Return the error of central differences against the step, log-log, and the claim as a line."""
    floor = max(abs(s.value), abs(s.claim), 1e-300) * 1e-17
    error = np.fmax(s.error, floor)
    bar = float(max(s.error_bar, floor)) if np.isfinite(s.error_bar) else np.nan
    extrapolated = np.where(np.isfinite(s.extrapolated_bar), np.fmax(s.extrapolated_bar, floor), np.nan)
    shown = [*error, *extrapolated, bar, *([s.distance] if s.distance > 0 else [])]
    x = _axis_x(float(s.step.min()), float(s.step.max()), log=True)
    y = _axis_y(*log_range([float(v) for v in shown]), log=True)
    parts = [frame(x, y, "step", "error")]
    if np.isfinite(bar):
        top = y.at(bar)
        parts.append(
            element("rect", x=x.start, y=top, width=x.end - x.start, height=y.start - top, class_="band")
        )
    expected = [(x.at(h), y.at(float(r))) for h, r in zip(s.step, s.rounding, strict=True)]
    parts.append(polyline([(a, b) for a, b in expected if y.end <= b <= y.start], "axis dot"))
    points = [(x.at(float(h)), y.at(float(e))) for h, e in zip(s.step, extrapolated, strict=True)]
    parts.append(polyline(points, "ext", 1.5))
    points = [(x.at(float(h)), y.at(float(e))) for h, e in zip(s.step, error, strict=True)]
    parts.append(polyline(points, "fwd", 1.5))
    known = [(px, py) for px, py in points if np.isfinite(px) and np.isfinite(py)]
    parts.append(_dots(known, stroke_width=4.4))
    if s.distance > 0 and np.isfinite(s.distance):
        at = y.at(max(s.distance, floor))
        parts.append(line(x.start, at, x.end, at, "clm"))
        under = at < y.end + 14
        parts.append(label(x.end - 2, at + (13 if under else -5), f"what {s.role} claims", "t-clm end"))
    key = [
        ("fwd", "t-fwd", "differences"),
        ("ext", "t-ext", "extrapolated ±"),
        ("axis dot", "muted", "rounding"),
    ]
    return svg(WIDTH, HEIGHT + 18, alt, *parts, _key(key))


def scatter(c: Comparison, alt: str, *, factor: float | None = None) -> str:
    """Return claims against what forward shows, with the diagonal; with a factor, what a cause predicts."""
    order = np.argsort(~c.wrong, kind="stable")
    order = order[np.isfinite(c.claimed[order]) & np.isfinite(c.numeric[order])][:POINTS]
    claimed, numeric = c.claimed[order], c.numeric[order]
    both = np.concatenate([claimed, numeric, [0.0]]) if order.size else np.array([-1.0, 1.0])
    low, high = float(both.min()), float(both.max())
    room = 0.06 * (high - low) or 1.0
    x, y = _axis_x(low - room, high + room), _axis_y(low - room, high + room)
    parts = [frame(x, y, "what forward shows", f"what {c.role} claims")]
    parts.append(line(x.at(x.low), y.at(y.low), x.at(x.high), y.at(y.high), "axis"))
    if factor is not None:
        ends = [t for t in (x.low, x.high) if y.low <= factor * t <= y.high]
        ends += [t / factor for t in (y.low, y.high) if x.low <= t / factor <= x.high]
        if len(ends) >= 2:
            a, b = min(ends), max(ends)
            parts.append(line(x.at(a), y.at(factor * a), x.at(b), y.at(factor * b), "clm"))
    bars = ""
    for k in order:
        reach = abs(x.at(float(c.numeric[k] + c.error_bar[k])) - x.at(float(c.numeric[k])))
        if 1 < reach < WIDTH:
            px, py = x.at(float(c.numeric[k])), y.at(float(c.claimed[k]))
            bars += f"M{short(px - reach)} {short(py)}h{short(2 * reach)}"
    parts.append(element("path", d=bars, class_="fwd") if bars else "")
    right: list[tuple[float, float]] = []
    wrong: list[tuple[int, float, float]] = []
    for k in order[::-1]:
        px, py = x.at(float(c.numeric[k])), y.at(float(c.claimed[k]))
        if c.wrong[k]:
            wrong.append((int(k), px, py))
        else:
            right.append((px, py))
    parts.append(_dots(right, stroke_width=6, opacity="0.7"))
    path = "".join(f"M{short(px - 3.5)} {short(py - 3.5)}l7 7m0 -7l-7 7" for _, px, py in wrong)
    parts.append(element("path", d=path, class_="cross", stroke_width=1.6) if path else "")
    parts += [
        element("circle", element("title", text(say(c, k))), cx=px, cy=py, r=6, fill="transparent")
        for k, px, py in wrong[-TITLED:]
    ]
    key = [("axis", "muted", "equal")]
    key += [("dots", "t-fwd", "right")] if right else []
    key += [("crosses", "t-clm", "wrong")] if wrong else []
    key += [("clm", "t-clm", f"{figure(factor)} ×")] if factor is not None else []
    return svg(WIDTH, HEIGHT + 18, alt, *parts, _key(key))


def kink(k: Kink, alt: str) -> str:
    """Return forward on both sides of a kink, its slopes there, and the slope that is claimed."""
    reach = float(np.abs(k.offset).max())
    x = _axis_x(-reach, reach)
    known = k.change[np.isfinite(k.change)]
    ends = [*known, *(v for v in (k.claim * reach, -k.claim * reach) if np.isfinite(v))]
    low, high = min(ends), max(ends)
    room = 0.06 * (high - low) or 1.0
    y = _axis_y(low - room, high + room)
    parts = [frame(x, y, f"how far {k.label} is moved", "what the output changes by")]
    for slope, end in ((k.left, -reach), (k.right, reach)):
        parts.append(_clipped(x, y, slope, end, "axis dot"))
    points = [(x.at(float(t)), y.at(float(v))) for t, v in zip(k.offset, k.change, strict=True)]
    parts.append(polyline(points, "fwd", 2))
    if np.isfinite(k.claim):
        parts += [_clipped(x, y, k.claim, -reach, "clm"), _clipped(x, y, k.claim, reach, "clm")]
    parts.append(_dot(x.at(0.0), y.at(0.0), "fwd-dot", 3))
    key = [
        ("fwd", "t-fwd", "forward"),
        ("axis dot", "muted", "its slopes"),
        ("clm", "t-clm", f"{k.role}: {figure(k.claim)}"),
    ]
    return svg(WIDTH, HEIGHT + 18, alt, *parts, _key(key))


def _clipped(x: Axis, y: Axis, slope: float, end: float, class_: str) -> str:
    """Return a line from the origin towards one side, as far as it stays in the picture."""
    last = slope * end
    if last > y.high:
        end = y.high / slope
    elif last < y.low:
        end = y.low / slope
    return line(x.at(0.0), y.at(0.0), x.at(end), y.at(slope * end), class_)


def _axis_x(low: float, high: float, *, log: bool = False) -> Axis:
    return Axis(low, high, LEFT, WIDTH - RIGHT, log)


def _axis_y(low: float, high: float, *, log: bool = False) -> Axis:
    return Axis(low, high, HEIGHT - BOTTOM, TOP, log)


def _dots(points: list[tuple[float, float]], **more: object) -> str:
    """Return points as one path of lines without a length, with round ends."""
    path = "".join(f"M{short(x)} {short(y)}h0" for x, y in points)
    return element("path", d=path, class_="fwd", stroke_linecap="round", **more) if path else ""


def _dot(x: float, y: float, class_: str, r: float) -> str:
    return element("circle", cx=x, cy=y, r=r, class_=class_)


def _key(entries: list[tuple[str, str, str]]) -> str:
    """Return what the marks mean, below the picture."""
    parts, x, y = [], LEFT, HEIGHT + 8
    for mark, class_, words in entries:
        if mark == "dots":
            parts.append(_dot(x + 8, y - 3, "fwd-dot", 3))
        elif mark == "crosses":
            parts.append(
                element(
                    "path",
                    d=f"M{short(x + 4)} {short(y - 7)}l7 7m0 -7l-7 7",
                    class_="cross",
                    stroke_width=1.6,
                )
            )
        else:
            parts.append(line(x, y - 3, x + 16, y - 3, mark))
        parts.append(label(x + 21, y, words, class_))
        x += 34 + 6.1 * len(words)
    return "".join(parts)
