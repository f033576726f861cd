"""The sampling loop for any process: prior, steps, final denoise, all inside the budget."""

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.scores import ScoreBackbone
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.processes import Process
from lsd_core.samplers.batches import Samples, default_batch, in_batches
from lsd_core.samplers.categorical import draw_categorical
from lsd_core.samplers.dense.prediction import predict
from lsd_core.samplers.dense.steps import DenseSampler, TwoStage, get_dense
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
    seen = predict(backbone, x, step.t, step)
    law = seen.tweedie(0.0) if step.last else method.first(seen, step)
    after = law.draw(draws, 2 * step.index)
    if step.last or not isinstance(method, TwoStage):
        return after, 1, law.most_negative
    late = method.second(seen, predict(backbone, after, method.middle(step), step), step)
    return late.draw(draws, 2 * step.index + 1), 2, min(law.most_negative, late.most_negative)


def run_dense(
    backbone: ScoreBackbone, sampler: str, table: StepTable, draws: Draws
) -> tuple[Int[Tensor, "b l"], Int[Tensor, " b"], float]:
    """One batch of chains from the prior through all steps: tokens, calls, the most negative entry of a law."""
    method = get_dense(sampler, backbone.process)
    if table.counts is not None:
        raise InputError("table", f"hold times on the {backbone.process.kind} process", "counts")
    x, spent, worst = draw_prior(backbone.process, draws, backbone.length), 0, 0.0
    for step in steps_of(table, backbone.length):
        x, cost, negative = take_step(method, backbone, x, step, draws)
        spent, worst = spent + cost, min(worst, negative)
    return x, torch.full((len(x),), spent, device=x.device), worst


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
    """The first samples of the list that `seed` names, and the most negative entry of any law on the way."""
    negatives = [0.0]

    def run(draws: Draws) -> tuple[Tensor, Tensor]:
        x, calls, worst = run_dense(backbone, sampler, table, draws)
        negatives.append(worst)
        return x, calls

    batch = batch or default_batch(backbone.length)
    return in_batches(run, num_samples, seed, batch=batch, device=device), min(negatives)
