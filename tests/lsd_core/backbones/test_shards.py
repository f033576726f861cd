"""Large backbones lie on the store in shards: fetched whole and once a node; damage is named, and mended."""

import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from lsd_core.backbones import shards, storage
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.publish import backbone_key, damaged, fetch, publish
from lsd_core.errors import InputError
from lsd_core.samplers import generate
from lsd_core.samplers.table import uniform_times
from lsd_core.storage.store import Store

LIMIT = 100_000
BACKBONE = load_backbone("text-radd")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def shard_keys(store: Store) -> list[str]:
    return [key for key in store.list("backbones") if key.endswith(".safetensors")]


def counted(monkeypatch: pytest.MonkeyPatch, wait_s: float = 0.0) -> list[str]:
    """The keys that are downloaded from now on."""
    keys, download = list[str](), Store.download

    def slow(self: Store, key: str, path: Path) -> None:
        download(self, key, path)
        keys.append(key)
        time.sleep(wait_s)

    monkeypatch.setattr(Store, "download", slow)
    return keys


def test_shards_are_small_and_hold_every_tensor_once(store: Store) -> None:
    key = publish(BACKBONE, store, LIMIT)
    weight_map = store.read_json(key)["weight_map"]
    contents = {name: load(store.read_bytes(name)) for name in shard_keys(store)}
    assert len(contents) > 3
    found: dict[str, torch.Tensor] = {}
    for name, tensors in contents.items():
        assert not set(found) & set(tensors)
        assert len(tensors) == 1 or sum(tensor.nbytes for tensor in tensors.values()) <= LIMIT
        assert {weight_map[each] for each in tensors} == {Path(name).name}
        found |= tensors
    assert set(found) == set(weight_map) == set(BACKBONE.tensors())
    assert all(torch.equal(found[name], tensor) for name, tensor in BACKBONE.tensors().items())


def test_what_is_fetched_is_the_same_network_and_is_fetched_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(BACKBONE, store, LIMIT)
    keys = counted(monkeypatch)
    got = fetch(BACKBONE.fingerprint, store, tmp_path / "cache")
    assert sorted(keys) == shard_keys(store)
    again = fetch(BACKBONE.fingerprint, store, tmp_path / "cache")
    assert sorted(keys) == shard_keys(store)
    assert (got.name, got.config, again.fingerprint) == (BACKBONE.name, BACKBONE.config, BACKBONE.fingerprint)
    assert getattr(got, "task", None) == getattr(BACKBONE, "task", None)
    tokens = [generate(each, "euler", uniform_times(3), 4, seed=0).tokens for each in (BACKBONE, again)]
    assert torch.equal(*tokens)


@pytest.mark.parametrize("limit", [LIMIT, shards.SHARD_BYTES])
def test_workers_of_a_node_wait_for_one_download(
    store: Store, limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(BACKBONE, store, limit)
    keys, prints = counted(monkeypatch, wait_s=0.02), list[str]()

    def work() -> None:
        prints.append(fetch(BACKBONE.fingerprint, store, tmp_path / "cache").fingerprint)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert prints == [BACKBONE.fingerprint] * 3
    assert sorted(keys) == shard_keys(store)


def test_a_damaged_or_missing_shard_is_named_and_published_again(store: Store, tmp_path: Path) -> None:
    key = publish(BACKBONE, store, LIMIT)
    first, second, *_ = shard_keys(store)
    whole = store.read_bytes(first)
    assert damaged(store) == {}
    store.write_bytes(first, whole[:-1] + bytes([whole[-1] ^ 1]))
    for refused in (lambda: damaged(store)[key], lambda: fetch_error(store, tmp_path / "cache")):
        assert f"{store.locate(first)} must have the content of its name" in refused()
    publish(BACKBONE, store, LIMIT)
    assert store.read_bytes(first) == whole
    store.delete(second)
    assert damaged(store) == {key: f"{store.locate(second)} must exist"}
    publish(BACKBONE, store, LIMIT)
    assert damaged(store) == {}
    store.write_bytes(key, store.read_bytes(key).replace(b'"radd"', b'"sedd"').replace(b"radd", b"sedd"))
    assert "have the content of its digest" in damaged(store)[key]


def fetch_error(store: Store, cache: Path) -> str:
    with pytest.raises(InputError) as refusal:
        fetch(BACKBONE.fingerprint, store, cache)
    return str(refusal.value)


def test_a_changed_cache_is_replaced(store: Store, tmp_path: Path) -> None:
    publish(BACKBONE, store, LIMIT)
    cache = tmp_path / "cache"
    fetch(BACKBONE.fingerprint, store, cache)
    shard = sorted((cache / BACKBONE.fingerprint).iterdir())[0]
    data = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert fetch(BACKBONE.fingerprint, store, cache).fingerprint == BACKBONE.fingerprint
    assert shard.read_bytes() == data


def test_links_in_a_cache_are_not_written_through(store: Store, tmp_path: Path) -> None:
    publish(BACKBONE, store, LIMIT)
    precious = tmp_path / "papers" / "precious"
    precious.parent.mkdir()
    precious.write_bytes(b"the only copy")
    folder = tmp_path / "cache" / BACKBONE.fingerprint
    folder.mkdir(parents=True)
    (folder / shard_keys(store)[0].rpartition("/")[2]).with_suffix(".part").symlink_to(precious)
    assert fetch(BACKBONE.fingerprint, store, tmp_path / "cache").fingerprint == BACKBONE.fingerprint
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(precious.parent)
    assert fetch(BACKBONE.fingerprint, store, tmp_path / "cache").fingerprint == BACKBONE.fingerprint
    assert list(precious.parent.iterdir()) == [precious]
    assert precious.read_bytes() == b"the only copy"


def test_one_file_of_an_earlier_version_stays(store: Store, tmp_path: Path) -> None:
    key = backbone_key(BACKBONE.fingerprint)
    store.write_bytes(key, storage.to_bytes(BACKBONE))
    assert publish(BACKBONE, store, LIMIT) == key
    assert store.list("backbones") == [key]
    assert fetch(BACKBONE.fingerprint, store, tmp_path / "cache").fingerprint == BACKBONE.fingerprint


def test_a_store_without_it_is_named(store: Store, tmp_path: Path) -> None:
    store.check()
    assert f"store must hold backbone {BACKBONE.fingerprint[:12]}" in fetch_error(store, tmp_path / "cache")
