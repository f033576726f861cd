"""Costs are measured once on a store, for all budgets, seeds and methods, and never change what is learned."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.config import load_grid
from flows.pipeline.plan import make_plan
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.garbage import collect
from lsd_core.candidates.results import Results
from lsd_core.candidates.shared_costs import CostsOnStore, damaged_costs
from lsd_core.distillation import jys, jys_counts, path_kl
from lsd_core.distillation.gains import Gains
from lsd_core.distillation.learned import CostKey, Kept, Learned
from lsd_core.paths.chosen_model import ChosenModel
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.paths.model import PathModel
from lsd_core.samplers.table import StepTable
from lsd_core.storage.store import Store
from tests.workers.published import publish_plan
from workers import worker
from workers.jobs import LearnJob

SMALL = {
    "path_kl": {"price_sequences": 16, "gain_paths": 4, "candidates": [1.0, 1.5]},
    "path_kl_schedule": {"price_sequences": 16},
    "path_kl_sharp": {"price_sequences": 16, "gain_paths": 4, "candidates": [1.0, 1.5]},
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def candidates(store: Store, sampler: str) -> dict[tuple[str, int], CandidateSpec]:
    """By method and NFE; their backbone and teacher published."""
    config = load_grid(
        "tiny", methods=["plain", *SMALL], samplers=[sampler], nfe=[2, 3], method_configs=SMALL
    )
    plan = make_plan(config, store)
    publish_plan(plan, store)
    return {(each.method, each.nfe): each for each in plan.candidates if each.method in SMALL}


def learn(store: Store, spec: CandidateSpec, which: int = 0) -> Learned:
    """A table that a fresh worker made, which holds nothing in memory."""
    worker.Worker(store.url).run(LearnJob(spec=spec, which=which))
    return Results(store, spec).read_learned(which)


def edges(store: Store) -> list[str]:
    return [key for key in store.list("costs") if store.read_json(key)["of"]["kind"] == "edge costs"]


@pytest.mark.parametrize(("sampler", "model"), [("confidence", ChosenModel), ("euler", MaskedModel)])
@pytest.mark.slow
def test_one_measurement_serves_all_budgets_seeds_and_methods(
    store: Store, sampler: str, model: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = candidates(store, sampler)
    first = learn(store, specs["path_kl", 2])
    [key] = edges(store)
    assert key in first.diagnostics["shared_costs"]
    assert first.diagnostics["shared_costs"][key] == first.diagnostics["price_sequences"] > 0
    monkeypatch.setattr(model, "edge_costs", lambda *given: pytest.fail("measured again"))
    for asked, which in ((("path_kl", 3), 0), (("path_kl", 2), 1), (("path_kl_sharp", 3), 0)):
        assert key in learn(store, specs[asked], which).diagnostics["shared_costs"]
    assert edges(store) == [key]


@pytest.mark.parametrize("sampler", ["confidence", "entropy_bound", "euler"])
@pytest.mark.slow
def test_costs_that_are_read_give_the_bytes_of_costs_that_are_measured(store: Store, sampler: str) -> None:
    spec = candidates(store, sampler)["path_kl", 3]
    learn(store, spec)
    results, costs = Results(store, spec), {key: store.read_bytes(key) for key in store.list("costs")}
    table = store.read_bytes(results.table_key(0))
    for missing in (False, True):
        for key in [results.table_key(0), results.learned_key(0), *(costs if missing else ())]:
            store.delete(key)
        learn(store, spec)
        assert store.read_bytes(results.table_key(0)) == table
        assert {key: store.read_bytes(key) for key in store.list("costs")} == costs


@pytest.mark.parametrize("sampler", ["euler", "confidence"])
def test_members_with_gains_choose_them_once_a_seed_on_whichever_workers(store: Store, sampler: str) -> None:
    specs = candidates(store, sampler)
    with_choices, chosen = list[str](), path_kl.choose_gains

    def counting(model: PathModel, table: StepTable, *given: Any) -> Gains:
        with_choices.append(sampler)
        return chosen(model, table, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(path_kl, "choose_gains", counting)
        plain, sharp = (learn(store, specs[method, 3]) for method in ("path_kl", "path_kl_sharp"))
        assert len(with_choices) == 1
        learn(store, specs["path_kl", 3], which=1)
        assert len(with_choices) == 2
    assert list(plain.diagnostics["own_costs"]) == list(sharp.diagnostics["own_costs"]) != []
    assert not set(plain.diagnostics["own_costs"]) & set(plain.diagnostics["shared_costs"])
    again = Store(f"{store.url}-other")
    alone = learn(again, candidates(again, sampler)["path_kl_sharp", 3])
    assert alone == sharp


@pytest.mark.parametrize("sampler", ["euler", "halton"])
def test_jump_your_steps_is_searched_once_for_all_seeds(
    store: Store, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_grid(
        "tiny", methods=["plain", "jys"], samplers=[sampler], nfe=[3], method_configs={"jys": {"paths": 4}}
    )
    plan = make_plan(config, store)
    publish_plan(plan, store)
    [spec] = [each for each in plan.candidates if each.method == "jys"]
    first = learn(store, spec)
    for module in (jys, jys_counts):
        monkeypatch.setattr(module, "_search", lambda *given: pytest.fail("searched again"))
    assert learn(store, spec, which=1) == first
    [key] = store.list("costs")
    assert first.diagnostics["shared_costs"] == {key: first.sequences}


def test_a_damaged_file_is_named_and_measured_again(store: Store) -> None:
    spec = candidates(store, "confidence")["path_kl_schedule", 2]
    learn(store, spec)
    [key], results = edges(store), Results(store, spec)
    whole, table = store.read_bytes(key), store.read_bytes(results.table_key(0))
    at = whole.index(b'"sequences":') + len(b'"sequences":')
    store.write_bytes(key, whole[:at] + b"1" + whole[at:])
    assert list(damaged_costs(store)) == [key]
    assert "have the content of its digest" in damaged_costs(store)[key]
    for each in (results.table_key(0), results.learned_key(0)):
        store.delete(each)
    learn(store, spec)
    assert store.read_bytes(key) == whole
    assert store.read_bytes(results.table_key(0)) == table
    other = f"costs/{'0' * 16}.json"
    store.write_bytes(other, whole)
    assert f"must lie in {key}" in damaged_costs(store)[other]


def test_a_damaged_file_is_one_line_for_the_log(store: Store) -> None:
    spec, asked, said = candidates(store, "euler")["path_kl", 2], key_for(1), list[str]()
    CostsOnStore(store, spec, Kept(), said.append)(asked, lambda: {"sequences": 3})
    assert said == []
    [key] = store.list("costs")
    store.write_bytes(key, b"{")
    again = CostsOnStore(store, spec, Kept(), said.append)(asked, lambda: {"sequences": 3})
    assert again == {"sequences": 3}
    assert len(said) == 1
    assert said[0].startswith(f"measured again: {store.locate(key)} must")
    assert "\n" not in said[0]


def key_for(number: int, stored: bool = False) -> CostKey:
    return CostKey(kind="edge costs", of=("name", number, None), stored=stored)


def test_of_two_that_race_both_go_on_with_what_was_published_first(store: Store) -> None:
    spec = candidates(store, "euler")["path_kl", 2]
    costs = [CostsOnStore(store, spec, Kept(), str) for _ in range(2)]

    def slower() -> dict[str, int]:  # another device's last bits
        assert costs[0](key_for(1), lambda: {"sequences": 3}) == {"sequences": 3}
        return {"sequences": 4}

    assert costs[1](key_for(1), slower) == {"sequences": 3}


def test_the_key_holds_what_costs_depend_on_and_nothing_else(store: Store) -> None:
    specs = candidates(store, "euler")
    spec = specs["path_kl", 2]
    assert spec.teacher is not None
    alike = [
        specs["path_kl_sharp", 3],
        replace(spec, seed=5),
        replace(spec, evaluation=replace(spec.evaluation, samples=7, seeds=5)),
    ]
    more, other = replace(spec, trajectories=8), replace(spec, teacher=replace(spec.teacher, seed=9))

    def place(each: CandidateSpec, asked: CostKey) -> str:
        costs = CostsOnStore(store, each, Kept(), str)
        costs(asked, lambda: {"sequences": 1})
        [key] = costs.used
        return key

    for stored in (False, True):
        assert {place(each, key_for(1, stored)) for each in alike} == {place(spec, key_for(1, stored))}
    assert place(spec, key_for(1)) != place(spec, key_for(2))
    assert place(more, key_for(1)) == place(other, key_for(1)) == place(spec, key_for(1))
    assert len({place(each, key_for(1, True)) for each in (spec, more, other)}) == 3


def test_gc_keeps_what_a_cell_names_and_removes_the_rest(store: Store) -> None:
    specs = candidates(store, "confidence")
    diagnostics = learn(store, specs["path_kl", 2]).diagnostics
    named = diagnostics["shared_costs"] | diagnostics["own_costs"]
    CostsOnStore(store, specs["path_kl", 2], Kept(), str)(key_for(1), lambda: {"sequences": 1})
    [spare] = set(store.list("costs")) - set(named)
    week = time.time() + 8 * 24 * 3600
    assert collect(store) == []  # too young
    assert collect(store, now=week, dry_run=True) == [spare]
    assert store.exists(spare)
    assert collect(store, now=week) == [spare]
    assert store.list("costs") == sorted(named)
    table = Results(store, specs["path_kl", 2]).table_key(0)
    whole = store.read_bytes(table)
    store.write_bytes(table, b"{")  # it may name them
    assert collect(store, now=week) == []
    store.write_bytes(table, whole)
    store.delete(table)
    assert collect(store, now=week) == sorted(named)


def test_costs_that_are_not_finite_are_not_stored(store: Store) -> None:
    spec = candidates(store, "euler")["path_kl", 2]
    costs = {"sequences": 1, "cost_nats": [[float("inf")]]}
    assert CostsOnStore(store, spec, Kept(), str)(key_for(1), lambda: costs) == costs
    assert store.list("costs") == []
