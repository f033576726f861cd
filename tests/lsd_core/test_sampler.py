"""Loading: a card and its backbone from wherever they are, refused unless they belong together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.backbones.publish import publish
from lsd_core.backbones.vocabulary import written
from lsd_core.errors import InputError
from lsd_core.registry import register
from lsd_core.sampler import LoadedSampler, load_sampler
from lsd_core.samplers import generate
from lsd_core.samplers.prompts import given_tokens
from lsd_core.storage.store import Store


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def store(tmp_path, tiny_backbone):
    """A store that holds the tiny backbone."""
    made = Store(str(tmp_path / "store"))
    publish(tiny_backbone, made)
    return made


def write_card(store: Store, card) -> str:
    store.write_bytes("cells/0123/card.json", card.to_json().encode())
    return f"{store.url}/cells/0123/card.json"


def test_samples_are_those_of_the_card(make_card, tiny_backbone):
    card = make_card()
    tokens = LoadedSampler(card, tiny_backbone).sample(16, seed=3)
    assert tokens.shape == (16, 6)
    assert tokens.dtype == torch.int64
    assert tokens.device.type == "cpu"
    assert torch.equal(tokens, generate(tiny_backbone, "euler", card.table, 16, 3).tokens)
    other = LoadedSampler(make_card(table=card.table.with_gains((1.0, 9.0))), tiny_backbone)
    assert not torch.equal(tokens, other.sample(16, seed=3))
    assert not torch.equal(tokens, LoadedSampler(card, tiny_backbone).sample(16, seed=4))


def test_more_samples_begin_with_the_fewer(make_card, tiny_backbone):
    sampler = LoadedSampler(make_card(), tiny_backbone)
    assert torch.equal(sampler.sample(400)[:16], sampler.sample(16))


def test_another_backbone_refuses_to_sample(make_card):
    with pytest.raises(InputError, match="fingerprint of backbone tiny"):
        LoadedSampler(make_card(), exact_backbone("tiny", length=6, num_values=5))


def test_a_card_on_a_store_leads_to_its_backbone(make_card, store, lsd_home):
    path = write_card(store, make_card())
    sampler = load_sampler(path)
    assert sampler.nfe == 2
    assert repr(sampler).startswith("LoadedSampler(tiny nfe2 euler lsd, seed 1, card ")
    assert torch.equal(load_sampler(Path(path).parent).sample(4), sampler.sample(4))
    os.chdir(Path(path).parent)
    assert torch.equal(load_sampler("card.json", store=store.url).sample(4), sampler.sample(4))


def test_the_shipped_backbone_needs_no_store(make_card, tmp_path, lsd_home):
    exact = exact_backbone("countdown-exact", length=64)
    backbone = {"name": exact.name, "fingerprint": exact.fingerprint, "family": exact.family}
    path = tmp_path / "card.json"
    path.write_text(make_card(backbone=backbone, process=exact.process.to_dict()).to_json())
    assert load_sampler(path).sample(2).shape == (2, 64)


def test_a_missing_backbone_names_fingerprint_and_stores(make_card, tmp_path, tiny_backbone, lsd_home):
    path = tmp_path / "card.json"
    path.write_text(make_card().to_json())
    with pytest.raises(InputError) as caught:
        load_sampler(path, store=str(tmp_path / "elsewhere"))
    for part in (tiny_backbone.fingerprint, str(tmp_path / "elsewhere"), "--store or LSD_STORE"):
        assert part in str(caught.value)


def test_a_given_store_is_the_only_one_asked(make_card, store, tmp_path, monkeypatch, lsd_home):
    path = write_card(store, make_card())
    with pytest.raises(InputError):
        load_sampler(path, store=str(tmp_path / "elsewhere"))
    monkeypatch.setenv("LSD_STORE", str(tmp_path / "elsewhere"))
    assert load_sampler(path).nfe == 2  # a variable that leads nowhere is no obstacle


@pytest.mark.parametrize("uri", ["nowhere/card.json", "nowhere", "/nowhere/card.json"])
def test_a_missing_card_says_what_would_do(uri, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"uri must be models:/NAME@ALIAS, .* of a card\.json"):
        load_sampler(uri)


@pytest.mark.slow
def test_sampling_from_an_empty_folder_with_registry_and_store_only(
    make_card, store, tmp_path, tiny_backbone
):
    database = f"sqlite:///{tmp_path / 'registry' / 'mlflow.db'}"
    uri = register(make_card(), tracking_uri=database, store_url=store.url)
    empty = tmp_path / "empty"
    empty.mkdir()
    code = (
        "from lsd_core import load_sampler\n"
        f"print(load_sampler({uri!r}).sample(num_samples=3, seed=0).tolist())"
    )
    root = Path(__file__).parents[2]
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(empty),
        "PYTHONPATH": str(root),
        "LSD_TRACKING_URI": database,
    }
    run = subprocess.run([sys.executable, "-c", code], cwd=empty, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    expected = generate(tiny_backbone, "euler", make_card().table, 3, 0).tokens.tolist()
    assert run.stdout.strip() == str(expected)
    assert run.stderr == ""  # quiet, too
    assert not (empty / "lsd-data").exists()
    assert not (empty / "mlruns").exists()


def test_the_package_offers_load_sampler_at_its_top():
    import lsd_core

    assert lsd_core.load_sampler is load_sampler
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        lsd_core.nonsense  # noqa: B018


def test_a_prompt_and_a_template_are_kept(make_card, tiny_backbone):
    sampler = LoadedSampler(make_card(), tiny_backbone)
    tokens = sampler.sample(8, seed=3, prompt="3 2")
    assert tokens[:, :2].tolist() == [[3, 2]] * 8
    assert torch.equal(tokens, sampler.sample(8, seed=3, prompt=[3, 2]))
    filled = sampler.sample(8, seed=3, infill="_ 1 _ _ 0")
    assert (filled[:, 1].tolist(), filled[:, 4].tolist()) == ([1] * 8, [0] * 8)
    assert torch.equal(filled, sampler.sample(8, seed=3, infill=[None, 1, None, None, 0, None]))
    assert torch.equal(sampler.sample(4), sampler.sample(4, prompt=[]))
    assert sampler.write(tokens[:1]) == [" ".join(map(str, tokens[0].tolist()))]
    for wrong in ({"prompt": "3 x"}, {"prompt": "3 _"}, {"prompt": "4"}, {"prompt": "1", "infill": "2"}):
        with pytest.raises(InputError):
            sampler.sample(1, **wrong)


def test_text_is_given_and_written_in_the_backbones_own_tokens():
    backbone = exact_backbone("letters", length=6, num_values=4)
    backbone.config = backbone.config | {"vocabulary": {"tokens": ["a", "b", "_", ""], "separator": ""}}
    assert given_tokens(backbone, infill="a_b").tolist() == [0, 4, 1, 4, 4, 4]
    assert given_tokens(backbone, infill="a_?", blank="?").tolist() == [0, 2, 4, 4, 4, 4]
    assert given_tokens(backbone, prompt="ba_").tolist() == [1, 0, 2, 4, 4, 4]
    assert written(backbone.config, torch.tensor([[1, 0, 2, 3, 3, 3]])) == ["ba_"]
    with pytest.raises(InputError, match="prompt must be written in the backbone's tokens"):
        given_tokens(backbone, prompt="abc")
