"""Small charts as inline SVG: axes, lines, error bars, bars. One unit is one CSS pixel.

Every chart is as wide as a telephone shows it, so it is never shrunk and its words stay readable. Colours are
classes of the page's style sheet, `c-<name>`, so that one method looks the same everywhere, day and night.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from markupsafe import Markup, escape

WIDTH, HEIGHT = 350, 270
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 26, 42
Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """Maps values to pixels, straight or by the logarithm."""

    low: float
    high: float
    label: str
    kind: Literal["linear", "log"] = "linear"
    ticks: tuple[float, ...] = ()

    def share(self, value: float) -> float:
        """Where a value lies between the ends, in [0, 1]."""
        if self.kind == "log":
            return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def axis(
    values: Sequence[float],
    label: str,
    kind: Literal["linear", "log"] = "linear",
    ticks: Sequence[float] = (),
    pad: float = 0.06,
) -> Axis:
    """An axis that holds all values with a little room, and round ticks; no value that has no logarithm."""
    usable = [value for value in values if math.isfinite(value) and (kind == "linear" or value > 0)] or [1.0]
    low, high = min(usable), max(usable)
    if kind == "log":
        room = math.log(high / low) * pad or 0.12
        low, high = low * math.exp(-room), high * math.exp(room)
    else:
        room = (high - low) * pad or abs(high) * 0.1 or 1.0
        low, high = low - room, high + room
    chosen = tuple(ticks) or (log_ticks(low, high) if kind == "log" else round_ticks(low, high))
    return Axis(low, high, label, kind, chosen)


def round_ticks(low: float, high: float, most: int = 6) -> tuple[float, ...]:
    """Multiples of 1, 2 or 5 times a power of ten inside [low, high], at most `most` of them."""
    base = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(base * m for m in (1, 2, 5, 10, 20) if (high - low) / (base * m) <= most)
    return tuple(round(k * step, 12) for k in range(math.ceil(low / step), math.floor(high / step) + 1))


def log_ticks(low: float, high: float, most: int = 6) -> tuple[float, ...]:
    """Powers of ten inside [low, high]; where they are few, also 2 and 5 times them, or any round numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for multiples in ((1, 2, 5), (1, 3), (1,)):
        ticks = [m * 10.0**p for p in powers for m in multiples if low <= m * 10.0**p <= high]
        if len(ticks) < 3:
            return round_ticks(low, high, most)
        if len(ticks) <= most:
            return tuple(ticks)
    return tuple(ticks[:: math.ceil(len(ticks) / most)])


def number(value: float) -> str:
    """A tick as people write it."""
    if value == 0:
        return "0"
    if abs(value) >= 1e5 or abs(value) < 1e-3:
        mantissa, exponent = f"{value:.0e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.4g}"


