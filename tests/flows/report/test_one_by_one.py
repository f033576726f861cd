"""One token a call along each order: measured once, shown beside the candidates, and absent on stores without it."""

import csv
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from flows.config import load_grid, parse_grid
from flows.pipeline.one_by_one import one_by_one_jobs, one_by_one_pieces, sequences
from flows.pipeline.plan import make_plan
from flows.pipeline.site import Site
from flows.report import results_page
from flows.report.csv_columns import metric_names, record, write_csv
from flows.report.html_page import html
from flows.report.page_data import one_by_one_rows
from flows.report.results_page import block, grid_pages
from flows.report.run_report import Outcome, table_of
from flows.report.table_rows import ONE_BY_ONE
from lsd_core.candidates.one_by_one import order_of, orders_among, read_one_by_one
from lsd_core.candidates.verify import damaged_cells
from lsd_core.errors import InputError
from lsd_core.storage.store import Store
from lsd_core.tasks.catalog import get_task
from tests.flows.report.conftest import filled

PUBLISHED = results_page.ROOT / "tests" / "published"


SMALL = {
    "name": "orders",
    "workers": 1,
    "backbones": ["countdown-exact"],
    "nfe": [4],
    "samplers": ["euler", "halton"],
    "methods": ["plain"],
    "evaluation": {"samples": 12, "seeds": 1, "batch": 12, "temperatures": [1.0], "certificate_paths": 4},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A grid of two orders, of plain steps alone, on a chain that is its own network."""
    return filled(SMALL, tmp_path_factory.mktemp("orders") / "lsd-data")


@pytest.fixture(scope="module")
def rows(run):
    return one_by_one_rows(run.store, run.plan.candidates)


def test_each_order_of_the_grid_has_a_row_of_as_many_calls_as_tokens(rows):
    assert [row.sampler for row in rows] == ["uniform", "halton"]
    for row in rows:
        assert (row.method, row.nfe, row.calls_mean) == (ONE_BY_ONE, 64, 64.0)
        assert row.primary_metric in row.metrics
        assert row.mean == 0  # no transition breaks the rule
    uniform, halton = rows
    assert uniform.order_gap is None
    assert halton.order_gap.samples == 12
    for nats, error in halton.order_gap.both:  # one distribution, whatever the order
        assert abs(nats) + error < 1e-9


def test_page_results_and_tables_show_the_rows_and_the_gap(run, rows):
    store, config = run.store, run.plan.config
    (page,) = grid_pages(store, config)
    assert [row.label for row in page.one_by_one] == ["one by one, uniform", "one by one, halton"]
    shown = html(page, samples=False)
    assert "<h2>Orders</h2>" in shown
    gap = rows[1].order_gap
    text = block(config, "lsd grid orders", [page], "abc")
    assert "| 64 | one by one, halton | counts |" in text
    assert text.count("- halton order is ") == 1
    assert f"apart; one by one, {gap.samples} samples each way" in text
    outcome = Outcome(rows=[*page.rows, *rows], verdicts={}, failures={})
    console = Console(width=300, file=io.StringIO())
    console.print(table_of("countdown-exact", outcome, get_task("countdown")))
    printed = console.file.getvalue()
    assert "one by one, halton" in printed
    assert "halton order is" in printed
    sink, names = io.StringIO(), metric_names(outcome.rows)
    write_csv([record(row, names) for row in outcome.rows], sink)
    sink.seek(0)
    written = {row["label"]: row for row in csv.DictReader(sink) if row["method"] == ONE_BY_ONE}
    assert float(written["one by one, halton"]["order_gap_nats"]) == gap.nats
    assert float(written["one by one, halton"]["order_gap_back_standard_error"]) == gap.back_standard_error
    assert written["one by one, uniform"]["order_gap_nats"] == ""


def test_a_runs_own_table_has_them_once_a_backbone(done):
    found = [row.label for row in done.outcome.rows if row.method == ONE_BY_ONE]
    assert found == ["one by one, uniform", "one by one, halton"]


def test_it_is_measured_once_and_more_samples_take_the_place_of_fewer(run):
    plan, store = run.plan, run.store
    site = Site(store)
    assert one_by_one_pieces(site, plan) == ([], [])
    assert site.counts.reused["orders"] == 2
    uniform, halton = one_by_one_jobs(plan)
    assert (uniform.order, halton.order) == ("uniform", "halton")
    assert sequences(uniform) == 12 * 64
    assert sequences(halton) == 6 * 12 * 64
    more = plan.config.model_copy(
        update={"evaluation": plan.config.evaluation.model_copy(update={"samples": 16})}
    )
    (piece,), jobs = one_by_one_pieces(Site(store), replace(plan, config=more))
    assert piece.name == "one by one countdown-exact"
    assert [job.samples for job in jobs] == [16, 16]
    none = plan.config.model_copy(
        update={"evaluation": plan.config.evaluation.model_copy(update={"one_by_one": 0})}
    )
    assert one_by_one_jobs(replace(plan, config=none)) == []


def test_its_files_are_verified_with_the_cells(run, tmp_path):
    store = Store(str(tmp_path))
    specs = run.plan.candidates
    spec = orders_among(specs)["halton"]
    found = read_one_by_one(run.store, spec, "halton")
    assert found is not None
    for key in run.store.list("cells"):
        if "one-by-one" in key:
            store.write_bytes(key, run.store.read_bytes(key))
    assert not damaged_cells(store)
    (key,) = [
        key for key in store.list("cells") if key.endswith(".json") and "gap" in str(store.read_json(key))
    ]
    store.write_bytes(key, store.read_bytes(key).replace(b'"samples":12', b'"samples":13'))
    store.memory.clear()
    assert list(damaged_cells(store)) == [key]
    with pytest.raises(InputError, match=r"12\.json"):
        read_one_by_one(store, spec, "halton")


def test_only_fixed_orders_without_a_table_have_one():
    grid = load_grid("tiny", samplers=["euler", "confidence", "learned_order", "bisection", "fixed_counts"])
    found = {spec.sampler: order_of(spec) for spec in make_plan(grid).candidates}
    assert found == {
        "euler": "uniform",
        "confidence": None,
        "learned_order": None,
        "bisection": "bisection",
        "fixed_counts": "uniform",
    }
    alone = load_grid("tiny", samplers=["euler", "fixed_counts"])
    assert one_by_one_jobs(make_plan(alone)) == []  # all are uniform: the teacher's row says it


def test_a_store_without_it_is_read_as_before(tmp_path: Path):
    with tarfile.open(PUBLISHED / "home.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    config = load_grid(str(PUBLISHED / "orders.yaml"))
    (page,) = grid_pages(Store(str(tmp_path / "store")), config)
    assert page.one_by_one == ()
    assert "<h2>Orders</h2>" not in html(page, samples=False)
    assert "one by one" not in block(config, "lsd grid orders", [page], "abc")


def test_one_sample_has_no_standard_error():
    with pytest.raises(InputError, match="one_by_one"):
        parse_grid({"evaluation": {"one_by_one": 1}})


def test_a_grid_with_conditions_has_none(tmp_path: Path):
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": [9, 8, 7]}\n{"infill": "_ _ 3 _ 1"}\n')
    asked = {"samplers": ["fixed_counts", "halton"], "methods": ["plain"]}
    assert one_by_one_jobs(make_plan(load_grid("tiny", **asked)))
    given = load_grid("tiny", **asked, **{"conditions.source": str(file)})
    assert one_by_one_jobs(make_plan(given)) == []  # its candidates continue what is given
