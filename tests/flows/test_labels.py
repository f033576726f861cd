"""Ray's dashboard and logs call the workers of a grid by their role and the backbones that they serve."""

from pathlib import Path

from flows.config import load_grid
from flows.pipeline import driver
from flows.pipeline.driver import label_of
from flows.pipeline.plan import make_plan
from workers.jobs import MeasureJob, ShardJob
from workers.pool import _Host


def test_a_label_names_each_backbone_once_and_counts_what_is_too_much(monkeypatch) -> None:
    grid = load_grid("tiny", backbones=["countdown", "countdown-radd"])
    plan = make_plan(grid)
    jobs = [ShardJob(teacher=teacher, shard=0) for teacher in plan.teachers]
    jobs += [MeasureJob(spec=spec, part="report", which=0) for spec in plan.work]
    assert label_of(jobs) == "lsd worker: countdown, countdown-radd"
    monkeypatch.setattr(driver, "NAMED", 1)
    assert label_of(jobs) == "lsd worker: countdown and 1 more"


def test_an_actor_is_called_by_its_label() -> None:
    assert repr(_Host(Path, (), "lsd worker: countdown")) == "lsd worker: countdown"
