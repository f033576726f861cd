"""A diffusers pipeline that draws sequences by a learned few-step sampler: its scheduler around a network's calls.

This file needs torch and diffusers alone. It lies in the folder that `lsd export --to diffusers` writes:

    pipeline = DiffusionPipeline.from_pretrained(folder, network=network, trust_remote_code=True)
    tokens = pipeline(num_samples=4, generator=torch.Generator().manual_seed(0)).tokens

`network(sample, t)` takes tokens (batch, length) and times (batch,) and gives (batch, length, vocabulary): logits of
the clean token at each position, or what else the scheduler's `prediction_type` says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils import BaseOutput

Network = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass
class LSDPipelineOutput(BaseOutput):
    """`tokens` (batch, length): finished sequences."""

    tokens: torch.Tensor


class LSDPipeline(DiffusionPipeline):
    """From masks, or tokens at random, to finished sequences, one network call a step of the learned table.

    Args:
        scheduler (`LSDScheduler` or `LSDUniformScheduler`): the learned steps.
        network (`Callable`, *optional*): the frozen network, where it is not given with each call.
    """

    def __init__(self, scheduler: SchedulerMixin, network: Any = None):  # diffusers cannot check a Callable
        super().__init__()
        self.register_modules(scheduler=scheduler)
        self.network = network

    @torch.no_grad()
    def __call__(
        self,
        network: Network | None = None,
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
        network = network or self.network
        if network is None:
            raise ValueError("network must be given, to the pipeline or to this call")
        length = length or self.scheduler.config["length"]
        if length is None:
            raise ValueError("length must be given: the scheduler's configuration has none")
        self.scheduler.set_timesteps(num_inference_steps)
        sample = self.scheduler.prior(num_samples, length, generator=generator, device=device)
        for t in self.progress_bar(self.scheduler.timesteps):
            logits = network(sample, self.scheduler.network_time(t, sample))
            sample = self.scheduler.step(logits, t, sample, generator=generator).prev_sample
        return LSDPipelineOutput(tokens=sample) if return_dict else (sample,)
