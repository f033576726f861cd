"""The sampling loop: one batch of chains through the steps of a table."""

from collections.abc import Iterator

from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, absorbing, is_dense
from lsd_core.errors import InputError
from lsd_core.samplers.catalog import get_sampler
from lsd_core.samplers.conditional import Conditioned, rescaled
from lsd_core.samplers.protocol import Sampler
from lsd_core.samplers.state import Draws, State, start
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable


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
    given: Int[Tensor, " l"] | None = None,
) -> State:
    """Chains from the prior, and the `given` tokens, through all the table's steps."""
    check_table(table, backbone, get_sampler(sampler, backbone.process))
    state = start(backbone, draws, given)
    if given is not None:
        masked = absorbing(backbone, "a template")
        num_free = int((given == masked.process.mask).sum())
        if num_free == 0:
            return state
        backbone, table = Conditioned(masked), rescaled(table, num_free)
    for _, _, after in walk(backbone, sampler, table, state, draws):
        state = after
    return state


def check_table(table: StepTable, backbone: AnyBackbone, method: Sampler) -> None:
    """Raise InputError for an order that the sampler cannot follow, a grid that the process has not, another length."""
    method.order.of_table(table.order)
    if table.counts is None:
        return
    if is_dense(backbone):
        raise InputError("table", f"hold times on the {backbone.process.kind} process", "counts")
    if table.counts[0] != backbone.length:
        raise InputError("table.counts", f"start at the length {backbone.length}", table.counts[0])
