"""JYS: its saving is the KLUB formula, its search finds peaks, its schedules beat uniform steps."""

import math
from itertools import pairwise, product
from typing import Any

import pytest
import torch

from lsd_core.backbones.countdown_chain import exact_backbone as countdown
from lsd_core.distillation.doubling import Split, doubled, golden_section
from lsd_core.distillation.jys import JYSConfig, fit, saving
from lsd_core.distillation.learned import Kept, Learned, Problem
from lsd_core.metrics.countdown import error
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.loop import generate
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import counts_from_times, uniform_times
from lsd_core.trajectories.replay import hidden_at_time, state_at_time
from lsd_core.trajectories.types import TIME_GRID, Trajectories
from tests.lsd_core.oracles import (
    TableBackbone,
    all_states,
    exact_backbone,
    features_at,
    joint_law,
    misfit_backbone,
    number_of,
)

T1, T2, S = 0.9, 0.4, 0.1
LENGTH, TOKENS = 3, 2


def nested_paths() -> tuple[Trajectories, torch.Tensor]:
    """All sequences with each token hidden at T2 (so at T1), hidden at T1 only, or at neither; P(hidden)."""
    tokens = all_states(TOKENS, LENGTH)
    classes = list(product((0, 1, 2), repeat=LENGTH))
    moment = torch.tensor([0.2, 0.6, 0.95], dtype=torch.float64)
    share = torch.tensor([T2, T1 - T2, 1 - T1], dtype=torch.float64)
    end = tokens.repeat(len(classes), 1)
    kind = torch.tensor(classes).repeat_interleave(len(tokens), dim=0)
    chance = share[kind].prod(dim=1)
    time = moment[kind]
    rank = time.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    paths = Trajectories(
        index=torch.arange(len(end)), num_tokens=TOKENS, x_end=end, reveal_time=time * TIME_GRID, rank=rank
    )
    return paths, chance


def formula(backbone: TableBackbone, paths: Trajectories) -> torch.Tensor:
    """(t2 - s) sum over masked i and y of R2 log(R2 / R1) - R2 + R1, written out."""
    out = []
    for x1, x2 in zip(state_at_time(paths, T1), state_at_time(paths, T2), strict=True):
        p1 = features_at(backbone, x1[None], T1)[0].softmax(-1)
        p2 = features_at(backbone, x2[None], T2)[0].softmax(-1)
        total = 0.0
        for i, y in product(range(LENGTH), range(TOKENS)):
            if x2[i] == TOKENS:
                r1, r2 = float(p1[i, y]) / T1, float(p2[i, y]) / T2
                total += r2 * math.log(r2 / r1) - r2 + r1
        out.append((T2 - S) * total)
    return torch.tensor(out, dtype=torch.float64)


@pytest.mark.parametrize("timed", [False, True])
def test_saving_is_the_klub_formula(timed: bool) -> None:
    backbone = misfit_backbone(1, TOKENS, LENGTH, timed=timed)
    paths, _ = nested_paths()
    assert torch.allclose(saving(backbone, paths, T1, T2, S, batch=50), formula(backbone, paths), atol=1e-12)


def test_without_its_reveal_part_it_is_what_path_kl_saves_by_a_second_step() -> None:
    joint = joint_law(3, TOKENS, LENGTH, 1.5)
    backbone = exact_backbone(joint)  # calibrated
    paths, chance = nested_paths()
    assert paths.x_end is not None
    weight = chance * joint.flatten()[number_of(paths.x_end.long(), TOKENS)]
    masked = hidden_at_time(paths, T2).sum(1).double()
    r1, r2 = 1 / T1, 1 / T2
    reveals = (T2 - S) * masked * (r2 * math.log(r2 / r1) - r2 + r1)
    klub = float((weight * (saving(backbone, paths, T1, T2, S, batch=500) - reveals)).sum())
    saved = 0.0
    for row, w in enumerate(weight.tolist()):
        early, late = (step_cost(backbone, paths.select(slice(row, row + 1)), t) for t in (T1, T2))
        saved += w * ((T1 - S) * early - (T1 - T2) * early - (T2 - S) * late)
    assert klub == pytest.approx(saved, abs=1e-9)


