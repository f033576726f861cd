"""Training objectives on the absorbing process, with the number of masked tokens stratified.

Both objectives are l * E_{n ~ U{1..l}} of a mean over the n masked tokens: integrating the 1/t weight of
log-linear noise over t turns the time integral into that sum exactly, with t | n ~ Beta(n, l + 1 - n). It has
a small fraction of the variance of drawing t and dividing by it.
"""

import torch
from torch import Tensor

from lsd_core.backbones.ddit import DDiT
from lsd_core.processes import Absorbing
from lsd_core.processes.corruption import corrupt


def loss(
    network: DDiT,
    family: str,
    process: Absorbing,
    x0: Tensor,
    seed: int,
    trajectory: Tensor,
    *,
    body_dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Upper bound on the negative log-likelihood per sequence, in nats.

    `radd`: cross-entropy of the x0 distribution (RADD, lambda-DCE, Eq. 3.6). `sedd`: denoising score entropy (SEDD,
    Eq. 9), sum_y w_y - 1 - log w_{x0} with w the log-weights' exponentials; equal to the former where
    the rows sum to 1. The body runs in `body_dtype`, as it will when sampling; the head and the loss are
    float32.
    """
    x, t, n = corrupt(x0, process, seed, trajectory)
    sigma_bar = None if family == "radd" else process.noise.sigma_bar(t)
    rows = (x == process.mask).nonzero(as_tuple=True)
    with torch.autocast(x.device.type, body_dtype, enabled=body_dtype != torch.float32):
        features = network.features(x, sigma_bar)[rows]
    logits = network.head(features.to(network.output_layer.linear.weight.dtype))[:, : process.num_tokens]
    target = x0[rows][:, None]
    if family == "radd":
        per_token = -logits.log_softmax(-1).gather(1, target)[:, 0]
    else:
        log_w = logits - torch.log(torch.tensor(float(process.num_tokens)))
        per_token = log_w.exp().sum(-1) - 1 - log_w.gather(1, target)[:, 0]
    return (per_token / n[rows[0]]).sum() * x0.shape[1] / x0.shape[0]
