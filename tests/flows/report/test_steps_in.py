"""Every table says which samplers step in times and which in counts, and all of them the same."""

import csv
import io
import re
import tarfile

import pytest

from flows.config import load_grid
from flows.report.html_page import html, numbers
from flows.report.page_data import PageData
from flows.report.results_page import ROOT, block, grid_pages
from flows.report.table_rows import row_of_version
from lsd_core.registry.card_fields import row_of, tags_of
from lsd_core.storage.store import Store

PUBLISHED = ROOT / "tests" / "published"
GRID = load_grid(str(PUBLISHED / "orders.yaml"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> PageData:
    """Of a grid with learned methods and controls in `euler` and `halton` cells."""
    folder = tmp_path_factory.mktemp("steps")
    with tarfile.open(PUBLISHED / "home.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    (found,) = grid_pages(Store(str(folder / "store")), GRID)
    return found


def test_in_euler_cells_path_kl_steps_in_counts_and_controls_in_times(page: PageData) -> None:
    found = {(entry.row.method, entry.row.sampler): entry.row.steps_in for entry in page.entries}
    assert found["path_kl", "euler"] == "counts"
    assert found["plain", "euler"] == found["lsd", "euler"] == "times"
    assert {steps for (_, sampler), steps in found.items() if sampler == "halton"} == {"counts"}


def test_page_csv_results_and_tags_agree(page: PageData) -> None:
    listed = {row["label"]: row["steps_in"] for row in csv.DictReader(io.StringIO(numbers(page)))}
    text, shown = block(GRID, "lsd grid orders", [page], "abc"), html(page, samples=False)
    assert re.search("<th[^>]*>steps in</th>", shown)
    for entry in page.entries:
        row, steps = entry.row, entry.row.steps_in
        assert listed[row.label] == steps
        assert re.search(rf"\| \**{re.escape(row.label)}\**[^|]*\| {steps} \|", text)
        assert re.search(rf"</i>{re.escape(row.label)} \([^)]*\)</td><td[^>]*>{steps}</td>", shown)
        version = row_of(page.backbone, 1, tags_of(entry.card, None), {})
        assert row_of_version(version).steps_in == version["steps_in"] == steps


def test_a_version_registered_before_it_was_a_tag_says_nothing(page: PageData) -> None:
    tags = tags_of(page.entries[0].card, None)
    del tags["steps_in"]
    version = row_of(page.backbone, 1, tags, {})
    assert version["steps_in"] is None
    assert row_of_version(version).steps_in == ""
