"""On a GPU everything a worker does for a candidate is done there, with the law that it has on a CPU."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from flows.config import load_grid
from flows.pipeline.plan import make_plan
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.device import device_kind, device_of, place
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.certify import certifiable, certify
from lsd_core.candidates.make_card import make_card
from lsd_core.candidates.spec import PARTS
from lsd_core.candidates.teacher import generate_shard
from lsd_core.candidates.work import learn, measure, table_index
from lsd_core.distillation.learned import Learned
from lsd_core.numerics.environment import environment
from lsd_core.sampler import sampler_of
from lsd_core.samplers import generate
from lsd_core.trajectories.types import Trajectories

if not torch.cuda.is_available():  # before the grids below are planned, which takes seconds
    pytest.skip("no GPU", allow_module_level=True)

CUDA = torch.device("cuda")
SMALL = {"evaluation.samples": 512, "evaluation.seeds": 1, "evaluation.batch": 64}
GRIDS = {
    "countdown": {"methods": ["all"], "samplers": ["euler", "fixed_counts", "halton", "balanced_split"]},
    "countdown-radd": {"methods": ["plain", "lsd_plus", "path_kl"], "samplers": ["tweedie", "halton"]},
    "text-radd": {"methods": ["plain", "jys", "path_kl"], "samplers": ["euler", "halton"]},
    "digits-uniform": {"methods": ["plain", "lsd", "path_kl"], "samplers": ["tweedie"]},
    "digits-gaussian": {"methods": ["plain", "path_kl"], "samplers": ["tweedie"]},
}
SETTINGS = {
    "lsd": {"epochs": 3},
    "lsd_plus": {"epochs": 2, "paths_per_epoch": 16},
    "lsd_plus_literal": {"epochs": 2, "paths_per_epoch": 16},
}
DENSE_TEACHER = {"teacher.method": "tweedie", "teacher.steps": 64, "teacher.nodes": 32}


def specs_of(name: str) -> list[CandidateSpec]:
    """One NFE of a grid over this backbone."""
    chosen = GRIDS[name]
    settings = {method: SETTINGS[method] for method in SETTINGS}
    teacher = {"teacher.trajectories": 64, "teacher.shard_rows": 64, "teacher.batch": 64}
    teacher |= DENSE_TEACHER if name.startswith("digits") else {}
    config = load_grid(
        "tiny", backbones=[name], nfe=[8], **chosen, method_configs=settings, **SMALL, **teacher
    )
    return list(make_plan(config).work)


def paths_of(spec: CandidateSpec, backbone: AnyBackbone) -> Trajectories | None:
    if spec.teacher is None:
        return None
    if spec.teacher not in KEPT:
        KEPT[spec.teacher] = generate_shard(backbone, spec.teacher, 0, CUDA).to("cpu")
    return KEPT[spec.teacher]


KEPT: dict[object, Trajectories] = {}
EVERY = [
    pytest.param(spec, id=f"{spec.backbone.name}-{spec.sampler}-{spec.method}")
    for name in GRIDS
    for spec in specs_of(name)
    if spec.method != "temperature"
]


@pytest.mark.parametrize("spec", EVERY)
def test_a_candidate_is_learned_measured_and_certified_on_the_gpu(spec: CandidateSpec) -> None:
    here = load_backbone(spec.backbone.name)
    there = place(here, CUDA)
    assert device_of(there).type == "cuda"
    learned = learn(spec, 0, there, paths_of(spec, there))
    assert isinstance(learned, Learned)
    record = learned.table.to_dict()
    assert all(isinstance(gain, float) for gain in record["gains"])
    result = measure(spec, "report", table_index(spec, 0), 1.0, learned, there)
    assert result.device_kind == device_kind(CUDA)
    assert result.calls_max <= spec.nfe
    on_cpu = measure(spec, "report", table_index(spec, 0), 1.0, learned, here)
    assert on_cpu.device_kind == ""
    same_law(result.scores, on_cpu.scores)
    if certifiable(spec):
        sized = replace(spec, evaluation=replace(spec.evaluation, certificate_paths=64))
        bounds = [certify(sized, 0, learned, backbone) for backbone in (there, here)]
        error = sum(bound["standard_error"] ** 2 for bound in bounds) ** 0.5
        assert abs(bounds[0]["value_nats"] - bounds[1]["value_nats"]) <= 4 * error + 1e-3


def same_law(one: np.ndarray, other: np.ndarray) -> None:
    """Means of paired scores agree within their own error: equal uniforms, bodies that differ in rounding."""
    difference = one - other
    slack = 4 * difference.std() / len(difference) ** 0.5 + 1e-3
    assert abs(difference.mean()) <= slack


def test_equal_uniforms_draw_nearly_equal_tokens() -> None:
    here = load_backbone("countdown-radd")
    [spec] = [s for s in specs_of("countdown-radd") if (s.sampler, s.method) == ("halton", "plain")]
    table = learn(spec, 0, here, None).table
    tokens = [
        generate(backbone, "halton", table, 256, 3, batch=64, device=device).tokens
        for backbone, device in ((here, "cpu"), (place(here, CUDA), "cuda"))
    ]
    assert float((tokens[0] == tokens[1]).double().mean()) > 0.95


def test_a_card_says_where_its_samples_were_drawn_and_its_sampler_draws_where_it_is_told() -> None:
    here = load_backbone("countdown")
    [spec] = [s for s in specs_of("countdown") if (s.sampler, s.method) == ("euler", "plain")]
    learned, there = learn(spec, 0, here, None), place(here, CUDA)
    measured = {part: [measure(spec, part, 0, 1.0, learned, there)] for part in PARTS}
    card = make_card(spec, [learned], measured, None, environment())
    assert card.provenance.environment["device_kind"] == device_kind(CUDA)
    on_gpu, on_cpu = sampler_of(card, device="cuda"), sampler_of(card)
    assert device_of(on_gpu.backbone).type == "cuda"
    tokens = on_gpu.sample(32, seed=1)
    assert tokens.device.type == "cpu"
    assert float((tokens == on_cpu.sample(32, seed=1)).double().mean()) > 0.95
