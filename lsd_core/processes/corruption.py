"""Forward corruption of data on the absorbing process, the number of masked tokens stratified over a batch."""

import torch
from torch import Tensor

from lsd_core.numerics.randomness import Purpose, uniform_grid, uniforms
from lsd_core.processes.absorbing import Absorbing


def corrupt(x0: Tensor, process: Absorbing, seed: int, trajectory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mask n tokens of each sequence, n stratified over the batch; returns (x, t, n).

    The n-th smallest of l uniform reveal times has the distribution Beta(n, l + 1 - n); the tokens up to it are masked.
    """
    b, length = x0.shape
    jitter = uniforms(seed, trajectory[:1], 0, torch.zeros_like(trajectory[:1]), Purpose.TIME)
    strata = (torch.arange(b, dtype=torch.float64, device=x0.device) + jitter) / b
    n = (strata * length).long().clamp(max=length - 1) + 1
    reveal_time = uniform_grid(seed, trajectory, 0, length, Purpose.MASK)
    t = reveal_time.sort(dim=1).values.gather(1, n[:, None] - 1)
    return torch.where(reveal_time <= t, process.mask, x0), t[:, 0], n
