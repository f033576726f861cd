"""Charts as one PNG, for slides, READMEs and Prefect: the shapes of the page, painted by matplotlib."""

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path as File
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle as Disc
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from flows.report.charts import WIDTH
from flows.report.palette import colour, style_of
from flows.report.shapes import Circle, Drawing, Path, Point, Shape, Text

DPI, SCALE = 100, 2
POINT = 72 / DPI  # of a pixel, in which matplotlib counts widths
GAP, LINE = 20, 22
ACROSS = 4
MOST = 96  # charts on a sheet, of which each takes 1.6 MB; no side of a sheet can have more than 2^16 pixels
ALIGNED = {"start": "left", "middle": "center", "end": "right"}


def write_png(
    drawings: Sequence[Drawing], file: File, legend: Mapping[str, str] | None = None, title: str = ""
) -> None:
    """Paint the drawings side by side, below a title and the names of the classes of their colours.

    Of more than MOST the first are painted: the pages show all.
    """
    if len(drawings) > MOST:
        title = f"{title} The first {MOST} charts; pages show all.".strip()
        drawings = drawings[:MOST]
    across = max(1, min(ACROSS, len(drawings)))
    cell = max([WIDTH, *(d.width for d in drawings)]) + GAP, max([0, *(d.height for d in drawings)]) + GAP
    width = GAP + across * cell[0]
    shapes, y = _heading(title, legend or {}, width)
    height = y + GAP / 2 + math.ceil(len(drawings) / across) * cell[1]
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI * SCALE, facecolor=colour("paper"))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    for shape in shapes:
        _paint(axes, shape, (0, 0))
    for index, drawing in enumerate(drawings):
        row, column = divmod(index, across)
        for shape in drawing.shapes:
            _paint(axes, shape, (GAP + column * cell[0], y + GAP / 2 + row * cell[1]))
    figure.savefig(file, metadata={"Software": None})


def sheet(drawings: Iterable[Drawing]) -> list[Drawing]:
    """As many as are painted, and one more where there are more: the others need not be made."""
    return list(islice(drawings, MOST + 1))


def _heading(title: str, legend: Mapping[str, str], width: float) -> tuple[list[Shape], float]:
    """The title and the legend's keys in lines, and where they end."""
    lines = textwrap.wrap(title, int((width - 2 * GAP) / 9))
    shapes: list[Shape] = [Text("title", (GAP, LINE * (k + 1)), line) for k, line in enumerate(lines)]
    x, y = float(GAP), LINE * (len(lines) + 1.0)
    for name, css in legend.items():
        room = 26 + 7.2 * len(name)
        if x > GAP and x + room > width - GAP:
            x, y = float(GAP), y + LINE
        shapes += [Circle(f"dot c-{css}", (x + 5, y - 4), 5), Text("value", (x + 15, y), name)]
        x += room
    return shapes, y if legend else y - LINE


def _paint(axes: Any, shape: Shape, origin: Point) -> None:
    style, own = style_of(shape.css), _own(shape.css)
    fill, stroke = (
        colour(own if name == "c" else name) if name else "none" for name in (style.fill, style.stroke)
    )
    look = {
        "facecolor": fill,
        "edgecolor": stroke,
        "linewidth": style.width * POINT,
        "alpha": None if style.opacity == 1 else style.opacity,
        "linestyle": (0, tuple(part / style.width for part in style.dash)) if style.dash else "solid",
    }
    match shape:
        case Text(at=(x, y)):
            axes.text(
                origin[0] + x,
                origin[1] + y,
                shape.text.replace("$", r"\$"),
                color=fill,
                fontsize=style.size * POINT,
                fontweight="bold" if style.bold else "normal",
                ha=ALIGNED[shape.anchor],
                va="baseline",
                rotation=90 if shape.turned else 0,
                rotation_mode="anchor",
            )
        case Circle(at=(x, y)):
            axes.add_patch(Disc((origin[0] + x, origin[1] + y), shape.radius, **look))
        case Path():
            axes.add_patch(PathPatch(_outline(shape, origin), **look))


def _own(css: str) -> str:
    """The name of the colour in a class: `lsd` of `dot c-lsd open`."""
    name = next((word[2:] for word in css.split() if word.startswith("c-")), "ink")
    return "ink" if name == "teacher" else name


def _outline(path: Path, origin: Point) -> Outline:
    points: list[Point] = []
    codes: list[Any] = []
    for stroke in path.strokes:
        points += [(origin[0] + x, origin[1] + y) for x, y in stroke]
        codes += [Outline.MOVETO, *[Outline.LINETO] * (len(stroke) - 1)]
        if path.closed:
            points.append(points[-len(stroke)])
            codes.append(Outline.CLOSEPOLY)
    return Outline(points, codes)
