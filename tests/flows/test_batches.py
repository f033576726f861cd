"""A batch that the grid leaves open is resolved when first planned, then the same for everybody."""

from pathlib import Path

import pytest

from flows.config import TeacherConfig, load_grid
from flows.pipeline.plan import make_plan
from lsd_core.storage.store import Store


def test_the_first_answer_is_kept_whatever_memory_the_next_machine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_grid("tiny", backbones=["countdown"]).model_copy(
        update={"teacher": TeacherConfig(batch=None, memory_gib=0.01, shard_rows=64, trajectories=64)}
    )
    store = Store(str(tmp_path / "store"))
    first = make_plan(config, store).teachers[0]
    assert 1 <= first.batch < 64
    assert 64 % first.batch == 0
    larger = config.model_copy(update={"teacher": config.teacher.model_copy(update={"memory_gib": 4.0})})
    assert make_plan(larger).teachers[0].batch == 64  # what it would be, were it not frozen
    assert make_plan(larger, store).teachers[0] == first
    other = larger.model_copy(update={"teacher": larger.teacher.model_copy(update={"seed": 7})})
    assert make_plan(other, store).teachers[0].batch == 64  # another teacher


def test_a_given_batch_is_taken_as_it_is_and_nothing_is_written(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    assert make_plan(load_grid("tiny"), store).teachers[0].batch == 16
    assert store.list() == []
