"""Benchmark `methods`: CPU time of learning methods a network sequence, over path-KL's in the same run."""

from collections.abc import Mapping
from statistics import median
from time import process_time
from typing import Any

from flows.bench.figures import Figure, Setting
from flows.bench.timing import Spread
from flows.config import load_grid
from flows.pipeline.plan import make_plan
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.teacher import generate_shard
from lsd_core.candidates.work import learn
from lsd_core.trajectories.types import Trajectories

TITLE = "CPU time of learning a network sequence, over path-KL's in the same run"
UNIT = "path-KL's time"
MOST = 3.0
NETWORKS = ("countdown", "countdown-radd")
NFE = 16
TO = "path_kl"
SIZES: Mapping[str, Mapping[str, Any]] = {
    TO: {"price_sequences": 1024, "gain_paths": 32},
    "lsd": {"epochs": 2, "paths_per_epoch": 32},
    "lsd_plus": {"epochs": 2, "paths_per_epoch": 32},
    "jys": {"paths": 32, "iterations": 4},
}
TRAJECTORIES = 64


def ask(setting: Setting) -> list[Figure]:
    """Each method on a time-conditioned and on a time-free network, at settings of a grid with fewer paths.

    A sequence is one forward pass, as tables and cards count them: gradients through the network are time and no
    sequences.
    """
    figures = []
    for name in NETWORKS:
        specs, backbone, paths = problems(name)
        seconds: dict[str, list[float]] = {method: [] for method in SIZES}
        for _ in range(setting.rounds):
            for method, each in seconds.items():  # in turn
                each.append(a_sequence(specs[method], backbone, paths))
        unit = median(seconds.pop(TO))
        for method, each in seconds.items():
            ratio = Spread.of([value / unit for value in each])
            figures.append(Figure.of("methods", f"{name}, NFE {NFE}: {method}", ratio, UNIT, at_most=MOST))
    return figures


def problems(name: str) -> tuple[dict[str, CandidateSpec], AnyBackbone, Trajectories]:
    """The candidates by method, their network and its teacher's paths."""
    plan = make_plan(
        load_grid(
            "countdown",
            backbones=[name],
            nfe=[NFE],
            samplers=["euler"],
            methods=["plain", *SIZES],
            method_configs=SIZES,
            **{f"teacher.{name}": TRAJECTORIES for name in ("trajectories", "shard_rows", "batch")},
        )
    )
    backbone = plan.backbones[0]
    paths = generate_shard(backbone, plan.teachers[0], 0)
    return {spec.method: spec for spec in plan.candidates if spec.method in SIZES}, backbone, paths


def a_sequence(spec: CandidateSpec, backbone: AnyBackbone, paths: Trajectories) -> float:
    """CPU seconds of learning a table, for each sequence that it counts."""
    begin = process_time()
    learned = learn(spec, 0, backbone, paths)
    return (process_time() - begin) / learned.sequences
