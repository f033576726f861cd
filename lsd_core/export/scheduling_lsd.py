"""A learned few-step sampler for masked (absorbing) diffusion, as a diffusers scheduler.

This file needs torch and diffusers alone. It lies beside `scheduler_config.json`, which holds what was learned:

    scheduler = LSDScheduler.from_pretrained(folder)
    scheduler.set_timesteps()
    sample = torch.full((batch, length), scheduler.config.mask_token_id)
    for t in scheduler.timesteps:
        logits = network(sample, scheduler.network_time(t, sample))
        sample = scheduler.step(logits, t, sample, generator=generator).prev_sample

`network` gives logits of the clean token at each position; its time runs from 1 (all masked) towards 0.
"""

from dataclasses import dataclass

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils import BaseOutput


def _confidence(log_probs: torch.Tensor) -> torch.Tensor:
    return -log_probs.amax(-1).exp()


def _margin(log_probs: torch.Tensor) -> torch.Tensor:
    top = log_probs.topk(min(2, log_probs.shape[1]), dim=-1).values.exp()
    return top[:, -1] - top[:, 0] if top.shape[1] > 1 else -top[:, 0]


def _entropy(log_probs: torch.Tensor) -> torch.Tensor:
    return -(log_probs.exp() * log_probs.clamp(min=-1e300)).sum(-1).clamp(max=0)


BLIND = ("uniform", "halton", "halton_2d", "fixed")
LOOKING = {"confidence": _confidence, "margin": _margin, "entropy": _entropy, "confidence_drawn": _confidence}
LOOKING |= {"entropy_bound": _entropy, "threshold": _confidence}
"""Orders that look at the logits, with the key of each masked row."""
BOUNDED = ("entropy_bound", "threshold")
"""Those that decide by the logits how many tokens a step reveals."""


@dataclass
class LSDSchedulerOutput(BaseOutput):
    """`prev_sample` (batch, length): the tokens after the step."""

    prev_sample: torch.Tensor