@dataclass
class Chart:
    """One chart in the making; `svg()` is the finished drawing."""

    title: str
    x: Axis
    y: Axis
    described: str = ""
    """What a reader who cannot see it is told."""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    _parts: list[Markup] = field(default_factory=list)

    def px(self, value: float) -> float:
        return self.left + self.x.share(value) * (self.width - self.left - RIGHT)

    def py(self, value: float) -> float:
        return self.height - BOTTOM - self.y.share(value) * (self.height - TOP - BOTTOM)

    def line(self, points: Sequence[Point], colour: str, style: str = "") -> None:
        """Straight lines through the points."""
        path = " ".join(f"{self.px(x):.1f},{self.py(y):.1f}" for x, y in points)
        self._add('<polyline class="line c-{} {}" points="{}"/>', colour, style, path)

    def steps(self, points: Sequence[Point], colour: str) -> None:
        """A staircase: each value holds until the next."""
        corners = [corner for (x, y), (u, _) in pairwise(points) for corner in ((x, y), (u, y))]
        self.line([*corners, points[-1]], colour)

    def dot(self, point: Point, colour: str, title: str, big: bool = False) -> None:
        """A mark that tells its numbers when pointed at."""
        x, y = self.px(point[0]), self.py(point[1])
        mark = '<circle class="dot c-{}" cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}</title></circle>'
        self._add(mark, colour, x, y, 5.5 if big else 3.5, title)

    def whisker(self, x: float, low: float, high: float, colour: str) -> None:
        """An interval along y."""
        mark = '<path class="whisker c-{}" d="M{x0:.1f} {a:.1f}h6m-3 0V{b:.1f}m-3 0h6"/>'
        self._add(mark, colour, x0=self.px(x) - 3, a=self.py(high), b=self.py(low))

    def level(self, y: float, label: str) -> None:
        """A dotted line across, named at its right end."""
        at, right = self.py(y), self.width - RIGHT
        self._add('<path class="level" d="M{} {y:.1f}H{}"/>', self.left, right, y=at)
        self._add(
            '<text class="note" x="{}" y="{:.1f}" text-anchor="end">{}</text>', right - 2, at - 5, label
        )

    def note(self, x: float, y: float, text: str, anchor: str = "start") -> None:
        """Words at a place of the chart's values."""
        mark = '<text class="note" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>'
        self._add(mark, self.px(x), self.py(y), anchor, text)

    def svg(self) -> Markup:
        """The drawing, axes first."""
        body = Markup("").join([*self._axes(), *self._parts])
        return framed(body, self.width, self.height, f"{self.title}. {self.described}".strip())

    def _axes(self) -> list[Markup]:
        right, bottom = self.width - RIGHT, self.height - BOTTOM
        parts = [Markup('<text class="title" x="{}" y="15">{}</text>').format(self.left, self.title)]
        for tick in self.y.ticks:
            y = self.py(tick)
            parts.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(self.left, y, right))
            text = '<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>'
            parts.append(Markup(text).format(self.left - 6, y + 4, number(tick)))
        for tick in self.x.ticks:
            text = '<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>'
            parts.append(Markup(text).format(self.px(tick), bottom + 17, number(tick)))
        parts.append(Markup('<path class="frame" d="M{} {}V{}H{}"/>').format(self.left, TOP, bottom, right))
        middle = (TOP + bottom) / 2
        label = '<text class="label" x="{:.1f}" y="{}" text-anchor="middle">{}</text>'
        parts.append(Markup(label).format((self.left + right) / 2, self.height - 7, self.x.label))
        turned = (
            '<text class="label" transform="translate(12 {:.1f}) rotate(-90)" text-anchor="middle">{}</text>'
        )
        parts.append(Markup(turned).format(middle, self.y.label))
        return parts

    def _add(self, template: str, *values: object, **named: object) -> None:
        self._parts.append(Markup(template).format(*values, **named))


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart."""

    label: str
    value: float
    colour: str
    text: str
    error: float = 0.0


def bars(title: str, rows: Sequence[Bar], described: str = "", width: int = WIDTH) -> Markup:
    """Horizontal bars from zero, each with its name above it and its number at its end."""
    top = max([row.value + row.error for row in rows if math.isfinite(row.value)] or [1.0]) or 1.0
    room = width - 88
    parts = [Markup('<text class="title" x="2" y="15">{}</text>').format(title)]
    for index, row in enumerate(rows):
        y, length = 30 + 34 * index, max(1.5, row.value / top * room)
        parts.append(Markup('<text class="tick" x="2" y="{}">{}</text>').format(y + 9, row.label))
        bar = '<rect class="bar c-{}" x="2" y="{}" width="{:.1f}" height="11" rx="2"/>'
        parts.append(Markup(bar).format(row.colour, y + 14, length))
        if row.error > 0:
            half = row.error / top * room
            whisker = '<path class="whisker ink" d="M{:.1f} {y}H{:.1f}"/>'
            parts.append(Markup(whisker).format(2 + max(0.0, length - half), 2 + length + half, y=y + 19.5))
            length += half
        text = '<text class="value" x="{:.1f}" y="{}">{}</text>'
        parts.append(Markup(text).format(length + 8, y + 24, row.text))
    return framed(Markup("").join(parts), width, 34 + 34 * len(rows), f"{title}. {described}".strip())


def framed(body: Markup, width: int, height: int, label: str) -> Markup:
    """An `<svg>` of this size; `label` is read out where it cannot be seen."""
    head = '<svg role="img" aria-label="{}" width="{w}" height="{h}" viewBox="0 0 {w} {h}">'
    return Markup(head).format(escape(label), w=width, h=height) + body + Markup("</svg>")
