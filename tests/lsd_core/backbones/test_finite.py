"""A network that returns NaN or infinity ends the run in one line with its name; no finished sample holds MASK."""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from lsd_core.backbones.adapted import AdaptedBackbone
from lsd_core.errors import InputError
from lsd_core.metrics.likelihood import any_order_nll
from lsd_core.processes import Uniform
from lsd_core.samplers import SAMPLERS, StepTable, generate, steps_in_counts
from lsd_core.samplers.catalog import in_order_of
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import uniform_times
from tests.lsd_core.oracles import X0Scores

LENGTH = 6
MASKED = [name for name, each in SAMPLERS.items() if "absorbing" in each.processes]
SPOILS: dict[str, Callable[[Tensor], None]] = {
    "one NaN": lambda logits: logits.__setitem__(3, float("nan")),
    "one +inf": lambda logits: logits.__setitem__(3, float("inf")),
    "all -inf": lambda logits: logits.fill_(-float("inf")),
    "all NaN": lambda logits: logits.fill_(float("nan")),
}


def network(logits: Tensor) -> AdaptedBackbone:
    """A network that gives every position these logits; token 0 is its MASK, and never written."""
    num_tokens = len(logits)
    return AdaptedBackbone(
        lambda x: logits.expand(*x.shape, num_tokens),
        name="spoiled-net",
        length=LENGTH,
        num_tokens=num_tokens,
        mask=0,
        tensors={},
    )


def spoiled(num_tokens: int, spoil: str) -> AdaptedBackbone:
    logits = torch.zeros(num_tokens)
    SPOILS[spoil](logits)
    backbone = network(logits)
    if spoil == "all -inf":
        backbone.head = lambda rows: torch.full_like(rows, -float("inf"))  # type: ignore[method-assign]
    return backbone


def table_for(sampler: str) -> StepTable:
    counts = in_order_of(sampler, StepTable(counts=(LENGTH, 3, 0)))
    return counts if steps_in_counts(sampler) else uniform_times(2)


@pytest.mark.parametrize("num_tokens", [8, 2000])
@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("sampler", MASKED)
def test_every_sampler_names_the_backbone(sampler: str, spoil: str, num_tokens: int) -> None:
    with pytest.raises(InputError, match="output of backbone spoiled-net must have a finite largest value"):
        generate(spoiled(num_tokens, spoil), sampler, table_for(sampler), num_samples=2, seed=0)


@pytest.mark.parametrize("spoil", SPOILS)
def test_teachers_and_likelihoods_name_it_too(spoil: str) -> None:
    backbone = spoiled(8, spoil)
    with pytest.raises(InputError, match="spoiled-net"):
        first_hitting(backbone, Draws(0, torch.arange(2)))
    with pytest.raises(InputError, match="spoiled-net"):
        any_order_nll(backbone, torch.ones(2, LENGTH, dtype=torch.long), 0)


@pytest.mark.parametrize("sampler", MASKED)
def test_impossible_tokens_are_no_fault_and_nothing_is_left_masked(sampler: str) -> None:
    logits = torch.full((8,), -float("inf"))
    logits[[2, 5]] = 0.0
    tokens = generate(network(logits), sampler, table_for(sampler), num_samples=64, seed=0).tokens
    assert set(tokens.flatten().tolist()) == {2, 5}


class Named(X0Scores):
    """With all that a backbone has."""

    name = family = fingerprint = "X0Scores"
    config: ClassVar[dict[str, Any]] = {}

    def tensors(self) -> dict[str, Tensor]:
        return {}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("sampler", ["euler", "tau_leaping"])
def test_processes_without_a_mask_name_it_too(sampler: str, value: float) -> None:
    def law(x: Tensor, t: Tensor) -> Tensor:
        out = torch.full((*x.shape, 5), 0.2, dtype=torch.float64)
        out[..., 3] = value
        return out

    backbone = Named(Uniform(5), LENGTH, law)
    with pytest.raises(InputError, match="output of backbone X0Scores must have a finite largest value"):
        generate(backbone, sampler, uniform_times(2), 2, 0)
