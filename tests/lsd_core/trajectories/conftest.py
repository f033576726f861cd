"""Small teachers with random trajectories; what the network would say does not matter to what is stored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lsd_core.storage.store import Store
from lsd_core.trajectories import ShardRecord, TeacherSpec, Trajectories, commit_shard, encode_shard


@pytest.fixture
def make_spec() -> Callable[..., TeacherSpec]:
    """A teacher's spec; keywords replace the fields of a small exact one."""

    def make(**changes: Any) -> TeacherSpec:
        fields: dict[str, Any] = {
            "backbone": "countdown",
            "backbone_fingerprint": "f00d" * 16,
            "process": {"name": "absorbing"},
            "method": "first_hitting",
            "law_version": 1,
            "steps": None,
            "dtype": "float32",
            "batch": 4,
            "shard_rows": 5,
            "length": 7,
            "num_tokens": 11,
            "seed": 3,
        } | changes
        return TeacherSpec(**{"time_grid": "uniform" if fields["steps"] else "2^16"} | fields)

    return make


@pytest.fixture
def draw() -> Callable[..., Trajectories]:
    """The trajectories of one shard: random tokens, times with many ties, ties broken at random."""

    def make(spec: TeacherSpec, shard: int = 0, salt: int = 0) -> Trajectories:
        gen = torch.Generator().manual_seed(1000 * salt + shard)
        shape = (spec.shard_rows, spec.length)
        common: dict[str, Any] = {
            "index": torch.arange(spec.rows(shard).start, spec.rows(shard).stop),
            "num_tokens": spec.num_tokens,
            "x_end": torch.randint(spec.num_tokens, shape, generator=gen),
        }
        if spec.steps is not None:
            steps = torch.randint(spec.steps, shape, generator=gen)
            return Trajectories(**common, reveal_step=steps, steps=spec.steps)
        times = torch.randint(1 << 16, shape, generator=gen)
        times[:, ::2] = times[:, :1].clone()
        order = torch.argsort(times + torch.rand(shape, generator=gen, dtype=torch.float64), descending=True)
        return Trajectories(**common, reveal_time=times, rank=order.argsort())

    return make


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A fresh local store."""
    return Store(str(tmp_path / "store"))


@pytest.fixture
def commit(draw: Callable[..., Trajectories]) -> Callable[..., ShardRecord]:
    """Draw a shard and put it on a store; another salt is another environment with other bytes."""

    def make(store: Store, spec: TeacherSpec, shard: int, salt: int = 0) -> ShardRecord:
        return commit_shard(store, spec, shard, encode_shard(draw(spec, shard, salt), spec))

    return make
