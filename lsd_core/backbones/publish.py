"""Backbones on the store: published once by the driver, fetched into a local cache for sampling."""

import os
import uuid
from pathlib import Path

from lsd_core.backbones import storage
from lsd_core.backbones.catalog import addresses_of, load_backbone
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.numerics.names import FINGERPRINT
from lsd_core.storage.home import cache_dir
from lsd_core.storage.store import Store


def backbone_key(fingerprint: str) -> str:
    """Where a backbone lies on the store."""
    return f"backbones/{_checked_name(fingerprint)}"


def _checked_name(fingerprint: str) -> str:
    """The file of a fingerprint, which comes from a card as often as not."""
    return f"{FINGERPRINT.check('fingerprint of a backbone', fingerprint)}.safetensors"


def publish(backbone: AnyBackbone, store: Store) -> str:
    """Put a backbone on the store, unless it is there and intact, and return its key."""
    key = backbone_key(backbone.fingerprint)
    if _damage(store, key) is not None:
        store.write_bytes(key, storage.to_bytes(backbone))
    return key


def damaged(store: Store) -> dict[str, str]:
    """The published backbones that are not what their names say, and why: one line each, by key."""
    found = {key: _damage(store, key) for key in store.list("backbones")}
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
    """The backbone with this fingerprint, from the local cache or the store; its content must bear it out."""
    cached = (cache or cache_dir()) / _checked_name(fingerprint)
    if cached.is_file():
        try:
            return checked(storage.load_file(cached), fingerprint, str(cached))
        except InputError:
            cached.unlink(missing_ok=True)  # a damaged cache is not worth a word
    key = backbone_key(fingerprint)
    try:
        data = store.read_bytes(key)
    except FileNotFoundError:
        remedy = "name the store it was distilled on (--store or LSD_STORE)"
        raise InputError("store", f"hold backbone {fingerprint[:12]}", store.url, remedy) from None
    backbone = checked(storage.from_bytes(data, store.locate(key)), fingerprint, store.locate(key))
    cached.parent.mkdir(parents=True, exist_ok=True)
    scratch = cached.with_name(f".{uuid.uuid4().hex}")
    scratch.write_bytes(data)
    os.replace(scratch, cached)
    return backbone


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
