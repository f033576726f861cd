"""The exported scheduler is a diffusers scheduler, and draws our sampler's tokens from the same uniforms."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch

from lsd_core.backbones.protocol import log_weights
from lsd_core.errors import InputError
from lsd_core.export.formats import export
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.sampler import LoadedSampler, load_sampler
from lsd_core.samplers.table import StepTable, cosine_times, counts_from_times
from tests.lsd_core.export.stranger import module_from

diffusers = pytest.importorskip("diffusers")

TIMES = cosine_times(4)
TABLES = {
    "times": TIMES,
    "times, log-score gains": StepTable(times=TIMES.times, gains=(0.9, 1.5, 2.0, 1.2)),
    "times, score gains": StepTable(times=TIMES.times, gains=(0.5, 1.5, 3.0, 1.0), gain_on="score"),
    "counts": counts_from_times(StepTable(times=TIMES.times, gains=(1.0, 2.0, 2.5, 1.5)), 64),
    "counts, halton": counts_from_times(StepTable(times=TIMES.times, gains=(1.0, 2.0, 2.5, 1.5)), 64),
}


@pytest.fixture
def sampler(loaded):
    """A sampler of a shipped network with a table of choice."""

    def make(table: StepTable, base: str = "euler", name: str = "countdown") -> LoadedSampler:
        return loaded(table, base, name)

    return make


def scheduler_from(folder: Path):
    """From the class beside the configuration."""
    return module_from(folder / "scheduling_lsd.py").LSDScheduler.from_pretrained(folder)


@pytest.mark.parametrize("name", ["countdown", "countdown-radd"])
@pytest.mark.parametrize("kind", list(TABLES))
def test_the_scheduler_draws_our_tokens_from_the_same_uniforms(sampler, tmp_path, kind, name):
    ours = sampler(TABLES[kind], name=name, base="halton" if kind.endswith("halton") else "euler")
    export(ours, "diffusers", tmp_path)
    scheduler = scheduler_from(tmp_path)
    scheduler.set_timesteps()
    backbone, seed, n = ours.backbone, 11, 32
    trajectory = torch.arange(n)
    token = uniform_grid(seed, trajectory, 0, backbone.length, Purpose.TOKEN)
    x = torch.full((n, backbone.length), scheduler.config.mask_token_id)
    for k, t in enumerate(scheduler.timesteps):
        purpose, call = (Purpose.ORDER, 0) if kind.startswith("counts") else (Purpose.REVEAL, k)
        choice = uniform_grid(seed, trajectory, call, backbone.length, purpose)
        logits = log_weights(backbone, x, torch.full((n,), float(t), dtype=torch.float64))
        x = scheduler.step(logits, t, x, uniforms=(choice, token)).prev_sample
    assert torch.equal(x, ours.sample(n, seed=seed))


COUNTS = TABLES["counts"]
PERMUTED = StepTable(counts=COUNTS.counts, gains=COUNTS.gains, order=tuple(7 * k % 64 for k in range(64)))
BLIND = ("fixed_counts", "halton_2d", "left_to_right", "bisection", "dilated", "blocks", "learned_order")
LOOKING = ("confidence", "margin", "entropy", "confidence_drawn")


@pytest.mark.parametrize("base", [*BLIND, *LOOKING])
def test_every_order_and_confidence_draw_our_tokens_from_the_same_uniforms(sampler, tmp_path, base):
    ours = sampler(PERMUTED if base == "learned_order" else COUNTS, base=base)
    export(ours, "diffusers", tmp_path)
    scheduler = scheduler_from(tmp_path)
    backbone, seed, n = ours.backbone, 11, 16
    trajectory, x = torch.arange(n), torch.full((n, backbone.length), scheduler.config.mask_token_id)
    choice = uniform_grid(seed, trajectory, 0, backbone.length, Purpose.ORDER)
    for k, t in enumerate(scheduler.timesteps):
        anew = k if base == "confidence_drawn" else 0  # it draws a position again in every step
        token = uniform_grid(seed, trajectory, anew, backbone.length, Purpose.TOKEN)
        logits = log_weights(backbone, x, torch.full((n,), float(t), dtype=torch.float64))
        x = scheduler.step(logits, t, x, uniforms=(choice, token)).prev_sample
    assert torch.equal(x, ours.sample(n, seed=seed))


BOUNDS = StepTable(counts=(64, 40, 20, 9, 3, 0), thresholds=(0.4, 2.0, 0.7, 0.1, 0.0))
SURE = StepTable(counts=BOUNDS.counts, gains=(1.0, 2.0, 2.5, 1.5, 1.0), thresholds=(0.9, 0.2, 0.6, 0.4, 0.9))


@pytest.mark.parametrize("name", ["countdown", "countdown-radd"])
@pytest.mark.parametrize(
    ("base", "table"),
    [
        ("entropy_bound", BOUNDS),
        ("entropy_bound", StepTable(counts=BOUNDS.counts)),
        ("threshold", SURE),
        ("threshold", StepTable(counts=BOUNDS.counts)),
    ],
    ids=["entropy_bound, learned", "entropy_bound", "threshold, learned", "threshold"],
)
def test_thresholds_draw_our_tokens_from_the_same_uniforms(sampler, tmp_path, base, table, name):
    ours = sampler(table, base=base, name=name)
    export(ours, "diffusers", tmp_path)
    scheduler = scheduler_from(tmp_path)
    backbone, seed, n = ours.backbone, 11, 16
    trajectory, x = torch.arange(n), torch.full((n, backbone.length), scheduler.config.mask_token_id)
    choice, token = (
        uniform_grid(seed, trajectory, 0, backbone.length, purpose)
        for purpose in (Purpose.ORDER, Purpose.TOKEN)
    )
    masked = [x.shape[1] * n]
    for t in scheduler.timesteps:
        logits = log_weights(backbone, x, scheduler.network_time(t, x))
        x = scheduler.step(logits, t, x, uniforms=(choice, token)).prev_sample
        masked.append(int((x == scheduler.config.mask_token_id).sum()))
    assert torch.equal(x, ours.sample(n, seed=seed))
    assert masked[-1] == 0
    assert masked[:-1] == sorted(set(masked[:-1]), reverse=True)  # a step reveals at least one


def test_a_threshold_decides_how_many_tokens_a_step_reveals_and_the_network_is_told(sampler, tmp_path):
    table = StepTable(counts=(64, 32, 0), thresholds=(0.5, 0.0))
    export(sampler(table, base="entropy_bound"), "diffusers", tmp_path)
    scheduler = scheduler_from(tmp_path)
    x, first = torch.full((3, 64), 32), scheduler.timesteps[0]
    logits = torch.zeros(3, 64, 32)
    for chain, sure in enumerate((5, 9, 0)):  # one token certain: no entropy
        logits[chain, :sure, 0] = 1e4
    after = scheduler.step(logits, first, x, generator=torch.Generator().manual_seed(0)).prev_sample
    revealed = (after != 32).sum(1)
    assert revealed.tolist() == [6, 10, 1]  # the largest entropy of a step does not count
    assert scheduler.network_time(first, x).tolist() == [1.0, 1.0, 1.0]
    told = scheduler.network_time(scheduler.timesteps[1], after)
    assert torch.equal(told, (64 - revealed).double() / 65)


def test_the_folder_is_a_diffusers_pipeline_around_the_scheduler(sampler, tmp_path, monkeypatch):
    modules = "diffusers.utils.dynamic_modules_utils.HF_MODULES_CACHE"
    monkeypatch.setattr(modules, str(tmp_path / "modules"))
    monkeypatch.setattr("sys.path", [*sys.path])
    ours = sampler(BOUNDS, base="entropy_bound")
    folder = tmp_path / "exported"
    export(ours, "diffusers", folder)
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)
    assert isinstance(pipeline, diffusers.DiffusionPipeline)
    pipeline.set_progress_bar_config(disable=True)
    calls = []

    def network(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        calls.append(t)
        return log_weights(ours.backbone, x, t)

    draw = lambda **given: pipeline(network, 3, torch.Generator().manual_seed(5), **given).tokens  # noqa: E731
    tokens = draw()
    assert len(calls) == 5
    assert tokens.shape == (3, 64)
    assert int(tokens.max()) < 32
    assert torch.equal(draw(num_inference_steps=5, length=64), tokens)
    scheduler, x = scheduler_from(folder), torch.full((3, 64), 32)
    generator = torch.Generator().manual_seed(5)
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, scheduler.network_time(t, x)), t, x, generator=generator).prev_sample
    assert torch.equal(x, tokens)
    with pytest.raises(ValueError, match="num_inference_steps must be 5"):
        draw(num_inference_steps=8)
    again = tmp_path / "saved"
    pipeline.save_pretrained(again)
    assert json.loads((again / "scheduler" / "scheduler_config.json").read_text())["thresholds"] == [
        *BOUNDS.thresholds
    ]


def test_the_lines_of_the_documentation_run(sampler, tmp_path, monkeypatch):
    modules = "diffusers.utils.dynamic_modules_utils.HF_MODULES_CACHE"
    monkeypatch.setattr(modules, str(tmp_path / "modules"))
    monkeypatch.setattr("sys.path", [*sys.path])
    ours = sampler(counts_from_times(cosine_times(8), 64), base="halton")
    export(ours, "diffusers", tmp_path / "folder")
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[3] / "docs" / "exports.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    names = {
        "network": lambda x, t: log_weights(ours.backbone, x, t),
        "generator": torch.Generator().manual_seed(0),
    }
    exec(block, names)
    assert names["tokens"].shape == (4, 64)
    assert int(names["tokens"].max()) < 32
    with pytest.raises(ValueError, match="network must be given"):
        diffusers.DiffusionPipeline.from_pretrained("folder", trust_remote_code=True)()


def test_a_scheduler_with_contradicting_orders_is_refused(sampler, tmp_path):
    export(sampler(COUNTS), "diffusers", tmp_path)
    scheduler = type(scheduler_from(tmp_path))
    for wrong, said in (
        ({"reveal_order": "fixed"}, "positions are for fixed and halton_2d order"),
        ({"positions": [0, 1]}, "positions are for fixed and halton_2d order"),
        (
            {"reveal_order": "margin", "block": 8},
            "block must be at least 1, and is not for margin order, got 8",
        ),
        ({"block": 0}, "block must be at least 1"),
        ({"thresholds": [0.1]}, "thresholds, one a step, are for entropy_bound and threshold: uniform"),
        ({"reveal_order": "entropy_bound"}, "thresholds, one a step, are for entropy_bound and threshold"),
        ({"reveal_order": "threshold", "thresholds": [0.5, 0.5]}, "thresholds, one a step"),
    ):
        with pytest.raises(ValueError, match=said):
            scheduler(32, [1.0], [1.0], counts=[2, 0], **wrong)


def test_it_keeps_diffusers_conventions(sampler, tmp_path):
    export(sampler(TABLES["counts"]), "diffusers", tmp_path)
    config = json.loads((tmp_path / "scheduler_config.json").read_text())
    assert config["_class_name"] == "LSDScheduler"
    scheduler = scheduler_from(tmp_path)
    assert isinstance(scheduler, diffusers.SchedulerMixin)
    assert isinstance(scheduler, diffusers.ConfigMixin)
    again = type(scheduler).from_config(scheduler.config)
    assert dict(again.config) == dict(scheduler.config)
    scheduler.save_pretrained(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "scheduler_config.json").read_text()) == config
    assert len(scheduler) == len(scheduler.timesteps) == 4
    with pytest.raises(
        ValueError, match="num_inference_steps must be 4, for which this table was learned, got 5"
    ):
        scheduler.set_timesteps(5)
    with pytest.raises(ValueError, match="timestep must be one of"):
        scheduler.step(torch.zeros(1, 64, 32), 0.123, torch.full((1, 64), 32))


@pytest.mark.parametrize("kind", ["times, log-score gains", "counts", "counts, halton"])
def test_a_generator_reproduces_a_sample_and_no_step_leaves_a_mask_or_moves_a_token(sampler, tmp_path, kind):
    base = "halton" if kind.endswith("halton") else "euler"
    export(sampler(TABLES[kind], base=base), "diffusers", tmp_path)
    scheduler = scheduler_from(tmp_path)

    def draw(seed: int) -> torch.Tensor:
        x, generator = torch.full((2, 64), 32), torch.Generator().manual_seed(seed)
        for t in scheduler.timesteps:
            before = x
            logits = torch.zeros(2, 64, 33)  # a channel for the mask, which is never drawn
            x = scheduler.step(logits, t, x, generator=generator).prev_sample
            kept = before != 32
            assert torch.equal(x[kept], before[kept])
        return x

    assert int(draw(3).max()) < 32
    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


def test_with_a_generator_too_halton_order_doubles_a_comb(sampler, tmp_path):
    table = StepTable(counts=(64, 48, 32, 0))
    export(sampler(table, base="halton"), "diffusers", tmp_path)
    scheduler = scheduler_from(tmp_path)
    x, generator = torch.full((5, 64), 32), torch.Generator().manual_seed(1)
    for t, gap in zip(scheduler.timesteps, (4, 2, 1), strict=True):
        x = scheduler.step(torch.zeros(5, 64, 33), t, x, generator=generator).prev_sample
        places = (x != 32).nonzero()[:, 1].view(5, -1)
        assert bool((places.diff(dim=1) == gap).all())
    assert len(set((x != 32).sum(1).tolist())) == 1
    with pytest.raises(ValueError, match=r"reveal_order must be one of uniform, halton, .*, got sobol"):
        type(scheduler)(32, [1.0], [1.0], counts=[64, 0], reveal_order="sobol")


def test_what_cannot_be_a_scheduler_is_refused_before_anything_is_written(sampler, tmp_path):
    folder = tmp_path / "out"
    with pytest.raises(
        InputError, match=r"sampler must reveal tokens by one call a step.* got theta_trapezoidal"
    ):
        export(sampler(TIMES, base="theta_trapezoidal"), "diffusers", folder)
    with pytest.raises(InputError, match="to must be one of json, diffusers, lmdeploy, llada2, got onnx"):
        export(sampler(TIMES), "onnx", folder)
    assert not folder.exists()


def test_the_exported_card_is_the_card(sampler, tmp_path):
    ours = sampler(TIMES)
    files = export(ours, "json", tmp_path / "out")
    assert files[0].read_text() == ours.card.to_json()
    assert torch.equal(load_sampler(tmp_path / "out").sample(4), ours.sample(4))
