"""LLaDA's published layout at any size, random or without weights; and a worker's memory while it distils one.

Run as a program it does what a worker of a grid does, job by job, and prints the bytes that it held at most beside
what the program itself holds.
"""

import gc
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from flows.config import parse_grid
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


def main(grid: str, store_url: str) -> None:
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


if __name__ == "__main__":
    main(*sys.argv[1:])
