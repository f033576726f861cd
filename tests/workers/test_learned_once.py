"""A table is learned once on a store, however often it is measured, and in other sizes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.config import load_grid
from flows.pipeline.plan import make_plan
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.results import Results
from lsd_core.candidates.verify import damaged_cells
from lsd_core.storage.store import Store
from tests.workers.published import publish_plan
from workers import worker
from workers.jobs import LearnJob

SMALL = {"path_kl": {"price_sequences": 64, "gain_paths": 4}}


@pytest.fixture
def spec(tmp_path: Path) -> CandidateSpec:
    """A candidate of path-KL, its backbone and its teacher published."""
    config = load_grid(
        "tiny", methods=["plain", "path_kl"], samplers=["euler"], nfe=[2], method_configs=SMALL
    )
    store = Store(str(tmp_path / "store"))
    plan = make_plan(config, store)
    publish_plan(plan, store)
    return next(each for each in plan.candidates if each.method == "path_kl")


def table(spec: CandidateSpec, store: Store, which: int = 0) -> tuple[str, Any]:
    """The key of a table that a fresh worker made, and whether it was timed."""
    done = worker.Worker(store.url).run(LearnJob(spec=spec, which=which))
    return done.result, done.spent  # type: ignore[union-attr]


def test_a_candidate_that_is_measured_otherwise_takes_the_table_that_is_there(
    spec: CandidateSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path / "store"))
    first, spent = table(spec, store)
    assert spent is not None
    larger = replace(spec, evaluation=replace(spec.evaluation, samples=4096, certificate_paths=2))
    assert Results(store, larger).table_key(0) != first
    with monkeypatch.context() as patch:
        patch.setattr(worker, "learn", None)  # cannot be called
        second, spent = table(larger, store)
    assert spent is None  # no seconds that would stand in a table of costs
    assert store.read_json(second)["spec"] != store.read_json(first)["spec"]
    assert Results(store, larger).read_learned(0) == Results(store, spec).read_learned(0)
    assert Results(store, spec).read_learned(0).sequences > 0


def test_what_its_bits_depend_on_is_learned_anew(spec: CandidateSpec, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    table(spec, store)
    others = [
        replace(spec, nfe=3),
        replace(spec, seed=1),
        replace(spec, method_config=dict(spec.method_config) | {"gain_paths": 5}),
        replace(spec, evaluation=replace(spec.evaluation, batch=3)),
    ]
    assert len({each.learning for each in [spec, *others]}) == 5
    assert all(Results(store, each).find_learned(0) is None for each in others)
    assert Results(store, spec).find_learned(1) is None
    assert replace(spec, evaluation=replace(spec.evaluation, seeds=7)).learning == spec.learning


def test_a_damaged_copy_is_named_and_not_used(spec: CandidateSpec, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    first, _ = table(spec, store)
    whole = store.read_bytes(first)
    [copy] = store.list("learned")
    record = store.read_json(copy)
    store.write_json(copy, record | {"sequences": record["sequences"] + 1})
    assert list(damaged_cells(store)) == [copy]
    assert "or delete this copy" in damaged_cells(store)[copy]
    (tmp_path / "store" / first).unlink()
    again, spent = table(spec, store)
    assert spent is not None
    assert store.read_bytes(again) == whole
    assert damaged_cells(store) == {}
