"""The page as Chromium sees it, on a desk and on a telephone."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from flows.report.publish import Page, report_run

FIGURES = "figure > svg, figure > img"
MEASURE = f"""(() => {{
  const widths = [...document.querySelectorAll({FIGURES!r})].map(e => e.getBoundingClientRect());
  const texts = [...document.querySelectorAll('svg text')];
  return {{
    scroll: document.documentElement.scrollWidth,
    figures: widths.length,
    narrowest: Math.min(...widths.map(r => r.width)),
    rightmost: Math.max(...widths.map(r => r.right)),
    smallest: Math.min(...texts.map(t => parseFloat(getComputedStyle(t).fontSize)
      * t.closest('svg').getBoundingClientRect().width / t.closest('svg').viewBox.baseVal.width)),
    unnumbered: [...document.querySelectorAll('svg:has(.frame)')].filter(s => s.querySelectorAll('.tick').length < 4)
      .map(s => s.ariaLabel),
    sticking: texts.filter(t => {{ const r = t.getBoundingClientRect(), s = t.closest('svg').getBoundingClientRect();
      return r.left < s.left - 1 || r.right > s.right + 1; }}).map(t => t.textContent),
  }};
}})()"""


@pytest.fixture(scope="module")
def pages(request: pytest.FixtureRequest) -> Callable[[str], list[Page]]:
    """The pages of a grid by the name of its fixture, drawn once."""

    @cache
    def drawn(grid: str) -> list[Page]:
        carried_out = request.getfixturevalue(grid)
        return report_run(carried_out.run, carried_out.outcome)

    return drawn


@pytest.mark.servers
@pytest.mark.parametrize("width", [1280, 390, 360])
@pytest.mark.parametrize(("grid", "figures"), [("done", 20), ("shown", 8)])
def test_the_page_fits_is_readable_and_says_nothing_to_the_console(
    chromium, pages, grid: str, figures: int, width: int
):
    for page in pages(grid):
        with chromium.tab() as tab:
            tab.open(page.files[0], width)
            seen = tab.value(MEASURE)
            assert tab.complaints == []
            assert [url for url in tab.requests if not url.startswith(("file:", "data:"))] == []
        assert seen["scroll"] <= width
        assert seen["figures"] >= figures
        assert seen["narrowest"] >= 340
        assert seen["rightmost"] <= width
        assert seen["smallest"] >= 11
        assert seen["sticking"] == []
        assert seen["unnumbered"] == []


VISIBLE = """[...document.querySelectorAll('[aria-label=%s] tbody tr')].filter(r => r.getClientRects().length)
  .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)
  .map(r => [...r.cells].map(c => c.textContent))"""


@pytest.mark.servers
def test_tables_are_sorted_and_filtered_by_mouse_and_keyboard_without_a_script(done, chromium, pages):
    [page] = pages("done")
    with chromium.tab() as tab:
        tab.open(page.files[0], 1280)
        before = tab.value(VISIBLE % "comparisons")
        tab.value("document.querySelectorAll('input[name=comparisons]')[4].click()")
        bounds = [float(row[4]) for row in tab.value(VISIBLE % "comparisons") if row[4]]
        assert bounds == sorted(bounds)
        assert bounds != [float(row[4]) for row in before if row[4]]
        tab.value("document.querySelectorAll('input[name=comparisons]')[4].focus()")
        tab.ask(
            "Input.dispatchKeyEvent",
            type="keyDown",
            key="ArrowRight",
            code="ArrowRight",
            windowsVirtualKeyCode=39,
        )
        entropies = [row[5] for row in tab.value(VISIBLE % "comparisons")]
        assert entropies == sorted(entropies)
        for name in ("comparisons", "costs", "numbers"):
            assert {row[0] for row in tab.value(VISIBLE % name)} == {"2", "4"}
        tab.value("document.querySelector('.v0-0').click()")
        for name in ("comparisons", "costs", "numbers"):
            assert {row[0] for row in tab.value(VISIBLE % name)} == {"4"}
        assert tab.value("getComputedStyle(document.querySelector('.champion')).display") == "none"
        assert tab.complaints == []


@pytest.mark.servers
def test_the_browser_would_notice(chromium, tmp_path: Path):
    page = tmp_path / "bad.html"
    page.write_text(
        "<body style='margin:0'><div style='width:900px'>wide</div><script>nothing()</script>"
        "<img src='http://127.0.0.1:9/x.png'>"
    )
    with chromium.tab() as tab:
        tab.open(page, 390)
        assert tab.value("document.documentElement.scrollWidth") >= 900
        assert any("nothing is not defined" in complaint for complaint in tab.complaints)
        assert "http://127.0.0.1:9/x.png" in tab.requests
