"""How a family reads its network: what the network is told beside the tokens, and what its output means."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lsd_core.processes import Process

Told = Literal["sigma_bar", "zero", "nothing"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A family that shares the diffusion transformer differs from the others in this and nothing else."""

    kind: str
    """The process that it is for, as `Process.to_dict` names it."""
    told: Told
    """The network's condition: sigma_bar(t), the constant 0, or none at all."""
    normalised: bool
    """Whether the log-weights' exponentials sum to 1 by construction."""
    log_weights: Callable[[Tensor, int], Tensor]
    """(logits (r, num_out), num_tokens) -> log-weights (r, num_tokens)."""

    @property
    def time_free(self) -> bool:
        """Whether the output does not depend on t."""
        return self.told != "sigma_bar"

    def condition(self, process: Process, t: Tensor) -> Tensor | None:
        """What the network is conditioned on, (b,) or None."""
        if self.told == "nothing":
            return None
        return process.noise.sigma_bar(t) if self.told == "sigma_bar" else torch.zeros_like(t)


def normalised_weights(logits: Tensor, num_tokens: int) -> Tensor:
    """Log-softmax over the first `num_tokens` channels: log p(x0)."""
    return logits[:, :num_tokens].log_softmax(-1)


def scaled_weights(logits: Tensor, num_tokens: int) -> Tensor:
    """SEDD's `scale_by_sigma`: log-score = logits - log(expm1 sigma_bar) - log V.

    The first subtraction is the process's own alpha / (1 - alpha), so the weights are logits - log V.
    """
    return logits[:, :num_tokens] - math.log(num_tokens)