class LSDScheduler(SchedulerMixin, ConfigMixin):  # type: ignore[misc]
    """Steps k = 0, 1, ... reveal masked tokens; a revealed token stays.

    A token is revealed with chance `reveal_chances[k]`, independently, or, where `counts` is given, exactly
    `counts[k] - counts[k + 1]` of a chain's masked tokens are, the first in `reveal_order`:

    - "uniform": all subsets alike;
    - "halton", "halton_2d": the next of a sequence that keeps them far apart, on a line or on a square of rows;
    - "fixed": the next of `positions`;
    - "confidence", "margin", "entropy": those whose likeliest token is most probable, furthest ahead of the second,
      or whose distribution has the least entropy;
    - "confidence_drawn": a token is drawn at every masked position, and the most probable draws stay.

    In two orders the number depends on the logits and `thresholds[k]`, is at least one and in the last step all; of
    `counts` their number alone is read:

    - "entropy_bound": positions in ascending entropy while the sum of the entropies before them is at most that;
    - "threshold": those whose likeliest token is at least so probable.

    With `block`, blocks of so many positions come left to right, in that order inside each. A token is drawn from
    softmax(gains[k] * logits): a gain above 1 sharpens the network. Draws are by inversion in float64.

    Args:
        mask_token_id (`int`): the token that means "masked"; logits beyond the first `mask_token_id` are ignored.
        network_times (`list[float]`): the time input of the network at each step.
        gains (`list[float]`): factor of the logits at each step.
        reveal_chances (`list[float]`, *optional*): for grids of times.
        counts (`list[int]`, *optional*): for grids of counts, one more than steps, from the length to 0.
        reveal_order (`str`): for grids of counts, as above.
        positions (`list[int]`, *optional*): "fixed": the positions, first revealed first. "halton_2d": the rank of each
            cell of the square, row by row.
        block (`int`, *optional*): positions of a block; not for orders that look at the logits.
        thresholds (`list[float]`, *optional*): "entropy_bound" and "threshold": one a step, as above.
        length (`int`, *optional*): positions of a sequence, for the pipeline.
    """

    order = 1

    @register_to_config
    def __init__(
        self,
        mask_token_id: int,
        network_times: list[float],
        gains: list[float],
        reveal_chances: list[float] | None = None,
        counts: list[int] | None = None,
        reveal_order: str = "uniform",
        positions: list[int] | None = None,
        block: int | None = None,
        thresholds: list[float] | None = None,
        length: int | None = None,
    ):
        if (reveal_chances is None) == (counts is None):
            raise ValueError("give either reveal_chances or counts")
        if reveal_order not in (*BLIND, *LOOKING):
            raise ValueError(
                f"reveal_order must be one of {', '.join((*BLIND, *LOOKING))}, got {reveal_order}"
            )
        if (positions is None) == (reveal_order in ("fixed", "halton_2d")):
            raise ValueError(
                f"positions are for fixed and halton_2d order, and those need them: {reveal_order}"
            )
        if block is not None and (block < 1 or reveal_order in LOOKING):
            raise ValueError(f"block must be at least 1, and is not for {reveal_order} order, got {block}")
        wanted = len(gains) if reveal_order in BOUNDED else None
        if (None if thresholds is None else len(thresholds)) != wanted:
            raise ValueError(f"thresholds, one a step, are for {' and '.join(BOUNDED)}: {reveal_order}")
        self._first_choice: torch.Tensor | None = None  # of chains that a generator draws: their order
        self.timesteps = torch.tensor(network_times, dtype=torch.float64)
        self.num_inference_steps = len(network_times)

    def set_timesteps(
        self, num_inference_steps: int | None = None, device: str | torch.device | None = None
    ) -> None:
        """Put the learned times on a device; their number was learned and cannot be changed."""
        steps = len(self.config["network_times"])
        if num_inference_steps not in (None, steps):
            raise ValueError(
                f"num_inference_steps must be {steps}, for which this table was learned, got {num_inference_steps}"
            )
        self.timesteps = torch.tensor(self.config["network_times"], dtype=torch.float64, device=device)

    def scale_model_input(
        self, sample: torch.Tensor, timestep: float | torch.Tensor | None = None
    ) -> torch.Tensor:
        """The sample as it is: tokens have no scale."""
        return sample

    def prior(
        self,
        batch: int,
        length: int,
        generator: torch.Generator | None = None,
        device: str | torch.device | None = None,
    ) -> torch.Tensor:
        """Tokens (batch, length) at the start: all masked, so that nothing is drawn."""
        return torch.full((batch, length), self.config["mask_token_id"], device=device)

    def network_time(self, timestep: float | torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        """Time input (batch,) of the network for tokens (batch, length): the step's own.

        Where chains differ in how many tokens are masked, n of l, it is n / (l + 1), and 1 where all are.
        """
        masked, length = (sample == self.config["mask_token_id"]).sum(dim=1).double(), sample.shape[1]
        if self.config["thresholds"] is None:
            return torch.full_like(masked, float(timestep))
        return torch.where(masked == length, 1.0, masked / (length + 1))

    def step(
        self,
        model_output: torch.Tensor,
        timestep: float | torch.Tensor,
        sample: torch.Tensor,
        generator: torch.Generator | None = None,
        uniforms: tuple[torch.Tensor, torch.Tensor] | None = None,
        return_dict: bool = True,
    ) -> LSDSchedulerOutput | tuple[torch.Tensor]:
        """One step for logits (batch, length, vocabulary) of tokens (batch, length).

        `uniforms`, two float64 tensors (batch, length) in [0, 1), replaces the generator: the first decides
        which tokens are revealed (on a grid of counts those with the smallest, so keep it for all steps), the
        second which token each becomes.
        """
        k, masked = self._index(timestep), sample == self.config["mask_token_id"]
        choice, inversion = self._uniforms(k, sample, generator) if uniforms is None else uniforms
        if self.config["counts"] is None:
            revealed = masked & (choice < self.config["reveal_chances"][k])
        else:
            keys = self._keys(k, choice, inversion, model_output, masked)
            priority = torch.where(masked, keys, torch.full_like(keys, torch.inf))
            rank = priority.argsort(dim=1, stable=True).argsort(dim=1)
            revealed = masked & (rank < self._sizes(k, priority)[:, None])
        prev_sample = sample.clone()
        prev_sample[revealed] = self._draw(k, model_output[revealed], inversion[revealed]).to(sample.dtype)
        return LSDSchedulerOutput(prev_sample=prev_sample) if return_dict else (prev_sample,)

    def _sizes(self, k: int, priority: torch.Tensor) -> torch.Tensor:
        """How many tokens each chain reveals, (batch,), from keys (batch, length), infinite where nothing is masked."""
        order, thresholds = self.config["reveal_order"], self.config["thresholds"]
        quota = self.config["counts"][k] - self.config["counts"][k + 1]
        if thresholds is None or k + 1 == len(self):
            size = quota if thresholds is None else priority.shape[1]
            return torch.full((len(priority),), size, device=priority.device)
        if order == "threshold":
            allowed = -priority >= thresholds[k]
        else:
            ascending = priority.sort(dim=1, stable=True).values
            before = torch.nn.functional.pad(ascending.cumsum(1)[:, :-1], (1, 0))
            allowed = ascending.isfinite() & (before <= thresholds[k])
        return allowed.sum(dim=1).clamp(min=1)

    def _weighted(self, k: int, logits: torch.Tensor) -> torch.Tensor:
        """Logits of the tokens under the step's gain, float64."""
        return self.config["gains"][k] * logits[..., : self.config["mask_token_id"]].double()

    def _draw(self, k: int, logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        """One token for each row of logits, by inversion."""
        cumulative = self._weighted(k, logits).softmax(-1).cumsum(-1)
        total = cumulative[:, -1:].contiguous()
        token = torch.searchsorted(cumulative, uniform[:, None] * total, right=True)
        return torch.minimum(token, torch.searchsorted(cumulative, total))[:, 0]

    def _keys(
        self,
        k: int,
        choice: torch.Tensor,
        inversion: torch.Tensor,
        logits: torch.Tensor,
        masked: torch.Tensor,
    ) -> torch.Tensor:
        """Keys (batch, length), float64: of a chain's masked positions the smallest are revealed first."""
        order, length = self.config["reveal_order"], choice.shape[1]
        if order in LOOKING:
            keys = torch.zeros_like(choice)
            log_probs = self._weighted(k, logits[masked]).log_softmax(-1)
            if order == "confidence_drawn":
                token = self._draw(k, logits[masked], inversion[masked])
                keys[masked] = -log_probs.gather(-1, token[:, None])[:, 0]
            else:
                keys[masked] = LOOKING[order](log_probs)
            return keys
        if order == "fixed":
            rank = torch.tensor(self.config["positions"], device=choice.device).argsort()
            keys = (rank.double() / length).expand_as(choice)
        elif order == "halton_2d":
            keys = _halton_cells(choice, self.config["positions"])
        else:
            keys = choice if order == "uniform" else _halton_points(choice)
        if self.config["block"] is None:
            return keys
        return torch.arange(length, device=choice.device) // self.config["block"] + keys

    def _index(self, timestep: float | torch.Tensor) -> int:
        """The step that begins at this time."""
        found = (self.timesteps.cpu() == float(timestep)).nonzero()
        if len(found) == 0:
            known = self.config["network_times"]
            raise ValueError(f"timestep must be one of {known}, got {float(timestep)}")
        return int(found[0])

    def _uniforms(
        self, k: int, sample: torch.Tensor, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Fresh uniforms; those that order a chain's positions are kept from its first step on."""
        device = generator.device if generator is not None else sample.device
        drawn = torch.rand(2, *sample.shape, dtype=torch.float64, device=device, generator=generator)
        choice, inversion = drawn[0].to(sample.device), drawn[1].to(sample.device)
        if self.config["counts"] is None:
            return choice, inversion
        if k == 0 or self._first_choice is None:
            self._first_choice = choice
        return self._first_choice, inversion

    def __len__(self) -> int:
        return len(self.config["network_times"])


def _halton_points(choice: torch.Tensor) -> torch.Tensor:
    """Base-2 Halton points of the positions (batch, length), shifted as the first uniform of each chain says."""
    length = choice.shape[1]
    bits = max(1, (length - 1).bit_length())
    position = torch.arange(length, device=choice.device)
    backwards = torch.zeros_like(position)
    for bit in range(bits):
        backwards |= (position >> bit & 1) << (bits - 1 - bit)
    return (backwards ^ (choice[:, :1] * 2**bits).long()).double() / 2**bits


def _halton_cells(choice: torch.Tensor, ranks: list[int]) -> torch.Tensor:
    """Ranks of the cells of a square, its rows and columns shifted around as two uniforms of each chain say."""
    side = round(len(ranks) ** 0.5)
    shift = (choice[:, :2] * side).long()
    position = torch.arange(choice.shape[1], device=choice.device)
    row, column = (position // side + shift[:, :1]) % side, (position % side + shift[:, 1:]) % side
    return torch.tensor(ranks, device=choice.device)[row * side + column].double() / side**2
