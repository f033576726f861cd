"""The largest batch of a network call that memory holds: measured on a call of two and a call of four sequences.

The answer goes into the teacher's spec when the work is planned and is frozen there, since in low precision the
batch decides which kernels run, hence the last bits.
"""

import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lsd_core.backbones.device import device_of
from lsd_core.backbones.protocol import AnyBackbone, is_dense
from lsd_core.errors import InputError
from lsd_core.samplers.recording import record_states, record_steps
from lsd_core.samplers.state import Draws, draw_prior

HEADROOM = 0.5  # of the memory given; the rest is for libraries, fragmentation and the shard being encoded
MOST_BYTES = 1 << 42  # of tokens that are drawn together, 4 TiB: no machine has more
MOST = 1024  # beyond this a call gains nothing


class LiveBytes(TorchDispatchMode):
    """Within its block, the bytes of tensors made there: alive `now`, and at the `peak`."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self._add(leaf.untyped_storage())
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        name, size = storage._cdata, storage.nbytes()
        if name in self._alive:
            return
        self._alive.add(name)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, name, size)

    def _remove(self, name: int, size: int) -> None:
        self._alive.discard(name)
        self.now -= size


def resolve_batch(backbone: AnyBackbone, method: str, shard_rows: int, memory_bytes: int) -> int:
    """The largest divisor of `shard_rows`, at most MOST, whose calls fit in HEADROOM of the memory.

    A step's draws take buffers of their own size, which at a few trajectories can hide what the network takes for
    each; so the call alone is measured too. Raises InputError where not even one trajectory fits. Costs four
    network calls.
    """
    two, four = (call_bytes(backbone, method, batch) for batch in (2, 4))
    alone = [call_bytes(backbone, "first_hitting", batch) for batch in (2, 4)] if method != "data" else [0, 0]
    each = max(1, (four - two) // 2, (alone[1] - alone[0]) // 2)
    fixed = max(0, two - 2 * each) + sum(tensor.nbytes for tensor in backbone.tensors().values())
    fits = int(HEADROOM * memory_bytes - fixed) // each
    fitting = [size for size in range(1, min(fits, shard_rows, MOST) + 1) if shard_rows % size == 0]
    if not fitting:
        needed = (fixed + each) / HEADROOM / 2**20
        rule = f"leave room for one trajectory of {backbone.name}: {needed:.0f} MiB"
        raise InputError("teacher.memory_gib", rule, f"{memory_bytes / 2**20:.0f} MiB")
    return fitting[-1]


@torch.inference_mode()
def call_bytes(backbone: AnyBackbone, method: str, batch: int) -> int:
    """Most bytes alive at once in one network call of a teacher and the draws that follow it."""
    with LiveBytes() as live:
        if method == "data":
            return 0
        device = device_of(backbone)
        if device.type == "meta" or method in ("first_hitting", "uniformisation"):
            one_call(backbone, batch, device)
        elif is_dense(backbone):
            record_states(backbone, method, 1, 1, Draws(0, torch.arange(batch)))
        else:
            record_steps(backbone, method, 1, Draws(0, torch.arange(batch)))
    return live.peak


def check_tokens(field: str, num_samples: Any, backbone: AnyBackbone) -> None:
    """Raise InputError for a number of samples that is none, or whose tokens no machine holds."""
    if isinstance(num_samples, bool) or not isinstance(num_samples, int) or num_samples < 1:
        raise InputError(field, "be an integer >= 1", num_samples)
    needed = 8 * num_samples * backbone.length
    if needed > MOST_BYTES:
        rule = f"be at most {MOST_BYTES // (8 * backbone.length)} for sequences of {backbone.length} tokens"
        raise InputError(field, rule, num_samples, f"they would take {needed / 2**40:.3g} TiB")


@torch.inference_mode()
def one_call(backbone: AnyBackbone, batch: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """One network call at noise, with the probabilities of one position a chain, as an exact teacher needs."""
    draws = Draws(0, torch.arange(batch, device=device))
    t = torch.full((batch,), 0.5, dtype=torch.float64, device=device)
    if is_dense(backbone):
        return backbone.score(draw_prior(backbone.process, draws, backbone.length), t)
    x = backbone.process.prior(batch, backbone.length, device)
    return backbone.head(backbone.features(x, t)[:, 0]).double().log_softmax(-1).exp()
