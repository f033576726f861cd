"""SEDD uniform, Duo and tauLDR from their published layouts give what their description says."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.duo import Duo
from lsd_core.backbones.protocol import DenseBackbone, is_dense
from lsd_core.backbones.publish import fetch, publish
from lsd_core.backbones.published import load_published
from lsd_core.backbones.storage import with_body_dtype
from lsd_core.backbones.tauldr import TauLDR
from lsd_core.errors import InputError
from lsd_core.samplers import generate, uniform_times
from lsd_core.samplers.full import FullPrediction
from lsd_core.storage.store import Store
from tests.lsd_core.backbones.published import files, images
from tests.lsd_core.backbones.published.files import HEADS, LENGTH, V
from tests.lsd_core.backbones.published.transformer import logits

X = torch.tensor([[4, 3, 0, 1, 0, 10, 9], [2] * LENGTH])
T = torch.tensor([0.37, 0.9], dtype=torch.float64)
IMAGES = torch.randint(0, images.STATES, (2, 192), generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "cache"))


def uniform_config() -> dict[str, Any]:
    changed = files.nested_config("uniform", scale_by_sigma=False)
    changed["noise"]["type"] = "geometric"
    return changed


def load(folder: Path) -> DenseBackbone:
    backbone = with_body_dtype(load_published(folder, "small"), "float32")
    assert isinstance(backbone, DenseBackbone)
    assert is_dense(backbone)
    return backbone


PRECISIONS = [(torch.float64, 1e-9), (torch.float32, 1e-4)]


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_sedd_uniform_is_the_one_described(dtype: torch.dtype, tolerance: float, tmp_path: Path) -> None:
    tensors = files.sedd_tensors(states=V, dtype=dtype)
    backbone = load(files.write_hub(tmp_path, uniform_config(), tensors))
    sigma_bar = 1e-4 ** (1 - T) * 20**T
    described = logits(tensors, X, sigma_bar, HEADS).scatter(-1, X[..., None], 0.0)
    score = backbone.score(X, T)
    torch.testing.assert_close(score.log(), described, rtol=tolerance, atol=tolerance)
    assert torch.equal(score.gather(-1, X[..., None]), torch.ones(2, LENGTH, 1).double())
    assert backbone.process.num_states == V
    assert getattr(backbone, "x0_probs", None) is None  # its scores may not come from any law


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_duo_is_the_one_described(dtype: torch.dtype, tolerance: float, tmp_path: Path) -> None:
    tensors = files.mdlm_tensors(states=V + 1, dtype=dtype)
    backbone = load(files.write_hub(tmp_path, files.flat_config("duo"), tensors))
    assert isinstance(backbone, Duo)
    described = duo_output(tensors)
    torch.testing.assert_close(
        backbone.log_x0_of_others(X, T).double(), described, rtol=tolerance, atol=tolerance
    )
    torch.testing.assert_close(backbone.x0_probs(X, T).sum(-1), torch.ones(2, LENGTH).double())


def duo_output(tensors: dict[str, Tensor]) -> Tensor:
    bare = {name.removeprefix("backbone."): tensor for name, tensor in tensors.items()}
    alpha = 1 - (1 - 1e-3) * T
    return torch.log_softmax(logits(bare, X, -torch.log(alpha), HEADS), dim=-1)


def test_duos_tweedie_step_is_its_own_reverse_step(tmp_path: Path) -> None:
    """Its reverse step: the forward posterior q(x_s | x_t, x0) with the output in place of a one-hot x0."""
    tensors = files.mdlm_tensors(states=V + 1)
    backbone = load(files.write_hub(tmp_path, files.flat_config("duo"), tensors))
    assert isinstance(backbone, Duo)
    states, s, t = V + 1, 0.2, 0.37
    p = duo_output(tensors)[:1].exp()
    a_t, a_s = (1 - (1 - 1e-3) * time for time in (t, s))
    here = torch.zeros(1, LENGTH, states).double().scatter(-1, X[:1, :, None], 1.0)
    # q(x_s = y | x_t, x0) = q(x_t | y) q(y | x0) / q(x_t | x0), each alpha [same] + (1 - alpha) / V, linear in x0
    onward = a_t / a_s * here + (1 - a_t / a_s) / states
    reached = a_s * p + (1 - a_s) / states
    norm = a_t * (p * here).sum(-1, keepdim=True) + (1 - a_t) / states
    law = (
        FullPrediction(backbone.process, X[:1], t, given_x0=backbone.x0_probs(X[:1], T[:1])).tweedie(s).probs
    )
    torch.testing.assert_close(law, onward * reached / norm, rtol=1e-9, atol=1e-12)
    score = backbone.score(X[:1], T[:1])
    expected = (a_t * p + (1 - a_t) / states) / norm
    torch.testing.assert_close(score, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_tauldr_is_the_one_described(
    dtype: torch.dtype, tolerance: float, devices: int, tmp_path: Path
) -> None:
    tensors = images.random_tensors(dtype)
    file = images.write(tmp_path / "run", images.config(), tensors, devices=devices)
    backbone = load_published(file, "small")
    assert isinstance(backbone, TauLDR)
    assert set(backbone.tensors()) == set(tensors)
    law, described = backbone.x0_probs(IMAGES, T), images.law(tensors, IMAGES, T)
    torch.testing.assert_close(law.log(), described.log(), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(law.sum(-1), torch.ones(IMAGES.shape).double())
    assert float(described.max(-1).values.std()) > 0.01  # the test would see a constant


def test_tauldr_head_is_apart_and_its_process_is_the_published_one(tmp_path: Path) -> None:
    file = images.write(tmp_path / "run", images.config(), images.random_tensors())
    backbone = load_published(file, "small")
    assert isinstance(backbone, TauLDR)
    rows = backbone.features(IMAGES, T)
    assert rows.shape == (2, 192, 2)
    some = backbone.head(rows[[0, 1], [5, 100]])
    torch.testing.assert_close(some.exp(), backbone.x0_probs(IMAGES, T)[[0, 1], [5, 100]])
    record = backbone.process.to_dict()
    assert (record["rate_sigma"], record["prior_sigma"]) == (6.0, 512.0)
    assert record["noise"] == {"kind": "exponential", "scale": 3.0, "base": 100.0}


@pytest.mark.parametrize("family", ["sedd-uniform", "duo", "tauldr"])
def test_it_samples_is_stored_and_comes_back(family: str, tmp_path: Path) -> None:
    if family == "tauldr":
        path = images.write(tmp_path / "run", images.config(), images.random_tensors(torch.float32))
    elif family == "duo":
        path = files.write_hub(
            tmp_path / "run", files.flat_config("duo"), files.mdlm_tensors(dtype=torch.float32)
        )
    else:
        tensors = files.sedd_tensors(states=V, dtype=torch.float32)
        path = files.write_hub(tmp_path / "run", uniform_config(), tensors)
    backbone = load_backbone(str(path))
    assert (backbone.family, backbone.name) == (family, "run")
    samples = generate(backbone, "tweedie", uniform_times(3), 2, seed=0, batch=2)
    assert samples.tokens.shape == (2, backbone.length)
    assert int(samples.calls.max()) <= 3
    store = Store(str(tmp_path / "store"))
    publish(backbone, store)
    back = fetch(backbone.fingerprint, store)
    assert torch.equal(generate(back, "tweedie", uniform_times(3), 2, seed=0, batch=2).tokens, samples.tokens)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"fix_logistic": True}, r"model.fix_logistic in .* must be false, as published"),
        ({"skip_rescale": False}, r"model.skip_rescale in .* must be true, as published"),
        ({"ch_mult": [1, 2]}, r"model.ch_mult in .* must be 3 integers >= 1, got \[1, 2\]"),
        ({"data_min_max": [0, 255]}, r"model.data_min_max in .* must be \[0, 15\]"),
        (
            {"scale_count_to_put_attn": 0},
            r"missing \['net\..*1\.GroupNorm_0\.bias'\], unexpected \['net\..*1\.conv0\.bias'\]",
        ),
        ({"ch": 16}, r"tensor net\..* must have shape"),
    ],
)
def test_an_image_model_that_does_not_fit_is_refused(
    change: dict[str, Any], told: str, tmp_path: Path
) -> None:
    file = images.write(tmp_path / "run", images.config(**change), images.random_tensors())
    with pytest.raises(InputError, match=told):
        load_published(file, "small")


def test_transformers_of_another_process_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scale_by_sigma in .* must be false on the uniform graph"):
        load_published(
            files.write_hub(tmp_path / "a", files.nested_config("uniform"), files.sedd_tensors(V)), "b"
        )
    with pytest.raises(InputError, match=r"graph.type in .* must be absorb, got star"):
        load_published(
            files.write_hub(tmp_path / "b", files.nested_config("star"), files.sedd_tensors()), "b"
        )
    changed = files.flat_config("duo") | {"causal": False, "time_conditioning": False}
    with pytest.raises(InputError, match=r"time_conditioning in .* must be true"):
        load_published(files.write_hub(tmp_path / "c", changed, files.mdlm_tensors()), "b")
