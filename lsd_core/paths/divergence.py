"""What one step of a sampler loses against the network, token by token: the terms of every certificate.

A step looks at the network once, at the state x it starts from, and uses that law q_i(. | x) for all it
reveals; the network itself would have looked again before each reveal, at the state x^(n) with n masked. All
laws are normalised x0 laws; a gain on the log-score raises q to a power. The head runs on masked rows alone,
in chunks, so that no (b, l, V) tensor is ever built.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.finite import head_rows
from lsd_core.backbones.protocol import Backbone

ELEMENTS = 1 << 22  # of a chunk of laws: 32 MiB in float64


def hide(x: Int[Tensor, "b l"], rank: Int[Tensor, "b l"], n: Int[Tensor, " b"], mask: int) -> Tensor:
    """The state (b, l) at which n of the l tokens are still masked, rank 0 being revealed first."""
    return x.masked_fill(rank >= x.shape[1] - n[:, None], mask)


def features_at_count(backbone: Backbone, x: Int[Tensor, "b l"], n: Int[Tensor, " b"]) -> Tensor:
    """One network call at states with n masked, told the time that stands for n (`time_of_count`)."""
    n = n.to(x.device)
    t = torch.where(n == backbone.length, 1.0, n.double() / (backbone.length + 1))  # `time_of_count` of each
    return backbone.features(x, t)


def token_log_probs(
    backbone: Backbone,
    features: Float[Tensor, "b l d"],
    rows: tuple[Tensor, ...],
    tokens: Int[Tensor, " r"],
    gain: float = 1.0,
) -> Float[Tensor, " r"]:
    """log q_i(token) at the rows (sample, position), float64."""
    parts = [torch.zeros(0, dtype=torch.float64, device=features.device)]
    for chunk in _chunks(len(tokens), backbone.process.num_tokens):
        law = _log_law(backbone, features[rows[0][chunk], rows[1][chunk]], gain)
        parts.append(law.gather(1, tokens[chunk][:, None])[:, 0])
    return torch.cat(parts)


def mean_kl(
    backbone: Backbone,
    features_q: Float[Tensor, "b l d"],
    gain_q: float | Float[Tensor, " b"],
    features_p: Float[Tensor, "b l d"],
    gain_p: float | Float[Tensor, " b"],
    where: Bool[Tensor, "b l"],
) -> Float[Tensor, " b"]:
    """Mean over the positions i chosen by `where`, all masked, of KL(q_i || p_i) in nats, float64; 0 over none."""
    sample, position = where.nonzero(as_tuple=True)
    total = torch.zeros(len(where), dtype=torch.float64, device=where.device)
    gain_q, gain_p = (torch.as_tensor(g, device=where.device).expand(len(where)) for g in (gain_q, gain_p))
    for chunk in _chunks(len(sample), backbone.process.num_tokens):
        b, i = sample[chunk], position[chunk]
        log_q = _log_law(backbone, features_q[b, i], gain_q[b, None])
        log_p = _log_law(backbone, features_p[b, i], gain_p[b, None])
        terms = torch.where(log_q > -torch.inf, log_q.exp() * (log_q - log_p), 0.0)
        total.index_add_(0, b, terms.sum(-1))
    return total / where.sum(1).clamp(min=1)


def _log_law(backbone: Backbone, rows: Tensor, gain: float | Tensor) -> Tensor:
    """log q (r, V): the x0 law of each row, raised to its gain and normalised."""
    return (gain * head_rows(backbone, rows).double()).log_softmax(-1)


def _chunks(num_rows: int, num_tokens: int) -> Iterator[slice]:
    size = max(1, ELEMENTS // num_tokens)
    for begin in range(0, num_rows, size):
        yield slice(begin, begin + size)
