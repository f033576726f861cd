"""SEDD- and RADD-type backbones: heads, storage, fingerprints, and refusals."""

import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.backbones.ddit_backbone import DDiTBackbone, build, build_network
from lsd_core.backbones.fingerprint import fingerprint
from lsd_core.backbones.protocol import Backbone, log_score, log_weights, log_x0
from lsd_core.backbones.storage import from_bytes, load_file, read_notes, to_bytes
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing
from lsd_core.samplers import generate, uniform_times


def tiny(family: str, seed: int = 0, **more: Any) -> DDiTBackbone:
    """A network with random weights everywhere, the zero-initialised projections too."""
    config: dict[str, Any] = {
        "family": family,
        "process": Absorbing(5).to_dict(),
        "length": 6,
        "dim": 16,
        "num_blocks": 2,
        "num_heads": 2,
        "cond_dim": 8 if family == "sedd" else None,
        "body_dtype": "float32",
        **more,
    }
    network, gen = build_network(config), torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=gen) + (parameter.dim() == 1)
    return DDiTBackbone("tiny", config, network)


X = torch.tensor([[5, 5, 0, 5, 3, 5], [5, 5, 5, 5, 5, 5]])
T = torch.tensor([0.6, 0.9], dtype=torch.float64)


@pytest.mark.parametrize("family", ["sedd", "radd"])
def test_a_backbone_keeps_the_protocol(family: str) -> None:
    backbone = tiny(family)
    assert isinstance(backbone, Backbone)
    assert backbone.features(X, T).shape == (2, 6, 16)
    assert backbone.time_free == backbone.normalised == (family == "radd")


def test_radd_rows_sum_to_one_and_ignore_time() -> None:
    backbone = tiny("radd")
    weights = log_weights(backbone, X, T)
    torch.testing.assert_close(weights.exp().sum(-1), torch.ones(2, 6))
    assert torch.equal(weights, log_weights(backbone, X, T / 2))


def test_sedd_head_is_logits_less_log_v_and_depends_on_time() -> None:
    backbone = tiny("sedd")
    sigma_bar = backbone.process.noise.sigma_bar(T)
    logits = backbone.network(X, sigma_bar)[..., :5]
    torch.testing.assert_close(log_weights(backbone, X, T), logits - math.log(5))
    assert float((log_weights(backbone, X, T) - log_weights(backbone, X, T / 2)).abs().max()) > 1e-3
    # the published form of the output: logits - log(expm1 sigma_bar) - log V, and 0 written at x_t
    score = log_score(backbone, X, T)
    published = logits.double() - torch.log(torch.expm1(sigma_bar))[:, None, None] - math.log(5)
    masked = X == 5
    torch.testing.assert_close(score[..., :5][masked], published[masked])
    assert torch.equal(score.gather(-1, X[..., None]), torch.zeros(2, 6, 1, dtype=torch.float64))


def test_the_head_on_chosen_rows_is_the_head_on_all() -> None:
    backbone = tiny("sedd")
    features = backbone.features(X, T)
    whole = backbone.head(features.flatten(0, 1)).view(2, 6, 5)
    torch.testing.assert_close(backbone.head(features[[0, 1], [3, 2]]), whole[[0, 1], [3, 2]])


def test_log_x0_is_normalised_and_keeps_revealed_tokens() -> None:
    for family in ("sedd", "radd"):
        law = log_x0(tiny(family), X, T).exp()
        torch.testing.assert_close(law.sum(-1), torch.ones(2, 6, dtype=torch.float64))
        assert float(law[0, 2, 0]) == float(law[0, 4, 3]) == 1.0


def test_positions_matter() -> None:
    """Rotary positions: the same neighbours at another distance give another law."""
    backbone = tiny("radd")
    near, far = torch.tensor([[0, 5, 5, 5, 5, 5]]), torch.tensor([[5, 5, 5, 5, 0, 5]])
    left = log_x0(backbone, near, T[:1])[0, 1]
    right = log_x0(backbone, far, T[:1])[0, 1]
    assert float((left - right).abs().max()) > 1e-3


def test_absolute_positions_are_known_where_they_are_embedded() -> None:
    """Rotary angles alone give each of nothing but masks the same distribution."""
    masks = torch.full((1, 6), 5)
    placed = tiny("radd", position_embedding=True)
    rotary, embedded = (log_x0(backbone, masks, T[:1])[0] for backbone in (tiny("radd"), placed))
    torch.testing.assert_close(rotary, rotary[:1].expand(6, -1), atol=1e-5, rtol=0)
    assert float((embedded - embedded[:1]).abs().amax(1)[1:].min()) > 1e-3
    back = from_bytes(to_bytes(placed), "memory")
    assert back.fingerprint == placed.fingerprint
    assert torch.equal(log_x0(back, masks, T[:1])[0], embedded)
    with pytest.raises(InputError, match="position_embedding must be true or false"):
        build("n", {**placed.config, "position_embedding": 1}, placed.tensors())
    with pytest.raises(InputError, match=r"unexpected \['position_embed.embedding'\]"):
        build("n", {**placed.config, "position_embedding": False}, placed.tensors())


