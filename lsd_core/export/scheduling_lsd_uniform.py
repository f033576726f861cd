"""A learned few-step sampler for diffusion with uniform noise, as a diffusers scheduler.

This file needs torch and diffusers alone. It lies beside `scheduler_config.json`, which holds what was learned:

    scheduler = LSDUniformScheduler.from_pretrained(folder)
    scheduler.set_timesteps()
    sample = scheduler.prior(batch, length, generator=generator)
    for t in scheduler.timesteps:
        output = network(sample, scheduler.network_time(t, sample))
        sample = scheduler.step(output, t, sample, generator=generator).prev_sample

`network` gives, at each position, logits of the clean token or logarithms of the scores p_t(y) / p_t(x), as
`prediction_type` says; its time runs from 1 (tokens at random) towards 0.
"""

from dataclasses import dataclass

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils import BaseOutput

KERNELS = ("euler", "tweedie", "tau_leaping")
PREDICTIONS = ("x0", "score")
GAINS_ON = ("log_score", "score")


@dataclass
class LSDUniformSchedulerOutput(BaseOutput):
    """`prev_sample` (batch, length): the tokens after the step."""

    prev_sample: torch.Tensor


class LSDUniformScheduler(SchedulerMixin, ConfigMixin):  # type: ignore[misc]
    """Steps k = 0, 1, ... of the reverse of noise that replaces a token by any of `num_tokens` at equal rates.

    Every token may change in every step. By `kernel`:

    - "euler": rates frozen over the step, at most one jump;
    - "tau_leaping": Poisson jumps at those rates, the last one wins;
    - "tweedie": exact for each token on its own, given the network's prediction at the step's beginning.

    The last step is a Tweedie step to clean tokens, whatever the kernel. A gain on the `log_score` sharpens where
    tokens jump, never how often; one on the `score` scales how often. Draws are by inversion in float64.

    Args:
        num_tokens (`int`): tokens, all of them states; noise has no state of its own.
        network_times (`list[float]`): the time input of the network at each step.
        noise (`list[float]`): integrated rate of the noise from 0 to the beginning of each step.
        removed (`list[float]`): how much of it a step removes; the last one all.
        jumps (`list[float]`): rate at the beginning of each step times its duration.
        gains (`list[float]`): the gain of each step.
        gain_on (`str`): "log_score" or "score".
        kernel (`str`): as above.
        prediction_type (`str`): "x0", logits of the clean token, or "score", logarithms of scores.
        length (`int`, *optional*): positions of a sequence, for the pipeline.
    """

    order = 1

    @register_to_config
    def __init__(
        self,
        num_tokens: int,
        network_times: list[float],
        noise: list[float],
        removed: list[float],
        jumps: list[float],
        gains: list[float],
        gain_on: str = "log_score",
        kernel: str = "euler",
        prediction_type: str = "x0",
        length: int | None = None,
    ):
        for name, value, known in (
            ("gain_on", gain_on, GAINS_ON),
            ("kernel", kernel, KERNELS),
            ("prediction_type", prediction_type, PREDICTIONS),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value}")
        if len({len(column) for column in (network_times, noise, removed, jumps, gains)}) != 1:
            raise ValueError("network_times, noise, removed, jumps and gains must have one entry a step")
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

    def network_time(self, timestep: float | torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        """Time input (batch,) of the network: the step's own."""
        return torch.full((len(sample),), float(timestep), dtype=torch.float64, device=sample.device)

    def prior(
        self,
        batch: int,
        length: int,
        generator: torch.Generator | None = None,
        device: str | torch.device | None = None,
        uniforms: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Tokens (batch, length) at random; `uniforms`, float64 (batch, length) in [0, 1), replaces the generator."""
        drawn = self._uniforms((batch, length), generator, device) if uniforms is None else uniforms
        return (drawn * self.config["num_tokens"]).long()

    def step(
        self,
        model_output: torch.Tensor,
        timestep: float | torch.Tensor,
        sample: torch.Tensor,
        generator: torch.Generator | None = None,
        uniforms: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> LSDUniformSchedulerOutput | tuple[torch.Tensor]:
        """One step for the network's output (batch, length, tokens) at tokens (batch, length).

        `uniforms`, float64 (batch, length) in [0, 1), fresh ones in each step, replaces the generator.
        """
        probs = self.probabilities(self._index(timestep), model_output, sample)
        uniform = self._uniforms(sample.shape, generator, sample.device) if uniforms is None else uniforms
        cumulative = probs.cumsum(-1)
        total = cumulative[..., -1:].contiguous()
        token = torch.searchsorted(cumulative, uniform[..., None] * total, right=True)
        prev_sample = torch.minimum(token, torch.searchsorted(cumulative, total))[..., 0].to(sample.dtype)
        return LSDUniformSchedulerOutput(prev_sample=prev_sample) if return_dict else (prev_sample,)

    def probabilities(self, k: int, model_output: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        """Distribution (batch, length, tokens) of each token after step k, float64."""
        removed, last = self.config["removed"][k], k + 1 == len(self)
        x0, score = self._gained(k, model_output.double(), sample)
        if last or self.config["kernel"] == "tweedie":
            if x0 is None:
                reached = self._spread(score, removed)
            else:
                onto = x0 / self._transition(sample, self.config["noise"][k])
                reached = self._spread(onto, removed - self.config["noise"][k]).clamp(min=0)
            raw = reached * self._transition(sample, removed)
        else:
            rates = self.config["jumps"][k] * score.scatter(-1, sample[..., None], 0.0) / score.shape[-1]
            total = rates.sum(-1, keepdim=True)
            if self.config["kernel"] == "tau_leaping":
                raw = -torch.expm1(-total) / total.clamp(min=1e-300) * rates
                raw = raw.scatter(-1, sample[..., None], torch.exp(-total))
            else:
                raw = rates.scatter(-1, sample[..., None], 1 - total)
        probs = raw.clamp(min=0)
        return probs / probs.sum(-1, keepdim=True)

    def _gained(
        self, k: int, output: torch.Tensor, sample: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Distribution of the clean token, where the network predicts one, and scores, under the step's gain."""
        gain, sharpens = self.config["gains"][k], self.config["gain_on"] == "log_score"
        here, x0 = sample[..., None], None
        if self.config["prediction_type"] == "x0":
            x0 = ((gain if sharpens else 1.0) * output).softmax(-1)
            onto = x0 / self._transition(sample, self.config["noise"][k])
            score = self._spread(onto, -self.config["noise"][k]).clamp(min=0).scatter(-1, here, 1.0)
        else:
            score = output.exp()
            if sharpens and gain != 1:
                elsewhere, powered = (each.scatter(-1, here, 0.0) for each in (score, score**gain))
                total, sharp = elsewhere.sum(-1, keepdim=True), powered.sum(-1, keepdim=True)
                score = torch.where(sharp > 0, powered * total / sharp, score)
            score = score.scatter(-1, here, 1.0)
        if not sharpens and gain != 1:
            return None, (gain * score).scatter(-1, here, 1.0)
        return x0, score

    def _transition(self, sample: torch.Tensor, noise: float) -> torch.Tensor:
        """Chance (batch, length, tokens) that noise takes each token to the one that is there."""
        tokens, here = self.config["num_tokens"], sample[..., None]
        level = torch.tensor(-noise, dtype=torch.float64, device=sample.device)
        anywhere = (-torch.expm1(level) / tokens).expand(*sample.shape, tokens)
        return anywhere.scatter_add(-1, here, level.exp().expand(here.shape))

    @staticmethod
    def _spread(score: torch.Tensor, noise: float) -> torch.Tensor:
        """score exp(-noise Q), Q the rates of the noise."""
        level = torch.tensor(noise, dtype=torch.float64, device=score.device)
        return level.exp() * score - torch.expm1(level) * score.mean(-1, keepdim=True)

    def _index(self, timestep: float | torch.Tensor) -> int:
        """The step that begins at this time."""
        found = (self.timesteps.cpu() == float(timestep)).nonzero()
        if len(found) == 0:
            known = self.config["network_times"]
            raise ValueError(f"timestep must be one of {known}, got {float(timestep)}")
        return int(found[0])

    @staticmethod
    def _uniforms(
        shape: tuple[int, ...] | torch.Size,
        generator: torch.Generator | None,
        device: str | torch.device | None,
    ) -> torch.Tensor:
        """Fresh uniforms (batch, length), float64."""
        at = generator.device if generator is not None else device
        return torch.rand(*shape, dtype=torch.float64, device=at, generator=generator).to(device)

    def __len__(self) -> int:
        return len(self.config["network_times"])
