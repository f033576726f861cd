"""SEDD, RADD and MDLM from their published layouts give what their description says."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lsd_core.backbones.protocol import Backbone, log_score, log_weights, log_x0
from lsd_core.backbones.published import load_published
from lsd_core.backbones.storage import with_body_dtype
from lsd_core.samplers import generate, uniform_times
from tests.lsd_core.backbones.published import files
from tests.lsd_core.backbones.published.files import HEADS, LENGTH, V, flat_config, nested_config
from tests.lsd_core.backbones.published.transformer import Tensors, logits

MASK = V
X = torch.tensor([[MASK, 3, MASK, MASK, 0, 10, MASK], [MASK] * LENGTH])
T = torch.tensor([0.37, 1.0], dtype=torch.float64)
SIGMA_BAR = -torch.log1p(-(1 - 1e-3) * T)


def published_sedd(p: Tensors) -> Tensor:
    """SEDD's own output: the log-score, scaled by sigma, 0 written at the current token."""
    out = logits(p, X, SIGMA_BAR, HEADS) - torch.log(torch.expm1(SIGMA_BAR))[:, None, None] - math.log(V)
    return out.scatter(-1, X[..., None], 0.0)


def published_radd(p: Tensors) -> Tensor:
    """RADD's own output: log p(x0) in the first V channels."""
    return torch.log_softmax(logits(p, X, None, HEADS)[..., :V], dim=-1)


def published_mdlm(p: Tensors, sigma: Tensor) -> Tensor:
    """MDLM's own output: log p(x0), MASK impossible, revealed tokens certain."""
    bare = {name.removeprefix("backbone."): tensor for name, tensor in p.items()}
    out = logits(bare, X, sigma, HEADS)
    out[..., MASK] = -math.inf
    out = torch.log_softmax(out, dim=-1)[..., :V]
    one_hot = torch.full_like(out, -math.inf).scatter(-1, X.clamp(max=V - 1)[..., None], 0.0)
    return torch.where((X == MASK)[..., None], out, one_hot)


def full_precision(folder: Path) -> Backbone:
    return with_body_dtype(load_published(folder, "small"), "float32")


Case = tuple[
    dict[str, Any],
    Callable[[torch.dtype], Tensors],
    Callable[[Backbone], Tensor],
    Callable[[Tensors], Tensor],
]


def at_masked(value: Tensor) -> Tensor:
    return value[X == MASK][:, :V]


CASES: dict[str, Case] = {
    "sedd": (
        nested_config(),
        lambda dtype: files.sedd_tensors(dtype=dtype),
        lambda b: at_masked(log_score(b, X, T)),
        lambda p: at_masked(published_sedd(p)),
    ),
    "radd": (
        nested_config(type="ddit_wot", dtype="bfloat16"),
        lambda dtype: files.radd_tensors(dtype),
        lambda b: at_masked(log_weights(b, X, T)),
        lambda p: at_masked(published_radd(p)),
    ),
    "mdlm": (
        flat_config(),
        lambda dtype: files.mdlm_tensors(dtype=dtype),
        lambda b: log_x0(b, X, T),
        lambda p: published_mdlm(p, torch.zeros(2)),
    ),
    "mdlm, time-conditioned": (
        flat_config(time_conditioning=True),
        lambda dtype: files.mdlm_tensors(dtype=dtype),
        lambda b: log_x0(b, X, T),
        lambda p: published_mdlm(p, SIGMA_BAR),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_forward_pass_is_the_one_described(case: str, tmp_path: Path) -> None:
    config, tensors, ours, described = CASES[case]
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        written = tensors(dtype)
        folder = files.write_hub(tmp_path / str(dtype), config, written)
        backbone = full_precision(folder)
        assert isinstance(backbone, Backbone)
        assert set(backbone.tensors()) == {name.removeprefix("backbone.") for name in written}
        got, expected = ours(backbone).double(), described(written)
        torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)
        assert float(expected[expected.isfinite()].std()) > 0.5  # the test would see a constant


@pytest.mark.parametrize("case", CASES)
def test_the_half_precision_body_stays_close(case: str, tmp_path: Path) -> None:
    """bfloat16 keeps 8 bits: laws agree to a few per cent, and differ, so the switch does something."""
    config, tensors, ours, _ = CASES[case]
    folder = files.write_hub(tmp_path, config, tensors(torch.float32))
    low, full = load_published(folder, "small"), full_precision(folder)
    assert low.config["body_dtype"] == "bfloat16"
    assert low.fingerprint != full.fingerprint
    a, b = ours(low).exp(), ours(full).exp()
    assert 1e-6 < float((a - b).abs().max() / b.max()) < 0.1


@pytest.mark.parametrize("case", CASES)
def test_normalised_rows_sum_to_one(case: str, tmp_path: Path) -> None:
    config, tensors, _, _ = CASES[case]
    backbone = load_published(files.write_hub(tmp_path, config, tensors(torch.float64)), "small")
    sums = log_weights(backbone, X, T).double().exp().sum(-1)
    assert backbone.normalised == (case != "sedd")
    assert bool(((sums - 1).abs() < 1e-9).all()) == backbone.normalised
    torch.testing.assert_close(log_x0(backbone, X, T).exp().sum(-1), torch.ones(X.shape).double())


def test_sedd_writes_zero_at_the_current_token_and_scales_by_sigma(tmp_path: Path) -> None:
    backbone = full_precision(files.write_hub(tmp_path, nested_config(), files.sedd_tensors()))
    score = log_score(backbone, X, T)
    assert torch.equal(score.gather(-1, X[..., None]), torch.zeros(2, LENGTH, 1).double())
    # at the same tokens and another time, the part that sigma scales moves by log(expm1 / expm1)
    raw = log_weights(backbone, X, T)
    shift = (score[..., :V] - raw)[X == MASK]
    per_row = -torch.log(torch.expm1(SIGMA_BAR))[:, None].expand(X.shape)[X == MASK]
    torch.testing.assert_close(shift, per_row[:, None].expand_as(shift), rtol=0, atol=1e-12)


class AlwaysCalled:
    """A backbone that pretends to depend on time, so that no call is ever saved."""

    time_free = False

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backbone, name)


@pytest.mark.parametrize("case", ["radd", "mdlm"])
@pytest.mark.parametrize("sampler", ["euler", "theta_trapezoidal"])
def test_a_saved_call_never_changes_a_sample(case: str, sampler: str, tmp_path: Path) -> None:
    config, tensors, _, _ = CASES[case]
    backbone = load_published(files.write_hub(tmp_path, config, tensors(torch.float32)), "small")
    assert backbone.time_free
    cached = generate(backbone, sampler, uniform_times(12), 6, seed=3, batch=2)
    called = generate(AlwaysCalled(backbone), sampler, uniform_times(12), 6, seed=3, batch=2)
    assert torch.equal(cached.tokens, called.tokens)
    assert int(cached.calls.sum()) < int(called.calls.sum())
