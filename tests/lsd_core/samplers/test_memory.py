"""The bytes of a call are counted as they live and die, and the batch is the largest that fits."""

from collections.abc import Callable

import pytest
import torch

from lsd_core.backbones.catalog import load_backbone
from lsd_core.errors import InputError
from lsd_core.samplers.memory import HEADROOM, LiveBytes, call_bytes, resolve_batch


def made(count: int) -> torch.Tensor:
    return torch.ones(count, dtype=torch.float32)


@pytest.mark.parametrize(
    ("work", "peak"),
    [
        (lambda: [made(100), made(200)], 1200),
        (lambda: [made(100) + 1 for _ in range(5)][-1], 5 * 400 + 400),
        (lambda: made(100).view(10, 10).T[3:], 400),  # a view is no memory
        (lambda: made(100).add_(1).mul_(2), 400),  # nor is work in place
    ],
)
def test_bytes_alive_at_once(work: Callable[[], object], peak: int) -> None:
    with LiveBytes() as live:
        kept = work()
    assert live.peak == peak
    del kept
    assert live.now == 0


@pytest.mark.parametrize("method", ["first_hitting", "euler"])
def test_memory_grows_with_the_batch_by_the_same_for_each_trajectory(method: str) -> None:
    backbone = load_backbone("countdown")
    # at fewer than 8 the buffers of a step's draws are larger than what the network takes
    few, more, most = (call_bytes(backbone, method, batch) for batch in (8, 16, 32))
    assert (most - more) / (more - few) == pytest.approx(2, rel=0.02)


def test_the_batch_is_the_largest_divisor_that_fits() -> None:
    backbone = load_backbone("countdown")
    batches = [resolve_batch(backbone, "euler", 96, mib << 20) for mib in (8, 16, 64, 1024)]
    assert batches == sorted(batches)
    assert batches[-1] == 96
    assert all(96 % batch == 0 for batch in batches)
    for batch, mib in zip(batches, (8, 16, 64), strict=False):
        assert call_bytes(backbone, "euler", batch) < HEADROOM * (mib << 20)


def test_too_little_memory_for_one_trajectory_is_refused_with_what_it_takes() -> None:
    with pytest.raises(InputError, match=r"memory_gib must leave room for one .* \d+ MiB, got 1 MiB"):
        resolve_batch(load_backbone("countdown"), "euler", 64, 1 << 20)
