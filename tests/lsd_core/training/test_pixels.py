"""Pixels are corrupted by the process, learned from, and a cut training ends as a whole one."""

from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import Tensor

from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.processes import Exponential, Gaussian, Process, Uniform
from lsd_core.training.config import TrainConfig
from lsd_core.training.pixels import NUM_TIMES, corrupt, stratified, train_pixels

PROCESSES: list[Process] = [
    Gaussian(4, Exponential(0.1, 100.0), rate_sigma=1.0, prior_sigma=8.0),
    Uniform(4),
]


def stripes(seed: int, index: Tensor) -> Tensor:
    """Images of six equal pixels."""
    return (uniform_grid(seed, index, 0, 1, Purpose.DATA) * 4).long().expand(-1, 6)


def config(family: str, steps: int) -> TrainConfig:
    return TrainConfig(family=family, dim=16, num_blocks=1, steps=steps, batch=32, warmup=5, lr=1e-2)


def test_noisy_pixels_follow_the_transition() -> None:
    process = PROCESSES[0]
    table = torch.stack([process.transition(growth) for growth in (0.05, 0.4)])
    clean = torch.tensor([[0, 3]]).expand(20_000, 2)
    for when in (0, 1):
        seen = corrupt(table, clean, torch.full((20_000,), when), 1, torch.arange(20_000))
        for position, level in ((0, 0), (1, 3)):
            counts = torch.bincount(seen[:, position], minlength=4).numpy()
            expected = (table[when, level] * 20_000).numpy()
            assert stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue > 0.001


def test_times_are_spread_over_the_batch() -> None:
    when = stratified(0, torch.arange(64))
    assert torch.equal(when.sort().values, when)
    assert torch.bincount(when * 64 // NUM_TIMES, minlength=64).tolist() == [1] * 64


def test_times_and_noise_stay_on_the_device_of_the_images() -> None:
    index, clean = torch.arange(4, device="meta"), torch.zeros(4, 6, dtype=torch.long, device="meta")
    when = stratified(0, index)
    table = torch.zeros(NUM_TIMES, 4, 4, dtype=torch.float64, device="meta")
    assert {when.device.type, corrupt(table, clean, when, 0, index).device.type} == {"meta"}


@pytest.mark.parametrize(("process", "when"), zip(PROCESSES, (0.4, 0.7), strict=True))
def test_it_learns_what_the_other_pixels_say(process: Process, when: float) -> None:
    """All pixels of a stripe are one level z, so p(z | x) is a product over what is seen."""
    trained = train_pixels(config(process.kind, 300), process, 6, stripes, name="n")
    t = torch.tensor(when, dtype=torch.float64)
    table = process.transition(float(process.noise.sigma_bar(t)))
    x = corrupt(table[None], stripes(1, torch.arange(500)), torch.zeros(500).long(), 2, torch.arange(500))
    own = table.T[x]  # [image, pixel, clean]: the chance of this pixel alone
    exact = normalised(own.prod(dim=1, keepdim=True)).expand_as(own)
    law = trained.x0_probs(x, t.expand(500))
    gap, gap_alone = ((guess - exact).abs().sum(-1).mean() / 2 for guess in (law, normalised(own)))
    assert float(gap) < 0.4 * float(gap_alone)


def normalised(weights: Tensor) -> Tensor:
    return weights / weights.sum(-1, keepdim=True)


class Stopped(Exception):
    pass


def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_one(tmp_path: Path) -> None:
    path, process = tmp_path / "x.checkpoint", PROCESSES[1]

    def stop(step: int, _: float) -> None:
        if step == 24:
            raise Stopped

    whole = train_pixels(config("uniform", 40), process, 6, stripes, name="n")
    with pytest.raises(Stopped):
        train_pixels(
            config("uniform", 40), process, 6, stripes, name="n", checkpoint=path, report=stop, report_every=2
        )
    resumed = train_pixels(
        config("uniform", 40), process, 6, stripes, name="n", checkpoint=path, report_every=2
    )
    assert resumed.fingerprint == whole.fingerprint
