"""What turns gradients into steps: AdamW alone, or Muon on the matrices of a transformer's blocks beside it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from lsd_core.training.config import TrainConfig


def build_optimisers(network: nn.Module, config: TrainConfig) -> list[Optimizer]:
    """The optimisers of a training, which share its learning rate; each parameter belongs to one of them.

    `muon` orthogonalises the momentum of every matrix inside `blocks` (Jordan et al. 2024), scaled so that a step is
    as long as AdamW's (Liu et al. 2025, "Muon is scalable"), so one learning rate serves both; embeddings, norms,
    biases and the head stay AdamW's.
    """
    named = list(network.named_parameters())
    matrices = [
        parameter
        for name, parameter in named
        if config.optimiser == "muon" and name.startswith("blocks.") and parameter.dim() == 2
    ]
    of_muon = {id(parameter) for parameter in matrices}
    rest = [parameter for _, parameter in named if id(parameter) not in of_muon]
    optimisers: list[Optimizer] = [AdamW(rest, lr=config.lr, betas=(0.9, 0.99), weight_decay=0.0)]
    if matrices:
        optimisers.append(Muon(matrices, lr=config.lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"))
    return optimisers


def moments_of(optimisers: Sequence[Optimizer]) -> list[dict[str, Tensor]]:
    """What the optimisers remember of each parameter, in their order."""
    return [state for of in optimisers for state in of.state_dict()["state"].values()]


def moments_like(optimisers: Sequence[Optimizer], step: int) -> list[dict[str, Tensor]]:
    """Tensors of the names, shapes and types that `moments_of` gives after `step` steps."""
    return [
        {"momentum_buffer": parameter}
        if isinstance(of, Muon)
        else {"step": torch.tensor(float(step)), "exp_avg": parameter, "exp_avg_sq": parameter}
        for of in optimisers
        for group in of.param_groups
        for parameter in group["params"]
    ]


def restore_moments(optimisers: Sequence[Optimizer], moments: Sequence[dict[str, Tensor]]) -> None:
    """Put back what `moments_of` gave."""
    rest = iter(moments)
    for of in optimisers:
        groups: list[dict[str, Any]] = of.state_dict()["param_groups"]
        state = {index: next(rest) for group in groups for index in group["params"]}
        of.load_state_dict({"state": state, "param_groups": groups})
