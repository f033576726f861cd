"""Any-order likelihood bound (NLL_elbo) of finished sequences under a frozen network."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.device import device_of
from lsd_core.backbones.finite import head_rows
from lsd_core.backbones.protocol import AnyBackbone, Backbone, is_dense
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.processes.corruption import corrupt
from lsd_core.samplers.loop import default_batch


@torch.inference_mode()
def any_order_nll(
    backbone: Backbone, tokens: Int[Tensor, "n l"], seed: int, batch: int | None = None
) -> Float[Tensor, " n"]:
    """Unbiased estimates of each sequence's NLL_elbo in nats: l times the mean -log p of its masked tokens.

    One random subset of a sequence is masked, its size uniform on 1..l; over the n sequences the sizes are
    stratified, so the mean converges fast while one entry alone is noisy. Which sequence has which size is drawn with
    the seed, so that each entry is unbiased. A network conditioned on time is given t ~ Beta(size, l + 1 - size). The
    mean is the NLL of the distribution that reveals tokens in uniform order, or an upper bound on it.
    Cost: one network call a sequence.
    """
    row = torch.arange(len(tokens))
    order = uniforms(seed, row, 0, 0 * row, Purpose.ORDER).argsort().to(tokens.device)
    return torch.empty_like(tokens[:, 0], dtype=torch.float64).index_copy(
        0, order, _stratified_nll(backbone, tokens[order], seed, batch)
    )


@torch.inference_mode()
def _stratified_nll(
    backbone: Backbone, tokens: Int[Tensor, "n l"], seed: int, batch: int | None = None
) -> Float[Tensor, " n"]:
    """The same with sizes that grow with the row, so that only the mean is unbiased."""
    batch = batch or default_batch(backbone.length)
    masked, t, _ = corrupt(tokens, backbone.process, seed, torch.arange(len(tokens)))
    device, parts = device_of(backbone), []
    for begin in range(0, len(tokens), batch):
        part = slice(begin, begin + batch)
        x0, x, at = (whole[part].to(device) for whole in (tokens, masked, t))
        parts.append(_mean_nll(backbone, x0, x, at).to(tokens.device))
    return torch.cat(parts)


def own_likelihood(backbone: AnyBackbone, tokens: Int[Tensor, "n l"], seed: int) -> dict[str, float]:
    """`nll` and `perplexity` of the samples under the network that drew them; nothing where there is no mask."""
    if is_dense(backbone):
        return {}
    nll = float(_stratified_nll(backbone, tokens, seed).mean())
    return {"nll": nll, "perplexity": perplexity(nll, tokens.shape[1])}


def perplexity(nll: float, length: int) -> float:
    """exp(nll / l), per token. Never shown without an entropy: it rewards repetition."""
    return math.exp(min(nll / length, 700.0))


def _mean_nll(backbone: Backbone, x0: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """l times the mean -log p(x0_i | x) over the masked i of each row, (b,) float64."""
    chain, position = (x == backbone.process.mask).nonzero(as_tuple=True)
    log_p = head_rows(backbone, backbone.features(x, t)[chain, position]).double().log_softmax(-1)
    nll = -log_p.gather(1, x0[chain, position][:, None])[:, 0]
    total = nll.new_zeros(len(x)).index_add(0, chain, nll)
    return total / chain.bincount(minlength=len(x)) * x.shape[1]
