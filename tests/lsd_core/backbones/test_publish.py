"""A published backbone is what its name says: damage is named, and mended by publishing it again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.publish import damaged, fetch, publish
from lsd_core.errors import InputError
from lsd_core.storage.store import Store

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "flipped": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    "short": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backbone_is_named_and_published_again(store: Store, damage: str, tmp_path: Path) -> None:
    backbone = load_backbone("countdown")
    key = publish(backbone, store)
    whole = store.read_bytes(key)
    assert damaged(store) == {}
    store.write_bytes(key, DAMAGES[damage](whole))
    ((named, reason),) = damaged(store).items()
    assert named == key
    assert store.locate(key) in reason
    with pytest.raises(InputError, match=key):
        fetch(backbone.fingerprint, store, cache=tmp_path / "cache")
    publish(backbone, store)
    assert store.read_bytes(key) == whole


def test_an_intact_backbone_is_left_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = load_backbone("countdown-exact")
    publish(backbone, store)
    written: list[str] = []
    monkeypatch.setattr(Store, "write_bytes", lambda self, key, data: written.append(key))
    publish(backbone, store)
    assert written == []
