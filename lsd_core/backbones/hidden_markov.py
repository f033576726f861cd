"""Exact posteriors of a Markov chain seen through noise: a perfect backbone for the uniform and gaussian processes.

Tokens that were corrupted one by one are the observations of a hidden Markov model, so the distribution of each clean
token given the whole noisy sequence comes from one forward and one backward pass (Rabiner 1989).
"""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from lsd_core.backbones.family import Family
from lsd_core.backbones.fingerprint import fingerprint
from lsd_core.backbones.scores import scores_at_times
from lsd_core.errors import InputError
from lsd_core.processes import Process, Uniform, process_from_dict


class HiddenMarkov:
    """p(x0_i = z | x_t) for data that are a chain (initial distribution, transition matrix)."""

    family = "hidden_markov"
    task: str | None = None  # the task that its caller or its file declares

    def __init__(self, name: str, config: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.name, self.config = name, config
        self.process: Process = process_from_dict(config["process"])
        self.length: int = config["length"]
        self.initial, self.transition = tensors["initial"].double(), tensors["transition"].double()
        size = self.process.num_states
        if self.process.kind == "absorbing":
            raise InputError("backbone config.process", "be uniform or gaussian", "absorbing", "use `markov`")
        if self.transition.shape != (size, size) or self.initial.shape != (size,):
            raise InputError("transition", f"have shape {(size, size)}", tuple(self.transition.shape))

    def x0_probs(self, x: Tensor, t: Tensor) -> Tensor:
        """Distribution of the clean token at every position, (b, l, V) float64; t (b,) may differ between chains."""
        seen = self._seen(x, t)
        step = self.transition.to(x.device)
        before, after = torch.empty_like(seen), torch.empty_like(seen)  # from the left, from the right
        message = self.initial.to(x.device).expand(len(x), -1)
        for i in range(self.length):
            before[:, i] = message
            message = _normalised(message * seen[:, i]) @ step
        message = torch.ones_like(message)
        for i in reversed(range(self.length)):
            after[:, i] = message
            message = _normalised(message * seen[:, i]) @ step.T
        return _normalised(before * seen * after)

    def _seen(self, x: Tensor, t: Tensor) -> Tensor:
        """How likely each clean token is to have become x_i by time t, (b, l, V)."""
        noise = self.process.noise
        if isinstance(self.process, Uniform):
            return self.process.transition_into(x, noise.sigma_bar(t)[:, None, None])
        seen = torch.empty(*x.shape, self.process.num_states, dtype=torch.float64, device=x.device)
        for time in t.unique():
            seen[t == time] = self.process.transition_into(x[t == time], float(noise.sigma_bar(time)))
        return seen

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        """Concrete scores, from the clean tokens' distributions."""
        return scores_at_times(self.process, x, self.x0_probs(x, t), t)

    def tensors(self) -> dict[str, Tensor]:
        return {"initial": self.initial, "transition": self.transition}

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.tensors(), self.config)


def _normalised(weights: Tensor) -> Tensor:
    """Rows that sum to 1."""
    return weights / weights.sum(-1, keepdim=True).clamp(min=1e-300)


FAMILY = Family(name=HiddenMarkov.family, build=HiddenMarkov)
