"""The exported scheduler for uniform noise draws our sampler's tokens from the same uniforms."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.export.formats import export, uniform_config
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.sampler import LoadedSampler
from lsd_core.samplers import generate
from lsd_core.samplers.table import StepTable, cosine_times
from tests.lsd_core.export.stranger import module_from

diffusers = pytest.importorskip("diffusers")

TIMES = cosine_times(5).times
TABLES = {
    "plain": StepTable(times=TIMES),
    "sharpened": StepTable(times=TIMES, gains=(0.9, 1.5, 2.0, 1.2, 1.1)),
    "scaled": StepTable(times=TIMES, gains=(0.5, 1.5, 3.0, 0.9, 1.0), gain_on="score"),
}
SEED, N = 11, 16


@dataclass
class ScoresAlone:
    """A network that gives scores and no clean tokens, as SEDD's of uniform noise."""

    inner: Any

    def __getattr__(self, name: str) -> Any:
        if name == "x0_probs":
            raise AttributeError(name)
        return getattr(self.inner, name)


@pytest.fixture
def sampler(loaded):
    """A sampler of uniform noise, with a table of choice."""

    def make(table: StepTable, base: str, name: str = "countdown-uniform-exact") -> LoadedSampler:
        return loaded(table, base, name)

    return make


def scheduler_from(folder: Path):
    """From the class beside the configuration."""
    return module_from(folder / "scheduling_lsd_uniform.py").LSDUniformScheduler.from_pretrained(folder)


def drawn(scheduler, network, length: int) -> torch.Tensor:
    """Samples 0 to N - 1 by the scheduler, given the uniforms that ours draws from."""
    trajectory = torch.arange(N)
    x = scheduler.prior(N, length, uniforms=uniform_grid(SEED, trajectory, 0, length, Purpose.PRIOR))
    for k, t in enumerate(scheduler.timesteps):
        uniforms = uniform_grid(SEED, trajectory, 2 * k, length, Purpose.TOKEN)
        output = network(x, scheduler.network_time(t, x))
        x = scheduler.step(output, t, x, uniforms=uniforms).prev_sample
    return x


@pytest.mark.parametrize("kind", list(TABLES))
@pytest.mark.parametrize("base", ["euler", "tweedie", "tau_leaping"])
def test_a_network_of_clean_tokens_draws_our_tokens_from_the_same_uniforms(sampler, tmp_path, base, kind):
    ours = sampler(TABLES[kind], base)
    export(ours, "diffusers", tmp_path)
    network = lambda x, t: ours.backbone.x0_probs(x, t).log()  # noqa: E731
    assert torch.equal(
        drawn(scheduler_from(tmp_path), network, ours.backbone.length), ours.sample(N, seed=SEED)
    )


@pytest.mark.parametrize("kind", list(TABLES))
@pytest.mark.parametrize("base", ["euler", "tweedie", "tau_leaping"])
def test_a_network_of_scores_draws_our_tokens_from_the_same_uniforms(sampler, tmp_path, base, kind):
    ours = sampler(TABLES[kind], base)
    alone = ScoresAlone(ours.backbone)
    export(ours, "diffusers", tmp_path)
    config = uniform_config(ours.card, alone)
    assert config["prediction_type"] == "score"
    scheduler = type(scheduler_from(tmp_path))(**config)
    network = lambda x, t: alone.score(x, t).double().log()  # noqa: E731
    tokens = generate(alone, base, TABLES[kind], N, SEED).tokens
    assert torch.equal(drawn(scheduler, network, alone.length), tokens)


def test_a_shipped_network_of_images_is_exported_too(sampler, tmp_path):
    ours = sampler(TABLES["sharpened"], "tweedie", "digits-uniform")
    export(ours, "diffusers", tmp_path)
    network = lambda x, t: ours.backbone.x0_probs(x, t).double().log()  # noqa: E731
    assert torch.equal(
        drawn(scheduler_from(tmp_path), network, ours.backbone.length), ours.sample(N, seed=SEED)
    )


def test_the_folder_is_a_pipeline_that_starts_from_tokens_at_random(sampler, tmp_path, monkeypatch):
    modules = "diffusers.utils.dynamic_modules_utils.HF_MODULES_CACHE"
    monkeypatch.setattr(modules, str(tmp_path / "modules"))
    monkeypatch.setattr("sys.path", [*sys.path])
    ours, folder = sampler(TABLES["sharpened"], "euler"), tmp_path / "exported"
    export(ours, "diffusers", folder)
    network = lambda x, t: ours.backbone.x0_probs(x, t).log()  # noqa: E731
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, network=network, trust_remote_code=True)
    pipe.set_progress_bar_config(disable=True)

    def draw(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return pipe(num_inference_steps=5, num_samples=3, generator=generator).tokens

    tokens = draw(5)
    assert tokens.shape == (3, ours.backbone.length)
    assert torch.equal(draw(5), tokens)
    assert not torch.equal(draw(6), tokens)
    assert int(tokens.max()) < ours.backbone.process.num_tokens


def test_it_keeps_diffusers_conventions(sampler, tmp_path):
    export(sampler(TABLES["plain"], "euler"), "diffusers", tmp_path)
    config = json.loads((tmp_path / "scheduler_config.json").read_text())
    assert config["_class_name"] == "LSDUniformScheduler"
    scheduler = scheduler_from(tmp_path)
    assert isinstance(scheduler, diffusers.SchedulerMixin)
    again = type(scheduler).from_config(scheduler.config)
    assert dict(again.config) == dict(scheduler.config)
    with pytest.raises(ValueError, match="num_inference_steps must be 5"):
        scheduler.set_timesteps(8)
    with pytest.raises(ValueError, match="timestep must be one of"):
        scheduler.step(torch.zeros(1, 2, 10), 0.123, torch.zeros(1, 2, dtype=torch.long))
    for wrong in ({"kernel": "heun"}, {"prediction_type": "noise"}, {"gain_on": "x0"}, {"gains": [1.0]}):
        with pytest.raises(ValueError, match=r"must (be one of|have one entry a step)"):
            type(scheduler).from_config(dict(config) | wrong)


def test_two_calls_a_step_and_gaussian_noise_are_refused(sampler, tmp_path):
    with pytest.raises(
        InputError, match="sampler must be one of euler, tweedie, tau_leaping on uniform noise"
    ):
        export(sampler(TABLES["plain"], "theta_trapezoidal"), "diffusers", tmp_path / "out")
    with pytest.raises(InputError, match="process must be absorbing or uniform, to be a scheduler"):
        export(sampler(TABLES["plain"], "euler", "digits-gaussian"), "diffusers", tmp_path / "out")
    assert not (tmp_path / "out").exists()
