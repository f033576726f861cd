"""Masked language models of transformers: their own output, whatever stands around the sequence, stored and rebuilt."""

import json

import pytest
import torch

from lsd_core.backbones import storage
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.device import place
from lsd_core.backbones.masked_lm import IMPOSSIBLE
from lsd_core.errors import InputError
from lsd_core.samplers import generate
from lsd_core.samplers.table import uniform_times

transformers = pytest.importorskip("transformers")
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 24,
}
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *RESIDUES]
CONFIGS = {
    "bert": lambda: transformers.BertConfig(vocab_size=32, pad_token_id=0, **SIZES),
    "roberta": lambda: transformers.RobertaConfig(vocab_size=32, pad_token_id=0, **SIZES),
    "esm": lambda: transformers.EsmConfig(
        vocab_size=32,
        pad_token_id=0,
        mask_token_id=4,
        token_dropout=True,
        position_embedding_type="rotary",
        **SIZES,
    ),
    "modernbert": lambda: transformers.ModernBertConfig(
        vocab_size=32, pad_token_id=0, bos_token_id=2, cls_token_id=2, eos_token_id=3, sep_token_id=3, **SIZES
    ),
}


def model_of(kind: str):
    torch.manual_seed(0)
    config = CONFIGS[kind]()
    return transformers.AutoModelForMaskedLM.from_config(config).eval()


@pytest.fixture(params=list(CONFIGS))
def checkpoint(request, tmp_path):
    """(transformers' model, its folder as `save_pretrained` writes it, with a tokenizer of residues)."""
    folder = tmp_path / f"tiny-{request.param}"
    model = model_of(request.param)
    model.save_pretrained(folder)
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    tokenizer = transformers.BertTokenizer(
        str(tmp_path / "vocab.txt"), do_lower_case=False, model_max_length=20
    )
    tokenizer.save_pretrained(folder)
    return model, folder


def states(backbone, count: int = 3) -> torch.Tensor:
    x = torch.randint(5, len(WORDS), (count, backbone.length), generator=torch.Generator().manual_seed(1))
    x[:, ::3] = backbone.process.mask
    return x


def test_log_probabilities_are_those_of_the_model_on_the_sequence_with_its_surroundings(checkpoint):
    model, folder = checkpoint
    backbone = load_backbone(f"{folder}?length=9")
    assert (backbone.length, backbone.process.num_tokens, backbone.mask) == (9, len(WORDS), 4)
    assert (backbone.before, backbone.after) == ([2], [3])
    x = states(backbone)
    inputs = torch.nn.functional.pad(torch.where(x == backbone.process.mask, 4, x), (1, 0), value=2)
    inputs = torch.nn.functional.pad(inputs, (0, 1), value=3)
    with torch.inference_mode():
        theirs = model(input_ids=inputs, attention_mask=torch.ones_like(inputs)).logits[:, 1:-1, : len(WORDS)]
    theirs = theirs.clone()
    theirs[..., :5] = IMPOSSIBLE
    ours = backbone.head(backbone.features(x, torch.ones(3)).flatten(0, 1)).view(theirs.shape)
    assert torch.equal(ours, theirs.log_softmax(-1))
    some = backbone.features(x, torch.ones(3))[1, 2:5]
    torch.testing.assert_close(backbone.head(some), ours[1, 2:5], atol=1e-6, rtol=0)


def test_of_equal_sequences_one_goes_through_the_network(checkpoint):
    backbone = load_backbone(f"{checkpoint[1]}?length=9")
    given = []
    backbone.network.base_model.register_forward_pre_hook(
        lambda module, args, kwargs: given.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    x = torch.full((4, 9), backbone.process.mask)
    assert torch.equal(
        backbone.features(x, torch.ones(4)), backbone.features(x[:1], torch.ones(1)).expand(4, -1, -1)
    )
    x[3, 0] = 7
    apart = backbone.features(x, torch.ones(4))
    assert given == [1, 1, 4]
    assert not torch.equal(apart[3], apart[2])


def test_a_copy_on_another_device_computes_there(checkpoint):
    """Its body and head alike; on `meta`, which every machine has, nothing is computed."""
    _, folder = checkpoint
    placed = place(load_backbone(f"{folder}?length=9"), torch.device("meta"))
    assert {tensor.device.type for tensor in placed.tensors().values()} == {"meta"}
    assert placed.head(torch.empty(3, 16, device="meta")).device.type == "meta"


def test_a_stored_copy_is_the_same_backbone(checkpoint):
    _, folder = checkpoint
    backbone = load_backbone(f"{folder}?length=9")
    copy = storage.from_bytes(storage.to_bytes(backbone), "copy")
    assert copy.fingerprint == backbone.fingerprint
    x = states(backbone)
    assert torch.equal(copy.features(x, torch.ones(3)), backbone.features(x, torch.ones(3)))
    assert len({tensor.data_ptr() for tensor in backbone.tensors().values()}) == len(backbone.tensors())


def test_samples_hold_no_special_token_and_nothing_beyond_the_tokenizer(checkpoint):
    _, folder = checkpoint
    backbone = load_backbone(str(folder))
    assert backbone.length == 18  # of the tokenizer's 20, two stand around
    tokens = generate(backbone, "euler", uniform_times(3), num_samples=40, seed=0).tokens
    assert set(tokens.flatten().tolist()) == set(range(5, len(WORDS)))
    letters = "".join(
        storage.from_bytes(storage.to_bytes(backbone), "copy").config["vocabulary"]["tokens"][5:]
    )
    assert letters == RESIDUES


def test_without_a_tokenizer_mask_and_length_are_asked_for(tmp_path):
    model_of("bert").save_pretrained(tmp_path / "bare")
    with pytest.raises(InputError, match=r"mask of bare must be known.*\?mask=ID"):
        load_backbone(f"{tmp_path}/bare")
    backbone = load_backbone(f"{tmp_path}/bare?mask=4&length=6")
    assert (backbone.length, backbone.process.num_tokens, backbone.never) == (6, 32, [4])
    with pytest.raises(InputError, match=r"length of bare must lie in 1..24, got 25"):
        load_backbone(f"{tmp_path}/bare?mask=4&length=25")
    with pytest.raises(InputError, match=r"mask of bare must lie in 0..31, got 32"):
        load_backbone(f"{tmp_path}/bare?mask=32")
    with pytest.raises(InputError, match="length of bare must be a whole number"):
        load_backbone(f"{tmp_path}/bare?mask=4&length=x")


def test_what_is_no_masked_language_model_of_transformers_is_refused_in_one_line(tmp_path):
    folder = tmp_path / "odd"
    model_of("bert").save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["EvilForMaskedLM"]}))
    with pytest.raises(InputError, match="be a masked language model of the installed transformers"):
        load_backbone(f"{folder}?mask=4")
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 32}))
    with pytest.raises(InputError, match=r"folder .* must hold the weights of its config.json"):
        load_backbone(f"{folder}?mask=4&length=5")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-50])
    with pytest.raises(InputError, match=r"folder .* must hold the weights of its config.json"):
        load_backbone(f"{folder}?mask=4&length=4")


def test_a_head_that_the_file_lacks_is_refused(tmp_path):
    folder, model = tmp_path / "headless", model_of("bert")
    model.bert.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BertForMaskedLM"]}))
    with pytest.raises(InputError, match=r"weights in .* must hold every tensor of the network, got no cls"):
        load_backbone(f"{folder}?mask=4")


def test_options_are_for_networks_that_leave_them_open():
    with pytest.raises(InputError, match="options of countdown must be left out"):
        load_backbone("countdown?length=32")
