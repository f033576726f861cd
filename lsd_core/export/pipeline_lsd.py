"""A diffusers pipeline that draws sequences by a learned few-step sampler: `LSDScheduler` around a network's calls.

This file needs torch and diffusers alone. It lies in the folder that `lsd export --to diffusers` writes:

    pipeline = DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)
    tokens = pipeline(network, num_samples=4, generator=torch.Generator().manual_seed(0)).tokens

`network(sample, t)` takes tokens (batch, length) and times (batch,) and gives logits (batch, length, vocabulary) of the
clean token at each position.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils import BaseOutput


@dataclass
class LSDPipelineOutput(BaseOutput):
    """`tokens` (batch, length): finished sequences."""

    tokens: torch.Tensor


class LSDPipeline(DiffusionPipeline):
    """From all masked to finished sequences, one network call a step of the learned table.

    Args:
        scheduler (`LSDScheduler`): the learned steps.
    """

    def __init__(self, scheduler: SchedulerMixin):
        super().__init__()
        self.register_modules(scheduler=scheduler)

    @torch.no_grad()
    def __call__(
        self,
        network: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        num_samples: int = 1,
        generator: torch.Generator | None = None,
        num_inference_steps: int | None = None,
        length: int | None = None,
        device: str | torch.device | None = None,
        return_dict: bool = True,
    ) -> LSDPipelineOutput | tuple[torch.Tensor]:
        """Draw `num_samples` sequences; `num_inference_steps` must be the number that was learned, or left out.

        `length` is that of the network for which the steps were learned, where the scheduler does not know it.
        """
        config = self.scheduler.config
        length = length or config["length"]
        if length is None:
            raise ValueError("length must be given: the scheduler's configuration has none")
        self.scheduler.set_timesteps(num_inference_steps)
        sample = torch.full((num_samples, length), config["mask_token_id"], device=device)
        for t in self.progress_bar(self.scheduler.timesteps):
            logits = network(sample, self.scheduler.network_time(t, sample))
            sample = self.scheduler.step(logits, t, sample, generator=generator).prev_sample
        return LSDPipelineOutput(tokens=sample) if return_dict else (sample,)
