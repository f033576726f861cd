"""docs/results.md is written from cards, and what the README says stands on it."""

import re
import tarfile
from pathlib import Path

import pytest

from flows.config import load_grid
from flows.pipeline.plan import make_plan
from flows.report.results_page import END, ROOT, grid_pages, main, put
from lsd_core.cards import SamplerCard
from lsd_core.storage.store import Store

PUBLISHED = ROOT / "tests" / "published"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that `lsd grid tiny` of an earlier version left."""
    folder = tmp_path_factory.mktemp("results")
    with tarfile.open(PUBLISHED / "home.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "store"


def test_a_page_is_written_from_cards_and_prose_stays(store: Path, tmp_path: Path) -> None:
    page, readme = tmp_path / "results.md", tmp_path / "README.md"
    page.write_text(f"# Results\n\nProse.\n\n<!-- results: noisy -->\nold 0.1234\n{END}\n\nMore prose.\n")
    readme.write_text(f"# Front\n\n<!-- results: noisy ratios -->\n{END}\n")
    grid = str(PUBLISHED / "noisy.yaml")
    arguments = [str(store), grid, "--page", str(page), "--readme", str(readme)]
    assert main(arguments) == 0
    text = page.read_text()
    assert "Prose." in text
    assert "More prose." in text
    assert "0.1234" not in text
    assert f"`lsd grid {grid}`: 64 samples x 2 fresh seeds" in text
    assert re.search(r"written at revision \w+", text)
    specs = [spec for spec in make_plan(load_grid(grid)).candidates]
    paths = {spec.method: store / spec.folder / "card.json" for spec in specs}
    mine = {method: SamplerCard.from_json(path.read_text()) for method, path in paths.items()}
    for card in mine.values():
        primary = card.primary
        assert f"{primary.mean:.4g} ({primary.low:.4g} to {primary.high:.4g})" in text
    (data,) = grid_pages(Store(str(store)), load_grid(grid))
    holder = data.champion(4)
    assert holder is not None
    ratio = f"{mine[holder.spec.method].primary.mean / mine['plain'].primary.mean:.3f}"  # type: ignore[operator]
    assert ratio in text
    said = readme.read_text()
    assert f"- `countdown-uniform-exact`, error over plain steps': {ratio} at 4 calls" in said
    assert f"{ratio} at 4 calls ({holder.row.label})" in said
    assert _numbers(said) <= _numbers(text)
    once = text, said
    assert main(arguments) == 0
    assert (page.read_text(), readme.read_text()) == once


def test_a_store_without_the_cards_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "store").mkdir()
    assert main([str(tmp_path / "store"), "tiny"]) == 2
    assert "run `lsd grid tiny` first" in capsys.readouterr().err


def test_a_grid_without_a_block_gets_one() -> None:
    assert (
        put("# Results\n", "tiny", "rows") == f"# Results\n\n## tiny\n\n<!-- results: tiny -->\nrows\n{END}\n"
    )


def test_the_readmes_results_stand_on_the_page() -> None:
    """Every number with a decimal point under the README's heading Results is on docs/results.md."""
    readme = (ROOT / "README.md").read_text()
    section = readme.split("\n## Results\n")[1].split("\n## ")[0].split("\nA step costs")[0]
    found = _numbers(section)
    assert len(found) >= 10
    assert found <= _numbers((ROOT / "docs" / "results.md").read_text())


def _numbers(text: str) -> set[str]:
    return set(re.findall(r"\d+\.\d+", text))
