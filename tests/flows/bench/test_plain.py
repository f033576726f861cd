"""The engine against the same steps written plainly: identical tokens, and the law they are drawn from."""

import pytest
import torch

from flows.bench.plain import dense_probs, plain_step
from flows.bench.shapes import SHAPES, random_backbone
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.ddit_backbone import DDiTBackbone
from lsd_core.backbones.protocol import Backbone, log_weights
from lsd_core.samplers.euler import Euler, Tweedie
from lsd_core.samplers.loop import generate
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable, cosine_times

TABLES = {
    "log_score": cosine_times(4).with_gains((1.0, 1.5, 0.8, 2.0)),
    "score": StepTable(times=(1.0, 0.6, 0.3, 0.1, 0.0), gains=(1.0, 1.4, 0.7, 1.0), gain_on="score"),
}


@torch.inference_mode()
def agreement(backbone: Backbone, table: StepTable, number: int, batch: int) -> float:
    """Share of trajectories in which the engine and the plain steps end with the same tokens."""
    fast = generate(backbone, "euler", table, number, 5, batch=batch).tokens
    parts = []
    for begin in range(0, number, batch):
        draws = Draws(5, torch.arange(begin, begin + batch))
        x = backbone.process.prior(batch, backbone.length)
        for step in steps_of(table, backbone.length):
            x = plain_step(backbone, Euler(), x, step, draws)
        parts.append(x)
    return float((fast == torch.cat(parts)).all(dim=1).double().mean())


@pytest.mark.parametrize("gain_on", list(TABLES))
@pytest.mark.parametrize("family", ["sedd", "radd", "mdlm"])
@pytest.mark.slow
def test_engine_and_plain_steps_draw_identical_tokens_in_float64(family: str, gain_on: str) -> None:
    backbone = random_backbone(SHAPES["countdown"], family)
    backbone.network.double()
    assert agreement(backbone, TABLES[gain_on], 32, 16) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["countdown-radd"])
def test_and_in_float32_in_999_of_1000_trajectories(name: str) -> None:
    backbone = load_backbone(name)
    assert isinstance(backbone, DDiTBackbone)
    assert {tensor.dtype for tensor in backbone.tensors().values()} == {torch.float32}
    assert agreement(backbone, TABLES["log_score"], 1024, 64) >= 0.999


@pytest.mark.parametrize("method", [Euler(), Tweedie()])
def test_the_law_as_often_written_is_the_engines(method: Euler) -> None:
    backbone = random_backbone(SHAPES["countdown"], "radd")
    x = backbone.process.prior(2, backbone.length)
    x[:, ::3] = torch.arange(len(x[0, ::3])) % backbone.process.num_tokens
    t = torch.full((2,), 0.7, dtype=torch.float64)
    with torch.inference_mode():
        score = log_weights(backbone, x, t).double().exp() * backbone.process.score_scale(t)[0]
        kind = "tweedie" if method.name == "tweedie" else "euler"
        dense = dense_probs(score, x, backbone.process, 0.7, 0.4, kind)
        step = Step(0, 0.7, 0.4, 1.0, "log_score")
        law = method.kernel(MaskedPrediction(backbone, x, backbone.features(x, t)), step).probs
    assert torch.allclose(dense, law, atol=1e-6)
