"""How each transformer family conditions its network and interprets the output."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from lsd_core.backbones.ddit import DDiT
from lsd_core.backbones.precision import warn_if_slow
from lsd_core.processes import Process

Condition = Literal["sigma_bar", "zero", "nothing"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A family that shares the diffusion transformer differs from the others in this and nothing else."""

    kind: str
    """The process that it is for, as `Process.to_dict` names it."""
    conditioned_on: Condition
    """The network's condition: sigma_bar(t), the constant 0, or none at all."""
    normalised: bool
    """Whether the log-weights' exponentials sum to 1 by construction."""
    log_weights: Callable[[Tensor, int], Tensor]
    """(logits (r, num_out), num_tokens) -> log-weights (r, num_tokens), or on uniform whatever it says."""

    @property
    def time_free(self) -> bool:
        """Whether the output does not depend on t."""
        return self.conditioned_on != "sigma_bar"

    def condition(self, process: Process, t: Tensor) -> Tensor | None:
        """What the network is conditioned on, (b,) or None."""
        if self.conditioned_on == "nothing":
            return None
        return process.noise.sigma_bar(t) if self.conditioned_on == "sigma_bar" else torch.zeros_like(t)


def normalised_weights(logits: Tensor, num_tokens: int) -> Tensor:
    """Log-softmax over the first `num_tokens` channels: log p(x0)."""
    return logits[:, :num_tokens].log_softmax(-1)


def raw(logits: Tensor, num_tokens: int) -> Tensor:
    """The logits as they are: SEDD's log-scores on the uniform graph, which nothing scales."""
    return logits


def scaled_weights(logits: Tensor, num_tokens: int) -> Tensor:
    """SEDD's `scale_by_sigma`: log-score = logits - log(expm1 sigma_bar) - log V.

    The first subtraction is the process's own alpha / (1 - alpha), so the weights are logits - log V.
    """
    return logits[:, :num_tokens] - math.log(num_tokens)


def call_body(network: DDiT, config: Mapping[str, Any], x: Tensor, given: Tensor | None) -> Tensor:
    """One network call: features (b, l, dim) of tokens (b, l), each part in the precision it was trained in.

    The blocks run in `body_dtype` under autocast where that is a half type. The condition is embedded in the
    same type, unless `condition_dtype` says float32.
    """
    low: torch.dtype = getattr(torch, config["body_dtype"])
    half = low != torch.float32
    if half and x.device.type == "cpu":
        warn_if_slow(config["body_dtype"])
    with torch.autocast(x.device.type, low, enabled=half and "condition_dtype" not in config):
        condition = network.condition(given)
    with torch.autocast(x.device.type, low, enabled=half):
        return network.body(x, condition)


def call_head(network: DDiT, rows: Tensor) -> Tensor:
    """Logits of chosen rows (..., dim), in the parameters' own precision."""
    return network.head(rows.to(network.output_layer.linear.weight.dtype))
