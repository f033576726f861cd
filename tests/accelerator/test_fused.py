"""On a GPU fused kernels do what plain operations do: uniforms bit for bit, tokens and costs within stated errors."""

from importlib.util import find_spec

import pytest
import torch

from lsd_core.numerics import fused, randomness
from lsd_core.paths import rows as rowwise
from lsd_core.samplers import categorical
from lsd_core.samplers.categorical import NEAR, fused_draw, fuses
from tests.lsd_core.fused_cases import (
    ALMOST_ONE,
    at_boundaries,
    differing_tokens,
    differing_uniforms,
    rows,
    wrong_divergences,
    wrong_log_probs,
    wrong_tokens,
)

if not torch.cuda.is_available() or find_spec("triton") is None:
    pytest.skip("no GPU, or no Triton", allow_module_level=True)

CUDA = torch.device("cuda", 0)
TYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def test_the_kernels_agree_with_the_plain_path_on_this_gpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fused, "_found", {})
    assert fuses(CUDA, 1.0)
    assert fused.usable("uniforms", CUDA, randomness._difference)
    assert rowwise.fuses(CUDA)
    assert not caplog.records


def test_uniforms_are_the_plain_ones_bit_for_bit() -> None:
    assert differing_uniforms("cuda") == 0


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("tokens", [1, 7, 1000, 2048, 2049, 50257, 262_144])
def test_draws_are_inversion_within_the_bound(tokens: int, dtype: torch.dtype) -> None:
    log_weights = rows(64, tokens, dtype).to(CUDA)
    uniform = torch.linspace(0, ALMOST_ONE, 64, dtype=torch.float64, device=CUDA)
    for power in (0.7, 1.0, 2.5):
        assert wrong_tokens(fused_draw, log_weights, power, uniform) == 0


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("tokens", [1, 7, 1000, 2048, 2049, 50257, 262_144])
def test_costs_are_exact_within_their_stated_error(tokens: int, dtype: torch.dtype) -> None:
    log_q = rows(64, tokens, dtype).to(CUDA)
    gains = torch.linspace(0.3, 3.0, 64, dtype=torch.float64, device=CUDA)[:, None]
    for gain in (0.7, gains):
        assert wrong_log_probs(log_q, gain) == 0
        for log_p in (log_q, 0.8 * log_q, log_q.roll(3, 0)):
            assert wrong_divergences(log_q, gain, log_p, 1.0) == 0
    log_q[5, tokens // 2] = torch.nan
    assert rowwise.fused_kl(log_q, 1.0, log_q, 1.0).isnan().nonzero()[:, 0].tolist() == [5]


@pytest.mark.parametrize("dtype", TYPES)
def test_farther_than_the_bound_from_a_boundary_the_token_is_certain(dtype: torch.dtype) -> None:
    for shift in (1.01 * NEAR, -1.01 * NEAR):
        log_weights, uniform, index = at_boundaries(rows(2000, 3000, dtype).to(CUDA), 1.7, shift)
        assert len(index) > 1000
        assert torch.equal(fused_draw(log_weights, 1.7, uniform), index)


def test_nearly_all_tokens_are_those_of_the_plain_path() -> None:
    """A spread-out distribution has most boundaries: 50257 of them, each of them wrong by 1e-7 at most."""
    log_weights = rows(4096, 50257, torch.float32, scale=1.0).to(CUDA)
    uniform = torch.rand(4096, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(CUDA)
    assert differing_tokens(fused_draw, log_weights, 1.0, uniform) <= 8


def test_the_impossible_is_never_drawn() -> None:
    log_weights = torch.full((5, 8192), -torch.inf, device=CUDA)
    log_weights[:, [2648, 6143]] = 0.0
    uniform = torch.tensor([0.0, 0.4999999, 0.5, 0.9999999, ALMOST_ONE], dtype=torch.float64, device=CUDA)
    assert fused_draw(log_weights, 1.0, uniform).tolist() == [2648, 2648, 6143, 6143, 6143]
    log_weights[1], log_weights[3, 5] = -torch.inf, torch.nan
    assert (fused_draw(log_weights, 1.0, uniform) < 0).tolist() == [False, True, False, True, False]
    assert int(categorical.draw_power(log_weights, 1.0, uniform).min()) >= 0
