"""Backbones on the store: published once by the driver, fetched into a local cache once a node.

One file holds weights of up to `shards.SHARD_BYTES`; larger ones lie in shards.
"""

import shutil
import uuid
from pathlib import Path

from lsd_core.backbones import shards, storage
from lsd_core.backbones.catalog import addresses_of, load_backbone
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError, Unreachable
from lsd_core.numerics.names import FINGERPRINT
from lsd_core.storage.home import cache_dir
from lsd_core.storage.store import Store
from lsd_core.storage.tensorfile import TensorFile

ROOT = "backbones"


def backbone_key(fingerprint: str) -> str:
    """Where a backbone of one file lies on the store."""
    return f"{ROOT}/{_checked_name(fingerprint)}"


def _checked_name(fingerprint: str) -> str:
    """The file of a fingerprint, which comes from a card as often as not."""
    return f"{FINGERPRINT.check('fingerprint of a backbone', fingerprint)}.safetensors"


def publish(backbone: AnyBackbone, store: Store, limit: int = shards.SHARD_BYTES) -> str:
    """Put a backbone on the store, unless it is there and intact, and return the key of its file or its index.

    More than `limit` bytes of weights are written in shards of at most so many.
    """
    key, folder = backbone_key(backbone.fingerprint), f"{ROOT}/{backbone.fingerprint}"
    if sum(tensor.nbytes for tensor in backbone.tensors().values()) <= limit:
        if _damage(store, key) is not None:
            store.write_bytes(key, storage.to_bytes(backbone))
        return key
    if store.exists(key) and _damage(store, key) is None:  # by a version that wrote one file of any size
        return key
    if shards.damage(store, folder) is not None:
        shards.write(store, folder, storage.file_of(backbone), limit)
    return f"{folder}/{shards.INDEX}"


def damaged(store: Store) -> dict[str, str]:
    """The published backbones that are not what their names say, and why: one line each, by key."""
    found = dict[str, str | None]()
    for key in store.list(ROOT):
        folder, _, name = key.rpartition("/")
        if folder == ROOT:
            found[key] = _damage(store, key)
        elif name == shards.INDEX:
            found[key] = shards.damage(store, folder)
    return {key: reason for key, reason in found.items() if reason is not None}


def _damage(store: Store, key: str) -> str | None:
    """What is wrong with a published backbone: its name is its content's fingerprint."""
    where, fingerprint = store.locate(key), Path(key).stem
    try:
        data = store.read_bytes(key)
    except FileNotFoundError:
        return f"{where} must exist"
    try:
        checked(storage.from_bytes(data, where), fingerprint, where)
    except InputError as error:
        return str(error)
    return None


def fetch(fingerprint: str, store: Store, cache: Path | None = None) -> AnyBackbone:
    """The backbone with this fingerprint, from the local cache or the store; its content must bear it out.

    Its weights are mapped from the cache, so the processes of a node read them once and share their memory; while
    one downloads, others wait for it.
    """
    cached = (cache or cache_dir()) / _checked_name(fingerprint)
    cached.parent.mkdir(parents=True, exist_ok=True)
    with Store(str(cached.parent)).locked(cached.name):
        if cached.is_file():
            try:
                return _mapped(cached, fingerprint, str(cached))
            except InputError:
                cached.unlink(missing_ok=True)  # a damaged cache is not worth a word
        try:
            return _download(fingerprint, store, cached)
        except FileNotFoundError:
            remedy = "name the store it was distilled on (--store or LSD_STORE)"
            raise InputError("store", f"hold backbone {fingerprint[:12]}", store.url, remedy) from None


def _mapped(path: Path, fingerprint: str, source: str) -> AnyBackbone:
    return checked(storage.from_file(TensorFile.mapped(path, source), source), fingerprint, source)


def _download(fingerprint: str, store: Store, cached: Path) -> AnyBackbone:
    """The backbone of the store, its file or shards put into the cache; FileNotFoundError where there is none."""
    key, scratch = backbone_key(fingerprint), cached.with_name(f".{uuid.uuid4().hex}")
    try:
        store.download(key, scratch)
        backbone = _mapped(scratch, fingerprint, store.locate(key))
        scratch.replace(cached)
        return backbone
    except FileNotFoundError:
        return _download_shards(fingerprint, store, cached.with_suffix(""))
    finally:
        scratch.unlink(missing_ok=True)


def _download_shards(fingerprint: str, store: Store, cached: Path) -> AnyBackbone:
    folder = f"{ROOT}/{fingerprint}"
    source, kept = store.locate(f"{folder}/{shards.INDEX}"), cached.is_dir()
    try:
        return checked(storage.from_file(shards.download(store, folder, cached), source), fingerprint, source)
    except Unreachable:
        raise
    except InputError:
        if not kept:
            raise
        shutil.rmtree(cached)  # what an earlier download left may have been changed since
        return _download_shards(fingerprint, store, cached)


def find(name: str, fingerprint: str, store: Store | None) -> AnyBackbone:
    """The backbone a card was made for: the catalog's of that name if it is or was the same, else the store's."""
    FINGERPRINT.check("fingerprint of a backbone", fingerprint)
    for address in addresses_of(name):
        try:
            known = load_backbone(address)
        except InputError:
            continue
        if known.fingerprint == fingerprint:
            return known
    if store is None:
        remedy = "name the store it was distilled on (--store or LSD_STORE)"
        raise InputError("store", f"be given to find backbone {fingerprint[:12]} ({name})", "none", remedy)
    return fetch(fingerprint, store)


def checked(backbone: AnyBackbone, fingerprint: str, source: str) -> AnyBackbone:
    """The backbone, if it is the one meant."""
    if backbone.fingerprint != fingerprint:
        remedy = "run the same `lsd grid` again: it publishes the backbone anew"
        raise InputError(f"fingerprint of {source}", f"be {fingerprint}", backbone.fingerprint, remedy)
    return backbone
