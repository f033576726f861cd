"""The sampling loop: walk a table's steps, count the calls, keep batches out of the result."""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, Backbone, absorbing, is_dense
from lsd_core.errors import InputError
from lsd_core.samplers.batches import Samples, default_batch, in_batches
from lsd_core.samplers.catalog import get_sampler
from lsd_core.samplers.conditional import Conditioned, check_template, rescaled
from lsd_core.samplers.dense.generate import run_dense
from lsd_core.samplers.euler import Euler
from lsd_core.samplers.grouped import Grouped, batches_at_once
from lsd_core.samplers.state import Draws, State, start
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable


def run_chains(
    backbone: Backbone, sampler: str, table: StepTable, draws: Draws, given: Int[Tensor, " l"] | None = None
) -> State:
    """Walk one batch of chains from the prior, and the `given` tokens, through all the table's steps."""
    method = get_sampler(sampler, backbone.process)
    check_table(table, backbone)
    state = start(backbone, len(draws.trajectory), draws.trajectory.device, given)
    if given is not None:
        num_free = int((given == backbone.process.mask).sum())
        if num_free == 0:
            return state
        backbone, table = Conditioned(backbone), rescaled(table, num_free)
    for step in steps_of(table, backbone.length):
        state = method.step(backbone, state, step, draws)
    return state


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
        if is_dense(backbone):
            return run_dense(backbone, sampler, table, draws)[:2]
        state = run_chains(backbone, sampler, table, draws, given)
        return state.x, state.calls

    batch = batch or default_batch(backbone.length)
    at_once = 1
    if not is_dense(backbone) and given is None and groups(sampler, backbone):
        at_once = batches_at_once(backbone, batch, device)
        backbone = Grouped(backbone, batch)
    return in_batches(
        run, num_samples, seed, batch=batch, at_once=at_once, first=first, device=device, progress=progress
    )


def groups(sampler: str, backbone: Backbone) -> bool:
    """Whether a sampler asks for the head of a group's rows batch by batch: all that step by `token_law` do."""
    return isinstance(get_sampler(sampler, backbone.process), Euler)


def check_table(table: StepTable, backbone: Backbone) -> None:
    """Raise where a table of counts does not begin at the backbone's length."""
    if table.counts is not None and table.counts[0] != backbone.length:
        raise InputError("table.counts", f"start at the length {backbone.length}", table.counts[0])
