"""Targets are the teacher's summed transitions, whether they are cached or not and whoever computed them."""

import pytest
import torch

from lsd_core.backbones.protocol import Backbone
from lsd_core.distillation import teacher_targets
from lsd_core.distillation.learned import Kept, Latest, Learned
from lsd_core.distillation.lsd import LSD, LSDConfig
from lsd_core.distillation.lsd_plus import LSD_PLUS, LSDPlusConfig, teacher_transitions
from lsd_core.distillation.methods import Method
from lsd_core.distillation.teacher_targets import TeacherTargets
from tests.lsd_core.distillation.chains import (
    Warming,
    exact_paths,
    mild_chain,
    problem,
    stepped_paths,
    strong_chain,
)
from tests.lsd_core.oracles import misfit_backbone

CONFIGS = {
    "lsd": (LSD, LSDConfig(epochs=3, paths_per_epoch=20, paths_per_update=8, rows="all")),
    "lsd_plus": (LSD_PLUS, LSDPlusConfig(epochs=3, paths_per_epoch=20, paths_per_update=8, teacher_points=3)),
}


def countdown_like(timed: bool) -> Backbone:
    return Warming(mild_chain(2.0).table, 3) if timed else mild_chain(2.0)


@pytest.mark.parametrize("timed", [False, True])
def test_cached_targets_are_the_summed_transitions(timed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = countdown_like(timed)
    task = problem(backbone, exact_paths(mild_chain(2.0), 17), 3)
    teacher = teacher_transitions(task, LSDPlusConfig(teacher_points=4), literal=False)
    cached = TeacherTargets(task, teacher, 5)
    monkeypatch.setattr(teacher_targets, "CACHE_BYTES", 0)
    other = TeacherTargets(task, teacher, 5)
    rows = torch.tensor([16, 3, 4, 9, 0])
    every = (torch.arange(5).repeat_interleave(3), torch.arange(3).repeat(5))
    for k in range(3):
        expected = teacher.summed(teacher.load(rows, k), every)
        assert torch.equal(other.load(rows, k)(every), expected)
        assert torch.allclose(cached.load(rows, k)(every), expected, atol=1e-14, rtol=0)
        assert bool((expected.sum(-1) > 0.1).any())


def learned(
    method: Method, config: object, backbone: Backbone, count: int = 24, **changes: object
) -> Learned:
    return method.fit(problem(backbone, exact_paths(mild_chain(2.0), count), 3, batch=8, **changes), config)


@pytest.mark.parametrize("name", list(CONFIGS))
@pytest.mark.parametrize("timed", [False, True])
def test_a_table_is_the_same_without_a_cache_up_to_rounding(
    name: str, timed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, config = CONFIGS[name]
    cached = learned(method, config, countdown_like(timed))
    monkeypatch.setattr(teacher_targets, "CACHE_BYTES", 0)
    other = learned(method, config, countdown_like(timed))
    assert cached.table.gains == pytest.approx(other.table.gains, abs=1e-10)
    assert cached.table.times == pytest.approx(other.table.times, abs=1e-10)
    assert max(abs(gain - 1) for gain in cached.table.gains) > 1e-3
    assert cached.sequences < other.sequences


@pytest.mark.parametrize("name", list(CONFIGS))
def test_learning_seeds_share_the_targets_and_neither_tables_nor_their_costs_say_so(name: str) -> None:
    method, config = CONFIGS[name]
    backbone, keep = countdown_like(timed=True), Kept()
    alone = [learned(method, config, backbone, seed=seed) for seed in (1, 2)]
    backbone.sequences = 0
    together = [learned(method, config, backbone, seed=seed, keep=keep) for seed in (2, 1)]
    assert together[::-1] == alone
    shared = together[0].diagnostics["teacher_sequences"]
    assert backbone.sequences == sum(each.sequences for each in together) - shared


def test_paths_that_a_seed_completes_are_not_shared_with_another() -> None:
    """An N-step teacher does not say when inside a step a token came."""
    backbone, keep = strong_chain(), Kept()
    paths = stepped_paths(backbone, 8, steps=6)
    targets = []
    for seed in (1, 2):
        task = problem(backbone, paths, 4, seed=seed, keep=keep)
        teacher = teacher_transitions(task, LSDPlusConfig(teacher_points=1), literal=False)
        read = TeacherTargets(task, teacher, 8).load(torch.arange(8), 1)
        targets.append(read((torch.arange(8).repeat_interleave(6), torch.arange(6).repeat(8))))
    assert not torch.equal(*targets)


def test_the_bits_do_not_depend_on_who_asked_first() -> None:
    backbone = misfit_backbone(3, 3, 3, timed=True)
    task = problem(backbone, exact_paths(backbone, 30), 2)
    every = (torch.arange(10).repeat_interleave(3), torch.arange(3).repeat(10))
    found = []
    for first in (torch.arange(10), torch.arange(6, 19)):
        teacher = teacher_transitions(task, LSDPlusConfig(), literal=False)
        targets = TeacherTargets(task, teacher, 4)
        targets.load(first, 1)
        found.append(targets.load(torch.arange(10), 1)(every))
    assert torch.equal(*found)


def test_the_latest_is_held_alone() -> None:
    made = []
    latest = Latest()
    for name in ("a", "a", "b", "a"):
        latest(name, lambda name=name: made.append(name) or name)  # type: ignore[misc]
    assert made == ["a", "b", "a"]
