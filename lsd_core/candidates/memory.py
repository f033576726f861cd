"""Memory of a worker, stated before any work: weights, and the largest of what lives beside them.

Where it can be, a network is called with tensors that have sizes and no content, and the bytes alive at once are
counted: nothing is computed, and a network whose weights are not at hand is measured as well as one that is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lsd_core.backbones.device import place
from lsd_core.backbones.protocol import AnyBackbone, Backbone, is_dense
from lsd_core.numerics.allocator import MAPPED_BYTES
from lsd_core.paths.divergence import ELEMENTS, row_kl
from lsd_core.paths.teacher_features import CACHE_BYTES
from lsd_core.samplers.categorical import DRAW_ELEMENTS, HEAD_ELEMENTS, rows_of
from lsd_core.samplers.memory import LiveBytes, call_bytes

META, CPU = torch.device("meta"), torch.device("cpu")
FREED_BLOCKS = 2
"""Of at most MAPPED_BYTES each: at 10^8 parameters fourteen runs kept 5 to 160 MB, as the heap happened to lie."""


@dataclass(frozen=True, kw_only=True)
class WorkerMemory:
    """Bytes in a worker's GPU, or in its process beside the program itself."""

    weights: int
    batch: int
    """Sequences a network call."""
    call: int
    """Most bytes beside the weights: activations of a call, or its features and logits of the rows read at once."""
    freed: int = 0
    """Bytes of freed blocks that the C library keeps between those in use."""
    targets: int = 0
    """Most bytes of the teacher's transitions that LSD and LSD+ keep for the next seed."""

    @property
    def total(self) -> int:
        return self.weights + self.call + self.freed + self.targets


def worker_memory(
    backbone: AnyBackbone, batch: int, kind: str = "cpu", *, aligns: bool = False
) -> WorkerMemory:
    """What a worker on this kind of device, `cpu` or `cuda`, holds whose calls are of so many sequences.

    `aligns`: whether it aligns students with a teacher, as LSD and LSD+ do.
    """
    weights = sum(tensor.nbytes for tensor in backbone.tensors().values())
    call = _call_bytes(backbone, batch, kind)
    freed = min(call // 2, FREED_BLOCKS * MAPPED_BYTES) if kind == "cpu" else 0
    targets = CACHE_BYTES if aligns else 0
    return WorkerMemory(weights=weights, batch=batch, call=call, freed=freed, targets=targets)


def _call_bytes(backbone: AnyBackbone, batch: int, kind: str) -> int:
    if is_dense(backbone) or not isinstance(getattr(backbone, "network", None), nn.Module):
        return _extrapolated(lambda count: call_bytes(backbone, "first_hitting", count), batch)
    sized = place(backbone, META)
    try:
        body, features = _body(sized, batch, META)
    except RuntimeError:  # autocast, for one, takes no tensors of sizes alone
        sized = backbone
        body = _extrapolated(lambda count: _body(backbone, count)[0], batch)
        features = _body(backbone, 1)[1]
    kept = 2 * batch * features[0].nbytes  # of a step's call and of the network's own beside it
    return max(body, kept + _head(sized, features[0, :1], batch * backbone.length, DRAW_ELEMENTS[kind]))


def _extrapolated(measure: Callable[[int], int], batch: int) -> int:
    """Bytes of a call of `batch` sequences, from calls of two and of four."""
    two, four = measure(2), measure(4)
    return max(two, two + (four - two) * (batch - 2) // 2)


@torch.inference_mode()
def _body(backbone: Backbone, batch: int, device: torch.device = CPU) -> tuple[int, Tensor]:
    """Most bytes of a call of the body, and its features (b, l, d)."""
    with LiveBytes() as live:
        x = backbone.process.prior(batch, backbone.length, device)
        features = backbone.features(x, torch.full((batch,), 0.5, dtype=torch.float64, device=device))
    return live.peak, features


@torch.inference_mode()
def _head(backbone: Backbone, row: Tensor, masked: int, draw_elements: int) -> int:
    """Most bytes of the head on as many of the masked rows as are drawn, or are compared, at once."""
    num_tokens = backbone.process.num_tokens

    def rows(elements: int) -> Tensor:
        return row.expand(min(masked, rows_of(elements, num_tokens)), -1).clone()

    with LiveBytes() as live:
        drawn = backbone.head(rows(HEAD_ELEMENTS))
        drawn.new_empty(min(drawn.numel(), draw_elements), dtype=torch.float64)
        del drawn
        row_kl(backbone, rows(ELEMENTS), 1.0, rows(ELEMENTS), 1.0)
    return live.peak
