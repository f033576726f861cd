"""Several batches stepped at once, each shown to the network by itself.

A network on a CPU is fastest on batches that its caches hold; what a step does beside the network costs nearly
the same for one such batch as for several. Each batch goes through body and head alone, as if the others were
not there, so that a sample does not depend on which others are drawn with it.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.finite import Headed, head_rows
from lsd_core.backbones.protocol import Backbone
from lsd_core.backbones.wrapped import Wrapped
from lsd_core.samplers.categorical import HEAD_ELEMENTS

POSITIONS_AT_ONCE = 4096  # of all batches together: more of them gain nothing


def batches_at_once(backbone: Backbone, batch: int, device: torch.device | str) -> int:
    """How many batches to step at once: 1 on an accelerator, and where one alone is enough work."""
    if torch.device(device).type != "cpu":
        return 1
    positions = batch * backbone.length
    rows = HEAD_ELEMENTS // backbone.process.num_tokens  # a head's piece is never cut across batches
    return max(1, min(POSITIONS_AT_ONCE, rows) // positions)


class Grouped(Wrapped):
    """The same backbone, for groups of batches: chain i belongs to batch i // `batch`.

    Its head is for rows of one batch; for those of several see `head_of`.
    """

    def __init__(self, backbone: Backbone, batch: int) -> None:
        super().__init__(backbone)
        self.batch = batch

    def features(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l d"]:
        """All chains of the group."""
        return features_of(self, torch.arange(len(x)), x, t)

    def parts(self, chains: Int[Tensor, " k"]) -> Iterator[slice]:
        """Where each batch's share of ascending chains lies."""
        begin = 0
        for size in (chains // self.batch).bincount().tolist():
            if size:
                yield slice(begin, begin + size)
            begin += size


def features_of(
    backbone: Backbone, chains: Int[Tensor, " k"], x: Int[Tensor, "k l"], t: Float[Tensor, " k"]
) -> Float[Tensor, "k l d"]:
    """Features of these chains of a batch, or of a group of them."""
    if not isinstance(backbone, Grouped):
        return backbone.features(x, t)
    return torch.cat([backbone.inner.features(x[part], t[part]) for part in backbone.parts(chains)])


def head_of(
    backbone: Backbone, chains: Int[Tensor, " k"], rows: Float[Tensor, "k d"], checked: bool = True
) -> Float[Tensor, "k v"]:
    """Log-weights at rows of these chains of a batch, or of a group of them; `checked` for being distributions."""
    read = head_rows if checked else _head
    if not isinstance(backbone, Grouped) or len(rows) == 0:
        return read(backbone, rows)
    return torch.cat([read(backbone.inner, rows[part]) for part in backbone.parts(chains)])


def _head(backbone: Headed, rows: Tensor) -> Tensor:
    return backbone.head(rows)
