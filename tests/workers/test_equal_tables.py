"""Samples of equal tables are drawn once on a store, whichever methods, temperatures or seeds the tables are of."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from flows.config import load_grid
from flows.pipeline.plan import make_plan
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.equal_tables import damaged_hints, hint_key
from lsd_core.candidates.garbage import collect
from lsd_core.candidates.results import Results
from lsd_core.distillation.learned import Learned
from lsd_core.samplers.table import StepTable, uniform_times
from lsd_core.storage.store import Store
from tests.workers.published import publish_plan
from workers import worker
from workers.jobs import MeasureJob

METHODS = ("plain", "jys", "path_kl")
SHARP = uniform_times(2).with_gains(2.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


@pytest.fixture
def specs(store: Store) -> dict[str, CandidateSpec]:
    """Candidates of one cell by method, their backbone published."""
    plan = make_plan(load_grid("tiny", methods=list(METHODS), samplers=["euler"], nfe=[2]), store)
    publish_plan(plan, store)
    return {each.method: each for each in plan.candidates}


def given(store: Store, spec: CandidateSpec, *tables: StepTable) -> None:
    """The tables of the learning runs, as if they were learned."""
    for which, table in enumerate(tables):
        Results(store, spec).write_learned(which, Learned(table=table, sequences=0))


def measured(
    store: Store, spec: CandidateSpec, part: str = "report", which: int = 0, temperature: float = 1.0
) -> bool:
    """Whether a fresh worker drew the samples."""
    job = MeasureJob(spec=spec, part=part, which=which, temperature=temperature)
    return worker.Worker(store.url).run(job).spent is not None


def files(store: Store, spec: CandidateSpec) -> dict[str, bytes]:
    """The measurements of a candidate."""
    keys = [key for key in store.list(spec.work.folder) if "/table-" not in key]
    return {key: store.read_bytes(key) for key in keys}


@pytest.mark.parametrize("part", ["selection", "report"])
def test_an_equal_table_of_another_method_takes_the_bytes_that_it_would_make(
    store: Store, specs: dict[str, CandidateSpec], part: str
) -> None:
    for method in METHODS:
        given(store, specs[method], SHARP)
    assert measured(store, specs["jys"], part)
    assert not measured(store, specs["path_kl"], part)
    copied = files(store, specs["path_kl"])
    assert len(copied) == (2 if part == "selection" else 3)
    for key in [*store.list("measured"), *copied]:
        store.delete(key)
    assert measured(store, specs["path_kl"], part)
    assert files(store, specs["path_kl"]) == copied


def test_what_samples_depend_on_is_drawn_anew(store: Store, specs: dict[str, CandidateSpec]) -> None:
    given(store, specs["plain"], SHARP)
    given(store, specs["path_kl"], SHARP, SHARP)
    given(store, specs["jys"], SHARP.with_gains(2.5), SHARP)
    assert measured(store, specs["plain"])
    assert measured(store, specs["plain"], temperature=0.8)  # gains of 2 / 0.8
    assert measured(store, specs["path_kl"], which=1)
    assert measured(store, specs["path_kl"], "selection")
    assert measured(store, specs["jys"])  # 2.5 is 2 / 0.8, whose sequences nobody kept to be looked at
    other = specs["path_kl"]
    larger = replace(other, evaluation=replace(other.evaluation, samples=other.evaluation.samples + 1))
    given(store, larger, SHARP)
    assert measured(store, larger)


def test_a_temperature_is_a_gain(store: Store, specs: dict[str, CandidateSpec]) -> None:
    given(store, specs["plain"], SHARP)
    given(store, specs["jys"], SHARP.with_gains(2.5))
    assert measured(store, specs["jys"])
    assert not measured(store, specs["plain"], temperature=0.8)
    [record] = [key for key in files(store, specs["plain"]) if key.endswith("report-0-T0.8.json")]
    assert "first" not in store.read_json(record)


def test_the_table_that_ships_is_not_drawn_again_where_all_seeds_learned_it(
    store: Store, specs: dict[str, CandidateSpec]
) -> None:
    spec = specs["path_kl"]
    seeds = range(spec.evaluation.seeds)
    assert len(seeds) > 1
    given(store, spec, *[SHARP for _ in seeds])
    for part in ("selection", "report"):
        assert all(measured(store, spec, part, which) for which in seeds)
    assert not any(measured(store, spec, "shipped", which) for which in seeds)
    results = Results(store, spec)
    for which in seeds:
        shipped, report = (results.read_measurement(part, which, 1.0) for part in ("shipped", "report"))
        assert (shipped.scores == report.scores).all()
        assert shipped.metrics == report.metrics
        assert (bool(report.first), shipped.first) == (True, ())
        assert results.read_across("shipped", which) is not None


def test_hints_that_are_damaged_or_name_nothing_cost_time_alone(
    store: Store, specs: dict[str, CandidateSpec]
) -> None:
    given(store, specs["path_kl"], SHARP)
    given(store, specs["jys"], SHARP)
    assert measured(store, specs["path_kl"])
    [key] = store.list("measured")
    assert key == hint_key(specs["path_kl"], "report", 0, 1.0, SHARP)
    whole = store.read_bytes(key)
    assert damaged_hints(store) == {}
    store.write_bytes(key, whole.replace(b"cells", b"sells"))
    assert list(damaged_hints(store)) == [key]
    assert "or delete this file" in damaged_hints(store)[key]
    assert measured(store, specs["jys"])
    store.write_bytes(key, whole)
    week = time.time() + 8 * 24 * 3600
    assert key not in collect(store, now=week, dry_run=True)
    for each in files(store, specs["path_kl"]):
        store.delete(each)
    assert key in collect(store, now=week, dry_run=True)
    assert measured(store, specs["path_kl"])
    assert key not in collect(store, now=week, dry_run=True)