@pytest.mark.parametrize("family", ["sedd", "radd"])
def test_a_batch_whose_chains_finish_early_is_sampled(family: str) -> None:
    table = uniform_times(3).with_gains(50.0)
    table = type(table)(times=table.times, gains=table.gains, gain_on="score")
    samples = generate(tiny(family), "euler", table, 3, seed=0, batch=1)
    assert int(samples.tokens.max()) < 5
    assert samples.calls.tolist() == [1, 1, 1]


@pytest.mark.parametrize("family", ["sedd", "radd"])
def test_storage_returns_the_same_backbone(family: str, tmp_path: Path) -> None:
    backbone = tiny(family)
    data = to_bytes(backbone, {"steps": 3})
    back = from_bytes(data, "memory")
    assert back.fingerprint == backbone.fingerprint
    assert back.config == backbone.config
    assert torch.equal(log_weights(back, X, T), log_weights(backbone, X, T))
    assert read_notes(data) == {"steps": 3}
    (tmp_path / "b.safetensors").write_bytes(data)
    assert load_file(tmp_path / "b.safetensors").fingerprint == backbone.fingerprint
    with pytest.raises(InputError, match=r"nowhere\.safetensors"):
        load_file(tmp_path / "nowhere.safetensors")


def test_fingerprint_follows_tensors_and_config_not_bytes() -> None:
    backbone = tiny("sedd")
    seen = {backbone.fingerprint}
    for name, tensor in backbone.tensors().items():
        changed = {**backbone.tensors(), name: tensor.clone()}
        changed[name].view(-1)[-1] += 1e-3
        seen.add(fingerprint(changed, backbone.config))
    for key in backbone.config:
        seen.add(fingerprint(backbone.tensors(), {**backbone.config, key: "other"}))
    assert len(seen) == 1 + len(backbone.tensors()) + len(backbone.config)
    shuffled = dict(reversed(list(backbone.tensors().items())))
    assert fingerprint(shuffled, dict(reversed(list(backbone.config.items())))) == backbone.fingerprint
    assert from_bytes(to_bytes(backbone, {"a note": 1}), "memory").fingerprint == backbone.fingerprint


def test_fingerprint_tells_shapes_and_dtypes_apart() -> None:
    tensor = torch.arange(4.0)
    prints = {
        fingerprint({"w": value}, {})
        for value in (tensor, tensor.view(2, 2), tensor.bfloat16(), tensor.double(), tensor.view(torch.int32))
    }
    assert len(prints) == 5
    assert (
        len(
            {fingerprint({"a": tensor, "b": tensor + 1}, {}), fingerprint({"b": tensor, "a": tensor + 1}, {})}
        )
        == 2
    )
    assert fingerprint({"scalar": torch.tensor(1.0)}, {}) != fingerprint({"scalar": torch.tensor([1.0])}, {})


def test_broken_files_are_refused(tmp_path: Path) -> None:
    data = to_bytes(tiny("radd"))
    header = int.from_bytes(data[:8], "little")
    wrong = {
        "truncated": data[:-10],
        "header cut": data[: 8 + header // 2],
        "empty": b"",
        "pickle": pickle.dumps({"w": [1.0]}),
        "text": b"not a file of weights at all",
        "no config": save({"w": torch.ones(2)}),
        "config a list": save({"w": torch.ones(2)}, {"name": "n", "config": "[]"}),
        "config null": save({"w": torch.ones(2)}, {"name": "n", "config": "null"}),
        "other family": save({"w": torch.ones(2)}, {"name": "n", "config": '{"family": "gpt"}'}),
        "header a list": (2).to_bytes(8, "little") + b"[]",
    }
    for name, content in wrong.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        with pytest.raises(InputError):
            load_file(path)


def test_wrong_tensors_are_named() -> None:
    backbone = tiny("sedd")
    tensors = load(to_bytes(backbone))
    with pytest.raises(InputError, match=r"missing \['blocks.1.attn_qkv.weight'\], unexpected none"):
        build("n", backbone.config, {k: v for k, v in tensors.items() if k != "blocks.1.attn_qkv.weight"})
    with pytest.raises(InputError, match=r"missing none, unexpected \['stray'\]"):
        build("n", backbone.config, {**tensors, "stray": torch.ones(1)})
    with pytest.raises(InputError, match=r"tensor output_layer.linear.bias must have shape \(6,\)"):
        build("n", backbone.config, {**tensors, "output_layer.linear.bias": torch.ones(7)})
    with pytest.raises(InputError, match="backbone config must have exactly the keys"):
        build("n", {**backbone.config, "extra": 1}, tensors)


def test_a_backbone_is_written_with_the_same_bytes_every_time() -> None:
    backbone = exact_backbone("countdown-exact", 8, 4)
    written = {to_bytes(backbone, {"b": 1, "a": 2}) for _ in range(20)}
    assert len(written) == 1
    assert from_bytes(written.pop(), "here").fingerprint == backbone.fingerprint