def step_cost(backbone: TableBackbone, path: Trajectories, t: float) -> float:
    """Path-KL's cost of a step from t by a unit of time: -log p of the tokens masked there, revealed at rate 1 / t."""
    masked = hidden_at_time(path, t)
    assert path.x_end is not None
    log_p = features_at(backbone, state_at_time(path, t), t)[0].log_softmax(-1)
    return -float(log_p.gather(1, path.x_end.long().T)[masked[0]].sum()) / t


def test_golden_section_finds_the_peak() -> None:
    split = golden_section(lambda t: 2 - (t - 0.3) ** 2, 0.0, 1.0, 25)
    assert split.time == pytest.approx(0.3, abs=1e-4)
    assert split.saving == pytest.approx(2, abs=1e-6)


def test_doubling_splits_every_interval_and_the_best_of_the_last_round() -> None:
    def halve(t: float, s: float) -> Split:
        return Split((t + s) / 2, saving=t)  # early intervals save most

    assert doubled(4, halve)[0] == (1.0, 0.75, 0.5, 0.25, 0.0)
    assert doubled(5, halve)[0] == (1.0, 0.875, 0.75, 0.5, 0.25, 0.0)
    assert doubled(1, halve) == ((1.0, 0.0), [])


def test_beats_uniform_steps_on_countdown_and_counts_its_cost() -> None:
    backbone = countdown("countdown", length=64)
    calls = 0
    features = backbone.features

    def counted(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += len(x)
        return features(x, t)

    backbone.features = counted  # type: ignore[method-assign]
    teacher = first_hitting(backbone, Draws(1, torch.arange(48)))
    calls = 0
    problem = Problem(backbone=backbone, sampler="euler", num_steps=8, trajectories=teacher, seed=0, batch=64)
    learned = fit(problem, JYSConfig())
    assert learned.sequences == calls
    assert all(t > s for t, s in pairwise(learned.table.grid))
    errors = [
        error(generate(backbone, "euler", table, 200, seed=3, batch=200).tokens).mean()
        for table in (learned.table, uniform_times(8))
    ]
    assert errors[0] < 0.65 * errors[1]


def test_what_is_kept_is_searched_once_for_all_base_samplers_and_seeds() -> None:
    backbone, kept = countdown("short", length=16, num_values=8), Kept()
    teacher = first_hitting(backbone, Draws(1, torch.arange(16)))

    def found(sampler: str, seed: int, steps: int = 4, **keep: Any) -> Learned:
        problem = Problem(
            backbone=backbone,
            sampler=sampler,
            num_steps=steps,
            trajectories=teacher,
            seed=seed,
            batch=16,
            **keep,
        )
        return fit(problem, JYSConfig(iterations=3))

    first = found("euler", 0, keep=kept)
    assert found("euler", 1, keep=kept) == first == found("euler", 1)
    counts = found("fixed_counts", 0, keep=kept)
    assert counts == found("fixed_counts", 0)
    kinds = [name[0] for name in kept._made if isinstance(name, tuple)]
    assert sorted(kinds) == [
        "jys",
        "jys splits",
    ]  # and that of counts in uniform order is no search of its own
    assert counts.table == counts_from_times(first.table, 16)
    assert found("euler", 0, steps=2, keep=kept).table != first.table


def test_searches_for_several_numbers_of_steps_share_their_splits_and_each_counts_its_own() -> None:
    backbone, kept = misfit_backbone(2, 3, 6, timed=True), Kept()
    teacher = first_hitting(backbone, Draws(1, torch.arange(16)))

    def found(steps: int, **keep: Any) -> Learned:
        problem = Problem(
            backbone=backbone,
            sampler="euler",
            num_steps=steps,
            trajectories=teacher,
            seed=0,
            batch=16,
            **keep,
        )
        return fit(problem, JYSConfig(iterations=3))

    alone = {steps: found(steps) for steps in (2, 4, 6)}
    backbone.sequences = 0
    assert found(4, keep=kept) == alone[4]
    assert backbone.sequences == alone[4].sequences == 3 * 6 * 16
    assert found(2, keep=kept) == alone[2]
    assert backbone.sequences == alone[4].sequences
    assert found(6, keep=kept) == alone[6]
    assert backbone.sequences == alone[6].sequences == (3 + 4) * 6 * 16
