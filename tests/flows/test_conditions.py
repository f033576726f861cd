"""A grid with conditions: planned before work, learned, certified and measured for what is given, and said on cards."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from flows.config import GridConfig, load_grid
from flows.pipeline.cell_jobs import cells_of
from flows.pipeline.cell_work import quoted, selections, tables, write_card
from flows.pipeline.conditions import publish_conditions
from flows.pipeline.plan import Plan, make_plan
from flows.settings import resolve
from lsd_core import load_sampler
from lsd_core.backbones.publish import publish
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.results import Results
from lsd_core.candidates.tested import shipped_run
from lsd_core.candidates.work import check_given
from lsd_core.cards import SamplerCard
from lsd_core.errors import InputError
from lsd_core.storage.store import Store
from lsd_core.trajectories.manifest import publish_manifest
from workers.jobs import CertifyJob, MeasureJob, ShardJob
from workers.worker import Worker

SMALL: dict[str, Any] = {
    "nfe": [2],
    "samplers": ["fixed_counts"],
    "methods": ["plain", "path_kl_rescaled", "path_kl"],
    "method_configs": {
        name: {"price_sequences": 64, "gain_paths": 8, "candidates": [1.0, 1.5]}
        for name in ("path_kl_rescaled", "path_kl")
    },
    "conditions.templates": 12,
    "teacher.trajectories": 16,
    "teacher.shard_rows": 16,
    "teacher.batch": 16,
    "evaluation.samples": 24,
    "evaluation.selection_samples": 8,
    "evaluation.seeds": 1,
    "evaluation.certificate_paths": 8,
}


ON_LOG = {"lsd": {"gain_on": "log_score"}}


@pytest.fixture
def grid(tmp_path: Path) -> Callable[..., GridConfig]:
    """`tiny` with two prompts in a file, and overrides."""
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": [9, 8, 7]}\n{"infill": "_ _ 3 _ 1"}\n')
    return lambda **changes: load_grid("tiny", **{"conditions.source": str(file)} | changes)


def test_specifications_name_the_set_and_its_parts(grid: Callable[..., GridConfig]) -> None:
    methods = ["plain", "path_kl", "path_kl_rescaled"]
    plan = make_plan(grid(methods=methods, samplers=["euler"]))
    (conditional, unconditional) = plan.teachers
    by_method = {spec.method: spec for spec in plan.candidates}
    assert by_method["path_kl"].teacher == conditional
    assert by_method["path_kl_rescaled"].teacher == unconditional == make_plan(load_grid("tiny")).teachers[0]
    parts = [conditional.conditions, by_method["plain"].evaluation.conditions]
    assert [part["part"] for part in parts] == ["learn", "held_out"]
    assert {part["digest"] for part in parts} == {plan.conditions[0].whole.digest}
    assert sorted(free for part in parts for free in part["free"]) == [61, 61, 62, 62]
    assert all(CandidateSpec.from_dict(spec.to_dict()) == spec for spec in plan.candidates)
    assert not {spec.key for spec in plan.candidates} & {
        spec.key for spec in make_plan(load_grid("tiny")).candidates
    }


def test_all_methods_are_those_for_conditions(grid: Callable[..., GridConfig]) -> None:
    filled = {
        spec.method
        for spec in make_plan(grid(methods=["all"], samplers=["euler", "fixed_counts"])).candidates
    }
    assert {"plain", "lsd", "lsd_plus", "path_kl", "path_kl_rescaled"} <= filled
    assert filled.isdisjoint({"jys", "eds", "wds", "lsd_plus_literal"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": ["jys"]}, "method must be for grids with conditions, got jys; choose among plain"),
        ({"methods": ["path_kl"], "samplers": ["learned_order"]}, "order of its own where tokens are given"),
        ({"methods": ["lsd"], "samplers": ["fixed_counts"], "method_configs": ON_LOG}, "step in times for lsd"),
        ({"backbones": ["countdown-uniform-exact"]}, "grid.conditions must be given an absorbing backbone"),
        ({"conditions.source": "task"}, "be a task's own only where it has some, got countdown"),
        ({"conditions.source": "0123456789abcdef"}, "be a file where there is no store"),
        ({"teacher.method": "data"}, "draw from the network where tokens are given"),
        ({"conditions.held_out": 1.0}, "held_out must be < 1"),
        ({"conditions.unconditional": -0.1}, "unconditional must be >= 0"),
        ({"conditions": {}}, "conditions.source must be given"),
    ],
)  # fmt: skip
def test_what_conditions_cannot_do_is_one_line_before_work(
    grid: Callable[..., GridConfig], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words) as refused:
        make_plan(grid(**changes))
    assert "\n" not in str(refused.value)


def test_the_control_that_learned_without_is_for_conditions_alone() -> None:
    with pytest.raises(InputError, match="be left out of grids without conditions, got path_kl_rescaled"):
        make_plan(load_grid("tiny", methods=["path_kl_rescaled"]))


def test_a_job_elsewhere_needs_no_local_file(grid: Callable[..., GridConfig], tmp_path: Path) -> None:
    settings = resolve(command_line={"store": str(tmp_path / "store")})
    (cell, *_) = cells_of(grid(methods=["plain"], samplers=["euler"]), settings)
    (tmp_path / "prompts.jsonl").unlink()
    again = make_plan(cell.config, Store(settings.store))
    assert again.conditions[0].whole.digest == cell.config.conditions.source
    with pytest.raises(InputError, match="be over 16 tokens at length 17, those of lists"):
        make_plan(cell.config.model_copy(update={"backbones": ["lists"]}), Store(settings.store))


def fill(plan: Plan, store: Store) -> dict[str, SamplerCard]:
    """The cards of a plan, by method, made in this process."""
    for backbone in plan.backbones:
        publish(backbone, store)
    publish_conditions(plan.conditions, store)
    worker, cards = Worker(store.url), {}
    for teacher in plan.teachers:
        publish_manifest(store, teacher, [worker.run(ShardJob(teacher=teacher, shard=0)).record])
    for spec in plan.work:
        for job in (*tables(spec), *selections(spec)):
            worker.run(job)
        for each in quoted(spec):
            worker.run(MeasureJob(spec=spec, part=each.part, which=each.which, temperature=each.temperature))
        results = Results(store, spec)
        worker.run(CertifyJob(spec=spec, which=shipped_run(results)))
        cards[spec.method] = write_card(results)
    return cards


def test_cards_say_what_was_given_and_sample_with_a_prompt(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    plan = make_plan(load_grid("lists", **SMALL), store)
    cards = fill(plan, store)
    learned = cards["path_kl"]
    assert learned.teacher["conditions"] == plan.conditions[0].learn.record
    assert learned.evaluation.conditions == plan.conditions[0].held_out.record
    assert "conditions" not in cards["path_kl_rescaled"].teacher
    assert SamplerCard.from_json(learned.to_json()).to_json() == learned.to_json()
    assert learned.calls.max <= 2
    assert learned.certificate["reference"].endswith("given the tokens of each template")
    assert learned.evaluation.report["wrong_copy"].mean in (0, None)
    key = next(spec.key for spec in plan.candidates if spec.method == "path_kl")
    sampler = load_sampler(tmp_path / "store" / "cells" / key / "card.json")
    question = [3, 9, 2, 2, 7, 0, 1, 5, 4]
    drawn = sampler.sample(6, seed=0, prompt=question)
    assert torch.equal(drawn[:, :9], torch.tensor(question).expand(6, -1))
    assert torch.equal(drawn[:, 9:], torch.tensor(sorted(question[1:])).expand(6, -1))


def test_a_sample_that_lost_what_was_given_is_refused() -> None:
    held_out = make_plan(load_grid("lists", **SMALL)).conditions[0].held_out
    drawn = held_out.at(3, torch.arange(8))
    check_given(drawn, held_out, 3)
    with pytest.raises(InputError, match="keep what is given, got 1 of 8"):
        check_given(drawn.index_put((torch.tensor(2), torch.tensor(0)), torch.tensor(7)), held_out, 3)
    with pytest.raises(InputError, match="of 8 that do not"):
        check_given(drawn, replace(held_out, templates=held_out.templates.flip(1)), 3)
