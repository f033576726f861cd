"""Samples of a sampler and its table, in batches that do not change the result."""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, absorbing, is_dense
from lsd_core.samplers.batches import Samples, default_batch, in_batches
from lsd_core.samplers.catalog import get_sampler
from lsd_core.samplers.conditional import check_template
from lsd_core.samplers.grouped import Grouped, batches_at_once
from lsd_core.samplers.loop import run_chains
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable


@torch.inference_mode()
def generate(
    backbone: AnyBackbone,
    sampler: str,
    table: StepTable,
    num_samples: int,
    seed: int,
    *,
    first: int = 0,
    batch: int | None = None,
    device: torch.device | str = "cpu",
    given: Int[Tensor, " l"] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Samples:
    """Samples `first` ... `first + num_samples - 1` of the endless list that `seed` names.

    Batches are cut at multiples of `batch` and always run whole, so a sample is the same whatever the number
    asked for: sample(16) is the beginning of sample(32). `given` fixes tokens (`conditional.template`).
    """
    if given is not None:
        check_template(absorbing(backbone, "a template"), given)

    def run(draws: Draws) -> tuple[Tensor, Tensor]:
        state = run_chains(backbone, sampler, table, draws, given)
        return state.x, state.calls

    batch, at_once = batch or default_batch(backbone.length), 1
    if not is_dense(backbone) and given is None and get_sampler(sampler, backbone.process).factorised:
        at_once = batches_at_once(backbone, batch, device)
        backbone = Grouped(backbone, batch)
    return in_batches(
        run, num_samples, seed, batch=batch, at_once=at_once, first=first, device=device, progress=progress
    )
