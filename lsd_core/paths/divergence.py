"""Log-probabilities and divergences of factorised steps of the masked process, token by token.

A step evaluates the network once, at the state x it starts from, and uses that distribution q_i(. | x) for all
it unmasks; the network itself would be evaluated again before each, at the state x^(n) with n masked. All are
normalised x0 distributions; a gain on the log-score raises q to a power. The head runs on masked rows alone, in
chunks, so that no (b, l, V) tensor is ever built.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.finite import finite, head_rows
from lsd_core.backbones.protocol import Backbone
from lsd_core.paths.rows import Gain, GainedRows, fuses, kl, log_prob
from lsd_core.samplers.categorical import pieces, rows_of

ELEMENTS = 1 << 22  # of a chunk of distributions: 32 MiB in float64
FUSED_ELEMENTS = 1 << 24  # of a chunk of logits beside which no distributions lie: in all no more memory


def row_chunks(
    where: Bool[Tensor, "b l"], num_tokens: int, elements: int = ELEMENTS
) -> Iterator[tuple[Tensor, Tensor]]:
    """(sample, position) of the chosen rows, in chunks whose (rows, tokens) tables have about `elements` entries."""
    sample, position = where.nonzero(as_tuple=True)
    for chunk in pieces(len(sample), rows_of(elements, num_tokens)):
        yield sample[chunk], position[chunk]


def features_at_count(backbone: Backbone, x: Int[Tensor, "b l"], n: Int[Tensor, " b"]) -> Tensor:
    """One network call at states with n masked, at the time that stands for n (`time_of_count`)."""
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
    for chunk in pieces(len(tokens), rows_of(_elements(features.device), backbone.process.num_tokens)):
        log_weights = _head(backbone, features[rows[0][chunk], rows[1][chunk]])
        parts.append(_checked(backbone, log_prob(log_weights, gain, tokens[chunk]), log_weights))
    return torch.cat(parts)


class CallRows:
    """The x0 distributions of one network call at some positions, all masked, under one gain after another.

    The head runs once, and so does the normalisation of what no gain changes, where one chunk holds all rows.
    """

    def __init__(
        self, backbone: Backbone, features: Float[Tensor, "b l d"], where: Bool[Tensor, "b l"]
    ) -> None:
        self.backbone, self.features, self.where = backbone, features, where
        rows = where.nonzero(as_tuple=True)
        self._known: GainedRows | None = None
        if 0 < len(rows[0]) <= rows_of(_elements(features.device), backbone.process.num_tokens):
            self._sample, self._known = rows[0], GainedRows(head_rows(backbone, features[rows]))
            self._row = where.flatten().cumsum(0).view_as(where) - 1

    def kl_to_plain(self, gain: float, where: Bool[Tensor, "b l"]) -> Float[Tensor, " b"]:
        """Mean over some of the positions of KL(q_i^gain || q_i), as `mean_kl` says."""
        if self._known is None:
            return mean_kl(self.backbone, self.features, gain, self.features, 1.0, where)
        some = where[self.where].nonzero()[:, 0]
        at = slice(None) if len(some) == len(self._sample) else some  # all: no copy
        return _mean(self._sample[at], self._known.kl_to_plain(gain, at), where)

    def kl_to(
        self, gain: float, features_p: Float[Tensor, "b l d"], where: Bool[Tensor, "b l"]
    ) -> Float[Tensor, " b"]:
        """Mean over some of the positions of KL(q_i^gain || p_i), p_i of another call, as `mean_kl` says."""
        if self._known is None:
            return mean_kl(self.backbone, self.features, gain, features_p, 1.0, where)
        rows = where.nonzero(as_tuple=True)
        other = _head(self.backbone, features_p[rows])
        apart = self._known.kl_to(gain, self._row[rows], other)
        return _mean(rows[0], _checked(self.backbone, apart, other), where)


def mean_kl(
    backbone: Backbone,
    features_q: Float[Tensor, "b l d"],
    gain_q: float | Float[Tensor, " b"],
    features_p: Float[Tensor, "b l d"],
    gain_p: float | Float[Tensor, " b"],
    where: Bool[Tensor, "b l"],
) -> Float[Tensor, " b"]:
    """Mean over the positions i chosen by `where`, all masked, of KL(q_i || p_i) in nats, float64; 0 over none."""
    total = torch.zeros(len(where), dtype=torch.float64, device=where.device)
    gain_q, gain_p = (
        torch.as_tensor(g, dtype=total.dtype, device=total.device).expand(len(where))
        for g in (gain_q, gain_p)
    )
    for b, i in row_chunks(where, backbone.process.num_tokens, _elements(where.device)):
        apart = row_kl(backbone, features_q[b, i], gain_q[b, None], features_p[b, i], gain_p[b, None])
        total.index_add_(0, b, apart)
    return total / where.sum(1).clamp(min=1)


def _mean(
    sample: Int[Tensor, " r"], values: Float[Tensor, " r"], where: Bool[Tensor, "b l"]
) -> Float[Tensor, " b"]:
    total = torch.zeros(len(where), dtype=torch.float64, device=where.device)
    return total.index_add_(0, sample, values) / where.sum(1).clamp(min=1)


def position_kl(
    backbone: Backbone,
    features_q: Float[Tensor, "b l d"],
    features_p: Float[Tensor, "b l d"],
    where: Bool[Tensor, "b l"],
) -> Float[Tensor, "b l"]:
    """KL(q_i || p_i) in nats at each position i chosen by `where`, all masked, float64; 0 elsewhere."""
    out = torch.zeros(where.shape, dtype=torch.float64, device=where.device)
    for b, i in row_chunks(where, backbone.process.num_tokens, _elements(where.device)):
        out[b, i] = row_kl(backbone, features_q[b, i], 1.0, features_p[b, i], 1.0)
    return out


def row_kl(
    backbone: Backbone, rows_q: Tensor, gain_q: Gain, rows_p: Tensor, gain_p: Gain
) -> Float[Tensor, " r"]:
    """KL(q || p) in nats of each row, from the features (r, d) of either's call."""
    log_q, log_p = _head(backbone, rows_q), _head(backbone, rows_p)
    return _checked(backbone, kl(log_q, gain_q, log_p, gain_p), log_q, log_p)


def _elements(device: torch.device) -> int:
    return FUSED_ELEMENTS if fuses(device) else ELEMENTS


def _head(backbone: Backbone, rows: Float[Tensor, "r d"]) -> Float[Tensor, "r v"]:
    """Log-weights, checked here unless fused kernels are about to read them, which find what is wrong on their way."""
    return backbone.head(rows) if fuses(rows.device) else head_rows(backbone, rows)


def _checked(
    backbone: Backbone, values: Float[Tensor, " r"], *log_weights: Float[Tensor, "r v"]
) -> Float[Tensor, " r"]:
    """Values of rows, none of which is NaN where the log-weights that they are made from are distributions."""
    if fuses(values.device) and bool(values.isnan().any()):
        for each in log_weights:
            finite(backbone, each)
    return values
