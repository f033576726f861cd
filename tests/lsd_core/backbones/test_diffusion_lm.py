"""LLaDA and Dream from folders as published: an independent derivation's logits, shards, stored copies, refusals."""

import json
from pathlib import Path

import pytest
import torch

from lsd_core.backbones import storage
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.masked_lm import IMPOSSIBLE
from lsd_core.errors import InputError
from lsd_core.samplers import generate
from lsd_core.samplers.table import uniform_times
from tests.lsd_core.backbones import diffusion_lms
from tests.lsd_core.backbones.diffusion_lms import MASK, V

pytest.importorskip("transformers")
LENGTH, COUNT = 9, 34


@pytest.fixture(params=["llada", "dream"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def states(backbone) -> torch.Tensor:
    x = torch.randint(0, MASK, (3, LENGTH), generator=torch.Generator().manual_seed(1))
    x[:, ::2] = backbone.process.mask
    return x


@pytest.mark.parametrize("sharded", [False, True])
def test_logits_are_those_of_the_papers(kind: str, sharded: bool, tmp_path: Path) -> None:
    folder = diffusion_lms.write(tmp_path / "net", kind, sharded=sharded)
    added = {str(number): {"content": f"<{number}>"} for number in (MASK, COUNT - 1)}
    (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    (folder / "tokenization.py").write_text("raise RuntimeError('executed')")
    backbone = load_backbone(f"{folder}?length={LENGTH}")
    assert (backbone.family, backbone.length, backbone.process.num_tokens) == (kind, LENGTH, COUNT)
    assert (backbone.mask, backbone.never) == (MASK, [MASK])
    x = states(backbone)
    theirs = diffusion_lms.logits(kind, torch.where(x == COUNT, MASK, x))[..., :COUNT]
    theirs[..., MASK] = IMPOSSIBLE
    ours = backbone.head(backbone.features(x, torch.ones(3)).flatten(0, 1)).view(theirs.shape)
    written = [token for token in range(COUNT) if token != MASK]
    expected = theirs.log_softmax(-1)[..., written]
    torch.testing.assert_close(ours.double()[..., written], expected, atol=1e-4, rtol=0)
    assert float(ours[..., MASK].max()) < IMPOSSIBLE / 2
    assert float(expected.std()) > 0.5  # the comparison is of something
    copy = storage.from_bytes(storage.to_bytes(backbone), "copy")
    assert copy.fingerprint == backbone.fingerprint
    assert torch.equal(copy.features(x, torch.ones(3)), backbone.features(x, torch.ones(3)))


def test_without_a_tokenizer_the_published_mask_is_known(kind: str, tmp_path: Path) -> None:
    folder = diffusion_lms.write(tmp_path / "net", kind, mask_token_id=None)
    number = {"llada": 126336, "dream": 151666}[kind]
    with pytest.raises(InputError, match=f"mask of net must lie in 0..{V - 1}, got {number}"):
        load_backbone(str(folder))
    backbone = load_backbone(f"{folder}?mask=3&length=5")
    assert (backbone.mask, backbone.process.num_tokens) == (3, V)
    tokens = generate(backbone, "euler", uniform_times(2), num_samples=50, seed=0).tokens
    assert 3 not in tokens.flatten().tolist()
    assert int(tokens.max()) < V


def test_half_precision_stays_and_can_be_left(kind: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    folder = diffusion_lms.write(tmp_path / "net", kind)
    half = {name: tensor.bfloat16() for name, tensor in diffusion_lms.tensors(kind).items()}
    save_file(half, folder / "model.safetensors")
    backbone = load_backbone(f"{folder}?length={LENGTH}")
    assert backbone.config["body_dtype"] == "bfloat16"
    assert {tensor.dtype for tensor in backbone.tensors().values()} == {torch.bfloat16}
    x = states(backbone)
    log_p = backbone.head(backbone.features(x, torch.ones(3)).flatten(0, 1))
    assert log_p.dtype == torch.float32
    full = load_backbone(f"{folder}?length={LENGTH}&body_dtype=float32")
    assert full.fingerprint != backbone.fingerprint
    assert full.features(x, torch.ones(3)).dtype == torch.float32


def test_what_is_another_network_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    changed = {"llada": {"block_type": "sequential"}, "dream": {"use_sliding_window": True}}[kind]
    (field,) = changed
    with pytest.raises(InputError, match=f"{field} in .* must be"):
        load_backbone(str(diffusion_lms.write(tmp_path / "other", kind, **changed)))
    folder = diffusion_lms.write(tmp_path / "short", kind, sharded=True)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match=r"shards of .* must lie beside it, got no model-00002-of-00002"):
        load_backbone(f"{folder}?length=4")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../elsewhere.safetensors"}}))
    with pytest.raises(InputError, match="hold weight_map, the file of each tensor in its own folder"):
        load_backbone(f"{folder}?length=5")
    wide = diffusion_lms.write(
        tmp_path / "wide", kind, **{"llada": {"n_layers": 3}, "dream": {"num_hidden_layers": 3}}[kind]
    )
    with pytest.raises(InputError, match=rf"tensors in wide must be those of a {kind} network, got missing"):
        load_backbone(f"{wide}?length=5")
