"""Register, samplers, pick, promote, rollback and export, as they are typed, against a real MLflow server."""

import json
from pathlib import Path

import pytest

from flows.cli import main
from flows.pipeline.champions import remember_champions
from lsd_core.backbones.publish import publish
from lsd_core.cards import SamplerCard
from lsd_core.sampler import load_sampler
from lsd_core.storage.store import Store
from tests.lsd_core.conftest import make_card, tiny_backbone  # noqa: F401

pytestmark = pytest.mark.servers
NAME = "picked"


@pytest.fixture
def typed(served_registry, capsys):
    """Runs a command against the server and returns what it printed."""

    def run(*arguments: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--registry", served_registry])
        printed = capsys.readouterr()
        assert ended.value.code == code, printed.err
        return printed.err if code == 2 else printed.out

    return run


@pytest.fixture
def store(tmp_path: Path, monkeypatch, make_card, tiny_backbone) -> Store:  # noqa: F811
    """A store with three cards, the first of which holds `nfe2`."""
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LSD_HOME", str(tmp_path / "home"))
    found = Store(str(tmp_path / "store"))
    publish(tiny_backbone, found)
    backbone = {"name": NAME, "fingerprint": tiny_backbone.fingerprint, "family": "markov"}
    cards: list[SamplerCard] = [
        make_card(error=error, entropy=entropy, method=method, backbone=backbone)
        for error, entropy, method in ((0.2, 1.2, "lsd"), (0.1, 1.0, "temperature"), (0.4, 1.3, "plain"))
    ]
    for number, card in enumerate(cards):
        found.write_bytes(f"cells/{number}/card.json", card.to_json().encode())
    remember_champions(found, NAME, tiny_backbone.fingerprint, {"nfe2": cards[0].sha256})
    return found


def test_from_an_empty_registry_to_an_exported_sampler(typed, store, served_registry, tmp_path):
    assert "3 cards and 1 aliases" in typed("register", "--store", store.url)
    rows = json.loads(typed("samplers", NAME, "--json", "--sort", "error"))
    by_method = {row["method"]: row for row in rows}
    assert [row["method"] for row in rows] == ["temperature", "lsd", "plain"]
    assert [row["aliases"] for row in rows] == [[], ["nfe2"], []]
    listed = json.loads(typed("samplers", NAME, "--json", "--min-entropy", "1.1", "--sort", "entropy"))
    assert [row["method"] for row in listed] == ["plain", "lsd"]
    assert [r["method"] for r in json.loads(typed("samplers", NAME, "--json", "--champions"))] == ["lsd"]
    assert "sort must be one of" in typed("samplers", NAME, "--sort", "taste", code=2)
    assert "method must be among the registered: lsd, plain, temperature" in typed(
        "samplers", NAME, "--methods", "magic", code=2
    )

    champion, cold = by_method["lsd"]["uri"], by_method["temperature"]["uri"]
    assert typed("pick", NAME, "--max-nfe", "16").strip() == champion
    assert typed("pick", NAME, "--max-nfe", "16", "--min-entropy", "0.9").strip() == cold
    typed("promote", NAME, "nfe2", cold.rsplit("/", 1)[1])
    assert typed("pick", NAME, "--max-nfe", "16").strip() == cold
    typed("rollback", NAME, "nfe2")
    assert typed("pick", NAME, "--max-nfe", "16").strip() == champion

    printed = typed("export", f"models:/{NAME}@nfe2", "--to", "json", "--out", str(tmp_path / "out"))
    assert str(tmp_path / "out" / "card.json") in printed
    exported, ours = (
        load_sampler(tmp_path / "out", store=store.url),
        load_sampler(champion, tracking_uri=served_registry),
    )
    assert exported.card == ours.card
    assert exported.sample(4).tolist() == ours.sample(4).tolist()
    assert "3 cards and 1 aliases" in typed("register", "--store", store.url)  # again: nothing doubles
    assert len(json.loads(typed("samplers", NAME, "--json"))) == 3


def test_bad_cards_do_not_keep_the_others_from_the_registry(typed, store):
    key, whole = "cells/1/card.json", store.read_bytes("cells/1/card.json")
    for damage in (whole[:-40], b"\xff\xfe", b"", whole.replace(b'"sampler"', b'"simpler"')):
        store.write_bytes(key, damage)
        printed = typed("register", "--store", store.url, code=1)
        assert "2 cards and 1 aliases" in printed
        assert f"left out: {store.locate(key)}" in printed
