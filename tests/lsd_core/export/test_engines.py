"""Configurations of other programs' samplers: the same rule as the card's, or refused."""

import json
from types import SimpleNamespace

import pytest
import torch

from lsd_core.backbones.protocol import log_weights
from lsd_core.errors import InputError
from lsd_core.export.engines import lmdeploy_config
from lsd_core.export.formats import export
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.sampler import LoadedSampler
from lsd_core.samplers.categorical import draw_power
from lsd_core.samplers.table import StepTable

EQUAL = StepTable(counts=(64, 48, 32, 16, 0))
COOLED = StepTable(counts=EQUAL.counts, gains=(1.25,) * 4)
UNEVEN = StepTable(counts=(64, 42, 21, 0), gains=(1.25,) * 3)


@pytest.fixture
def sampler(loaded):
    """A sampler of a shipped network that is told no time, with a table of choice."""

    def make(table: StepTable, base: str = "confidence_drawn", name: str = "countdown-radd") -> LoadedSampler:
        return loaded(table, base, name)

    return make


@pytest.mark.parametrize("table", [EQUAL, COOLED, UNEVEN], ids=["equal", "cooled", "a remainder"])
def test_the_llada2_pipeline_of_diffusers_draws_our_tokens_from_the_same_uniforms(
    sampler, tmp_path, monkeypatch, table
):
    """Its own pipeline and scheduler around our network; only its random numbers are replaced."""
    diffusers = pytest.importorskip("diffusers")
    ours, n, seed = sampler(table), 8, 11
    backbone, mask = ours.backbone, ours.backbone.process.mask
    export(ours, "llada2", tmp_path)
    calls = []

    class Network(torch.nn.Module):
        dtype, device = torch.float64, torch.device("cpu")

        def forward(self, x, attention_mask, position_ids):
            calls.append(x)
            logits = log_weights(backbone, x, torch.ones(n, dtype=torch.float64))
            return SimpleNamespace(logits=logits.double())

    def by_inversion(probs, num_samples, generator=None):
        uniform = uniform_grid(seed, torch.arange(n), len(calls) - 1, backbone.length, Purpose.TOKEN)
        return draw_power(probs.log(), 1.0, uniform.flatten())[:, None]

    monkeypatch.setattr(torch, "multinomial", by_inversion)
    scheduler = diffusers.BlockRefinementScheduler.from_pretrained(tmp_path)
    pipeline = diffusers.LLaDA2Pipeline(model=Network(), scheduler=scheduler, tokenizer=None)
    pipeline.set_progress_bar_config(disable=True)
    call = json.loads((tmp_path / "call.json").read_text())
    nothing = torch.zeros(n, 0, dtype=torch.long)
    drawn = pipeline(input_ids=nothing, mask_token_id=mask, output_type="seq", **call).sequences
    assert len(calls) == table.num_steps
    assert torch.equal(drawn, ours.sample(n, seed=seed))


@pytest.mark.parametrize("base", ["confidence_drawn", "left_to_right"])
def test_lmdeploy_unmasks_our_tokens_given_the_same_draws(sampler, base):
    """Its unmasking, given the tokens that we draw; skipped where it is not installed."""
    unmasking = pytest.importorskip("lmdeploy.pytorch.strategies.dllm.unmasking")
    from lmdeploy.messages import GenerationConfig, PytorchEngineConfig
    from lmdeploy.pytorch.config import MiscConfig

    ours, n, seed = sampler(COOLED, base), 8, 11
    backbone, mask, length = ours.backbone, ours.backbone.process.mask, ours.backbone.length
    config = lmdeploy_config(ours)
    generation = GenerationConfig(**config["generation"])
    dllm = MiscConfig.from_engine_config(PytorchEngineConfig(**config["engine"])).dllm_config
    unmask = unmasking.UnmaskingProcessor(dllm)
    x = torch.full((n, length), mask)
    state = torch.full((n * length,), unmasking.DLLM_MASKED)
    for step in range(4):
        anew = step if base == "confidence_drawn" else 0
        uniform = uniform_grid(seed, torch.arange(n), anew, length, Purpose.TOKEN).flatten()
        logits = (
            log_weights(backbone, x, torch.ones(n, dtype=torch.float64)).double() / generation.temperature
        )
        tokens = draw_power(logits.flatten(0, 1), 1.0, uniform)
        state, tokens = unmask(logits.flatten(0, 1), x.flatten(), tokens, state)
        x = torch.where(state == unmasking.DLLM_MASKED, mask, tokens).view(n, length)
    assert torch.equal(x, ours.sample(n, seed=seed))


def test_lmdeploy_is_told_the_rule_the_steps_and_one_temperature(sampler, tmp_path):
    export(sampler(COOLED), "lmdeploy", tmp_path)
    config = json.loads((tmp_path / "lmdeploy.json").read_text())
    assert config["engine"] == {
        "dllm_block_length": 64,
        "dllm_unmasking_strategy": "low_confidence_static",
        "dllm_denoising_steps": 4,
    }
    assert config["generation"]["temperature"] == 0.8
    assert (config["generation"]["do_sample"], config["generation"]["top_k"]) == (True, 0)


REFUSED = {
    "a rule that decides before the draw": (EQUAL, "threshold", "sampler must be confidence_drawn"),
    "counts of its own": (StepTable(counts=(64, 60, 40, 0)), "confidence_drawn", "counts must fall by equal"),
    "gains a step": (
        StepTable(counts=EQUAL.counts, gains=(1.0, 1.0, 1.0, 2.0)),
        "confidence_drawn",
        "gains must be one for all steps",
    ),
}


@pytest.mark.parametrize("to", ["lmdeploy", "llada2"])
@pytest.mark.parametrize("case", list(REFUSED))
def test_a_card_without_a_counterpart_is_refused_before_anything_is_written(sampler, tmp_path, to, case):
    table, base, said = REFUSED[case]
    with pytest.raises(InputError, match=said):
        export(sampler(table, base), to, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("to", ["lmdeploy", "llada2"])
def test_a_network_that_is_told_the_time_is_refused(sampler, tmp_path, to):
    with pytest.raises(InputError, match="backbone must need no time"):
        export(sampler(EQUAL, name="countdown"), to, tmp_path)


def test_what_an_engine_would_round_is_refused(sampler, tmp_path):
    with pytest.raises(InputError, match="length must be divided by the steps"):
        export(sampler(UNEVEN), "lmdeploy", tmp_path)
    with pytest.raises(InputError, match="counts must take the larger of its steps first"):
        export(sampler(StepTable(counts=(64, 43, 22, 0))), "llada2", tmp_path)
    with pytest.raises(InputError, match=r"gain must be at least 0\.5 for LMDeploy"):
        export(sampler(StepTable(counts=EQUAL.counts, gains=(0.25,) * 4)), "lmdeploy", tmp_path)
