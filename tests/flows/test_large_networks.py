"""A network of LLaDA's size is planned from its configuration alone."""

import json
from pathlib import Path

import pytest
import torch

from flows.config import load_grid
from flows.pipeline.cost_lines import cost_lines
from flows.pipeline.costs import plan_cost
from flows.pipeline.plan import make_plan
from lsd_core.backbones.outline import load_or_outline
from lsd_core.backbones.publish import publish
from lsd_core.errors import InputError
from lsd_core.storage.store import Store
from tests.flows import large_network
from tests.flows.large_network import EIGHT_B, SMALL
from tests.in_process import lsd

pytest.importorskip("transformers")

LENGTH, BATCH = 64, 16
ASKED = [
    "--methods",
    "plain",
    "path_kl",
    "--nfe",
    "4",
    "--num-gpus",
    "1",
    "--teacher.batch",
    "16",
    "--batch",
    "16",
]


def parameters(*, dim: int, layers: int, wide: int, heads: int, vocabulary: int) -> int:
    """By hand: embedding and head, and of each block four square maps, three of the MLP and two norms."""
    return 2 * vocabulary * dim + layers * (4 * dim**2 + 3 * dim * wide + 2 * dim) + dim


def planned(folder: Path, **options: float) -> tuple:
    overrides = {"nfe": [4], "methods": ["plain", "path_kl"], "num_gpus": 1.0}
    sizes = {"teacher.trajectories": 256, "teacher.shard_rows": 16, "teacher.batch": BATCH}
    config = load_grid(
        "tiny", backbones=[f"{folder}?length={LENGTH}"], **overrides, **sizes, **{"evaluation.batch": BATCH}
    )
    plan = make_plan(config, load=load_or_outline)
    return plan, plan_cost(plan, **options)


def test_the_plan_of_an_8b_network_needs_its_configuration_alone(tmp_path: Path) -> None:
    folder = large_network.write(tmp_path / "LLaDA-8B-Base", EIGHT_B, weights=False)
    count = parameters(**EIGHT_B)
    assert 8.0e9 < count < 8.1e9
    plan, cost = planned(folder, flops_per_s=2e14)
    held = cost.memory["LLaDA-8B-Base"]
    assert held.weights == 2 * count  # bfloat16
    assert held.batch == BATCH
    # at least: of the block's largest moment, three tensors as wide as its MLP; at most a tenth of the weights
    assert 3 * 2 * BATCH * LENGTH * EIGHT_B["wide"] < held.call < held.weights / 10
    (teacher,) = cost.teachers
    assert (teacher.shards, teacher.calls) == (16, 256 // BATCH * LENGTH)
    each = 2 * count * LENGTH / 2e14
    assert teacher.hours == pytest.approx(256 * LENGTH * each / 3600)
    assert cost.hours == pytest.approx((256 * LENGTH + cost.measured_sequences) * each / 3600)
    assert cost.hours_of(8) == pytest.approx(cost.hours / 8)
    assert teacher.hours_of(5) == pytest.approx(teacher.hours * 4 / 16)  # no more than whole shards at once
    lines = "\n".join(cost_lines(cost))
    assert "a worker holds 1" in lines
    assert "GB of LLaDA-8B-Base: weights 16 GB, a call of 16 sequences" in lines
    assert "of eight" in lines
    unknown = plan_cost(plan)
    assert unknown.hours is None
    assert (unknown.memory, unknown.measured_calls) == (cost.memory, cost.measured_calls)
    assert any("unknown hours" in line for line in cost_lines(unknown))
    assert any("name --rate or --flops-per-s" in line for line in cost_lines(unknown))
    with pytest.raises(InputError, match="flops-per-s must be"):
        plan_cost(plan, flops_per_s=0.0)
    with pytest.raises(NotImplementedError):  # sizes are no weights: nothing of them can be stored
        publish(plan.backbones[0], Store(str(tmp_path / "store")))


def test_the_command_plans_it_and_does_not_run_it(tmp_path: Path) -> None:
    large_network.write(tmp_path / "LLaDA-8B-Base", EIGHT_B, weights=False)
    asked = ["--backbones", f"LLaDA-8B-Base?length={LENGTH}", *ASKED]
    done = lsd("plan", "tiny", *asked, "--flops-per-s", "2e14", "--json", home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["memory"]["LLaDA-8B-Base"]["weights"] == 2 * parameters(**EIGHT_B)
    assert record["hours_of_eight"] < record["hours"]
    refused = lsd("grid", "tiny", *asked, home=tmp_path / "home")
    assert refused.returncode == 2
    assert "must hold one weight file" in refused.stderr + refused.stdout


def test_an_open_batch_is_resolved_without_weights(tmp_path: Path) -> None:
    folder = large_network.write(tmp_path / "net", SMALL, weights=False)
    (tmp_path / "grid.yaml").write_text(
        f"backbones: ['{folder}?length=8']\nnfe: [2]\nmethods: [plain]\nnum_gpus: 1\n"
        "teacher: {trajectories: 8, shard_rows: 8, batch: null, memory_gib: 4}\n"
    )
    (teacher,) = make_plan(load_grid(str(tmp_path / "grid.yaml")), load=load_or_outline).teachers
    assert teacher.batch == 8
    small = load_grid(str(tmp_path / "grid.yaml"), **{"teacher.memory_gib": 0.1})
    with pytest.raises(InputError, match="leave room for one trajectory of net"):
        make_plan(small, load=load_or_outline)


def test_the_network_of_sizes_alone_is_the_one_of_weights(tmp_path: Path) -> None:
    sizes = {"dim": 48, "layers": 2, "wide": 96, "heads": 3, "vocabulary": 300}
    large_network.write(tmp_path / "with" / "net", sizes, weights=True)
    large_network.write(tmp_path / "without" / "net", sizes, weights=False)
    loaded, outlined = (
        load_or_outline(f"{tmp_path / which / 'net'}?length=8") for which in ("with", "without")
    )
    assert {name: tensor.shape for name, tensor in loaded.tensors().items()} == {
        name: tensor.shape for name, tensor in outlined.tensors().items()
    }
    assert outlined.config | {"body_dtype": "float32"} == loaded.config
    assert {tensor.device.type for tensor in outlined.tensors().values()} == {"meta"}
    assert {tensor.dtype for tensor in outlined.tensors().values()} == {torch.bfloat16}
