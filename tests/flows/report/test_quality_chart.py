"""Figures of a run: every curve has a name and a look of its own."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from flows.report.plots import plot_quality
from flows.report.table_rows import Row
from lsd_core.distillation.methods import METHODS


def row(method: str, sampler: str, primary: float, nfe: int = 8) -> Row:
    return Row(
        backbone="b",
        nfe=nfe,
        sampler=sampler,
        method=method,
        primary=primary,
        low=None,
        high=None,
        entropy=3.0,
        start_tv=None,
        nll=None,
        calls_mean=8.0,
        calls_max=8,
        certificate=None,
        seed=None,
        aliases=(),
        uri="",
    )


@pytest.fixture
def figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Figure]:
    saved: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **kwargs: saved.append(self))
    return saved


def names(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_every_method_has_a_look_of_its_own_and_controls_are_dashed(figure: list[Figure]) -> None:
    rows = [row(method, "euler", 0.01 * (k + 1)) for k, method in enumerate(METHODS)]
    plot_quality([*rows, row("teacher", "first_hitting", 0.001, 64)], "error", Path("unused.png"))
    lines = figure[0].legends[0].get_lines()
    assert names(figure[0]) == [*METHODS, "teacher, 64 calls"]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(METHODS) + 1
    dashed = {name for name, line in zip(METHODS, lines, strict=False) if line.get_linestyle() == "--"}
    assert dashed == {name for name, method in METHODS.items() if not method.learned}


def test_base_samplers_are_named_where_they_differ_and_twins_are_one_curve(figure: list[Figure]) -> None:
    twins = [row("lsd", "euler", 0.2), row("lsd", "tweedie", 0.2)]
    plot_quality(twins, "error", Path("unused.png"))
    assert names(figure[0]) == ["lsd"]
    plot_quality([*twins, row("lsd", "fixed_counts", 0.1)], "error", Path("unused.png"))
    assert names(figure[1]) == ["lsd (fixed_counts)", "lsd (euler = tweedie)"]
