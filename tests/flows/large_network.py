"""LLaDA's published layout at any size, random or without weights; and a worker's memory while it distils one.

    python -m tests.flows.large_network

makes a network of 10^8 parameters, does what a worker of a grid does with it, job by job, in a process of its own, and
prints the bytes that this held at most beside the program itself, and what the plan had said. No test runs it: a
process's largest memory is the kernel's figure, and now and then another than it was.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from flows.config import parse_grid
from flows.pipeline.costs import plan_cost
from flows.pipeline.plan import make_plan
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.publish import publish
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.certify import certifiable
from lsd_core.distillation.methods import get_method
from lsd_core.storage.store import Store
from lsd_core.trajectories.manifest import publish_manifest
from lsd_core.trajectories.spec import TeacherSpec
from workers.jobs import CertifyJob, LearnJob, MeasureJob, ShardJob
from workers.worker import ShardDone, Worker

EIGHT_B = {"dim": 4096, "layers": 32, "wide": 12288, "heads": 32, "vocabulary": 126464}
SMALL = {"dim": 384, "layers": 13, "wide": 1024, "heads": 6, "vocabulary": 100_000}  # 10^8 parameters
GRID = {
    "name": "large",
    "nfe": [2],
    "samplers": ["euler"],
    "methods": ["plain", "path_kl"],
    "method_configs": {"path_kl": {"price_sequences": 16, "gain_paths": 4, "candidates": [1.0, 1.5]}},
    "teacher": {"trajectories": 8, "shard_rows": 8, "batch": 8},
    "evaluation": {
        "samples": 8,
        "selection_samples": 8,
        "seeds": 1,
        "batch": 8,
        "temperatures": [1.0],
        "certificate_paths": 8,
        "one_by_one": 0,
    },
}


def configuration(*, dim: int, layers: int, wide: int, heads: int, vocabulary: int) -> dict:
    """config.json as LLaDA publishes it."""
    return {
        "model_type": "llada",
        "architectures": ["LLaDAModelLM"],
        "d_model": dim,
        "n_heads": heads,
        "n_kv_heads": heads,
        "n_layers": layers,
        "mlp_hidden_size": wide,
        "embedding_size": vocabulary,
        "vocab_size": vocabulary,
        "max_sequence_length": 4096,
        "rope": True,
        "rope_theta": 500000.0,
        "rms_norm_eps": 1e-5,
        "block_type": "llama",
        "activation_type": "silu",
        "layer_norm_type": "rms",
        "weight_tying": False,
        "mask_token_id": vocabulary - 128,
        "torch_dtype": "bfloat16",
    }


def shapes(*, dim: int, layers: int, wide: int, heads: int, vocabulary: int) -> dict[str, tuple[int, ...]]:
    """The published tensors."""
    block = {name: (dim, dim) for name in ("q_proj", "k_proj", "v_proj", "attn_out")}
    norms = {name: (dim,) for name in ("attn_norm", "ff_norm")}
    mlp = {"ff_proj": (wide, dim), "up_proj": (wide, dim), "ff_out": (dim, wide)}
    found: dict[str, tuple[int, ...]] = {}
    for layer in range(layers):
        inside = f"model.transformer.blocks.{layer}"
        found |= {f"{inside}.{name}.weight": shape for name, shape in {**block, **norms, **mlp}.items()}
    outside = {"wte": (vocabulary, dim), "ln_f": (dim,), "ff_out": (vocabulary, dim)}
    return found | {f"model.transformer.{name}.weight": shape for name, shape in outside.items()}


def write(folder: Path, sizes: dict[str, int], *, weights: bool) -> Path:
    """A folder as the hub has it; its weights in float32, which every processor computes fast."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(configuration(**sizes)))
    if weights:
        gen = torch.Generator().manual_seed(0)
        tensors = {
            name: torch.ones(shape)
            if len(shape) == 1
            else torch.randn(shape, generator=gen) / shape[-1] ** 0.5
            for name, shape in shapes(**sizes).items()
        }
        save_file(tensors, folder / "model.safetensors")
    return folder


def work(grid: str, store_url: str) -> None:
    """Every kind of job of a grid's plan, by one worker; the weights are on the store already.

    The same jobs on a small network come first: the libraries that they import are the program's.
    """
    record, store = json.loads(grid), Store(store_url)
    publish(load_backbone("countdown"), store)
    every_job(record | {"backbones": ["countdown"]}, store)
    plan = make_plan(parse_grid(record))
    teachers, specs = plan.teachers, plan.work
    del plan
    load_backbone.cache_clear()  # what the driver loaded, and a worker does not hold
    gc.collect()
    before = held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    carry_out(teachers, specs, store)
    print(json.dumps({"before": before, "peak": held("VmHWM")}))


def every_job(record: dict, store: Store) -> None:
    """In a function of its own, so that the plan and its network are gone at its end."""
    plan = make_plan(parse_grid(record))
    carry_out(plan.teachers, plan.work, store)


def carry_out(teachers: Sequence[TeacherSpec], specs: Sequence[CandidateSpec], store: Store) -> None:
    """One of each kind for each candidate, by a new worker."""
    (teacher,) = teachers
    assert any(get_method(spec.method).needs_paths for spec in specs)
    worker = Worker(store.url)
    done = worker.run(ShardJob(teacher=teacher, shard=0))
    assert isinstance(done, ShardDone)
    publish_manifest(store, teacher, [done.record])
    for spec in specs:
        worker.run(LearnJob(spec=spec, which=0))
        worker.run(MeasureJob(spec=spec, part="selection", which=0))
        worker.run(MeasureJob(spec=spec, part="report", which=0))
        if certifiable(spec):
            worker.run(CertifyJob(spec=spec, which=0))


def held(field: str) -> int:
    """Bytes of this process, as the kernel counts them."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def weigh(folder: Path) -> None:
    """Print what the plan says of a worker, and what one holds."""
    network = write(folder / "net", SMALL, weights=True)
    grid = GRID | {"backbones": [f"{network}?length=16"]}
    store = Store(str(folder / "store"))
    publish(load_backbone(f"{network}?length=16"), store)
    said = plan_cost(make_plan(parse_grid(grid)), rate=1.0).memory["net"]
    command = [sys.executable, "-m", "tests.flows.large_network", json.dumps(grid), store.url]
    env = os.environ | {"LSD_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    most = found["peak"] - found["before"]
    print(
        f"the plan said {said.total / 1e6:.0f} MB (weights {said.weights / 1e6:.0f}), held at most {most / 1e6:.0f} MB:"
    )
    print(f"{most / said.total - 1:+.1%}")


if __name__ == "__main__":
    if sys.argv[1:]:
        work(*sys.argv[1:])
    else:
        with tempfile.TemporaryDirectory() as scratch:
            weigh(Path(scratch))
