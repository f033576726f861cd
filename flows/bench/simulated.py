"""A grid of as many cells as asked for that is done, without a network's time: every file is written by a run's code.

Backbones are the exact conditionals of countdown under names of their own. Cells of one budget share their samples,
which are drawn and judged once.
"""

from copy import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from flows.config import GridConfig, parse_grid
from flows.pipeline.plan import make_plan
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.markov import MarkovExact
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.measurement import Measurement
from lsd_core.candidates.results import Results
from lsd_core.candidates.spec import PARTS
from lsd_core.candidates.teacher import generate_shard
from lsd_core.candidates.work import measure, measure_teacher
from lsd_core.distillation.controls import plain
from lsd_core.distillation.learned import Learned
from lsd_core.numerics.canonical import digest
from lsd_core.storage.store import Store
from lsd_core.trajectories.manifest import publish_manifest
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.types import Trajectories
from lsd_core.trajectories.write import ShardRecord, commit_shard, encode_shard

BUDGETS = (2, 3, 4, 5, 6, 8, 10, 12, 14, 16)
EPOCHS = 8  # of the learning curve that lies with a learned table


def config_of(cells: int) -> GridConfig:
    """A grid of that many cells, a multiple of ten: one for each backbone and budget, two candidates each."""
    return parse_grid(
        {
            "name": "simulated",
            "backbones": [f"sim-{number:05d}" for number in range(cells // len(BUDGETS))],
            "nfe": list(BUDGETS),
            "samplers": ["euler"],
            "methods": ["plain", "lsd"],
            "teacher": {"trajectories": 16, "shard_rows": 16, "batch": 16},
            "evaluation": {"samples": 16, "seeds": 1, "temperatures": [1.0], "certificate_paths": 0},
        }
    )


@cache
def _exact() -> MarkovExact:
    found = load_backbone("countdown-exact")
    assert isinstance(found, MarkovExact)
    return found


def load(name: str) -> MarkovExact:
    """The backbone under another name, and so with another fingerprint."""
    backbone = copy(_exact())
    backbone.name, backbone.fingerprint = name, digest(name)
    return backbone


class Unsynced(Store):
    """Writes without waiting for the disk."""

    def write_bytes(self, key: str, data: bytes) -> None:
        path = Path(self.url, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    write_new = write_bytes


def fill(folder: Path, cells: int) -> None:
    """Leave what the workers of a run of the whole grid leave: trajectories, tables and measurements; no cards."""
    store, plan = Unsynced(str(folder)), make_plan(config_of(cells), load=load)
    backbone = plan.backbones[0]
    assert isinstance(backbone, MarkovExact)
    paths = generate_shard(backbone, plan.teachers[0], 0)
    done = {
        (spec.nfe, spec.method): _worked(spec, backbone) for spec in plan.by_backbone[backbone.fingerprint]
    }
    taught = next(spec for spec in plan.work if spec.teacher is not None)
    own = measure_teacher(taught.evaluation, paths, backbone, plan.config.seed, backbone.length)
    for teacher in plan.teachers:
        publish_manifest(store, teacher, write_shards(store, teacher, paths, 1))
        Results(store, replace(taught, teacher=teacher)).write_teacher(own)
    for spec in plan.work:
        results, (learned, scores) = Results(store, spec), done[spec.nfe, spec.method]
        results.write_learned(0, learned, copy=False)
        for part, score in scores.items():
            results.write_measurement(part, 0, 1.0, score)


def _worked(spec: CandidateSpec, backbone: MarkovExact) -> tuple[Learned, dict[str, Measurement]]:
    """A candidate's table, uniform in time with a curve for what would be learned, and what it scores."""
    curve: dict[str, list[Any]] = {
        "loss": [1 / (1 + epoch) for epoch in range(EPOCHS)],
        "gains": [[1.0] * spec.nfe] * EPOCHS,
    }
    table = plain(spec.sampler, spec.nfe, spec.length)
    learned = (
        Learned(table=table, sequences=0)
        if spec.teacher is None
        else Learned(table=table, sequences=EPOCHS, history=curve)
    )
    return learned, {part: measure(spec, part, 0, 1.0, learned, backbone) for part in PARTS}


def write_shards(store: Store, teacher: TeacherSpec, paths: Trajectories, number: int) -> list[ShardRecord]:
    """So many shards of a teacher, all with the same trajectories under numbers of their own."""
    records = []
    for shard in range(number):
        moved = replace(paths, index=torch.arange(teacher.rows(shard).start, teacher.rows(shard).stop))
        records.append(commit_shard(store, teacher, shard, encode_shard(moved, teacher)))
    return records
