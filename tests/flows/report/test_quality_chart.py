"""Figures of a run: every curve has a name and a look of its own."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from flows.report import figures
from flows.report.charts import Chart, axis
from flows.report.leading import MOST_LINES, leading
from flows.report.palette import classes, colour
from flows.report.png import write_png
from flows.report.shapes import Path as Strokes
from flows.report.shapes import Text
from flows.report.table_rows import Row, distinct
from lsd_core.cards import Metric
from lsd_core.distillation.methods import METHODS


def row(method: str, sampler: str, primary: float, nfe: int = 8, work: str = "") -> Row:
    return Row(
        backbone="b",
        nfe=nfe,
        sampler=sampler,
        method=method,
        primary_metric="error",
        diversity_metric="entropy",
        metrics={"error": Metric(mean=primary), "entropy": Metric(mean=3.0)},
        calls_mean=8.0,
        calls_max=8,
        work=work,
        label="teacher, 64 calls" if method == "teacher" else "",
    )


def lines(rows: list[Row]) -> dict[str, set[str]]:
    """Classes of the lines of the chart of quality, by colour."""
    drawing = figures.quality(rows, classes(rows))
    found: dict[str, set[str]] = {}
    for shape in drawing.shapes:
        if isinstance(shape, Strokes) and shape.css.startswith("line "):
            _, name, *style = shape.css.split()
            found.setdefault(name.removeprefix("c-"), set()).update(style or ["solid"])
    return found


def test_every_method_has_a_look_of_its_own_and_controls_are_dashed(tmp_path: Path) -> None:
    rows = distinct(
        [row(method, "euler", 0.01 * (k + 1)) for k, method in enumerate(METHODS)]
        + [row("teacher", "first_hitting", 0.001, 64)]
    )
    css = classes(rows)
    assert list(css) == [*METHODS, "teacher, 64 calls"]
    assert len({colour("ink" if name == "teacher" else name) for name in css.values()}) == len(METHODS) + 1
    drawn = lines(rows)
    assert set(drawn) == set(METHODS)
    dashed = {name for name, style in drawn.items() if style == {"control"}}
    assert dashed == {name for name, method in METHODS.items() if not method.learned}
    assert all(drawn[name] == {"solid"} for name in set(METHODS) - dashed)
    write_png([figures.quality(rows, css)], tmp_path / "quality.png", css)
    assert (tmp_path / "quality.png").read_bytes().startswith(b"\x89PNG")


def test_levels_that_lie_together_have_names_apart() -> None:
    chart = Chart("", axis([4, 8], "x"), axis([0.0, 1.0], "y"))
    chart.levels([(0.5, "one"), (0.5, "two"), (0.51, "three"), (0.9, "four")])
    names = {shape.text: shape.at[1] for shape in chart.shapes if isinstance(shape, Text)}
    heights = sorted(names.values())
    assert min(b - a for a, b in pairwise(heights)) >= 12
    assert names["four"] == chart.at((4, 0.9))[1] - 5
    assert len([shape for shape in chart.shapes if isinstance(shape, Strokes)]) == 4


def test_base_samplers_are_named_where_they_differ_and_twins_are_one_curve() -> None:
    twins = [row("lsd", "euler", 0.2, work="same"), row("lsd", "tweedie", 0.2, work="same")]
    assert [each.label for each in distinct(twins)] == ["lsd"]
    both = distinct([*twins, row("lsd", "fixed_counts", 0.1)])
    assert [each.label for each in both] == ["lsd, fixed_counts", "lsd, euler"]
    assert [each.samplers for each in both] == [("fixed_counts",), ("euler", "tweedie")]


@pytest.mark.parametrize("count", [3, 9])
def test_a_method_that_nobody_knows_gets_a_colour_and_every_base_sampler_a_mark(count: int) -> None:
    rows = distinct([row(f"new_{k}", "euler", 0.1 + 0.01 * k) for k in range(count)])
    names = classes(rows).values()
    assert len({colour(name) for name in names}) == count
    samplers = distinct([row("lsd", name, 0.1) for name in ("euler", "fixed_counts", "halton", "unheard")])
    assert sorted(classes(samplers).values()) == ["lsd", "lsd open", "lsd square", "lsd square open"]


def test_a_picture_of_many_lines_shows_each_method_along_its_best_order() -> None:
    samplers = ["euler", "halton", "bisection", "dilated", "confidence", "margin"]
    rows = [
        row(method, sampler, 0.01 * (1 + abs(place - best)), nfe)
        for method, best in (("plain", 1), ("halving", 2), ("path_kl", 4))
        for place, sampler in enumerate(samplers)
        for nfe in (4, 8)
    ]
    rows += [row("plain", "klass", 0.0001)]  # at one budget alone
    rows += [row("halving", "confidence_drawn", 0.0001, nfe) for nfe in (4, 8)]  # at less entropy
    references = [row("teacher", "first_hitting", 0.001, 64), row("one_by_one", "halton", 0.0005, 64)]
    every = distinct(rows + [replace(each, label=each.sampler) for each in references])
    assert len({each.label for each in every}) > MOST_LINES
    shown = leading(every)
    assert {(each.label, each.nfe) for each in shown if each.nfe < 64} == {
        (f"{method}, {sampler}", nfe)
        for nfe in (4, 8)
        for method, sampler in (("plain", "halton"), ("halving", "bisection"), ("path_kl", "confidence"))
    }
    assert [each.label for each in shown if each.nfe == 64] == ["first_hitting"]
    few = [each for each in every if each.sampler in samplers[:3]]
    assert leading(few) == few
