"""Elements of SVG as text, everything in them escaped; and axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MINUS = "−"


def element(name: str, *children: str, **attributes: object) -> str:
    """Return one element; its children are markup, the values of its attributes are escaped.

    >>> element("text", text("a < b"), x=1.50, class_="mono")
    '<text x="1.5" class="mono">a &lt; b</text>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(children)
    return f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>"


def text(content: str) -> str:
    """Return text as markup."""
    return escape(content)


def label(x: float, y: float, content: str, class_: str = "", **more: object) -> str:
    """Return a text at a place."""
    return element("text", text(content), x=x, y=y, class_=class_ or None, **more)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """Return a straight line, as a path, which is shorter."""
    return element("path", d=f"M{short(x1)} {short(y1)}L{short(x2)} {short(y2)}", class_=class_)


def polyline(points: Iterable[tuple[float, float]], class_: str, width: float | None = None) -> str:
    """Return a path through points; it is broken where one is not finite."""
    path, pen = "", "M"
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            path += f"{pen}{short(x)} {short(y)}"
            pen = "L"
        else:
            pen = "M"
    return element("path", d=path, class_=class_, stroke_width=width) if path else ""


def svg(width: float, height: float, alt: str, *children: str) -> str:
    """Return a picture with a text that stands for it where it cannot be seen."""
    return element(
        "svg",
        *children,
        class_="gl-svg",
        role="img",
        aria_label=alt,
        viewBox=f"0 0 {short(width)} {short(height)}",
        width=width,
        height=height,
    )


def short(value: float) -> str:
    """Return a coordinate, to a tenth of a pixel.

    >>> short(3.0), short(2.25), short(-0.01)
    ('3', '2.2', '0')
    """
    written = f"{value:.1f}".removesuffix(".0")
    return "0" if written == "-0" else written


def figure(value: float, digits: int = 4) -> str:
    """Return a number of a picture: with a real minus, and no more digits than can be compared there.

    >>> figure(-0.5), figure(1e-09), figure(12345.678)
    ('−0.5', '1e−09', '1.235e+04')
    """
    return f"{value + 0.0:.{digits}g}".replace("-", MINUS)


def power(exponent: int) -> str:
    """Return a power of ten.

    >>> power(-12)
    '10⁻¹²'
    """
    return f"10{str(exponent).translate(SUPERSCRIPTS)}"


def _value(value: object) -> str:
    return short(value) if isinstance(value, float | int) else escape(str(value))


@dataclass(frozen=True)
class Axis:
    """One axis: numbers from ``low`` to ``high``, put between two places of the picture."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return where a number stands; one that is not finite, or has no logarithm, nowhere."""
        if self.log:
            if not value > 0:
                return math.nan
            low, high, value = math.log10(self.low), math.log10(self.high), math.log10(value)
        else:
            low, high = self.low, self.high
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Return round numbers on the axis, each with what is written there."""
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            every = max(1, math.ceil((last - first + 1) / most))
            return [(10.0**k, power(k)) for k in range(first, last + 1) if k % every == 0]
        return [(value, figure(value)) for value in round_numbers(self.low, self.high, most)]


def round_numbers(low: float, high: float, most: int) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten.

    >>> round_numbers(-1.0, 1.0, 5)
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    """
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return []
    unit = 10.0 ** math.floor(math.log10(span / most))
    step = next(unit * k for k in (1, 2, 5, 10, 20) if span / (unit * k) <= most - 1 + 1e-9)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12 - math.floor(math.log10(step))) + 0.0 for k in range(first, last + 1)]


def log_range(values: Sequence[float], *, least_decades: float = 2.0) -> tuple[float, float]:
    """Return whole powers of ten around positive numbers."""
    logs = [math.log10(v) for v in values if v > 0 and math.isfinite(v)]
    low, high = (min(logs), max(logs)) if logs else (-1.0, 0.0)
    low, high = math.floor(low), math.ceil(high)
    while high - low < least_decades:
        low, high = low - 1, high + 1
    return max(10.0**low, 1e-307), min(10.0**high, 1e307)


def frame(x: Axis, y: Axis, x_name: str, y_name: str) -> str:
    """Return grid, ticks and names of two axes."""
    parts = []
    for value, written in x.ticks(5):
        at = x.at(value)
        parts += [line(at, y.start, at, y.end, "grid"), label(at, y.start + 14, written, "muted mid")]
    for value, written in y.ticks():
        at = y.at(value)
        parts += [line(x.start, at, x.end, at, "grid"), label(x.start - 5, at + 4, written, "muted end")]
    parts.append(label((x.start + x.end) / 2, y.start + 29, x_name, "mid"))
    parts.append(label(x.start - 40, y.end - 9, y_name))
    return "".join(parts)
