"""SDTT, DiDi-Instruct and Duo's distilled weights in their published layouts: the forward pass, and what is refused."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.duo import Duo
from lsd_core.backbones.protocol import log_x0
from lsd_core.backbones.published import load_published
from lsd_core.backbones.storage import with_body_dtype
from lsd_core.errors import InputError
from tests.lsd_core.backbones.published import files
from tests.lsd_core.backbones.published.files import BLOCKS, COND, DIM, HEADS, LENGTH, V
from tests.lsd_core.backbones.published.transformer import Tensors, logits, random_tensors

T = torch.tensor([0.37, 1.0], dtype=torch.float64)
GPT2 = 50257
MODEL = {
    "name": "small",
    "type": "ddit-orig",
    "hidden_size": DIM,
    "cond_dim": COND,
    "length": LENGTH,
    "n_blocks": BLOCKS,
    "n_heads": HEADS,
    "scale_by_sigma": True,
    "dropout": 0.1,
    "tie_word_embeddings": False,
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "cache"))


def sdtt_config(**changes: Any) -> dict[str, Any]:
    """The configuration of training that SDTT puts beside its weights."""
    return {
        "mode": "train",
        "time_conditioning": False,
        "T": 1024,
        "tokenizer": {"name": "gpt2"},
        "noise": {"type": "loglinear"},
        "training": {"ema": 0.9999},
        "data": {"train": "openwebtext-train"},
        "parameterization": {"name": "multi-round-sdtt", "start_from_hf": True, "num_distill_steps": 2},
        "model": MODEL,
    } | changes


def didi_config(**algo: Any) -> dict[str, Any]:
    """The configuration that DiDi-Instruct builds its network from, and the number of its states."""
    known = {"name": "didi_instruct", "backbone": "dit", "parameterization": "subs", "T": 0}
    known |= {"time_conditioning": False, "causal_attention": False, "subs_masking": False}
    return {"algo": known | algo, "model": MODEL, "vocab_size": V + 1}


def tensors(states: int, prefix: str, dtype: torch.dtype) -> Tensors:
    return random_tensors(
        states=states, dim=DIM, blocks=BLOCKS, heads=HEADS, cond=COND, prefix=prefix, dtype=dtype
    )


def described(written: Tensors, prefix: str, x: Tensor, mask: int) -> Tensor:
    """log p(x0) at the masked positions: sigma is 0, and MASK is impossible."""
    bare = {name.removeprefix(prefix): tensor for name, tensor in written.items()}
    out = logits(bare, x, torch.zeros(len(x)), HEADS)
    out[..., mask] = -math.inf
    return torch.log_softmax(out, dim=-1)[..., :mask][x == mask]


LAYOUTS = {
    "sdtt": (sdtt_config(), "backbone.", GPT2),
    "sdtt from the hub's teacher": (sdtt_config(), "backbone.backbone.", GPT2),
    "didi-instruct": (didi_config(), "", V),
    "didi-instruct, a checkpoint of training": (didi_config(), "backbone.", V),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_it_is_mdlms_network_under_the_published_names(case: str, tmp_path: Path) -> None:
    config, prefix, mask = LAYOUTS[case]
    x = torch.tensor([[mask, 3, mask, mask, 0, 10, mask], [mask] * LENGTH])
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        written = tensors(mask + 1, prefix, dtype)
        folder = files.write_hub(tmp_path / str(dtype), config, written)
        backbone = with_body_dtype(load_published(folder, "small"), "float32")
        assert (backbone.family, backbone.process.num_tokens, backbone.length) == ("mdlm", mask, LENGTH)
        got, expected = log_x0(backbone, x, T)[x == mask].double(), described(written, prefix, x, mask)
        torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)
        assert float(expected.std()) > 0.5  # the test would see a constant
        assert getattr(backbone, "task", None) == ("openwebtext" if "sdtt" in case else None)


def test_a_checkpoint_of_training_gives_its_averages(tmp_path: Path) -> None:
    averages = tensors(V + 1, "backbone.", torch.float32)
    raw = {name: tensor + (not name.endswith("inv_freq")) for name, tensor in averages.items()}
    shadow = [tensor for name, tensor in averages.items() if not name.endswith("inv_freq")]
    published = files.write_hub(tmp_path / "hub", didi_config(), averages)
    run = files.write_hub(tmp_path / "run", didi_config(), averages)
    (run / "model.safetensors").unlink()
    torch.save({"state_dict": raw, "ema": {"decay": 0.9999, "shadow_params": shadow}}, run / "didi.ckpt")
    assert load_published(run, "b").fingerprint == load_published(published, "b").fingerprint


def test_duos_distilled_weights_are_duos_layout(tmp_path: Path) -> None:
    """`s-sahoo/duo-distilled` has the configuration of `s-sahoo/duo`, without time_conditioning, which is always on."""
    config = files.flat_config("duo", causal=False, var_min=True)
    del config["time_conditioning"]
    written = files.mdlm_tensors(dtype=torch.float32)
    backbone = load_backbone(
        f"{files.write_hub(tmp_path / 'duo-distilled', config, written)}?body_dtype=float32"
    )
    assert isinstance(backbone, Duo)
    x = torch.tensor([[4, 3, 0, 1, 0, 10, 9], [2] * LENGTH])
    bare = {name.removeprefix("backbone."): tensor for name, tensor in written.items()}
    sigma = -torch.log(1 - (1 - 1e-3) * T)
    expected = torch.log_softmax(logits(bare, x, sigma, HEADS), dim=-1)
    torch.testing.assert_close(backbone.log_x0_of_others(x, T).double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (sdtt_config(is_di4c=True), "is_di4c in .* must be false: Di4C mixes over a latent"),
        (sdtt_config(tokenizer={"name": "bert"}), "tokenizer in .* must be gpt2, got bert; write vocab_size"),
        (
            sdtt_config(parameterization={"name": "ar"}),
            "parameterization.name in .* must be multi-round-sdtt, got ar",
        ),
        (didi_config(parameterization="mean"), "algo.parameterization in .* must be subs, got mean"),
        (didi_config(causal_attention=True), "algo.causal_attention in .* must be false, got True"),
    ],
)
def test_what_the_same_configuration_also_describes_is_refused(
    config: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=told) as refusal:
        load_published(files.write_hub(tmp_path, config, tensors(V + 1, "backbone.", torch.float32)), "b")
    assert "\n" not in str(refusal.value)


def test_di4cs_latent_is_refused_where_the_configuration_is_silent(tmp_path: Path) -> None:
    written = tensors(V + 1, "backbone.", torch.float32)
    written["backbone.latent_projection.0.weight"] = torch.zeros(512, 128)
    folder = files.write_hub(tmp_path, sdtt_config(vocab_size=V + 1), written)
    with pytest.raises(InputError, match=r"unexpected \['backbone\.latent_projection\.0\.weight'\]"):
        load_published(folder, "b")
    assert json.loads((folder / "config.json").read_text())["parameterization"]["name"] == "multi-round-sdtt"
