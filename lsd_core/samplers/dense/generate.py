"""The sampling loop for any process: prior, steps, final denoise, all inside the budget."""

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.processes import Process
from lsd_core.randomness import Purpose, uniform_grid
from lsd_core.samplers.categorical import draw_categorical
from lsd_core.samplers.dense.backbone import ScoreBackbone
from lsd_core.samplers.dense.steps import DENSE_SAMPLERS, DenseSampler, denoise, score_at
from lsd_core.samplers.generate import Samples, default_batch
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable


def draw_prior(process: Process, draws: Draws, length: int) -> Int[Tensor, "b l"]:
    """The state at t = 1, every position from the prior law."""
    uniform = uniform_grid(draws.seed, draws.trajectory, 0, length, Purpose.PRIOR)
    law = process.prior_law().to(uniform.device).expand(uniform.numel(), -1)
    return draw_categorical(law, uniform.flatten()).view(uniform.shape)


def take_step(
    method: DenseSampler, backbone: ScoreBackbone, x: Int[Tensor, "b l"], step: Step, draws: Draws
) -> tuple[Int[Tensor, "b l"], int, float]:
    """The tokens after the step, its network calls, and the most negative entry of its laws."""
    score = score_at(backbone, x, step.t, step)
    if step.last:
        law = denoise(backbone, x, score, step.t)
        return law.draw(draws, 2 * step.index), 1, law.most_negative
    law = method.first(backbone, x, score, step)
    after = law.draw(draws, 2 * step.index)
    if method.calls_per_step == 1:
        return after, 1, law.most_negative
    score_mid = score_at(backbone, after, method.middle(step), step)  # type: ignore[attr-defined]
    late = method.second(backbone, x, score, after, score_mid, step)  # type: ignore[attr-defined]
    return late.draw(draws, 2 * step.index + 1), 2, min(law.most_negative, late.most_negative)


@torch.inference_mode()
def generate_dense(
    backbone: ScoreBackbone,
    sampler: str,
    table: StepTable,
    num_samples: int,
    seed: int,
    *,
    batch: int | None = None,
    device: torch.device | str = "cpu",
) -> tuple[Samples, float]:
    """The first samples of the list that `seed` names, and the most negative entry of any law on the way.

    Batches always run whole: sample(16) is the beginning of sample(32).
    """
    if sampler not in DENSE_SAMPLERS:
        raise InputError("sampler", f"be one of {sorted(DENSE_SAMPLERS)}", sampler)
    if table.counts is not None:
        raise InputError("table", f"hold times on the {type(backbone.process).__name__} process", "counts")
    if num_samples < 1:
        raise InputError("num_samples", "be an integer >= 1", num_samples)
    batch = batch or default_batch(backbone.length)
    tokens, calls, worst = [], [], 0.0
    for offset in range(0, num_samples, batch):
        draws = Draws(seed, torch.arange(offset, offset + batch, device=device))
        x, spent = draw_prior(backbone.process, draws, backbone.length), 0
        for step in steps_of(table, backbone.length):
            x, cost, negative = take_step(DENSE_SAMPLERS[sampler], backbone, x, step, draws)
            spent, worst = spent + cost, min(worst, negative)
        tokens.append(x.cpu())
        calls.append(torch.full((batch,), spent))
    return Samples(torch.cat(tokens)[:num_samples], torch.cat(calls)[:num_samples]), worst
