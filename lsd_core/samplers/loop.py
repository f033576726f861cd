"""The sampling loop: chains through the steps of a table, in batches that do not change the result."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, absorbing, is_dense
from lsd_core.errors import InputError
from lsd_core.samplers.adaptive import WithinBudget
from lsd_core.samplers.catalog import get_sampler
from lsd_core.samplers.conditional import Conditioned, check_template, rescaled
from lsd_core.samplers.grouped import Grouped, batches_at_once
from lsd_core.samplers.protocol import Sampler
from lsd_core.samplers.state import Draws, State, start
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.conditions import Conditions, by_free

TOKENS_PER_BATCH = 1024  # default size of a batch: so many positions


@dataclass(frozen=True)
class Samples:
    """Finished sequences and what each of them cost."""

    tokens: Int[Tensor, "n l"]
    calls: Int[Tensor, " n"]


def default_batch(length: int) -> int:
    """Sequences a batch: about 1024 positions, at least one sequence."""
    return max(1, TOKENS_PER_BATCH // length)


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
    given: Int[Tensor, " l"] | Conditions | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Samples:
    """Samples `first` ... `first + num_samples - 1` of the endless list that `seed` names.

    Batches are cut at multiples of `batch` and always run whole, so a sample is the same whatever the number
    asked for: sample(16) is the beginning of sample(32). `given` fixes tokens: one template for all
    (`conditional.template`), or conditions, of which sample i takes the one that (seed, i) draws.
    """
    if given is not None:
        fixed = given.templates if isinstance(given, Conditions) else given
        check_template(absorbing(backbone, "a template"), fixed)

    if num_samples < 1:
        raise InputError("num_samples", "be an integer >= 1", num_samples)
    batch, at_once = batch or default_batch(backbone.length), 1
    if not is_dense(backbone) and given is None and get_sampler(sampler, backbone.process).factorised:
        at_once = batches_at_once(backbone, batch, device)
        if at_once > 1:
            backbone = Grouped(backbone, batch)
    begin, end = first // batch * batch, first + num_samples
    whole = begin + -(-(end - begin) // batch) * batch
    parts = []
    for offset in range(begin, whole, at_once * batch):
        stop = min(offset + at_once * batch, whole)
        draws = Draws(seed, torch.arange(offset, stop, device=device))
        template = given.at(seed, draws.trajectory) if isinstance(given, Conditions) else given
        state = run_chains(backbone, sampler, table, draws, template)
        parts.append((state.x.cpu(), state.calls.cpu()))
        progress(min(stop, end) - max(offset, first))
    keep = slice(first - begin, end - begin)
    return Samples(*(torch.cat(column)[keep] for column in zip(*parts, strict=True)))


def walk(
    backbone: AnyBackbone, sampler: str, table: StepTable, state: State, draws: Draws
) -> Iterator[tuple[Step, State, State]]:
    """Each step of the table, the state before it and the state after it."""
    method = get_sampler(sampler, backbone.process)
    for step in steps_of(table, backbone.length):
        before, state = state, method.step(backbone, state, step, draws)
        yield step, before, state


def run_chains(
    backbone: AnyBackbone,
    sampler: str,
    table: StepTable,
    draws: Draws,
    given: Int[Tensor, "*b l"] | None = None,
) -> State:
    """Chains from the prior, and the `given` tokens, through all the table's steps.

    `given` is one template for all chains, or one for each: those with as many free positions walk together.
    """
    check_table(table, backbone, get_sampler(sampler, backbone.process))
    state = start(backbone, draws, given)
    if given is None:
        return _through(backbone, sampler, table, state, draws)
    conditioned = Conditioned(absorbing(backbone, "a template"))
    x, calls = state.x.clone(), state.calls.clone()
    for rows, num_free in by_free(state.x, conditioned.process.mask):
        if num_free:
            own = Draws(draws.seed, draws.trajectory[rows])
            begun = start(conditioned, own, state.x[rows])
            end = _through(conditioned, sampler, rescaled(table, num_free), begun, own)
            x[rows], calls[rows] = end.x, end.calls
    return State(x, calls, given=state.given)


def _through(backbone: AnyBackbone, sampler: str, table: StepTable, state: State, draws: Draws) -> State:
    for _, _, after in walk(backbone, sampler, table, state, draws):
        state = after
    return state


def check_table(table: StepTable, backbone: AnyBackbone, method: Sampler) -> None:
    """Raise InputError for an order that the sampler cannot follow, a grid that the process has not, another length."""
    method.order.of_table(table.order)
    if table.thresholds is not None and not isinstance(method, WithinBudget):
        rule = f"be left out for {method.name}, which has no threshold"
        raise InputError("table.thresholds", rule, list(table.thresholds))
    if table.counts is None:
        return
    if is_dense(backbone):
        raise InputError("table", f"hold times on the {backbone.process.kind} process", "counts")
    if table.counts[0] != backbone.length:
        raise InputError("table.counts", f"start at the length {backbone.length}", table.counts[0])
