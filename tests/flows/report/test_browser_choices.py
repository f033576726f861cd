"""What a person does with the page in Chromium: read the first screen, filter and sort by keyboard, listen, print."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.report.html_page import html
from flows.report.page_data import PageData
from flows.report.palette import BASE, DAY, NIGHT
from tests.flows.report.browser import Browser, Chromium

pytestmark = pytest.mark.servers
LARGEST = 1_000_000  # bytes
VISIBLE = "[...document.querySelectorAll('%s')].filter(e => e.getClientRects().length).length"
ROWS = "[aria-label=%s] tbody tr"
BOTTOM = "document.querySelector('%s').getBoundingClientRect().bottom"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def file(published: PageData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("page") / "page.html"
    found.write_text(html(published))
    return found


@pytest.fixture
def tab(chromium: Chromium) -> Iterator[Browser]:
    """A tab that must have nothing to complain about."""
    with chromium.tab() as found:
        yield found
        assert found.complaints == []
        assert [url for url in found.requests if not url.startswith(("file:", "data:"))] == []


def press(tab: Browser, key: str, code: int, text: str = "") -> None:
    """One key, down and up."""
    named = {"key": key, "code": {" ": "Space"}.get(key, key), "windowsVirtualKeyCode": code}
    tab.ask("Input.dispatchKeyEvent", type="keyDown", **named, **({"text": text} if text else {}))
    tab.ask("Input.dispatchKeyEvent", type="keyUp", **named)


def spoken(tab: Browser) -> list[dict[str, Any]]:
    """The accessibility tree as roles and names, in order."""
    tab.ask("Accessibility.enable")
    nodes = tab.ask("Accessibility.getFullAXTree")["nodes"]
    return [
        {
            "role": node["role"]["value"],
            "name": node.get("name", {}).get("value", ""),
            "focusable": any(
                each["name"] == "focusable" and each["value"]["value"] for each in node.get("properties", [])
            ),
        }
        for node in nodes
        if not node.get("ignored")
    ]


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 1000)])
def test_the_first_screen_holds_the_answer_and_nothing_scrolls_sideways(tab, file, width, height):
    assert file.stat().st_size < LARGEST
    tab.open(file, width, height)
    assert tab.value("document.documentElement.scrollWidth") <= width
    assert tab.value(BOTTOM % ".answers tbody tr") <= height
    assert tab.value(BOTTOM % "#use-4 pre") <= height
    assert tab.value("document.querySelector('.answers').scrollWidth") <= width
    assert "not measured" in tab.value("document.querySelector('.answers tbody tr').innerText")


def test_a_box_that_is_switched_off_by_keyboard_hides_rows_marks_and_legends(tab, file):
    tab.open(file, 1280)
    name = tab.value("""(() => {
      const label = [...document.querySelectorAll('.filters label')].find(l => l.textContent.trim() === 'path_kl');
      label.querySelector('input').focus();
      return label.querySelector('input').className.slice(1);
    })()""")
    shown = {where: VISIBLE % f"{where} .f{name}" for where in ("tbody", "svg", ".legend")}
    before = {where: tab.value(each) for where, each in shown.items()}
    assert min(before.values()) > 0
    rows = tab.value(VISIBLE % (ROWS % "numbers"))
    press(tab, " ", 32, " ")
    assert [tab.value(each) for each in shown.values()] == [0, 0, 0]
    assert 0 < tab.value(VISIBLE % (ROWS % "numbers")) < rows
    press(tab, " ", 32, " ")
    assert {where: tab.value(each) for where, each in shown.items()} == before


def test_tab_reaches_every_control_and_arrows_sort(tab, file):
    tab.open(file, 1280)
    controls = tab.value(VISIBLE % ".filters input") + len(
        tab.value("[...new Set([...document.querySelectorAll('.sortable input')].map(i => i.name))]")
    )
    reached = []
    for _ in range(controls + 40):
        press(tab, "Tab", 9)
        reached.append(
            tab.value("document.activeElement.className + '|' + (document.activeElement.name || '')")
        )
        if tab.value("document.activeElement.name") == "comparisons":
            break
    assert sum(each.startswith("v") for each in reached) == tab.value(VISIBLE % ".filters input")
    assert reached[-1].endswith("|comparisons")
    cells = """[...document.querySelectorAll('[aria-label=comparisons] tbody tr')]
      .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top).map(r => r.cells[2].textContent)"""
    before = tab.value(cells)
    press(tab, "ArrowRight", 39)
    press(tab, "ArrowRight", 39)
    after = tab.value(cells)
    assert after == sorted(before) != before


def test_a_screen_reader_is_given_tables_with_headers_and_a_name_for_everything(tab, file):
    tab.open(file, 1280)
    nodes = spoken(tab)
    roles = [node["role"] for node in nodes]
    for role in ("main", "navigation", "contentinfo", "banner"):
        assert role in roles
    assert roles.count("table") == tab.value("document.querySelectorAll('table').length") == 4
    assert roles.count("columnheader") == tab.value("document.querySelectorAll('thead th').length")
    assert roles.count("rowheader") == 1
    assert roles.count("cell") == tab.value("document.querySelectorAll('td').length")
    drawn = [node for node in nodes if node["role"] in ("image", "img", "graphics-document")]
    assert len(drawn) >= tab.value("document.querySelectorAll('svg').length") > 4
    assert [node for node in drawn if not node["name"]] == []
    assert [n for n in nodes if n["focusable"] and not n["name"] and n["role"] != "RootWebArea"] == []


def test_it_is_dark_at_night_and_white_on_paper(tab, file):
    tab.open(file, 1280)
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    assert tab.value(BACKGROUND) == rgb(BASE["paper"][DAY])
    tab.ask("Emulation.setEmulatedMedia", features=[dark])
    assert tab.value(BACKGROUND) == rgb(BASE["paper"][NIGHT])
    tab.ask("Emulation.setEmulatedMedia", media="print", features=[dark])
    assert tab.value(BACKGROUND) == rgb(BASE["paper"][DAY])
    assert tab.value(VISIBLE % ".controls, nav") == 0
    assert tab.value(VISIBLE % (ROWS % "numbers")) == tab.value(
        "document.querySelectorAll('[aria-label=numbers] tbody tr').length"
    )
    assert tab.ask("Page.printToPDF")["data"].startswith("JVBER")


@pytest.mark.parametrize("when", [DAY, NIGHT])
@pytest.mark.parametrize("name", ["ink", "soft", "accent", "bad", "good"])
def test_words_stand_out_from_their_ground(name: str, when: int) -> None:
    for ground in ("paper", "sheet"):
        assert contrast(BASE[name][when], BASE[ground][when]) >= 4.5  # WCAG 2.2, 1.4.3


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[k : k + 2], 16)) for k in (1, 3, 5))})"


def contrast(one: str, other: str) -> float:
    """Ratio of relative luminances, as WCAG 2.2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
